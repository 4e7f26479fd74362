"""What the demo reckons from public messages."""

import messages
import pytest

from operate.simulation.demo.record import Counts, Record
from operate.simulation.plan import Passage
from proto.public import AlertV1, CameraV1, Lifetime, WindowV1

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


def window(start_s=0.0, masked=0, unmasked=0, incorrect=0, unknown=0, zone="_site", length_s=10) -> WindowV1:
    start = START + round(start_s * SECOND)
    others, end = (unmasked, incorrect, unknown), start + length_s * SECOND
    return messages.window(start, masked, others, site="demo", profile="lab", zone=zone, end=end)


def camera(name="gate", state="live", since_s=0.0, lifetime=None) -> CameraV1:
    since = START + round(since_s * SECOND)
    return CameraV1(site="demo", camera=name, state=state, since=since, at=since, lifetime=lifetime)


def alert(state="firing") -> AlertV1:
    times = {"since": START, "start": START, "end": START + 10 * SECOND}
    return messages.alert(site="demo", rule="few-masks", profile="lab", state=state, rate=0.2, persons=20, **times)


def taken(*messages, passages=None) -> Record:
    record = Record(passages=passages or {})
    for message in messages:
        record.take(message)
    return record


def people(masked: int, bare: int, at: float = 12.0, every_s: float = 0.0) -> list[Passage]:
    times = {"first": 1.0, "visible": 3.0, "hidden": 0.0}
    verdicts = ["masked"] * masked + ["unmasked"] * bare
    return [Passage(camera="gate", at=at + i * every_s, verdict=v, **times) for i, v in enumerate(verdicts)]


def verdicts(record: Record) -> dict[str, bool]:
    return {check.name: check.ok for check in record.checks()}


def test_total_is_the_sum_of_the_whole_sites_windows():
    """Zones' windows would count everybody twice; each window of the site counts once, even if it comes twice."""
    total = taken(window(0, 3, 1, 1, 2), window(0, 3, 1, 1, 2), window(10, 1, 4), window(0, 9, zone="gate")).total()
    assert total == Counts(persons=12, masked=4, judged=10)
    assert total.rate == 0.4


def test_unknown_count_as_people_but_not_in_the_rate():
    """Who could not be judged is counted, and says nothing about masks."""
    total = taken(window(0, masked=1, unknown=3)).total()
    assert (total.persons, total.rate) == (4, 1.0)


def test_nobody_has_no_rate():
    """Without anybody there is no rate, and nothing is divided by zero."""
    assert taken().total().rate is None


def test_truth_is_the_sum_over_cameras():
    """All cameras together make the site's truth."""
    record = Record(passages={"a": people(1, 2), "b": people(3, 0)})
    assert record.truth() == Counts(6, 4, 6)


def test_truth_of_a_window_follows_the_cameras_start():
    """A person belongs to the window in which the camera's film showed the face last."""
    record = taken(camera(since_s=7), passages={"gate": people(1, 0, at=12)})
    for start, counted in ((18, 1), (19, 1), (19.1, 0), (9.1, 1), (9, 0), (2, 0)):
        assert record.truth_of(window(start)) == Counts(counted, counted, counted), start


def test_truth_of_windows_adds_up():
    """Over windows without a gap everybody is counted exactly once."""
    passages = {"a": people(12, 8, every_s=1.7), "b": people(3, 20, every_s=2.3)}
    record = taken(camera("a", since_s=3.3), camera("b", since_s=4.1), passages=passages)
    parts = [record.truth_of(window(10 * i)) for i in range(12)]
    assert sum(part.persons for part in parts) == record.truth().persons == 43
    assert sum(part.masked for part in parts) == record.truth().masked == 15


def test_camera_that_has_not_started_is_not_true_yet():
    """Before a film began nothing of it can be true."""
    record = taken(camera("a"), passages={"a": people(1, 0), "b": people(1, 0)})
    assert record.truth_of(window(0, length_s=60)) == Counts(1, 1, 1)


def test_first_live_counts_as_the_start():
    """Later reports of the same state do not move a film's beginning."""
    record = taken(camera(state="connecting", since_s=1), camera(since_s=2), camera(since_s=9))
    assert record.started == {"gate": START + 2 * SECOND}


@pytest.mark.parametrize(
    ("persons", "ok"), [(100, True), (90, True), (110, True), (89, False), (111, False), (0, False)]
)
def test_people_within_a_tenth(persons, ok):
    """Passages may be off by ten per cent, at the limit too, in either direction."""
    record = taken(window(0, unmasked=persons), passages={"gate": people(0, 100)})
    assert verdicts(record)["people"] is ok


