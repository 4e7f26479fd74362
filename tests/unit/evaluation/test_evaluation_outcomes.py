"""One list of what became of each face, the same as the scores count."""

from collections import Counter

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from measured import everything, face, false_alarm, missed, pictures

from modelling.evaluation.outcomes import Guess, Outcome, outcomes
from modelling.evaluation.scoring import Prediction, Terms, Truth, score

LEFT = (0.0, 0.0, 20.0, 20.0)
RIGHT = (100.0, 0.0, 120.0, 20.0)
SURE = Guess(["mask"], ["mask"], [0.9])
NOTHING = Guess([], [], [])


def one(truth, found, guess, **terms):
    """The outcomes of one picture."""
    return outcomes([(truth, found, guess)], Terms(**terms))


def test_a_found_face_carries_what_was_said():
    """Its own box, its annotated label, verdict, likeliest class and confidence."""
    guess = Guess(["unknown"], ["incorrect"], [0.5])
    found = one(Truth([LEFT], ["no_mask"]), Prediction([(1.0, 0.0, 21.0, 20.0)], [0.8]), guess)
    assert found == [Outcome(0, LEFT, "no_mask", "unknown", "incorrect", 0.5, 0)]


def test_a_missed_face_has_no_verdict():
    """Nothing was said of it, though boxes on it scored too little."""
    boxes = [LEFT, (1.0, 0.0, 21.0, 20.0), RIGHT]
    guess = Guess(["mask"] * 3, ["mask"] * 3, [0.9] * 3)
    found = one(Truth([LEFT], ["mask"]), Prediction(boxes, [0.2, 0.3, 0.45]), guess, threshold=0.5)
    assert found == [Outcome(0, LEFT, "mask", None, None, 0.0, 0)]


def test_a_false_alarm_carries_its_own_box():
    """It has no annotated label."""
    assert one(Truth([], []), Prediction([RIGHT], [0.8]), SURE) == [Outcome(0, RIGHT, None, "mask", "mask", 0.9, None)]


def test_an_outcome_knows_which_face_it_is_of():
    """Also of two on one spot, and behind one that does not count."""
    truth = Truth([RIGHT, LEFT, LEFT], ["ignore", "mask", "no_mask"])
    found = one(truth, Prediction([LEFT], [0.8]), SURE)
    assert [(o.face, o.truth) for o in found] == [(1, "mask"), (2, "no_mask")]
    assert sum(o.is_found for o in found) == 1


@pytest.mark.parametrize(("label", "min_px"), [("ignore", 0), ("mask", 12)])
def test_faces_that_do_not_count_are_left_out(label, min_px):
    """Ignored and small faces are neither found nor missed, and a box on them is no false alarm."""
    small = (0.0, 0.0, 10.0, 10.0)
    assert one(Truth([small], [label]), Prediction([small], [0.9]), SURE, min_px=min_px) == []
    assert one(Truth([small], [label]), Prediction([], []), NOTHING, min_px=min_px) == []


def test_pictures_are_numbered():
    """Each outcome says which picture it is from."""
    picture = (Truth([LEFT], ["mask"]), Prediction([RIGHT], [0.9]), SURE)
    assert [o.picture for o in outcomes([picture] * 2, Terms())] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("outcome", "is_found", "is_judged"),
    [
        (face("mask", "mask"), True, True),
        (face("mask", "no_mask"), True, True),
        (face("mask", "unknown"), True, False),
        (missed("mask"), False, False),
        (false_alarm("mask"), False, False),
        (false_alarm("unknown"), False, False),
    ],
)
def test_found_and_judged(outcome, is_found, is_judged):
    """Only annotated faces are found, and only those that are not unknown are judged."""
    assert (outcome.is_found, outcome.is_judged) == (is_found, is_judged)


@examples(40)
@given(st.lists(pictures(), max_size=4), st.sampled_from([0.1, 0.5, 0.8]), st.sampled_from([0, 12]))
def test_it_counts_as_the_scores_do(some, threshold, min_px):
    """Faces, recall, false alarms, the share of unknown and the confusion are those of the reference figures."""
    scored = score([(truth, found) for truth, found, _ in some], Terms(threshold, min_px=min_px))
    found = everything(some, threshold, min_px)
    annotated = [o for o in found if o.truth is not None]
    hits = [o for o in annotated if o.is_found]
    assert len(annotated) == scored["faces"]
    assert len(hits) == pytest.approx(scored["recall"] * scored["faces"])
    assert len(found) - len(annotated) == pytest.approx(scored["false_per_image"] * len(some))
    confusion = Counter(f"{o.truth}->{o.said}" for o in hits if o.is_judged)
    assert confusion == scored.get("confusion gt->pred", {})
    if confusion:
        assert sum(o.said == "unknown" for o in hits) == pytest.approx(scored["unknown_share"] * len(hits))


@pytest.mark.parametrize(
    ("truth", "likeliest", "right"),
    [
        ("mask", "mask", True),
        ("no_mask", "incorrect", True),
        ("incorrect", "no_mask", True),
        ("incorrect", "mask", False),
        ("mask", "incorrect", False),
        ("no_mask", "unknown", False),
        ("mask", "unknown", False),
        ("mask", None, False),
    ],
)
def test_the_side_is_what_the_rate_asks_for(truth, likeliest, right):
    """Mask or no mask; probabilities that are none are right about nothing."""
    assert Outcome(0, LEFT, truth, "unknown", likeliest, 0.5, 0).is_side_right == right
