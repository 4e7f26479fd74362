"""How a service runs: its life, settings, log, probes, TLS and traces; and what it says when it cannot start."""
