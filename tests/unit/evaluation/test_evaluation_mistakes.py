"""Which errors are shown: the surest ones, of every kind."""

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from measured import everything, face, false_alarm, missed, pictures

from modelling.evaluation.outcomes import KINDS, mistakes, worst


def kinds(some, limit=40):
    """The kinds of the worst errors, in order."""
    return [one.kind for one in worst(mistakes(some), limit)]


@pytest.mark.parametrize(
    ("outcome", "kind", "confidence"),
    [
        (face("mask", "no_mask", confidence=0.7), "wrong", 0.7),
        (face("incorrect", "mask", confidence=0.8), "wrong", 0.8),
        (face("incorrect", "no_mask", confidence=0.99), "wrong", 0.0),
        (face("no_mask", "incorrect", confidence=0.99), "wrong", 0.0),
        (missed("mask", score=0.25), "missed", 0.75),
        (false_alarm("mask", score=0.9), "false-alarm", 0.9),
        (false_alarm("unknown", score=0.8), "false-alarm", 0.8),
    ],
)
def test_what_is_an_error_and_how_sure_the_model_was(outcome, kind, confidence):
    """Of a wrong verdict the confidence, of a false alarm the score, of a missed face what its score lacks.

    The confidence is in mask or not: of bare taken for badly masked it says nothing.
    """
    (one,) = mistakes([outcome])
    assert (one.kind, one.confidence, one.outcome) == (kind, pytest.approx(confidence), outcome)


@pytest.mark.parametrize("outcome", [face("mask", "mask"), face("incorrect", "incorrect"), face("mask", "unknown")])
def test_what_is_none(outcome):
    """A right verdict is no error, and unknown is none either: nothing wrong was said."""
    assert mistakes([outcome]) == []


def test_surest_first_within_a_kind():
    """Errors of one kind are ordered by how sure the model was."""
    some = [face("mask", "no_mask", confidence=sure) for sure in (0.7, 0.9, 0.8)]
    assert [one.confidence for one in worst(mistakes(some), 2)] == [0.9, 0.8]


def test_of_equally_sure_ones_the_larger_face():
    """Missing a large face is odder than missing a small one."""
    (one,) = worst(mistakes([missed(px=15), missed(px=90), missed(px=30)]), 1)
    assert one.outcome.box[2] == 90


def test_every_kind_gets_the_same_places():
    """Many missed faces do not crowd out the wrong verdicts."""
    some = [*[missed()] * 30, *[face("mask", "no_mask", confidence=0.65)] * 5, *[false_alarm(score=0.8)] * 5]
    assert kinds(some, 9) == ["wrong"] * 3 + ["missed"] * 3 + ["false-alarm"] * 3


def test_places_that_one_kind_does_not_need_go_to_the_others():
    """One wrong verdict, no false alarm: the rest of the places shows missed faces."""
    assert kinds([*[missed()] * 30, face("mask", "no_mask")], 10) == ["wrong"] + ["missed"] * 9


@examples(40)
@given(st.lists(pictures(), max_size=4), st.integers(0, 12))
def test_never_more_than_asked_for(some, limit):
    """As many as there are or as asked for, in the order of the kinds, each one once and surest first."""
    found = mistakes(everything(some))
    shown = worst(found, limit)
    assert len(shown) == min(limit, len(found))
    order = [(KINDS.index(one.kind), -one.confidence) for one in shown]
    assert order == sorted(order)
    assert all(shown.count(one) <= found.count(one) for one in shown)


@examples(40)
@given(st.lists(pictures(), max_size=4), st.integers(0, 12))
def test_nothing_surer_is_left_out(some, limit):
    """Of one kind, whatever is not shown is at most as sure as whatever is."""
    found = mistakes(everything(some))
    shown = worst(found, limit)
    for kind in KINDS:
        inside = [one.confidence for one in shown if one.kind == kind]
        outside = [one.confidence for one in found if one.kind == kind and one not in shown]
        assert not inside or not outside or max(outside) <= min(inside)
