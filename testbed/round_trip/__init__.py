"""`moretta doctor --round-trip SITE`: a known film goes all the way through a deployment."""
