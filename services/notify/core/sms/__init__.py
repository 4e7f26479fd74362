"""SMS: segments, budget, gateways and their delivery reports, telephone numbers. Pure."""
