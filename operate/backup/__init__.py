"""`moretta backup` and `moretta restore`: published data, decisions and orders, as JetStream's own snapshots."""
