"""Measurements, as ratios in one run. Only this package may need all services in one process."""
