"""What the chart's try-out has beside Moretta itself: two simulated cameras, a mail server, one door to the page."""
