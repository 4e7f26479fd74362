"""What people who count at a site by hand tell of the model's errors there: which people it finds less often (ADR 41).

Whom a model misses differs most between places (`measurement`). Somebody who stands there for an hour and counts knows
how many came with a mask and without. What was judged meanwhile then tells the ratio of recalls of this one place:

    log ratio = log(judged masked / counted masked) - log(judged others / counted others)

The judged ones are corrected for wrong verdicts (Rogan & Gladen 1978). Its variance is that of who is found by chance,
larger by the factor by which errors come together. Where nearly all are found there are still people who count twice,
false alarms, and a thumb that slips: so at least one in five is taken to be chance. And one hour is not the next, with
other light and other people: however many were counted, so much more is taken to vary. The estimate is the mean of it
and of what other places say, each weighed by its precision (a normal prior; Gelman et al., "Bayesian Data Analysis",
2013, section 2.5).
"""

from math import exp, log, sqrt
from typing import NamedTuple

from msgspec import structs

from proto.model_errors import ModelErrors
from services.sites.proportions import Z_95

LEAST = 20
"""Of fewer people of a kind an hour says too little."""
JUDGED = 0.05
"""At least this share of those who were counted must have been judged."""
CHANCE = 0.2
"""So much of what is found is chance at least."""
HOURS = 0.08**2
"""The variance of the log ratio between hours of one place. Nobody measured it: a fifth of that between places."""


class Kinds(NamedTuple):
    """People with a mask, and the others: without one, or worn badly."""

    masked: int
    others: int


def calibrated(errors: ModelErrors, counted: Kinds, judged: Kinds) -> ModelErrors:
    """Return a model's errors at a place where so many were counted by hand, and judged by the model meanwhile.

    `errors` are those that were known before. ValueError if there were fewer than `LEAST` of a kind, or if less than a
    twentieth of a kind was judged.
    """
    right = _corrected(errors, judged)
    if min(counted) < LEAST or any(seen < JUDGED * one for seen, one in zip(right, counted, strict=True)):
        raise ValueError(f"at least {LEAST} people of each kind must be counted, and some of them judged")
    found = [seen / one for seen, one in zip(right, counted, strict=True)]
    observed = log(found[0]) - log(found[1])
    chance = [max(1 - share, CHANCE) / seen for share, seen in zip(found, right, strict=True)]
    return _weighed(errors, observed, HOURS + errors.overdispersion * sum(chance), sum(counted))


def _corrected(errors: ModelErrors, judged: Kinds) -> tuple[float, float]:
    """Return how many of the judged ones are masked, and others, if the model errs as expected."""
    people = sum(judged)
    if not people:
        return 0.0, 0.0
    youden = errors.sensitivity + errors.specificity - 1
    share = (judged.masked / people - (1 - errors.specificity)) / youden if youden > 0 else 0.0
    share = min(max(share, 0.5 / people), 1 - 0.5 / people)
    return share * people, (1 - share) * people


def _weighed(errors: ModelErrors, observed: float, variance: float, counted: int) -> ModelErrors:
    low, high = (log(end) for end in errors.recall_ratio_limits)
    before, usual = ((high - low) / (2 * Z_95)) ** 2, log(errors.recall_ratio)
    weight = before / (before + variance)
    mean, reach = usual + weight * (observed - usual), Z_95 * sqrt(max(weight * variance, HOURS))
    ratio, start, end = (round(exp(one), 4) for one in (mean, mean - reach, mean + reach))
    all_counted = errors.counted + counted
    return structs.replace(errors, recall_ratio=ratio, recall_ratio_limits=(start, end), counted=all_counted)
