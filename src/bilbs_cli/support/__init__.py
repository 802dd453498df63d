"""Reach support: pager, card, channels, severity, the SLA clock. Nothing is imported here: the pager is faster for it."""
