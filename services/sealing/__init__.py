"""Sealed frames: on the bus a picture is noise (design §1.3). Used by ingest and inference alone (ADR 0003)."""
