"""`moretta demo`: runs the whole system on simulated cameras with a known truth, up to the alert's mail."""
