"""`moretta demo`: the whole system on simulated cameras, its figures beside the truth."""
