"""Delivery: the next delivery, its attempts and retries, the record of each outcome, and the alarms that follow."""
