"""What the demo prints of public messages beside the truth, and what it judges."""

import messages
import pytest

from proto.public import AlertV1, CameraV1, Lifetime, WindowV1
from testbed.demo.comparison import Comparison, Counts
from testbed.simulation.crowd_plan import Passage

SECOND = 1_000_000_000
START = 1_764_000_000 * SECOND  # 16:00:00 UTC


def window(start_s=0.0, masked=0, unmasked=0, incorrect=0, unknown=0, zone="_site", length_s=10) -> WindowV1:
    start = START + round(start_s * SECOND)
    others, end = (unmasked, incorrect, unknown), start + length_s * SECOND
    return messages.window(start, masked, others, site="demo", profile="lab", zone=zone, end=end, coverage=0.97)


def camera(name="gate", state="live", since_s=0.0, lifetime=None, reason=None) -> CameraV1:
    since = START + round(since_s * SECOND)
    return CameraV1(site="demo", camera=name, state=state, since=since, at=since, lifetime=lifetime, reason=reason)


def alert(state="firing", rate=0.2) -> AlertV1:
    times = {"since": START, "start": START, "end": START + 10 * SECOND}
    limits = {"fire_below": 0.6, "clear_above": 0.7}
    return messages.alert(
        site="demo", rule="few-masks", profile="lab", state=state, rate=rate, persons=20, **times, **limits
    )


def seen(*messages, passages=None) -> Comparison:
    found = Comparison(passages=passages or {})
    for message in messages:
        found.take(message)
    return found


def people(masked: int, bare: int, at: float = 12.0, every_s: float = 0.0) -> list[Passage]:
    times = {"first": 1.0, "visible": 3.0, "hidden": 0.0}
    verdicts = ["masked"] * masked + ["unmasked"] * bare
    return [Passage(camera="gate", at=at + i * every_s, verdict=v, **times) for i, v in enumerate(verdicts)]


def test_a_window_is_a_line_with_the_truth_beside_it():
    """The figures and what is true of them; of a real camera nothing pretends to know the truth."""
    shown = window(0, masked=5, unmasked=14, unknown=1)
    line = seen(camera(), passages={"gate": people(6, 15, at=2)}).take(shown)
    assert line == (
        "window   16:00:00 – 16:00:10 UTC  people 20  true 21  with a mask (95 %) 26% (12% to 49%)  true 29%"
        "  observed 97%"
    )
    assert "true" not in seen(camera()).take(shown)
    assert seen().take(window(zone="gate")) is None


def test_a_camera_is_a_line_when_its_state_changes():
    """A wrong address is seen at once; a report of the same state is no news."""
    found = seen()
    assert found.take(camera(state="connecting")) == "camera   gate: connecting"
    assert found.take(camera(state="failed-config", reason="not-found")) == "camera   gate: failed-config (not-found)"
    assert found.take(camera(state="failed-config", reason="not-found")) is None


def test_an_alert_is_a_line_with_its_threshold():
    """An alert that cleared says above what."""
    found = seen()
    assert found.take(alert()) == "alert    FIRING at 16:00:10: 20% of 20 with a mask, fewer than 60%"
    assert found.take(alert("resolved", 0.9)) == "alert    cleared at 16:00:10: 90% of 20 with a mask, more than 70%"


def test_truth_of_a_window_follows_the_cameras_start():
    """A person belongs to the window in which the camera's film showed the face last; later reports move nothing."""
    found = seen(camera(state="connecting"), camera(since_s=7), camera(since_s=9), passages={"gate": people(1, 0)})
    for start, counted in ((18, 1), (19, 1), (19.1, 0), (9.1, 1), (9, 0), (2, 0)):
        assert found.truth_of(window(start)) == Counts(counted, counted, counted), start


def test_truth_of_windows_adds_up():
    """Over windows without a gap everybody is counted exactly once."""
    passages = {"a": people(12, 8, every_s=1.7), "b": people(3, 20, every_s=2.3)}
    found = seen(camera("a", since_s=3.3), camera("b", since_s=4.1), passages=passages)
    parts = [found.truth_of(window(10 * i)) for i in range(12)]
    assert (sum(part.persons for part in parts), sum(part.masked for part in parts)) == (43, 15)


def test_the_result_has_both_totals_and_how_long_pictures_lived():
    """Each window and each report of lifetimes counts once; who could not be judged is in no rate."""
    lived = [Lifetime(START + n * SECOND, START + (n + 10) * SECOND, 25, late) for n, late in ((0, 0), (10, 3))]
    reports = [camera(name, lifetime=one) for name, one in (("a", lived[0]), ("b", lived[0]), ("b", lived[1]))]
    windows = [window(0, 3, 1, 1, 2), window(0, 3, 1, 1, 2), window(10, 1, 4), window(0, 9, zone="gate")]
    found = seen(*reports, reports[-1], *windows, passages={"a": people(1, 2), "b": people(3, 0)})
    assert list(found.result()) == [
        "people       6 true, 12 measured",
        "with a mask  66.7% true, 40.0% measured",
        "true: half the face free, 12 px or larger, for 0.6 s",
        "pixels       at most 3 of 75 pictures lived longer than 100 ms, or were not confirmed",
    ]
    assert list(seen(*windows).result()) == []


@pytest.mark.parametrize(
    ("persons", "ok"), [(100, True), (90, True), (110, True), (89, False), (111, False), (0, False)]
)
def test_people_within_a_tenth(persons, ok):
    """Passages may be off by ten per cent, at the limit too, in either direction."""
    found = seen(window(0, unmasked=persons), passages={"gate": people(0, 100)})
    assert ("people" not in found.missed()) is ok


@pytest.mark.parametrize(("masked", "ok"), [(50, True), (41, True), (59, True), (39, False), (61, False)])
def test_rate_within_ten_points(masked, ok):
    """The masked share may be off by ten points."""
    found = seen(window(0, masked, 100 - masked), passages={"gate": people(50, 50)})
    assert ("with a mask" not in found.missed()) is ok


def test_what_did_not_happen_is_missed_by_its_own_name():
    """Of a real camera nothing is promised."""
    found = seen(passages={"gate": people(1, 1)})
    assert found.missed() == ["people", "with a mask", "alert fired", "mail arrived", "alert cleared"]
    for message in (window(0, 1, 1), alert("firing")):
        found.take(message)
    found.mails = 1
    assert found.missed() == ["alert cleared"]
    assert seen().missed() == []


def test_mailed_needs_both_mails():
    """The end waits for the mail that says that it is over."""
    found = seen(alert("firing"), alert("resolved"))
    found.mails = 1
    assert not found.is_mailed()
    found.mails = 2
    assert found.is_mailed()


def test_complete_when_films_ended_and_the_last_window_is_closed():
    """Neither an open window nor a running film may be cut off."""
    found = seen(camera(), passages={"gate": people(1, 0, at=12.0)})
    for message in (window(-3), window(7)):
        assert not found.is_complete()
        found.take(message)
    assert not found.is_complete()
    found.take(camera(state="ended", since_s=60))
    assert found.is_complete()


@pytest.mark.parametrize("passages", [{"gate": people(1, 1), "hall": people(2, 1)}, {}])
def test_a_missing_camera_is_waited_for_and_a_real_one_has_no_end(passages):
    """Without a known truth the run has no end of its own."""
    assert not seen(camera(), camera(state="ended"), window(length_s=90), passages=passages).is_complete()


def test_film_of_nobody_is_complete_at_its_end():
    """An empty plan has no last passer-by to wait for."""
    assert seen(camera(), camera(state="ended"), window(), passages={"gate": []}).is_complete()
