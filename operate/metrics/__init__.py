"""The document of all metrics and spans, made from the services."""
