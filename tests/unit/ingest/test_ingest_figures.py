"""What is published of a camera's pictures, once a window and in steps: services.ingest.core.figures."""

from hypothesis import given
from hypothesis import strategies as st

from proto.codec import decode_as, encode_as
from proto.public import CameraV1, Lifetime
from services.ingest.core.figures import Figures, Spans, Totals
from services.privacy.steps import STEPS

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


def told(totals: Totals, fps: float = 25.0, before: Totals | None = None, length: int = MINUTE) -> Figures:
    """Return what is told of one window in which this was counted."""
    spans, start = Spans(length), before or Totals()
    spans.step(HOUR - 1, start, fps)
    spans.step(HOUR, start, fps)
    sums = [mine + theirs for mine, theirs in zip(_fields(start), _fields(totals), strict=True)]
    assert spans.step(HOUR + length, Totals(*sums), fps)
    assert spans.latest is not None
    return spans.latest


def _fields(totals: Totals) -> tuple[int, ...]:
    return totals.sampled, totals.shed, totals.unconfirmed, totals.late


def test_a_window_in_which_all_went_well():
    """What was counted before it does not matter. Of 300 pictures, none late, at most 1 % is told as late."""
    found = told(Totals(sampled=300), before=Totals(1_000, 500, 400, 450))
    assert found == Figures(HOUR, HOUR + MINUTE, 25.0, 5.0, 0.01, 300, 3)


def test_what_was_lost_is_told_in_steps():
    """12 of 300 shed is at most 6 %; 30 unconfirmed is at most 14.4 %: neither rate is finer than that."""
    found = told(Totals(sampled=300, shed=12))
    assert (found.shed_share, found.analysed_fps, found.pictures) == (0.06, 4.7, 290)
    found = told(Totals(sampled=300, unconfirmed=30, late=30))
    assert (found.shed_share, found.analysed_fps, found.pictures, found.late) == (0.01, 4.3, 300, 43)


def test_nothing_sampled():
    """A window in which the camera was paused has no rate of its pictures, no share, and nothing late."""
    assert told(Totals(), fps=0.0) == Figures(HOUR, HOUR + MINUTE, None, 0.0, None, 0, 0)


def test_all_lost():
    """No worker: everything was shed. A frozen one: everything was sent, and is late."""
    found = told(Totals(sampled=300, shed=300))
    assert (found.shed_share, found.analysed_fps, found.pictures, found.late) == (1.0, 0.0, 0, 0)
    found = told(Totals(sampled=300, unconfirmed=300, late=300))
    assert (found.analysed_fps, found.pictures, found.late) == (0.0, 300, 300)


def test_nothing_is_told_within_a_window():
    """The first window began before the camera; then each is told once, and stays until the next has ended."""
    spans = Spans(MINUTE)
    assert not spans.step(HOUR + 30 * SECOND, Totals(), 25.0)
    assert spans.step(HOUR + 62 * SECOND, Totals(150), 25.0)
    assert spans.latest is None
    for second in range(64, 120, 2):
        assert not spans.step(HOUR + second * SECOND, Totals(150 + 5 * second, late=second), 25.0)
        assert spans.latest is None
    assert spans.step(HOUR + 122 * SECOND, Totals(450), 25.0)
    assert (spans.latest.start, spans.latest.end) == (HOUR + MINUTE, HOUR + 2 * MINUTE)
    found = spans.latest
    assert not spans.step(HOUR + 150 * SECOND, Totals(600, 100, 100, 100), 12.0)
    assert spans.latest is found


def test_borders_are_those_of_the_sites_windows():
    """With half an hour between its clock and UTC, an hour begins at the half hour."""
    spans = Spans(HOUR, phase_ns=HOUR // 2)
    spans.step(10 * HOUR, Totals(), 25.0)
    spans.step(10 * HOUR + HOUR // 2, Totals(), 25.0)
    assert spans.step(11 * HOUR + HOUR // 2, Totals(18_000), 25.0)
    assert (spans.latest.start, spans.latest.end) == (10 * HOUR + HOUR // 2, 11 * HOUR + HOUR // 2)


def test_a_border_that_was_not_seen_makes_no_figures():
    """After a sleep of minutes, or a clock that was set back, the next whole window is the first to be told."""
    for jump in (5 * MINUTE, -5 * MINUTE):
        spans = Spans(MINUTE)
        spans.step(HOUR - 1, Totals(), 25.0)
        spans.step(HOUR, Totals(), 25.0)
        assert spans.step(HOUR + jump, Totals(300), 25.0)
        assert spans.step(HOUR + jump + MINUTE, Totals(600), 25.0)
        assert spans.latest is None
        spans.step(HOUR + jump + 2 * MINUTE, Totals(900), 25.0)
        assert spans.latest.pictures == 300


def test_a_report_that_comes_late_tells_the_window_all_the_same():
    """Asked two seconds after its end, it has two seconds of pictures too many: the rate is not changed by that."""
    spans = Spans(MINUTE)
    spans.step(HOUR - 1, Totals(), 25.0)
    spans.step(HOUR, Totals(), 25.0)
    spans.step(HOUR + MINUTE + 2 * SECOND, Totals(310), 25.0)
    assert (spans.latest.pictures, spans.latest.analysed_fps) == (300, 5.0)


COUNTS = st.integers(0, 10**6)


@given(COUNTS, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1e6))
def test_what_is_told_bounds_what_was_counted_and_fits_the_contract(sampled, shed, lost, slow, fps):
    """Whatever was counted: `late` and `shed_share` are bounds, of few values, and 99 of 100 is judged as it was."""
    sheds = int(sampled * shed)
    lived = sampled - sheds
    unconfirmed = int(lived * lost)
    late = unconfirmed + int((lived - unconfirmed) * slow)
    found = told(Totals(sampled, sheds, unconfirmed, late), fps)
    assert found.shed_share is None or (found.shed_share in STEPS and sheds <= found.shed_share * sampled)
    assert found.late <= found.pictures
    if sheds * 100 <= sampled:
        assert found.late >= late
        assert (found.late * 100 <= found.pictures) == (late * 100 <= lived)
    lifetime = Lifetime(found.start, found.end, found.pictures, found.late)
    message = CameraV1(
        site="s", camera="c", state="live", since=0, at=0, fps=found.fps, analysed_fps=found.analysed_fps,
        shed_share=found.shed_share, lifetime=lifetime,
    )  # fmt: skip
    assert decode_as(CameraV1, "json", encode_as("json", message)) == message
