"""A camera's life: services.ingest.core.states."""

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.core.states import CLOSED, CameraProgress, CameraTrouble

REFUSED, GONE = CameraTrouble("unauthorised", "the camera refuses"), CameraTrouble("unreachable", "nobody answers")
OTHER = CameraTrouble("picture-changed", "640x480 and not 1280x720")
ORIGINS = ("file", "network", "device", "peer")
STEPS = {
    "connecting": CameraProgress.connecting, "live": CameraProgress.live,
    "silent": CameraProgress.silent, "ended": CameraProgress.ended,
    "refused": lambda life: life.failed(REFUSED), "gone": lambda life: life.failed(GONE),
    "changed": lambda life: life.failed(OTHER), "pause": lambda life: life.pause("operator"),
    "rest": lambda life: life.pause("schedule"), "resume": CameraProgress.resume, "stop": CameraProgress.stop,
    "stick": lambda life: life.stick("for 60 s"),
}  # fmt: skip


def after(origin, *steps):
    life = CameraProgress(origin)
    for step in steps:
        life = STEPS[step](life)
    return life


@pytest.mark.parametrize(
    ("origin", "trouble", "state", "again"),
    [
        ("network", GONE, "backing-off", "backoff"),
        ("device", GONE, "backing-off", "backoff"),
        ("peer", GONE, "stalled", "now"),
        ("file", GONE, "failed-config", "slowly"),
        ("network", REFUSED, "failed-config", "slowly"),
        ("peer", REFUSED, "failed-config", "slowly"),
        ("network", OTHER, "failed-config", "slowly"),
        ("file", OTHER, "failed-config", "never"),
        ("network", CLOSED, "backing-off", "backoff"),
    ],
)
def test_what_follows_on_a_trouble(origin, trouble, state, again):
    """Which state is told, with the reason, and when it is tried again."""
    life = after(origin, "connecting", "live").failed(trouble)
    assert (life.state, life.reported.reason, life.reported.message) == (state, trouble.reason, trouble.message)
    assert life.again(trouble) == again
    assert (life.other_picture is not None) == (trouble is OTHER)


@pytest.mark.parametrize(
    ("origin", "state", "again"),
    [("file", "ended", "never"), ("network", "backing-off", "backoff"), ("peer", "stalled", "now")],
)
def test_an_end(origin, state, again):
    """A file is over; whatever else came to its end is to go on."""
    life = after(origin, "connecting", "live", "ended")
    assert (life.state, life.again(None)) == (state, again)


@pytest.mark.parametrize("step", ["connecting", "live", "silent", "ended", "refused", "gone", "changed"])
def test_in_a_pause_nothing_else_is_told(step):
    """Whatever the thread was in the middle of; it is tried again once the pause is over."""
    life = after("network", "live", "pause", step)
    assert (life.state, life.reported.reason, life.again(GONE)) == ("paused", "operator", "now")


def test_a_pause_may_have_another_reason():
    """By hours first, then by an operator: that is news, and the same again is none."""
    rests = after("network", "live", "rest")
    paused = rests.pause("operator")
    assert (rests.reported.reason, paused.reported.reason) == ("schedule", "operator")
    assert paused.pause("operator").reported is paused.reported


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        (("live", "pause", "resume"), "connecting"),
        (("live", "resume"), "live"),
        (("live", "changed", "pause", "resume"), "paused"),  # the thread tells next that it is still another picture
        (("live", "pause", "stop", "resume"), "paused"),
    ],
)
def test_going_on(steps, state):
    """Only after a pause, and not once it is being stopped."""
    assert after("network", *steps).state == state


@pytest.mark.parametrize("step", ["connecting", "live", "silent", "ended", "refused", "gone", "changed"])
def test_once_stuck_nothing_else_is_told(step):
    """Whatever a thread that comes back still does: it is never tried again, over a pause and beyond."""
    life = after("network", "live", "stick", step)
    assert (life.reported, life.again(GONE)) == (("failed-config", "stuck", "for 60 s"), "never")
    paused = after("network", "live", "stick", "pause", step)
    assert (paused.state, paused.again(GONE), paused.resume().reported) == ("paused", "never", life.reported)
    assert after("network", "live", "pause", "stick").state == "paused"
    assert after("network", "live", "pause", "stick", "resume").reported == life.reported


def test_trying_in_vain_is_no_news():
    """A camera that a person has to mend is tried every half minute, and stays what it is until there is a picture."""
    failed = after("network", "connecting", "refused")
    assert failed.connecting().reported is failed.reported
    assert failed.connecting().failed(REFUSED).reported is failed.reported
    assert failed.connecting().live().state == "live"


@given(st.sampled_from(ORIGINS), st.lists(st.sampled_from(sorted(STEPS)), max_size=12))
@examples(500)
def test_whatever_happens(origin, steps):
    """What is stopped tells nothing; in a pause only that is told; another picture is never forgotten; news is news."""
    life = CameraProgress(origin)
    for step in steps:
        before, life = life, STEPS[step](life)
        assert not (before.stopping and (life.reported is not before.reported or not life.stopping))
        assert not life.paused or life.stopping or life.state == "paused"
        assert before.other_picture is None or life.other_picture is not None
        assert before.stuck is None or (life.stuck is not None and life.again(GONE) == life.again(None) == "never")
        assert life.reported is before.reported or life.reported != before.reported
        assert life.state != "ended" or origin == "file"
