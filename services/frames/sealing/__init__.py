"""Sealed frames: on the bus a picture is noise (docs/privacy.md). Used by ingest and inference alone (ADR 0003)."""
