"""Accounting for a camera's time."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.aggregate.core.coverage import Span, Watch

P = 200


def test_a_picture_vouches_for_the_time_to_the_next():
    """Regular pictures leave nothing unobserved."""
    watch = Watch(0, "started-late")
    assert watch.picture(0, P) == []
    assert [s for at in range(P, 2_001, P) for s in watch.picture(at, P)] == [
        Span(at - P, at) for at in range(P, 2_001, P)
    ]


def test_it_vouches_for_three_periods_at_most():
    """One or two lost pictures cost nothing; what is beyond three periods is a gap with a reason."""
    watch = Watch(0, "started-late")
    watch.picture(0, P)
    assert watch.picture(3 * P, P) == [Span(0, 3 * P)]
    assert watch.picture(10 * P, P) == [Span(3 * P, 6 * P), Span(6 * P, 10 * P, "frames-lost")]


def test_before_the_first_picture_nobody_looked():
    """The time before the first picture has the reason of the beginning."""
    watch = Watch(0, "started-late")
    assert watch.picture(1_000, P) == [Span(0, 1_000, "started-late")]


def test_a_silence_has_the_reason_that_was_given():
    """What is known about the silence is its reason, until pictures come again."""
    watch = Watch(0, "started-late")
    watch.picture(0, P)
    watch.excuse(P, "bus-restarted")
    assert watch.picture(5_000, P)[-1] == Span(600, 5_000, "bus-restarted")
    assert watch.picture(9_000, P)[-1] == Span(5_600, 9_000, "frames-lost")


def test_a_turn_splits_a_silence():
    """A camera that says it is back ends the silence that its absence explains."""
    watch = Watch(0, "started-late")
    watch.picture(0, P)
    assert watch.turn(100, "camera-down") == [Span(0, 100)]
    assert watch.turn(2_000, "frames-lost") == [Span(100, 600), Span(600, 2_000, "camera-down")]
    assert watch.settle(3_000) == [Span(2_000, 3_000, "frames-lost")]


def test_an_event_overtaking_a_picture_keeps_its_reason():
    """A picture taken before the camera went down does not take the reason away."""
    watch = Watch(0, "started-late")
    watch.picture(0, P)
    watch.turn(500, "camera-down")
    watch.picture(400, P)
    assert watch.reason == "camera-down"


STEPS = st.lists(st.tuples(st.sampled_from(["picture", "settle", "turn"]), st.integers(0, 100)), max_size=40)


@given(STEPS)
def test_every_moment_is_accounted_for_once(steps):
    """Whatever comes in whatever order, spans lie end to end: no moment is missing, none counts twice."""
    watch, spans = Watch(0, "started-late"), []
    for what, at in steps:
        match what:
            case "picture":
                spans += watch.picture(at, 3)
            case "settle":
                spans += watch.settle(at)
            case _:
                spans += watch.turn(at, "camera-down")
    spans += watch.settle(200)
    assert spans[0].start == 0
    assert spans[-1].end == 200
    assert all(a.end == b.start for a, b in pairwise(spans))


@given(STEPS)
def test_no_more_is_observed_than_pictures_vouch_for(steps):
    """Observed time is at most three periods a picture."""
    watch, observed = Watch(0, "started-late"), 0
    for what, at in steps:
        spans = watch.picture(at, 3) if what == "picture" else watch.turn(at, "camera-down")
        observed += sum(s.end - s.start for s in spans if s.reason is None)
    observed += sum(s.end - s.start for s in watch.settle(200) if s.reason is None)
    assert observed <= 9 * sum(1 for what, _ in steps if what == "picture")
