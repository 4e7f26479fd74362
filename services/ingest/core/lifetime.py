"""Counts of the measured pixel lifetimes (docs/privacy.md)."""

PROMISE_MS = 100.0
"""99 of 100 pictures live at most this long (docs/privacy.md)."""
PROMISE_S = PROMISE_MS / 1e3


class Lifetimes:
    """How many of a camera's pictures lived, and how many of them longer than promised. Nothing finer leaves it."""

    def __init__(self) -> None:
        self.pictures = self.late = self.unconfirmed = 0

    def add(self, lifetime_ns: int) -> None:
        """Count a picture whose pixels are known to be overwritten after `lifetime_ns`."""
        self.pictures += 1
        self.late += lifetime_ns / 1e6 > PROMISE_MS

    def add_unconfirmed(self) -> None:
        """Count a picture without a reply: its lifetime is +Inf, and so it is late."""
        self.pictures += 1
        self.late += 1
        self.unconfirmed += 1