@pytest.mark.parametrize(("masked", "ok"), [(50, True), (41, True), (59, True), (39, False), (61, False)])
def test_rate_within_ten_points(masked, ok):
    """The masked share may be off by ten points."""
    record = taken(window(0, masked, 100 - masked), passages={"gate": people(50, 50)})
    assert verdicts(record)["with a mask"] is ok


def test_nobody_measured_is_missed():
    """Where people were and none was counted, both numbers are missed."""
    found = verdicts(taken(passages={"gate": people(1, 1)}))
    assert not found["people"]
    assert not found["with a mask"]


def test_differences_are_written_with_their_sign():
    """The reader sees in which direction and how far a number is off."""
    record = taken(window(0, 45, 50), passages={"gate": people(50, 50)})
    persons, rate, *_ = record.checks()
    assert persons.difference == "-5 (-5.0%)"
    assert rate.difference == "-2.6 points"
    assert (persons.true, persons.measured, rate.true, rate.measured) == ("100", "95", "50.0%", "47.4%")


def test_alert_mail_and_clearing_are_each_checked():
    """What did not happen is missed by its own name."""
    assert not any(verdicts(taken())[name] for name in ("alert fired", "mail arrived", "alert cleared"))
    record = taken(alert("firing"))
    assert verdicts(record) | {"alert fired": True, "alert cleared": False} == verdicts(record)
    record.take(alert("resolved"))
    record.mails = 1
    assert all(verdicts(record)[name] for name in ("alert fired", "mail arrived", "alert cleared"))


def test_told_needs_both_mails():
    """The end waits for the mail that says that it is over."""
    record = taken(alert("firing"), alert("resolved"))
    record.mails = 1
    assert not record.is_told()
    record.mails = 2
    assert record.is_told()


def test_first_alert_of_a_state_is_kept():
    """The alert that is shown is the first one."""
    assert taken().alert("firing") is None
    assert taken(alert("firing")).alert("resolved") is None
    assert taken(alert("firing")).alert("firing") == alert("firing")


def test_complete_when_films_ended_and_the_last_window_is_closed():
    """Neither an open window nor a running film may be cut off."""
    last = 12.0
    record = taken(camera(), passages={"gate": people(1, 0, at=last)})
    assert not record.is_complete()
    record.take(window(last - 15))
    assert not record.is_complete()
    record.take(window(last - 5))
    assert not record.is_complete()
    record.take(camera(state="ended", since_s=60))
    assert record.is_complete()


def test_ended_film_without_its_last_window_is_not_complete():
    """The cameras are done before the numbers are."""
    record = taken(camera(), camera(state="ended"), window(0, length_s=1), passages={"gate": people(1, 0)})
    assert not record.is_complete()


def test_missing_camera_is_not_complete():
    """A camera that never started is waited for."""
    record = taken(
        camera(), camera(state="ended"), window(0, length_s=90), passages={"gate": people(1, 1), "hall": people(2, 1)}
    )
    assert not record.is_complete()


def test_real_camera_is_never_complete():
    """Without a known truth the run has no end of its own."""
    assert not taken(camera(), camera(state="ended"), window(0)).is_complete()


def test_film_of_nobody_is_complete_at_its_end():
    """An empty plan has no last passer-by to wait for."""
    record = taken(camera(), camera(state="ended"), window(0), passages={"gate": []})
    assert record.is_complete()


def test_pixel_life_is_of_all_windows():
    """Of each camera each window once, however many reports tell of it; those without pictures say nothing."""
    first, second = (
        Lifetime(START, START + 10 * SECOND, 25, 0),
        Lifetime(START + 10 * SECOND, START + 20 * SECOND, 25, 3),
    )
    record = taken(
        camera("a", lifetime=first),
        camera("b", lifetime=first),
        camera("b", lifetime=second),
        camera("b", lifetime=second),
        camera("c", lifetime=Lifetime(START, START + 10 * SECOND, 0, 0)),
    )
    assert record.pixel_life() == (75, 3)
    assert taken(camera()).pixel_life() is None


@pytest.mark.parametrize(
    ("pictures", "late", "kept"), [(99, 0, None), (99, 99, None), (100, 1, True), (100, 2, False), (300, 3, True)]
)
def test_the_promise_is_of_a_hundred_pictures_or_more(pictures, late, kept):
    """Of fewer than a hundred nothing can be said; one of a hundred may be late."""
    life = taken(camera(lifetime=Lifetime(START, START + 10 * SECOND, pictures, late))).pixel_life()
    assert life is not None
    assert life.kept is kept
