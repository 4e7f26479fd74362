"""Commands and tools for operators. This package imports the services; no service imports it."""
