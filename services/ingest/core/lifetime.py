"""Rolling statistics of the measured pixel lifetime (docs/privacy.md)."""

from collections import deque
from typing import NamedTuple

CAP_MS = 60_000.0
"""What a percentile among the unconfirmed is reported as: they have no lifetime (+Inf), and JSON has no infinity."""
PROMISE_MS = 100.0
"""99 of 100 pictures live at most so long (docs/privacy.md)."""
_MOST = 20_000
_UNCONFIRMED = float("inf")


class Report(NamedTuple):
    """Percentiles by nearest rank; `unconfirmed` of the `frames` got no reply within the budget.

    `pictures` are those that no report told of yet, `late` those of them that lived longer than PROMISE_MS.
    """

    p50_ms: float
    p99_ms: float
    max_ms: float
    frames: int
    unconfirmed: int
    pictures: int
    late: int


class Lifetimes:
    """Lifetimes of the pictures since the last report but one (proto.public.Lifetime).

    No clock: the caller's reports make old pictures go. Between two reports the last 20 000 pictures are kept.
    """

    def __init__(self) -> None:
        self._current: deque[float] = deque(maxlen=_MOST)
        self._previous: deque[float] = deque(maxlen=_MOST)
        self._pictures = self._late = 0

    def add(self, lifetime_ns: int) -> None:
        """Count a picture whose pixels are known to be overwritten after so long."""
        self._count(lifetime_ns / 1e6)

    def add_unconfirmed(self) -> None:
        """Count a picture without a reply: its lifetime is +Inf, and the percentiles include it."""
        self._count(_UNCONFIRMED)

    def _count(self, lifetime_ms: float) -> None:
        self._current.append(lifetime_ms)
        self._pictures += 1
        self._late += lifetime_ms > PROMISE_MS

    def report(self) -> Report:
        """Return the percentiles in ms, 0.0 when there is no picture; one among the unconfirmed is CAP_MS."""
        times = sorted([*self._previous, *self._current])
        self._previous, self._current = self._current, deque(maxlen=_MOST)
        return Report(
            _percentile(times, 50),
            _percentile(times, 99),
            _percentile(times, 100),
            len(times),
            times.count(_UNCONFIRMED),
            self._pictures,
            self._late,
        )

    def told(self, pictures: int, late: int) -> None:
        """Take a report's counts as published: the next one's begin after them. Those of a lost report stay."""
        self._pictures -= pictures
        self._late -= late


def _percentile(ordered: list[float], percent: int) -> float:
    if not ordered:
        return 0.0
    rank = -(-len(ordered) * percent // 100)
    return round(min(ordered[rank - 1], CAP_MS), 3)
