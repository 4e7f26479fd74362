"""Why a service does not start."""


class StartError(Exception):
    """A service cannot start for a reason its operator can mend; the text is one line that says what."""
