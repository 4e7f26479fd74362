"""The 100 ms budget of a picture's lifetime: which pictures are shed because they would exceed it (ADR 14).

Shedding on the mean of the service times leaves a p99 of 170 ms under overload. Shedding on the 95th percentile of the
last 40 leaves about 100 ms, whatever the transport.
"""

from collections import deque
from statistics import median

BUDGET_NS = 100_000_000
_WINDOW = 40
_DECAY, _USUAL_NS = 0.97, 200_000_000


class Shedder:
    """Sheds by the 95th percentile of the last 40 service (or round-trip) times of one camera's pictures.

    Each refusal shortens the remembered times by 3 %, and by as much for each 200 ms of a longer period between
    pictures. So old measurements lose weight, and one slow start does not shed for ever. Whatever was measured, a fresh
    picture (2 ms old at most) is tried again after 24 refusals, or 5 s and one picture.
    """

    def __init__(self, budget_ns: int = BUDGET_NS, period_ns: int = 0) -> None:
        """`period_ns` is the time from one picture to the next; 0 for pictures of many cameras."""
        self._budget = budget_ns
        self._decay = _DECAY ** max(1.0, period_ns / _USUAL_NS)
        self._times: deque[float] = deque(maxlen=_WINDOW)
        self._estimate = 0.0

    @property
    def budget_ns(self) -> int:
        """The budget that it keeps to."""
        return self._budget

    @property
    def estimate_ns(self) -> int:
        """The time that a picture sent now is expected to need; 0 while nothing was measured."""
        return round(self._estimate)

    @property
    def typical_ns(self) -> int:
        """The median of the remembered times; 0 while nothing was measured."""
        return round(median(self._times)) if self._times else 0

    def add(self, service_ns: int) -> None:
        """Count a measured time; no reply within the budget counts as the budget or more."""
        # More than two budgets would tell nothing more, and would only take longer to forget.
        self._times.append(float(min(max(service_ns, 0), 2 * self._budget)))
        self._estimate = _p95(self._times)

    def may_send(self, age_ns: int) -> bool:
        """Return whether a picture of this age can be expected to make the budget; False means: drop it unread."""
        if age_ns >= self._budget:
            return False  # too old, whatever the estimate is: so the estimate stays as it is
        if age_ns + self._estimate <= self._budget:
            return True
        self._forget()
        return False

    def _forget(self) -> None:
        self._times = deque((time * self._decay for time in self._times), maxlen=_WINDOW)
        self._estimate *= self._decay


def _p95(times: deque[float]) -> float:
    """Return the nearest-rank 95th percentile."""
    rank = -(-len(times) * 95 // 100)
    return sorted(times)[rank - 1]


MAX_WAITING = 8
"""The most sealed frames that may wait, for each lane."""
_SPENT = 0.6
"""A waiting frame must be expected to be done within this share of its budget. Under overload all waiting frames take
longer than expected, and the way back to ingest is still to come."""


def may_wait(age_ns: int, budget_ns: int, *, ahead: int, lanes: int, typical_ns: int, slow_ns: int) -> bool:
    """Return whether a frame of this age, behind `ahead` waiting ones, would be done with room to spare.

    The frames before it are expected to take `typical_ns` each (the median), the frame itself `slow_ns` (the 95th
    percentile).
    """
    if ahead >= MAX_WAITING * lanes:
        return False
    turns = -(-(ahead + 1) // lanes)
    return age_ns + turns * typical_ns + slow_ns <= _SPENT * budget_ns
