"""Checks that the streams keep the messages of the open window until a replay has read them again (ADR 7)."""

from dataclasses import dataclass

from services.aggregate.core.config import SECOND, SiteConfig

MARGIN = 300 * SECOND
"""Time to replace a dead replica: Kubernetes gives a lost node five minutes. A replay also needs sightings from just
before the window, of people who are seen in it; these go back far less."""
_SLACK = 0.05
"""A stream is limited by age if it reaches back to within this share of its maximum age."""

_LARGER = "raise nats.streams.{}: How long things are kept, in docs/operations.md"


@dataclass(frozen=True, slots=True)
class Reach:
    """How far back a stream goes, ns; `now` is the server's time. `max_age` 0: its age is not limited."""

    max_age: int
    max_bytes: int
    has_dropped: bool
    """Whether it has dropped messages."""
    first: int
    """When its first message was stored; `now` if there is none."""
    now: int

    @property
    def is_full(self) -> bool:
        """Whether its size in bytes, not its age, limits what it keeps."""
        return self.has_dropped and (not self.max_age or self.now - self.first < self.max_age * (1 - _SLACK))


def needed(config: SiteConfig) -> int:
    """Return how long messages must be kept, ns; for recordings nobody waits for late messages."""
    return config.window + (0 if config.close_on_end else config.open_for) + MARGIN


def shortfall(stream: str, reach: Reach, config: SiteConfig) -> str | None:
    """Return why a stream's maximum age is too short for a site, and what to set; None if it is long enough."""
    least = needed(config)
    if not reach.max_age or reach.max_age >= least:
        return None
    return (
        f"{stream} keeps messages for {reach.max_age / SECOND:g} s, but windows of {config.window_s:g} s need"
        f" {least / SECOND:g} s of them to survive a crash; set the stream's max_age to {least / SECOND:g}s or more,"
        " or take shorter windows"
    )


def loss(stream: str, reach: Reach, since: int) -> str | None:
    """Return how messages since the open window's start were lost; None if the stream still has them."""
    if not reach.has_dropped or reach.first <= since:
        return None
    gone = f"{stream} has dropped {(reach.first - since) / SECOND:.0f} s of the open window"
    if reach.is_full:
        held = (reach.now - reach.first) / SECOND
        return f"{gone}: its {reach.max_bytes >> 20} MiB hold {held:.0f} s only; {_LARGER.format(stream)}"
    return f"{gone}: nobody has read it for longer than it keeps messages"
