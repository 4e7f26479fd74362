"""Measurements, as ratios in one run. What needs all services in one process lives here, and only here."""
