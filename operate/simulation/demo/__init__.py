"""`moretta demo`: simulated cameras with a known truth, the whole system behind them, and a mail in the end."""
