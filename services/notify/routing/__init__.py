"""Routing: which receiver is notified of an alert, by which route, at which times and in which group."""
