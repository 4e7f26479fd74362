"""Estimates a model's errors in a new place from sources that it did not learn from (ADR 41).

Each source is a place. Of each, the sensitivity, the specificity and the ratio of recalls are estimated, the shares as
logits and the ratio as a logarithm, so that a normal distribution fits. Where a source has more errors in some photos
than independent faces would have, its variances are larger by that factor (Rao & Scott 1992, "A simple method for the
analysis of clustered binary data", Biometrics 48:577-585).

Between sources the three vary more than chance explains. That variance comes from the moments of Cochran's Q: by Paule
& Mandel (1982), who repeat the one step of DerSimonian & Laird (1986) until it agrees with itself (DerSimonian & Kacker
2007, Contemporary Clinical Trials 28:105-114). The one step is too small an estimate where few sources differ much
(Veroniki et al. 2016, Research Synthesis Methods 7:55-79). A new place lies in the prediction interval

    mean +- t sqrt(variance between sources + variance of the mean)

with t of Student's distribution for one degree of freedom less than there are sources (IntHout et al. 2016, BMJ Open
6:e010247; Higgins, Thompson & Spiegelhalter 2009 take off two). How the three vary together is not estimated: a handful
of sources can't tell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import ceil, exp, floor, log, sqrt
from typing import NamedTuple

from scipy.stats import t as student

from modelling.evaluation.outcomes import Outcome
from proto.model_errors import ModelErrors

LEAST_JUDGED = 20
"""A source with fewer people of a kind says nothing about that kind."""
LEAST_SOURCES = 3
"""From fewer sources nobody can tell how much places differ."""
_DECIMALS = 1e4
_LEVEL = 0.975
_HALVINGS = 60


class People(NamedTuple):
    """People of one kind (masked, or not) in one photo: all, those who were judged, and those judged rightly."""

    people: int = 0
    judged: int = 0
    right: int = 0


class PhotoCounts(NamedTuple):
    """What became of the people of one photo, and how many false alarms were judged masked, and not masked."""

    masked: People
    others: People
    false_masked: int = 0
    false_others: int = 0


Sources = Mapping[str, Sequence[PhotoCounts]]
"""The photos of each source, by its name."""
Share = tuple[int, int]
"""How many, out of how many."""


class Effect(NamedTuple):
    """A source's figure on the scale on which sources are compared, and its variance within that source."""

    value: float
    variance: float


def _people(some: Sequence[Outcome], *, masked: bool) -> People:
    judged = [one for one in some if one.is_judged]
    return People(len(some), len(judged), sum((one.said == "mask") == masked for one in judged))


def _of_photo(some: Sequence[Outcome]) -> PhotoCounts:
    alarms = [one.said for one in some if one.truth is None]
    return PhotoCounts(
        _people([one for one in some if one.truth == "mask"], masked=True),
        _people([one for one in some if one.truth not in {None, "mask"}], masked=False),
        alarms.count("mask"),
        alarms.count("no_mask") + alarms.count("incorrect"),
    )


