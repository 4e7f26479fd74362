"""One camera's life, what goes out of it, and the cameras that are served here."""
