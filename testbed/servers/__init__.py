"""Servers that stand in for what a site has around it: cameras, a mail server, an SMS gateway."""
