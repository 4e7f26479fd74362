"""What ingest and inference alone share: how a picture is sealed on its way, and how long it may take."""
