"""The next delivery, what each attempt came to, and the alarms that follow. Pure."""