def by_photo(outcomes: Iterable[Outcome]) -> list[PhotoCounts]:
    """Return the counts of each photo in which somebody is annotated; a badly worn mask is no mask, as in the rate."""
    photos: defaultdict[int, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        photos[outcome.picture].append(outcome)
    counts = map(_of_photo, photos.values())
    return [one for one in counts if one.masked.people + one.others.people]


def design_effect(sources: Iterable[Sequence[Share]]) -> float:
    """Return how much more a number of successes varies between photos than if faces were independent; at least 1.

    Each source is a list of photos, each with its successes and its trials. The factor is the same for all sources.
    """
    found = independent = 0.0
    for photos in sources:
        tried = [photo for photo in photos if photo[1]]
        if len(tried) < 2:
            continue
        trials = sum(photo[1] for photo in tried)
        share = sum(photo[0] for photo in tried) / trials
        squares = sum((successes - share * of) ** 2 for successes, of in tried)
        found += squares * len(tried) / (len(tried) - 1)
        independent += trials * share * (1 - share)
    return max(1.0, found / independent) if independent else 1.0


def between(effects: Sequence[Effect]) -> float:
    """Return the variance between sources: that by which the squared distances to the mean are as large as expected."""
    freedom = len(effects) - 1
    if _distances(effects, 0.0) <= freedom:
        return 0.0
    low, high = 0.0, 1.0
    while _distances(effects, high) > freedom:
        high *= 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _distances(effects, middle) > freedom else (low, middle)
    return high


def _mean(effects: Sequence[Effect], variance: float) -> tuple[float, float]:
    """Return the weighted mean and its variance."""
    weights = [1 / (effect.variance + variance) for effect in effects]
    return sum(w * effect.value for w, effect in zip(weights, effects, strict=True)) / sum(weights), 1 / sum(weights)


def _distances(effects: Sequence[Effect], variance: float) -> float:
    """Return Cochran's Q, with this variance between sources."""
    mean, _ = _mean(effects, variance)
    return sum((effect.value - mean) ** 2 / (effect.variance + variance) for effect in effects)


def predicted(effects: Sequence[Effect]) -> tuple[float, float, float]:
    """Return the mean, and the limits between which a new source lies in 95 % of cases.

    Raises ValueError with fewer than three sources.
    """
    if len(effects) < LEAST_SOURCES:
        raise ValueError(
            f"{len(effects)} sources with {LEAST_JUDGED} people or more of a kind; at least {LEAST_SOURCES}"
        )
    variance = between(effects)
    mean, uncertain = _mean(effects, variance)
    reach = float(student.ppf(_LEVEL, len(effects) - 1)) * sqrt(variance + uncertain)
    return mean, mean - reach, mean + reach


def _logit(share: Share, factor: float) -> Effect:
    """Return the logit with half a success and half a failure more, so that none of either has one too."""
    successes, failures = share[0] + 0.5, share[1] - share[0] + 0.5
    return Effect(log(successes / failures), factor * (1 / successes + 1 / failures))


def _log_ratio(pair: Sequence[Share], factor: float) -> Effect:
    """Return the logarithm of a ratio of shares, with half a success and half a trial more.

    Pettigrew, Gart & Thomas 1986, Biometrika 73:425-435.
    """
    values = [log((some + 0.5) / (of + 0.5)) for some, of in pair]
    variances = [1 / (some + 0.5) - 1 / (of + 0.5) for some, of in pair]
    return Effect(values[0] - values[1], factor * max(sum(variances), 1 / (pair[0][1] * pair[1][1])))


def _total(photos: Iterable[Share]) -> Share:
    pairs = list(photos)
    return sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)


def _verdicts(photos: Iterable[PhotoCounts], *, masked: bool) -> list[Share]:
    kinds = (photo.masked if masked else photo.others for photo in photos)
    return [(kind.right, kind.judged) for kind in kinds]


def _recalls(photos: Iterable[PhotoCounts], *, masked: bool) -> list[Share]:
    kinds = (photo.masked if masked else photo.others for photo in photos)
    return [(kind.judged, kind.people) for kind in kinds]


def _probability(logit: float) -> float:
    return 1 / (1 + exp(-logit))


def _outward(figures: Sequence[float]) -> tuple[float, float, float]:
    """Return the value to four decimals, and the limits rounded away from it."""
    value, low, high = figures
    return round(value * _DECIMALS) / _DECIMALS, floor(low * _DECIMALS) / _DECIMALS, ceil(high * _DECIMALS) / _DECIMALS


def _ratios(sources: Sequence[Sequence[PhotoCounts]]) -> list[Effect]:
    """Return the ratio of recalls of each source that has enough people of both kinds."""
    kinds = [[_recalls(photos, masked=masked) for photos in sources] for masked in (True, False)]
    factor = design_effect([*kinds[0], *kinds[1]])
    pairs = zip(*(map(_total, kind) for kind in kinds), strict=True)
    return [_log_ratio(pair, factor) for pair in pairs if min(of for _, of in pair) >= LEAST_JUDGED]


def estimate(sources: Sources) -> ModelErrors:
    """Return the model's errors as expected in a new place.

    A source takes part in each figure for which it has 20 people or more. Raises ValueError if fewer than three do.
    """
    photos = list(sources.values())
    kinds = [[_verdicts(some, masked=masked) for some in photos] for masked in (True, False)]
    factor = design_effect([*kinds[0], *kinds[1]])
    shares = [[share for share in map(_total, kind) if share[1] >= LEAST_JUDGED] for kind in kinds]
    right = [predicted([_logit(share, factor) for share in kind]) for kind in shares]
    sensitivity, specificity = (_outward([_probability(one) for one in kind]) for kind in right)
    ratio = _outward([exp(one) for one in predicted(_ratios(photos))])
    return ModelErrors(
        sensitivity=sensitivity[0],
        sensitivity_limits=sensitivity[1:],
        specificity=specificity[0],
        specificity_limits=specificity[1:],
        recall_ratio=ratio[0],
        recall_ratio_limits=ratio[1:],
        overdispersion=ceil(factor * 100) / 100,
        sources=len(photos),
    )
