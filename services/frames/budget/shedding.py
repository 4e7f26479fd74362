"""Which pictures are dropped unread because they could not make 100 ms (ADR 14).

Shedding on the mean of the service times leaves a p99 of 170 ms under overload; on the 95th percentile of the last 40
it leaves about 100 ms, whatever the transport.
"""

from collections import deque
from statistics import median

BUDGET_NS = 100_000_000
_WINDOW = 40
_DECAY = 0.97


class Shedder:
    """Judges by the 95th percentile of the last 40 service (or round-trip) times of one camera's pictures.

    Each refusal makes the remembered times 3 % shorter: what is not measured any more is believed less and less, so
    one slow start doesn't shed for ever. Whatever was measured, a fresh picture (2 ms old at most) is tried again after
    24 refusals.
    """

    def __init__(self, budget_ns: int = BUDGET_NS) -> None:
        self._budget = budget_ns
        self._times: deque[float] = deque(maxlen=_WINDOW)
        self._estimate = 0.0

    @property
    def budget_ns(self) -> int:
        """The budget it judges by."""
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
        # More than two budgets tells nothing more, and would only take longer to forget.
        self._times.append(float(min(max(service_ns, 0), 2 * self._budget)))
        self._estimate = _p95(self._times)

    def may_send(self, age_ns: int) -> bool:
        """Return whether a picture of this age can be expected to make the budget; False means: drop it unread."""
        if age_ns >= self._budget:
            return False  # too old whatever the estimate says, so that it isn't the estimate's fault
        if age_ns + self._estimate <= self._budget:
            return True
        self._forget()
        return False

    def _forget(self) -> None:
        self._times = deque((time * _DECAY for time in self._times), maxlen=_WINDOW)
        self._estimate *= _DECAY


def _p95(times: deque[float]) -> float:
    """The nearest-rank 95th percentile."""
    rank = -(-len(times) * 95 // 100)
    return sorted(times)[rank - 1]
