"""Code that only ingest and inference share: how a picture is sealed in transit, and how long it may take."""
