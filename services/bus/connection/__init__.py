"""Core NATS: one connection, its TLS and nkey, what it says about errors, and how it ends."""
