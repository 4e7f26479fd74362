"""The error that keeps a service from starting."""


class StartError(Exception):
    """A service cannot start, for a reason that its operator can fix. The text is one line that says what to fix."""
