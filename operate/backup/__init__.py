"""`moretta backup` and `moretta restore`: what was published, decided and ordered, as JetStream's own snapshots."""
