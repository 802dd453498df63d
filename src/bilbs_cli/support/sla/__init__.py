"""The SLA clock: from a plan, a ticket's history and a calendar to due times; pure, nothing here reads or asks."""
