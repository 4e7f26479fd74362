"""Retry delays of a camera, and the time limits for stalled cameras, stuck threads and silent peers. Pure.

Durations are integer nanoseconds, except a peer's: those are seconds of any one clock.
"""

from proto.types import CameraReason

SECOND_NS = 1_000_000_000
HEALTHY_NS = 60 * SECOND_NS
"""A connection that lived this long was healthy: the next failure starts from the shortest delay."""
STUCK_LIMIT_S = 60.0
"""How long a camera's thread may show no sign of life beyond its own time limits, or go on after it was told to end."""
_LONGEST_LOOK_NS = SECOND_NS
_SHORTEST_STALL_NS = 1_500_000_000
_LONGEST_STALL_NS = 8 * SECOND_NS
_MISSING_PICTURES = 6


class Backoff:
    """Exponential delays with jitter ("equal jitter": half is fixed, half is random), for any number of attempts."""

    def __init__(self, first_ns: int = SECOND_NS // 2, limit_ns: int = 30 * SECOND_NS, factor: float = 2.0) -> None:
        self._first, self._limit, self._factor = first_ns, limit_ns, factor
        self._base = float(first_ns)
        self._live_since: int | None = None
        self.may_hurry = False
        """Whether the camera was live since its last immediate retry."""

    def live(self, now_ns: int) -> None:
        """Note that the connection delivers pictures from now on; repeated calls for one connection change nothing."""
        if self._live_since is None:
            self._live_since = now_ns
        self.may_hurry = True

    def failed(self, now_ns: int, random: float, *, moved: bool = False) -> int:
        """Return the wait before the next attempt in ns; `random` is uniform in 0..1.

        A camera that has `moved` is retried at once, but only once until it is live again: a name with another address
        at every look-up must not be retried without a pause.
        """
        if self._live_since is not None and now_ns - self._live_since >= HEALTHY_NS:
            self._base = float(self._first)
        self._live_since = None
        if moved and self.may_hurry:
            self.may_hurry = False
            return 0
        base = min(self._base, float(self._limit))
        self._base = min(base * self._factor, float(self._limit))
        return round(base / 2 + base / 2 * min(max(random, 0.0), 1.0))


def has_moved(before: frozenset[str], now: frozenset[str]) -> bool:
    """Return whether a camera's name has none of its earlier addresses any more; False if one set is unknown."""
    return bool(before) and bool(now) and before.isdisjoint(now)


def stuck_after(open_s: float, read_s: float, grace_s: float) -> int:
    """Return how long a camera's thread may show no sign of life, in ns, before it is stuck.

    The thread's own limits come first: FFmpeg mostly notices silence after twice a limit, and opening may take both.
    """
    return round((2 * (open_s + read_s) + grace_s) * SECOND_NS)


class Standstill:
    """For how long a thread has shown no sign of life while somebody watched.

    A process that was frozen looks again after an hour, and its threads have had no time either: that hour is no
    standstill. So the time between two looks counts for a second at most.
    """

    def __init__(self) -> None:
        self._looked: int | None = None
        self._since: int | None = None
        self._lasted = 0

    def look(self, now: int, since: int | None) -> int:
        """Return how long, in ns, the last sign of life has been `since`; 0 if there is a new one, or none is due."""
        passed = 0 if self._looked is None else min(now - self._looked, _LONGEST_LOOK_NS)
        self._looked = now
        self._lasted = self._lasted + passed if since is not None and since == self._since else 0
        self._since = since
        return self._lasted


def stall_timeout(rate: float) -> int:
    """Return how long, in ns, a camera of `rate` pictures per second may send no picture before it counts as stalled.

    This is six missing pictures, but at least 1.5 s (a lost TCP segment is not a stall) and at most 8 s. With 1.5 s and
    the watchdog's step, the codec keeps reference pictures less than 2 s after the last picture for every usual camera
    (docs/privacy.md).
    """
    if rate <= 0:
        return 2 * SECOND_NS
    return round(min(max(_MISSING_PICTURES / rate * SECOND_NS, _SHORTEST_STALL_NS), _LONGEST_STALL_NS))


CONNECT_LIMIT_S = 4.5
"""A peer counts as gone if it sends nothing for so long after its offer."""
SILENT_S = 3.0
"""So does a peer that sent something, and then nothing for so long."""
UNDECODABLE_S = 10.0
"""So does a peer that sends, but for so long no frame with which a decoder can start or continue."""


class Presence:
    """The signs of life of one peer since its offer."""

    def __init__(self, now: float) -> None:
        self._heard = self._fed = now
        self._has_sent = False
        self._frames = 0

    def judge(self, now: float, *, heard: bool, frames: int) -> tuple[CameraReason, str] | None:
        """Return the reason to disconnect the peer; None if it may stay.

        `heard` says whether packets came since the last call; `frames` counts the frames for the decoder since the
        offer.
        """
        if heard:
            self._heard, self._has_sent = now, True
        if frames != self._frames or not self._has_sent:
            self._fed, self._frames = now, frames
        limit_s = SILENT_S if self._has_sent else CONNECT_LIMIT_S
        if now - self._heard > limit_s:
            return "timeout", f"the peer sent nothing for {limit_s:g} s"
        if now - self._fed > UNDECODABLE_S:
            return "undecodable", f"the peer sent no key frame for {UNDECODABLE_S:g} s, though it was asked for one"
        return None
