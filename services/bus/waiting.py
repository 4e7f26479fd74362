"""Which streams take no message, and since when: to who publishes a full disk is silence."""

import time

from prometheus_client import Gauge

UNSTORED = Gauge(
    "moretta_bus_unstored_seconds", "How long a message has waited for its stream to take it; 0 when it did", ["stream"]
)
LONG_S = 10.0
"""A leader is elected, or a server started anew, within so long."""


class Waiting:
    """What waits at the moment, by stream."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def failed(self, stream: str) -> None:
        """Note that a stream took no answer in time, or none of it came."""
        since = self._since.setdefault(stream, time.monotonic())
        UNSTORED.labels(stream).set(time.monotonic() - since)

    def done(self, stream: str) -> None:
        """Note that it took a message, or that nobody waits any more."""
        if self._since.pop(stream, None) is not None:
            UNSTORED.labels(stream).set(0)

    @property
    def long(self) -> dict[str, float]:
        """Return for how many seconds each stream has taken nothing, if that is long."""
        now = time.monotonic()
        return {name: now - since for name, since in sorted(self._since.items()) if now - since >= LONG_S}

    @property
    def in_words(self) -> str:
        """Return what is wrong and what to do; empty where nothing is."""
        told = ", ".join(f"{name} for {seconds:.0f} s" for name, seconds in self.long.items())
        return f"NATS takes no message for {told}; is its disk full? See docs/operations.md" if told else ""
