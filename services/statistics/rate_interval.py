"""The interval of a share that was counted by a model with errors: how far chance, and another place, may move it.

Where a share p of the people wears a mask, a share q(p) of the judged ones is expected to be judged masked:

    q(p) = w se + (1 - w) (1 - sp)        w = p r / (p r + 1 - p)

se is the sensitivity and sp the specificity (Rogan & Gladen 1978, American Journal of Epidemiology 107:71-76); r is the
recall of masked people over that of the others, so that w is the share of masked people among the judged ones. The
interval holds those p from which the observed share is no further than

    sqrt(1.96^2 s(p) + a^2 + b^2 + c^2)
    s(p) = (w (1 - w) (se + sp - 1)^2 + f (w se (1 - se) + (1 - w) sp (1 - sp))) / n

s(p) is the variance within one place: of who passes, and of the verdicts, which vary more than independent ones would
by the factor f (Rao & Scott 1992, Biometrics 48:577-585). a, b and c are how far q(p) moves if one of se, sp and r is
at the limit that it keeps to in 95 % of places. To add the squares of distances to limits, on each side its own, is
Newcombe's method 10 (1998); in general: Zou & Donner 2008, Statistics in Medicine 27:1693-1702. To find p by inverting
a test is Wilson's way (1927). Lang & Reiczigel (2014, Preventive Veterinary Medicine 113:13-22) have an interval for
one place, whose se and sp were estimated there. Without errors this is Wilson's interval.

The published share stays the plain count (ADR 11). So Wilson's interval of the count belongs to the interval always: it
holds the published share whatever the model's bias, and is never narrower than chance alone.

Only the four operations and the square root are used, which IEEE 754 rounds alike on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from proto.model_errors import ModelErrors
from services.statistics.proportions import Z_95, Interval, wilson

_HALVINGS = 24
"""The ends are found to 2 ** -24, less than a millionth of a point."""
NO_ERRORS = ModelErrors(
    sensitivity=1.0,
    sensitivity_limits=(1.0, 1.0),
    specificity=1.0,
    specificity_limits=(1.0, 1.0),
    recall_ratio=1.0,
    recall_ratio_limits=(1.0, 1.0),
    overdispersion=1.0,
    sources=2,
)
"""A model that does not err."""


class Judged(NamedTuple):
    """People who were judged alike: by one model, or under the same conditions. `errors` None: not known."""

    people: int
    errors: ModelErrors | None = None


class Expected(NamedTuple):
    """What is observed at a true share: the expected share, its variance times the number of people, and its shifts.

    Shifts are how much larger, or smaller, the expected share is with sensitivity, specificity and the ratio of recalls
    at their limits.
    """

    share: float
    variance: float
    shifts: tuple[float, float, float]


def expected(p: float, errors: ModelErrors, *, up: bool) -> Expected:
    """Return what a model with these errors makes of a true share `p`, 0 to 1, with the shifts up or down."""
    sensitivity, specificity, ratio = errors.sensitivity, errors.specificity, errors.recall_ratio
    w = p * ratio / (p * ratio + (1 - p))
    youden = sensitivity + specificity - 1
    wrong = w * sensitivity * (1 - sensitivity) + (1 - w) * specificity * (1 - specificity)
    end = errors.recall_ratio_limits[up]
    shifts = (
        w * (errors.sensitivity_limits[up] - sensitivity),
        (1 - w) * (specificity - errors.specificity_limits[not up]),
        (p * end / (p * end + (1 - p)) - w) * youden,
    )
    variance = w * (1 - w) * youden * youden + errors.overdispersion * wrong
    return Expected(w * sensitivity + (1 - w) * (1 - specificity), variance, shifts)


def interval(masked: int, judged: Sequence[Judged]) -> Interval | None:
    """Return the 95 % interval of the share of masked people, 0 to 1; None if nobody was judged.

    `judged` are the people on whom the share rests, in groups by the errors of the model that judged them. The errors
    are those of one place, so those of the groups add up.
    """
    people = sum(group.people for group in judged)
    chance = wilson(masked, people)
    if chance is None or all(group.errors is None for group in judged):
        return chance
    groups = [(group.people / people, group.errors or NO_ERRORS) for group in judged]
    share = masked / people

    def may_be(p: float, *, up: bool) -> bool:
        """Return whether a true share `p` may be seen as the observed one, or further up (or down)."""
        mean, squares = _seen(p, groups, people, up=up)
        short = max(0.0, share - mean if up else mean - share)
        return short * short <= squares

    low = _first(lambda p: may_be(p, up=True))
    high = 1 - _first(lambda rest: may_be(1 - rest, up=False))
    return min(chance[0], low), max(chance[1], high)


def _seen(p: float, groups: Sequence[tuple[float, ModelErrors]], people: int, *, up: bool) -> tuple[float, float]:
    """Return the share expected of all groups, and the square of how far chance and another place may move it."""
    mean = variance = a = b = c = 0.0
    for weight, errors in groups:
        share, within, shifts = expected(p, errors, up=up)
        mean += weight * share
        variance += weight * within
        a += weight * shifts[0]
        b += weight * shifts[1]
        c += weight * shifts[2]
    return mean, Z_95 * Z_95 * variance / people + a * a + b * b + c * c


def _first(holds: Callable[[float], bool]) -> float:
    """Return the smallest number from 0 to 1 for which `holds`, found by halving; 1 if there is none.

    What holds for fewer numbers never gives a smaller one, since the same middles are asked.
    """
    if holds(0.0):
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
