"""Deadlines: when to look again, when to retry and when to give up. Pure, and the same on every run (ADR 8)."""

from hashlib import sha256
from heapq import heapify, heappop, heappush

_SLACK = 64
LOOK_S = 60.0
"""How often to look at the clock: a timer does not notice a clock put forward, or a machine that slept."""


def seconds_until(at: int | None, now: int) -> float:
    """Return the seconds to sleep at `now` before the next check for an instant (ns; None: there is none)."""
    return LOOK_S if at is None else min(LOOK_S, max(0.0, (at - now) / 1e9))


class Deadlines:
    """One instant (ns) per name. Finding the next one needs no look at all of them."""

    def __init__(self) -> None:
        self._at: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def set(self, name: str, at: int | None) -> None:
        """Replace a name's instant; None: it has none."""
        if at is None:
            self._at.pop(name, None)
        elif self._at.get(name) != at:
            self._at[name] = at
            heappush(self._heap, (at, name))
        if len(self._heap) > 2 * len(self._at) + _SLACK:
            self._heap = [(at, name) for name, at in self._at.items()]
            heapify(self._heap)

    def hasten(self, name: str, at: int) -> None:
        """Set a name's instant to this one, unless an earlier one is set."""
        if at < self._at.get(name, at + 1):
            self.set(name, at)

    def first(self) -> int | None:
        """Return the earliest instant, None if there is none."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, now: int) -> list[str]:
        """Remove and return the names whose instant has come."""
        found = []
        while (at := self.first()) is not None and at <= now:
            name = heappop(self._heap)[1]
            del self._at[name]
            found.append(name)
        return found


FIRST_S = 15.0
LONGEST_S = 5 * 60.0
SLOW_FIRST_S = 5 * 60.0
SLOW_LONGEST_S = 15 * 60.0
JITTER = 0.2


def delay_s(alert: str, attempt: int, *, slow: bool = False) -> float:
    """Return the seconds to wait after this attempt (from 1): doubling, capped, within ±20 % of that.

    The jitter is a hash of alert and attempt. So alerts that failed together do not all come back together, and a test
    can predict it. `slow` is for a fault that only a person can fix: frequent attempts would lock the account.
    """
    first, longest = (SLOW_FIRST_S, SLOW_LONGEST_S) if slow else (FIRST_S, LONGEST_S)
    doublings = min(max(attempt, 1) - 1, 32)
    return min(first * 2.0**doublings, longest) * (1 + JITTER * _spread(alert, attempt))


def given_up(stored: int, now: int, give_up_after_s: float) -> bool:
    """Return whether an alert stored at `stored` (ns) is too old at `now` (ns) to be worth another attempt."""
    return now - stored > give_up_after_s * 1e9


def _spread(alert: str, attempt: int) -> float:
    """Return a number in [-1, 1) that depends on nothing but its arguments."""
    digest = sha256(f"{alert}/{attempt}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**31 - 1
