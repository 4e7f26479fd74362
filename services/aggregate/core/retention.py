"""Whether the streams keep what a replay needs (ADR 7): what the open window counts, until it is read again."""

from dataclasses import dataclass

from services.aggregate.core.config import SECOND, SiteConfig

MARGIN = 300 * SECOND
"""How long it may take until a dead replica is replaced: Kubernetes gives a lost node five minutes. What came just
before the window, of people who are seen in it, is far less."""
_SLACK = 0.05
"""A stream that reaches back to within so much of its age is limited by that age."""

_LARGER = "raise nats.streams.{}: How long things are kept, in docs/operations.md"


@dataclass(frozen=True, slots=True)
class Reach:
    """How far back a stream goes, ns; `now` is the server's. `max_age` 0: its age is not limited."""

    max_age: int
    max_bytes: int
    has_dropped: bool
    """Whether it held more than it does."""
    first: int
    """When its first message was stored; `now` if there is none."""
    now: int

    @property
    def is_full(self) -> bool:
        """Whether bytes, and not age, limit what it keeps."""
        return self.has_dropped and (not self.max_age or self.now - self.first < self.max_age * (1 - _SLACK))


def needed(config: SiteConfig) -> int:
    """Return for how long messages are to be kept, ns; nobody waits for what is late in a recording."""
    return config.window + (0 if config.close_on_end else config.lateness) + MARGIN


def shortfall(stream: str, reach: Reach, config: SiteConfig) -> str | None:
    """Return why a stream's age is too little for a site, and what would do; None if it is enough."""
    least = needed(config)
    if not reach.max_age or reach.max_age >= least:
        return None
    return (
        f"{stream} keeps messages for {reach.max_age / SECOND:g} s, but windows of {config.window_s:g} s need"
        f" {least / SECOND:g} s of them to survive a crash; set the stream's max_age to {least / SECOND:g}s or more,"
        " or take shorter windows"
    )


def loss(stream: str, reach: Reach, since: int) -> str | None:
    """Return what has become of messages since the open window's start; None if the stream still has them."""
    if not reach.has_dropped or reach.first <= since:
        return None
    gone = f"{stream} has dropped {(reach.first - since) / SECOND:.0f} s of the open window"
    if reach.is_full:
        held = (reach.now - reach.first) / SECOND
        return f"{gone}: its {reach.max_bytes >> 20} MiB hold {held:.0f} s only; {_LARGER.format(stream)}"
    return f"{gone}: nobody has read it for longer than it keeps messages"
