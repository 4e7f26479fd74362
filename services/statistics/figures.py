"""Shares as they are published: to a tenth of a per cent (ADR 47).

Chance alone leaves an interval of 10,000 people 20 times as wide. What decides, is sent and is shown are the same
figures.
"""

from collections.abc import Sequence
from math import ceil, floor
from typing import NamedTuple

from services.statistics.proportions import Interval, wilson
from services.statistics.rate_interval import Judged, interval

DECIMALS = 3
_STEPS = 10**DECIMALS


class Rates(NamedTuple):
    """A rate of masked people, its 95 % interval, and what of that is chance alone; all None if nobody was judged."""

    rate: float | None
    interval: Interval | None
    sampling_interval: Interval | None


def rates(masked: int, judged: Sequence[Judged]) -> Rates:
    """Return the published figures of `masked` people among the judged ones; intervals are rounded outwards."""
    people = sum(group.people for group in judged)
    if not people:
        return Rates(None, None, None)
    return Rates(rounded(masked / people), _outwards(interval(masked, judged)), _outwards(wilson(masked, people)))


def rounded(share: float) -> float:
    """Return a share to the nearest tenth of a per cent."""
    return round(share, DECIMALS)


def observed(share: float) -> float:
    """Return a coverage rounded down: 1 says that nothing is missing, 0.999 that something is.

    A mean of figures that are rounded already is off by less than the ninth decimal, which is no missing time.
    """
    return _down(round(share, 9))


def _outwards(ends: Interval | None) -> Interval | None:
    return ends and (_down(ends[0]), _up(ends[1]))


def _down(share: float) -> float:
    # What is a whole step already stays: 0.57 * 100 is less than 57 in binary fractions.
    return share if share == rounded(share) else floor(share * _STEPS) / _STEPS


def _up(share: float) -> float:
    return share if share == rounded(share) else ceil(share * _STEPS) / _STEPS
