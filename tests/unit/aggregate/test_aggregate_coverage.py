"""Accounting for a camera's time."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.aggregate.core.counting.coverage import Coverage, CoverageSpan

P = 200


def test_a_picture_vouches_for_the_time_to_the_next():
    """Regular pictures leave nothing unobserved."""
    watch = Coverage(0, "started-late")
    for at in range(0, 2_001, P):
        watch.picture(at, P)
    assert watch.settle(2_000) == [CoverageSpan(0, 2_000)]
    assert watch.settle(2_700) == [CoverageSpan(2_000, 2_600), CoverageSpan(2_600, 2_700, "frames-lost")]


def test_it_vouches_for_three_periods_at_most():
    """One or two lost pictures cost nothing; what is beyond three periods is a gap with a reason."""
    watch = Coverage(0, "started-late")
    for at in (0, 3 * P, 10 * P):
        watch.picture(at, P)
    assert watch.settle(10 * P) == [CoverageSpan(0, 6 * P), CoverageSpan(6 * P, 10 * P, "frames-lost")]


def test_before_the_first_picture_nobody_looked():
    """The time before the first picture has the reason of the beginning."""
    watch = Coverage(0, "started-late")
    watch.picture(1_000, P)
    assert watch.settle(1_000) == [CoverageSpan(0, 1_000, "started-late")]


def test_a_silence_has_the_reason_that_was_given():
    """What is known about the silence is its reason, all of it, until pictures come again."""
    watch = Coverage(0, "started-late")
    watch.picture(0, P)
    watch.excuse(P, "bus-restarted")
    watch.picture(5_000, P)
    watch.excuse(8_000, "model-changed")
    watch.picture(9_000, P)
    assert [s for s in watch.settle(12_000) if s.reason] == [
        CoverageSpan(600, 5_000, "bus-restarted"),
        CoverageSpan(5_600, 9_000, "model-changed"),
        CoverageSpan(9_600, 12_000, "frames-lost"),
    ]


def test_a_turn_splits_a_silence():
    """A camera that says it is back ends the silence that its absence explains; no excuse goes back behind that."""
    watch = Coverage(0, "started-late")
    watch.picture(0, P)
    watch.turn(100, "camera-down")
    watch.turn(2_000, "frames-lost")
    watch.excuse(2_500, "bus-restarted")
    assert watch.settle(3_000) == [
        CoverageSpan(0, 600), CoverageSpan(600, 2_000, "camera-down"), CoverageSpan(2_000, 3_000, "bus-restarted")
    ]  # fmt: skip


def test_an_event_overtaking_a_picture_keeps_its_reason():
    """A picture taken before the camera went down does not take the reason away."""
    watch = Coverage(0, "started-late")
    watch.picture(0, P)
    watch.turn(500, "camera-down")
    watch.picture(400, P)
    assert watch.reason == "camera-down"


def test_time_that_is_gone_through_again_is_observed():
    """A clock that was ahead costs nothing once it is right, and what was seen while it was ahead counts once."""
    watch = Coverage(0, "started-late")
    for at in (0, 10_000, 10_200, *range(200, 12_001, P)):
        watch.picture(at, P)
    assert watch.settle(6_000) == [CoverageSpan(0, 6_000)]
    assert watch.settle(12_000) == [CoverageSpan(6_000, 12_000)]


STEPS = st.lists(st.tuples(st.sampled_from(["picture", "settle", "turn", "excuse"]), st.integers(0, 100)), max_size=40)


def settled(steps):
    """What comes of pictures of a period of 3, of turns, excuses and windows that close; all is settled in the end."""
    watch, spans = Coverage(0, "started-late"), []
    for what, at in steps:
        match what:
            case "picture":
                watch.picture(at, 3)
            case "settle":
                spans += watch.settle(at)
            case "turn":
                watch.turn(at, "camera-down")
            case _:
                watch.excuse(at, "bus-restarted")
    return spans + watch.settle(200)


@given(STEPS)
def test_every_moment_is_accounted_for_once(steps):
    """Whatever comes in whatever order, spans lie end to end: no moment is missing, none counts twice."""
    spans = settled(steps)
    assert spans[0].start == 0
    assert spans[-1].end == 200
    assert all(a.end == b.start for a, b in pairwise(spans))


@given(STEPS)
def test_observed_is_what_pictures_vouch_for(steps):
    """Each moment that is within three periods after a picture which came before it was settled, and no other."""
    observed, done = set(), 0
    for what, at in steps:
        if what == "picture":
            observed |= {moment for moment in range(at, at + 9) if moment >= done}
        done = max(done, at) if what == "settle" else done
    spans = settled(steps)
    assert {m for s in spans if s.reason is None for m in range(s.start, s.end)} == observed


@given(STEPS, st.randoms(use_true_random=False))
def test_the_order_of_pictures_changes_nothing_observed(steps, source):
    """Until a window closes, they may come in any order."""
    pictures = [step for step in steps if step[0] == "picture"]
    shuffled = source.sample(pictures, len(pictures))
    assert [(s.start, s.end) for s in settled(pictures) if not s.reason] == [
        (s.start, s.end) for s in settled(shuffled) if not s.reason
    ]
