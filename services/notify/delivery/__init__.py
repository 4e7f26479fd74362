"""Delivery: sends what is due, retries, and records the outcome. What is given up becomes a dead letter."""
