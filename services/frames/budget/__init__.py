"""The 100 ms that a picture may live: who drops it unread. Used by ingest and inference (ADR 0003). Pure."""
