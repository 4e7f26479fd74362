"""JetStream: streams as the table says, storing with acknowledgement, and reading back (docs/architecture.md)."""
