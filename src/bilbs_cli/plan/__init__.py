"""The support plan: what can be had, what is subscribed, what each step costs and until when."""
