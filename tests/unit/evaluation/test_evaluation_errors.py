"""A model's errors as they are estimated from sources: counts, variances within and between, limits of a new place."""

from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from modelling.evaluation.errors import (
    Effect,
    People,
    PhotoCounts,
    between,
    by_photo,
    design_effect,
    estimate,
    predicted,
)
from modelling.evaluation.outcomes import Outcome

BOX = (0.0, 0.0, 20.0, 20.0)
FEW = PhotoCounts(People(19, 19, 0), People(19, 0, 0))
"""Too few people to say anything, though all that they say is bad."""
EFFECTS = st.lists(
    st.builds(Effect, st.floats(-5, 5), st.floats(0.01, 2)), min_size=3, max_size=12
)  # fmt: skip


def face(truth, said, picture=0):
    """What became of one face, or a false alarm; `said` None: it was missed."""
    return Outcome(picture, BOX, truth, said, said, 0.9, None if truth is None else 0)


def place(rng, sensitivity, specificity, ratio, photos=30, people=20, recall=0.7):
    """The photos of a source with these errors; half of the people are masked."""

    def kind(found, right):
        judged = rng.binomial(people, found)
        return People(people, judged, rng.binomial(judged, right))

    return [PhotoCounts(kind(recall * ratio, sensitivity), kind(recall, specificity)) for _ in range(photos)]


def test_counts_are_of_people_by_what_they_wear():
    """A badly worn mask is no mask, an unknown face is not judged; photos of nobody are left out."""
    outcomes = [
        face("mask", "mask"), face("mask", "incorrect"), face("mask", "unknown"), face("mask", None),
        face("no_mask", "no_mask"), face("incorrect", "no_mask"), face("incorrect", "mask"),
        face(None, "mask"), face(None, "no_mask"), face(None, "incorrect"), face(None, "unknown"),
        face(None, "mask", picture=1), face("no_mask", None, picture=2),
    ]  # fmt: skip
    assert by_photo(outcomes) == [
        PhotoCounts(People(4, 2, 1), People(3, 3, 2), false_masked=1, false_others=2),
        PhotoCounts(People(), People(1, 0, 0)),
    ]


@pytest.mark.parametrize("alike", [1, 3, 10])
def test_faces_that_share_their_fate_count_as_one(alike):
    """Where all faces of a photo are right or wrong together, the factor is their number; independent ones have 1."""
    rng = np.random.default_rng(5)
    photos = [(int(alike * right), alike) for right in rng.random(4_000) < 0.8]
    assert design_effect([photos]) == pytest.approx(alike, rel=0.05)


def test_the_factor_by_hand():
    """Three photos of four: the squares of their distances to 7/12, times 3/2, over what independent faces have."""
    squares = (7 / 3) ** 2 + (5 / 3) ** 2 + (2 / 3) ** 2
    assert design_effect([[(0, 4), (4, 4), (3, 4)]]) == pytest.approx(squares * 1.5 / (12 * 7 / 12 * 5 / 12))


@pytest.mark.parametrize("photos", [1, 4])
def test_sources_that_are_all_alike_by_hand(photos):
    """Without a variance between sources: the logits and the ratio's logarithm, with their variances over three."""
    fates = [People(40, 30, 24), People(40, 30, 30), People(40, 20, 20), People(40, 28, 12)][:photos]
    source = [PhotoCounts(one, People(40, 40, 36)) for one in fates]
    people, judged, right = (sum(one[which] for one in fates) for which in range(3))
    others = 40 * photos
    factor = design_effect([[(one.right, one.judged) for one in fates], [(36, 40)] * photos])
    missed = design_effect([[(one.judged, one.people) for one in fates], [(40, 40)] * photos])
    found = estimate({"a": source, "b": source, "c": source, **{name: [FEW] for name in "de"}})
    reach = student.ppf(0.975, 2) / sqrt(3)
    for value, limits, successes, trials in (
        (found.sensitivity, found.sensitivity_limits, right, judged),
        (found.specificity, found.specificity_limits, 36 * photos, others),
    ):
        logit = log((successes + 0.5) / (trials - successes + 0.5))
        spread = reach * sqrt(factor * (1 / (successes + 0.5) + 1 / (trials - successes + 0.5)))
        wanted = [1 / (1 + exp(-one)) for one in (logit, logit - spread, logit + spread)]
        assert [value, *limits] == pytest.approx(wanted, abs=1e-4)
    ratio = log((judged + 0.5) / (people + 0.5))
    spread = reach * sqrt(missed * (1 / (judged + 0.5) - 1 / (people + 0.5)))
    assert [found.recall_ratio, *found.recall_ratio_limits] == pytest.approx(
        [exp(one) for one in (ratio, ratio - spread, ratio + spread)], abs=1e-4
    )
    assert factor <= found.overdispersion < factor + 0.01
    assert (factor > 1.5) == (photos > 1)


