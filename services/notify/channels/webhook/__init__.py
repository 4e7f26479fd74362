"""The channel webhook: a notification as signed Alertmanager JSON."""
