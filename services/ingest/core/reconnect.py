"""When to try a camera again, and when silence means that it stalled. Durations are integer nanoseconds."""

SECOND_NS = 1_000_000_000
HEALTHY_NS = 60 * SECOND_NS
"""A connection that lived so long was a good one: the next failure starts from the shortest delay."""
STUCK_LIMIT_S = 60.0
"""How long a camera's thread may show no sign of life beyond its own time limits, or go on after it was told to end."""
_SHORTEST_STALL_NS = 1_500_000_000
_LONGEST_STALL_NS = 8 * SECOND_NS
_MISSING_PICTURES = 6


class Backoff:
    """Exponential delays with jitter ("equal jitter": half is fixed, half is random), without an end."""

    def __init__(self, first_ns: int = SECOND_NS // 2, limit_ns: int = 30 * SECOND_NS, factor: float = 2.0) -> None:
        self._first, self._limit, self._factor = first_ns, limit_ns, factor
        self._base = float(first_ns)
        self._live_since: int | None = None
        self.may_hurry = False
        """Whether it was live since it was last tried at once."""

    def live(self, now_ns: int) -> None:
        """Note that the connection delivers pictures since now; later calls for the same connection change nothing."""
        if self._live_since is None:
            self._live_since = now_ns
        self.may_hurry = True

    def failed(self, now_ns: int, random: float, *, moved: bool = False) -> int:
        """Return how long to wait before the next attempt; `random` is uniform in 0..1.

        A camera that has `moved` is tried at once, but once only since it was live: a name that stands for another
        address every time must not be tried without a pause.
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
    """Return whether none of the addresses that a camera's name stood for is left; unknown ones say nothing."""
    return bool(before) and bool(now) and before.isdisjoint(now)


def stuck_after(open_s: float, read_s: float, grace_s: float) -> int:
    """Return for how long a camera's thread may show no sign of life (ns) before only a new process mends it.

    Its own limits come first: FFmpeg mostly notices silence after twice a limit, and opening may take both.
    """
    return round((2 * (open_s + read_s) + grace_s) * SECOND_NS)


def stall_timeout(rate: float) -> int:
    """Return after how long without a picture a camera of `rate` pictures per second counts as stalled.

    Six missing pictures, but 1.5 s at least (a lost TCP segment is not a stall) and 8 s at most; 1.5 s + the watchdog's
    step keep the codec's reference pictures under 2 s after the last picture for every usual camera (docs/privacy.md).
    """
    if rate <= 0:
        return 2 * SECOND_NS
    return round(min(max(_MISSING_PICTURES / rate * SECOND_NS, _SHORTEST_STALL_NS), _LONGEST_STALL_NS))
