"""The decisions of the capacity table: medians, limits, the search for the most cameras, slopes. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import fmean, median, median_low

from bench.system import NotMeasured, Run

BUDGET_S = 0.1
_LATE_SHARE = 0.01
_SHED_SHARE = 0.01
_ANALYSED_SHARE = 0.98
_OVERLOAD = 2.0
_STEADY = 0.1
_OVERLOADED_SHARE = 0.6
"""Under twice its possible load, a lane can analyse half, and a little more where its time varies."""


@dataclass(frozen=True)
class Row:
    """One row of the table. `met` is None if it was not measured; `measured` then says why."""

    name: str
    target: str
    measured: str
    met: bool | None
    runs: list[float] = field(default_factory=list)
    """The number of each run; their median is measured against the target."""
    note: str = ""
    key: str = ""
    """What `--only` calls it."""

    @property
    def verdict(self) -> str:
        """`met` in words."""
        return {True: "met", False: "missed", None: "not measured"}[self.met]


def at_most(name: str, limit: float, runs: Sequence[float], unit: str = "", note: str = "") -> Row:
    """Return the row of a number that may be `limit` at most: the median of the runs counts."""
    value = median(runs)
    return Row(name, f"<= {limit:g}{unit}", f"{value:.3g}{unit}", value <= limit, list(runs), note)


def at_least(name: str, limit: int, runs: Sequence[int], note: str = "") -> Row:
    """Return the row of a count that is to be `limit` at least: the median of the runs counts."""
    value = median(runs)
    return Row(name, f">= {limit}", f"{value:g}", value >= limit, [float(v) for v in runs], note)


def faults(run: Run) -> list[str]:
    """Return in words why a run does not pass: late pictures, dropped pictures, cameras that fell behind."""
    late, found = run.lifetime.share_above(BUDGET_S), []
    if not run.lifetime.count or late > _LATE_SHARE:
        found.append(f"{late:.1%} of the pictures lived for more than 100 ms")
    if run.shed_share > _SHED_SHARE:
        found.append(f"{run.shed_share:.1%} shed")
    if run.analysed_share < _ANALYSED_SHARE:
        found.append(f"{run.analysed_share:.1%} of the due pictures were analysed")
    return found


def overloading(once: Run, fps: float) -> int:
    """Return how many cameras of this rate need twice the capacity of a lane, by its time for a picture.

    NotMeasured if that time isn't known.
    """
    if not once.service_ms:
        raise NotMeasured("no lane's time for a picture was measured")
    return ceil(_OVERLOAD * 1e3 / once.service_ms / fps)


def require_overload(run: Run) -> None:
    """Raise NotMeasured unless the run was overloaded, and its queues were measured."""
    if not run.lag.count or not run.frame_age.count:
        raise NotMeasured("no frame's age or no decoding's lag was measured")
    if run.analysed_share > _OVERLOADED_SHARE:
        raise NotMeasured(f"{run.analysed_share:.0%} of what was due was analysed, which is no overload")


class Search:
    """A search for the largest number that passes, in steps up or down, then by halves.

    It assumes that all numbers below one that passes do so, too.
    """

    def __init__(self, start: int, step: int = 2, most: int = 64) -> None:
        self._start, self._step, self._most = min(start, most), step, most
        self._passed = 0
        self._failed: int | None = None

    def next(self) -> int | None:
        """Return the number to try now, None when it is known."""
        if self._failed is None:
            following = self._passed + self._step if self._passed else self._start
            return min(following, self._most) if self._passed < self._most else None
        if self._failed - self._passed <= 1:
            return None
        if not self._passed and self._failed > self._step:
            return self._failed - self._step
        return (self._passed + self._failed) // 2

    def tell(self, number: int, *, passed: bool) -> None:
        """Record the outcome of a try."""
        if passed:
            self._passed = max(self._passed, number)
        else:
            self._failed = number if self._failed is None else min(self._failed, number)

    @property
    def result(self) -> int:
        """The largest number that passed; 0 if none did."""
        return self._passed


def steady(values: Sequence[float]) -> list[int]:
    """Return the indices of the values within a tenth of their median; the lower of two middle ones counts."""
    middle = median_low(values)
    return [index for index, value in enumerate(values) if abs(value - middle) <= _STEADY * middle]


def spread(costs: dict[int, float]) -> float:
    """Return how much dearer the dearest is than the cheapest, as a share."""
    return max(costs.values()) / min(costs.values()) - 1


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the least-squares slope of (x, y); 0 for fewer than two different x."""
    if len({x for x, _ in points}) < 2:
        return 0.0
    middle_x, middle_y = fmean(x for x, _ in points), fmean(y for _, y in points)
    above = sum((x - middle_x) * (y - middle_y) for x, y in points)
    return above / sum((x - middle_x) ** 2 for x, _ in points)


def growth(values: Sequence[float]) -> float:
    """Return how much larger the last third's median is than the first third's; 0 for fewer than three."""
    third = len(values) // 3
    return median(values[-third:]) - median(values[:third]) if third else 0.0
