"""Verdicts of passages."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.sightings import CODES, SightingV1
from services.aggregate.core.counting.evidence import ENOUGH, STRONGEST, Evidence, Person, log_odds, verdict_of

BOX = (0.1, 0.1, 0.2, 0.2)


def seen(*pairs):
    """Return sightings of (verdict, confidence)."""
    return [SightingV1(box=BOX, code=CODES[v], score=0.9, confidence=c) for v, c in pairs]


@pytest.mark.parametrize(
    ("pairs", "wanted"),
    [
        ([("masked", 0.9)] * 3, "masked"),
        ([("unknown", 0.6)] * 9, "unknown"),
        ([], "unknown"),
        ([("masked", 0.6)], "unknown"),
        ([("masked", 0.6)] * 3, "masked"),
        ([("masked", 0.9), ("unmasked", 0.9)], "unknown"),
        ([("masked", 0.95), ("unmasked", 0.6), ("unmasked", 0.6)], "masked"),
        ([("unmasked", 0.8)] * 4 + [("masked", 0.99)], "unknown"),
        ([("unmasked", 0.8)] * 5 + [("masked", 0.99)], "unmasked"),
        ([("incorrect", 0.9), ("unknown", 0.3), ("incorrect", 0.9)], "incorrect"),
        ([("masked", 0.3)] * 50, "unknown"),
        ([("unmasked", 0.9), ("incorrect", 0.9)] * 2, "unmasked"),
        ([("unmasked", 0.9), ("incorrect", 0.95), ("incorrect", 0.9)], "incorrect"),
        ([("unmasked", 0.8), ("incorrect", 0.8), ("masked", 0.95)], "unknown"),
        ([("unmasked", 0.8), ("incorrect", 0.8), ("masked", 0.7)], "unmasked"),
    ],
)
def test_the_evidence_decides(pairs, wanted):
    """The verdict with clearly the most evidence wins; weak or contradicting evidence is `unknown`."""
    assert verdict_of(seen(*pairs)) == wanted


VERDICTS = st.sampled_from(["masked", "unmasked", "incorrect", "unknown"])
PAIRS = st.lists(st.tuples(VERDICTS, st.sampled_from([0.3, 0.5, 0.6, 0.75, 0.9, 1.0])), max_size=20)


@given(PAIRS, st.integers(0, 5))
def test_unknown_sightings_decide_nothing(pairs, extra):
    """More `unknown` sightings never change a verdict."""
    assert verdict_of(seen(*pairs, *[("unknown", 0.9)] * extra)) == verdict_of(seen(*pairs))


@given(PAIRS.filter(lambda p: verdict_of(seen(*p)) == "masked"), st.integers(1, 5))
def test_more_of_the_same_never_weakens(pairs, extra):
    """A verdict stands when more sightings agree with it."""
    assert verdict_of(seen(*pairs, *[("masked", 0.9)] * extra)) == "masked"


def test_one_confident_mistake_is_bounded():
    """One picture speaks for at most its bound, so a few good ones outvote it."""
    assert log_odds(1.0) == log_odds(STRONGEST)
    assert log_odds(0.2) == 0
    assert log_odds(1.0) < 5 * log_odds(0.8) - ENOUGH


def test_a_passage_is_judged_by_one_model():
    """What another model saw before counts no more once the new one has seen the track."""
    evidence = Evidence("old")
    for sighting in seen(*[("masked", 0.99)] * 10):
        evidence.add("old", sighting)
    for sighting in seen(*[("unmasked", 0.9)] * 2):
        evidence.add("new", sighting)
    assert evidence.verdict() == "unmasked"


def test_a_person_is_where_they_were_seen_most():
    """Of two zones with equally many sightings the first by name; the largest face counts, not the last."""
    person = Person(Evidence("m"))
    for size, zone in ((0.04, "stall"), (0.07, "stall"), (0.05, "gate")):
        person.add("m", *seen(("masked", 0.9)), size, zone)
    assert (person.hits, person.largest, person.zone, person.evidence.verdict()) == (3, 0.07, "stall", "masked")
    person.add("m", *seen(("masked", 0.9)), 0.05, "gate")
    assert person.zone == "gate"


@pytest.mark.parametrize("seed", range(3))
def test_noisy_pictures_are_outvoted(seed):
    """With 80 % right pictures at honest confidence, passages of ten are right in at least 95 of 100."""
    rng = random.Random(seed)
    right = 0
    for _ in range(200):
        pairs = [("masked" if rng.random() < 0.8 else "unmasked", 0.8) for _ in range(10)]
        right += verdict_of(seen(*pairs)) == "masked"
    assert right >= 190
