"""Daily reports: when one is due, its figures, and its letter."""
