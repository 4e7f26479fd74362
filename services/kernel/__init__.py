"""The parts every service runs on: lifecycle, settings, log, probes, TLS, traces, and the error of a failed start."""
