"""What a backup is, and whether a folder is a whole one. Pure."""