def test_the_factor_is_never_below_one():
    """Photos that are more alike than chance allows, a single photo, and no error at all, do not narrow anything."""
    assert design_effect([[(9, 10)] * 20]) == 1
    assert design_effect([[(9, 10)], [(0, 0), (3, 5)]]) == 1
    assert design_effect([[(10, 10)] * 20]) == 1
    assert design_effect([]) == 1


@given(EFFECTS)
def test_the_variance_between_sources_explains_their_distances(effects):
    """Paule and Mandel's condition: with it Q is its expectation; without any, Q is not above that already."""
    variance = between(effects)
    weights = [1 / (one.variance + variance) for one in effects]
    mean = sum(w * one.value for w, one in zip(weights, effects, strict=True)) / sum(weights)
    q = sum(w * (one.value - mean) ** 2 for w, one in zip(weights, effects, strict=True))
    assert variance >= 0
    if variance:
        assert q == pytest.approx(len(effects) - 1, rel=1e-6)
    else:
        assert q <= len(effects) - 1


def test_limits_of_sources_that_are_equally_certain():
    """With equal variances v: the mean, and t of k - 1 times the root of s2 - v + s2 / k, s2 the sample variance."""
    values = [0.2, 1.1, 1.9, 2.2, 4.0]
    mean, low, high = predicted([Effect(value, 0.3) for value in values])
    spread = np.var(values, ddof=1)
    assert mean == pytest.approx(np.mean(values))
    assert high - mean == pytest.approx(student.ppf(0.975, 4) * sqrt(spread - 0.3 + spread / 5))
    assert mean - low == pytest.approx(high - mean)


def test_sources_that_agree_leave_the_mean_uncertain():
    """Without a variance between sources what remains is that of the mean."""
    mean, low, _ = predicted([Effect(1.0, 0.5)] * 4)
    assert (mean - low) == pytest.approx(student.ppf(0.975, 3) * sqrt(0.5 / 4))


def test_too_few_sources_are_refused():
    """From two sources, or where only two have people of a kind, nobody can tell how places differ."""
    rng = np.random.default_rng(1)
    sources = {name: place(rng, 0.9, 0.9, 1.0) for name in "ab"}
    with pytest.raises(ValueError, match=r"^2 sources with 20 people or more of a kind; at least 3$"):
        estimate(sources)
    bare = [PhotoCounts(People(), one.others) for one in place(rng, 0.9, 0.9, 1.0)]
    with pytest.raises(ValueError, match=r"^2 sources"):
        estimate({**sources, "c": bare})


def test_known_errors_are_found_again():
    """From many large sources of known law the means and the limits come out as drawn, and all are counted."""
    rng = np.random.default_rng(2)
    sources = {}
    for name in range(60):
        logits = 3 + 0.5 * rng.standard_normal(), 2.5 + 0.8 * rng.standard_normal()
        right = [1 / (1 + exp(-logit)) for logit in logits]
        sources[str(name)] = place(rng, *right, exp(0.1 * rng.standard_normal()), photos=60)
    found = estimate(sources)
    spread = [
        (log(high / (1 - high)) - log(low / (1 - low))) / 4
        for low, high in (found.sensitivity_limits, found.specificity_limits)
    ]
    assert found.sources == 60
    assert found.sensitivity == pytest.approx(1 / (1 + exp(-3)), abs=0.01)
    assert found.specificity == pytest.approx(1 / (1 + exp(-2.5)), abs=0.02)
    assert found.recall_ratio == pytest.approx(1, abs=0.04)
    assert spread == pytest.approx([0.5, 0.8], rel=0.25)
    assert log(found.recall_ratio_limits[1] / found.recall_ratio_limits[0]) / 4 == pytest.approx(0.1, rel=0.25)
    assert 1 <= found.overdispersion < 1.1


def test_limits_are_rounded_outward():
    """Four decimals, and never nearer to the value than what was estimated."""
    rng = np.random.default_rng(3)
    found = estimate({name: place(rng, 0.95, 0.9, 1.0) for name in "abcd"})
    for name in ("sensitivity", "specificity", "recall_ratio"):
        value, (low, high) = getattr(found, name), getattr(found, f"{name}_limits")
        assert low < value < high
        assert [round(one, 4) for one in (value, low, high)] == [value, low, high]
