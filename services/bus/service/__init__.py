"""NATS services (NATS ADR-32): typed requests and answers, with a queue that is fair to all who ask."""
