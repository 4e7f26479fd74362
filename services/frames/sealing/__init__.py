"""Sealed frames: a picture on the bus is encrypted (docs/privacy.md). For ingest and inference alone (ADR 0003)."""
