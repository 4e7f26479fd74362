"""What the doctor says of what it saw."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages import window
from msgspec import structs
from nats_match import takes

from operate.doctor.core import judged, oversized_streams, rights, storage
from operate.doctor.core.findings import Finding, exit_code, fail, figures, left_out, ok, warn, worst
from operate.doctor.metrics import NoMetrics, small_faces_of, stayed_of
from proto.permissions import ACCOUNTS, rights_of
from proto.public import CameraV1, GapReason, Lifetime
from proto.subjects import STREAMS, TABLE, covers, stream
from services.bus.stream_sizes import sized
from services.bus.streams.stream_config import config_of
from testbed.round_trip import findings

DAY = 86_400.0
WINDOWS = stream("WINDOWS")


def info(one=WINDOWS, **changes):
    """A stream as JetStream tells of one that is as it should be."""
    return {"config": config_of(one, 1) | changes, "state": {"bytes": 10}}


def test_only_what_fails_fails():
    """Warnings, and what was left out, are no failure; the worst is told first."""
    findings = [ok("a", ""), warn("b", "", ""), left_out("c", "")]
    assert exit_code(findings) == 0
    assert worst(findings) == "warn"
    assert exit_code([*findings, fail("d", "x", "y")]) == 1
    assert worst([]) == "left out"
    told = figures([*findings, fail("d", "x", "y")])
    assert told["healthy"] is False
    assert told["counts"] == {"fail": 1, "warn": 1, "ok": 1, "left out": 1}
    assert json.loads(json.dumps(told))["checks"][3] == {"check": "d", "state": "fail", "found": "x", "todo": "y"}


@pytest.mark.parametrize(("left", "state"), [(-1, "fail"), (0, "fail"), (20 * DAY, "warn"), (22 * DAY, "ok")])
def test_a_certificate_that_ends_soon_is_told_before_it_ends(left: float, state: str):
    """Three weeks before, while whoever renews it has time."""
    assert judged.certificate("certificate nats", "own", left).state == state


@pytest.mark.parametrize(
    ("age", "state"), [(None, "warn"), (1_205.0, "ok"), (1_320.0, "ok"), (1_400.0, "fail"), (DAY, "fail")]
)
def test_a_window_is_late_when_the_next_one_should_be_there(age: float | None, state: str):
    """A window of 20 minutes is out after its lateness; a tenth more is no trouble."""
    found = judged.last_window("cannes", age, 1_200.0, 5.0, 0.95)
    assert found.state == state
    assert bool(found.todo) == (state != "ok")


@pytest.mark.parametrize(("age", "state"), [(60.0, "warn"), (DAY, "fail"), (None, "warn")])
def test_a_window_that_lost_pictures_is_named(age: float | None, state: str):
    """Inference that is overloaded is in time with what it takes, and refuses the rest. No window at all is worse."""
    found = judged.last_window("cannes", age, 1_200.0, 5.0, 0.62)
    assert found.state == state
    assert ("62% was observed: pictures were lost" in found.found) == (age == 60.0)


@pytest.mark.parametrize(
    ("gaps", "told"),
    [
        (["frames-lost"], 0.2),
        (["camera-down", "frames-lost"], 0.2),
        (["frames-lost", "started-late"], None),
        ([], None),
    ],
)
def test_a_window_in_which_counting_began_has_lost_no_pictures(gaps: list[GapReason], told: float | None):
    """Right after a start most of the last window is missing, and more cores would not help."""
    assert judged.observed_of_lost(structs.replace(window(0), gaps=gaps, coverage=0.2)) == told


@given(st.floats(-10, 10), st.floats(0, 2))
def test_a_slow_answer_proves_nothing_of_a_clock(offset: float, uncertainty: float):
    """Only what is beyond the limit for certain is a failure."""
    found = judged.clock(offset, uncertainty, 0.5)
    assert (found.state == "fail") == (abs(offset) - uncertainty > 0.5)


@pytest.mark.parametrize(("cameras", "state"), [(1, "ok"), (96, "ok"), (97, "warn"), (128, "warn"), (500, "warn")])
def test_too_many_ingests_of_a_site_are_told_of_before_keys_are_displaced(cameras: int, state: str):
    """From three quarters of what a worker has room for; with fewer cameras no number of replicas is too many."""
    found = judged.frame_keys({"cannes": cameras, "lyon": 3}, 128)
    assert [one.state for one in found] == [state]
    assert (found[0].check == "frame keys of cannes") == (state == "warn")
    assert ("128 replicas" in found[0].todo) == (state == "warn")


def test_streams_as_they_should_be_are_one_line():
    """The fullest is named."""
    found = storage.streams({one: info(one) for one in STREAMS} | {WINDOWS: info(max_age=0)}, 1)
    assert [one.state for one in found] == ["ok"]
    assert f"{len(STREAMS)} are as this version wants them" in found[0].found


@pytest.mark.parametrize(
    ("seen", "state", "said"),
    [
        (None, "fail", "is not there"),
        (info(storage="memory"), "fail", "storage is memory, must be file"),
        (info(max_age=10**9), "warn", "max_age is 1 s, becomes 400 days"),
        (info(subjects=["other"]), "warn", "subjects is other, becomes other, moretta.v1.windows.*.*"),
        (info(republish={"src": ">", "dest": "x"}), "fail", "republish is set, and never by Moretta"),
        (info() | {"state": {"bytes": WINDOWS.max_bytes * 0.9}}, "warn", "90% full"),
        (info() | {"cluster": {"replicas": [{"name": "n2", "current": False}]}}, "fail", "has no leader"),
        (info() | {"cluster": {"leader": "n1", "replicas": [{"name": "n2", "offline": True}]}}, "warn", "n2"),
    ],
)
def test_a_stream_that_is_another_one_is_named(seen, state: str, said: str):
    """With what differs, and what to do."""
    found = storage.streams({WINDOWS: seen, stream("ALERTS"): info(stream("ALERTS"))}, 1)
    first = found[0]
    assert first.check == "stream WINDOWS"
    assert first.state == state
    assert said in first.found
    assert first.todo
    assert found[-1].found.startswith("1 are as this version wants them")


def test_a_stream_that_is_smaller_than_the_settings_have_it():
    """Aggregate was not started since; one that is larger than they have it is well."""
    small, large = (next(one for one in sized({"WINDOWS": size}) if one.name == "WINDOWS") for size in (2 << 30, 0))
    (first,) = storage.streams({small: info(max_bytes=256 << 20)}, 1)
    assert (first.state, first.found) == ("warn", "WINDOWS: max_bytes is 256 MiB, becomes 2048 MiB")
    (first,) = storage.streams({large: info(max_bytes=2 << 30)}, 1)
    assert first.state == "ok"


def test_a_full_stream_is_told_with_what_makes_it_larger():
    """By the limit that it really has."""
    config = info()["config"] | {"max_bytes": 2 << 30}
    (first, *_) = storage.streams({WINDOWS: {"config": config, "state": {"bytes": 2_000_000_000}}}, 1)
    assert (first.state, first.found[:8]) == ("warn", "93% full")
    assert "nats.streams.WINDOWS makes it larger" in first.todo


def test_the_disk():
    """One that can't take what streams may take is a warning; one that can't take half of a little is a failure."""
    assert [storage.disk("/js", free, 2 << 30).state for free in (3 << 30, 1 << 30, 1 << 28)] == ["ok", "warn", "fail"]


@pytest.mark.parametrize("identity", ACCOUNTS)
def test_probes_change_nothing_that_anybody_acts_on(identity):
    """What is published asks JetStream without changing a thing, or is for a site or a stream that is not there."""
    for probe in rights.probes(identity, "MORETTA"):
        if probe.way == "publish":
            harmless = (".INFO", ".MSG.GET.", rights.NOWHERE)
            assert any(part in probe.subject for part in harmless), probe
            assert "moretta.v1." not in probe.subject or rights.NOWHERE in probe.subject
        else:
            assert not any(takes(row.wildcard(), probe.subject) for row in TABLE if row.reply and probe.granted), probe


@pytest.mark.parametrize("identity", ACCOUNTS)
def test_probes_expect_what_the_table_says(identity):
    """Nothing that is granted is expected to be refused, nor the other way round."""
    given_rights = rights_of(identity, "MORETTA")
    for probe in rights.probes(identity, "MORETTA"):
        patterns = given_rights.publish if probe.way == "publish" else given_rights.subscribe
        assert probe.granted == any(takes(pattern.split(" ")[0], probe.subject) for pattern in patterns)


def test_rights_that_lack_and_rights_beyond_are_told():
    """By the server's own words, in whatever letters; other errors say nothing."""
    tried = [
        rights.Probe("publish", "$JS.API.STREAM.INFO.WINDOWS", granted=True),
        rights.Probe("subscribe", "moretta.v1.frames.*.*", granted=False),
    ]
    frames = 'nats: Permissions Violation for Subscription to "moretta.v1.frames.*.*"'
    assert [one.state for one in rights.judged("operator", tried, [frames, "nats: slow consumer"])] == ["ok"]
    lacking = 'nats: permissions violation for publish to "$js.api.stream.info.windows"'
    found = rights.judged("operator", tried, [lacking])
    assert [one.state for one in found] == ["fail", "fail"]
    assert "refused, and should not be: publish $JS.API.STREAM.INFO.WINDOWS" in found[0].found
    assert "granted, and should not be: subscribe moretta.v1.frames.*.*" in found[1].found


TOKENS = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=4)


@given(TOKENS, TOKENS, st.booleans())
def test_a_pattern_covers_what_the_server_lets_it_take(want: list[str], have: list[str], tail: bool):
    """As the tests' own reading of NATS's rules has it."""
    pattern = ".".join([*want[:-1], ">"] if tail else want)
    assert covers(pattern, ".".join(have)) == takes(pattern, ".".join(have))


LIVE = CameraV1(site="cannes", camera="gate", state="live", since=0, at=10**12, lifetime=Lifetime(0, 1, 25, 0))


def shown(*findings: Finding) -> dict[str, str]:
    return {one.check: one.state for one in findings}


def test_a_camera_that_is_not_live_and_one_that_is_old():
    """Each has its own line; the others share one. Who is silent is told first, and what follows from it is not."""
    assert shown(*judged.cameras({("cannes", "gate"): LIVE}, LIVE.at + 10**9)) == {"cameras": "ok", "inference": "ok"}
    assert shown(*judged.cameras({("cannes", "gate"): None}, LIVE.at)) == {"ingest": "fail"}
    assert judged.cameras({}, LIVE.at) == []
    down = structs.replace(LIVE, camera="hall", state="down", reason="timeout", lifetime=None)
    old = structs.replace(LIVE, camera="door", at=0)
    told = {("cannes", "gate"): LIVE, ("cannes", "hall"): down, ("cannes", "door"): old}
    found = shown(*judged.cameras(told, LIVE.at))
    assert found == {
        "camera cannes/hall": "warn", "camera cannes/door": "fail", "cameras": "ok", "inference": "ok",
    }  # fmt: skip
    silent = structs.replace(LIVE, reason="no-worker")
    assert shown(*judged.cameras({("cannes", "gate"): silent}, LIVE.at))["inference"] == "fail"


def test_cameras_that_send_h265_are_named_with_what_is_cheaper():
    """One line for all of them; a graphics card decodes it for nothing, and a camera that is down has another line."""
    newer = structs.replace(LIVE, decoder="hevc")
    told = {("cannes", name): newer for name in ("a", "b")}
    told |= {("cannes", "c"): structs.replace(LIVE, decoder="hevc_cuda")}
    told |= {("cannes", "d"): structs.replace(newer, state="down", reason="timeout", lifetime=None)}
    (found,) = [one for one in judged.cameras(told, LIVE.at + 10**9) if one.check == "H.265"]
    assert (found.state, found.found) == ("warn", "cannes/a, cannes/b: dearer to decode than H.264")
    assert "H.264, or take their second stream" in found.todo


LARGE = structs.replace(LIVE, width=1920, height=1080, fps=25.0)


def test_a_stream_that_is_much_larger_than_what_is_analysed():
    """It says what is decoded, what is analysed, and what a smaller stream would cost."""
    place = ("cannes", "gate")
    (found,) = oversized_streams.too_large({place: LARGE}, {place: oversized_streams.AnalysedSize(5.0, 640)})
    assert (found.check, found.state) == ("stream of cannes/gate", "warn")
    said = "decodes 25 pictures a second of 1920x1080, analyses 5; a stream of 640x360 at 8 would cost ingest a ninth"
    assert found.found == said
    assert "moretta cameras show" in found.todo


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"width": 640, "height": 360, "fps": 8.0}, oversized_streams.AnalysedSize(5.0, 640)),
        ({"width": 1280, "height": 720, "fps": 10.0}, oversized_streams.AnalysedSize(5.0, 640)),
        ({}, oversized_streams.AnalysedSize(25.0, 1920)),
        ({"fps": None}, oversized_streams.AnalysedSize(5.0, 640)),
        ({"width": None}, oversized_streams.AnalysedSize(5.0, 640)),
        ({"state": "down"}, oversized_streams.AnalysedSize(5.0, 640)),
    ],
)
def test_a_stream_that_is_as_it_should_be(changes, wanted):
    """What the documents recommend, what is analysed in full, and what is not known or not live: no line."""
    place = ("cannes", "gate")
    assert oversized_streams.too_large({place: structs.replace(LARGE, **changes)}, {place: wanted}) == []
    assert oversized_streams.too_large({place: LARGE}, {}) == []
    assert oversized_streams.too_large({}, {place: wanted}) == []


@pytest.mark.parametrize(
    ("pictures", "late", "state"), [(25, 0, "ok"), (25, 1, "ok"), (25, 3, "warn"), (300, 3, "ok"), (300, 9, "warn")]
)
def test_one_late_picture_is_chance(pictures: int, late: int, state: str):
    """A short window has a few dozen pictures, and 99 of 100 are promised."""
    life = Lifetime(0, 1, pictures, late)
    (_, found) = judged.cameras({("cannes", "gate"): structs.replace(LIVE, lifetime=life)}, LIVE.at)
    assert (found.check, found.state) == ("inference", state)


WINDOW = window(0, 0, (5, 0, 0), site="selftest", profile="lab", end=10**10)


@pytest.mark.parametrize(
    ("persons", "state"), [(0, "fail"), (1, "ok"), (5, "ok"), (12, "ok"), (13, "fail"), (None, "warn")]
)
def test_the_count_of_a_round_trip_is_held_against_the_film(persons: int | None, state: str):
    """Half or twice as many are plausible, with two for the ends of the window; a number that is withheld is told."""
    found = shown(*findings.window(structs.replace(WINDOW, persons=persons), 0.5, 300))
    assert found == {"window": "ok", "count": state}
    assert shown(*findings.window(None, 0.5, 300)) == {"window": "fail"}
    masked = structs.replace(WINDOW, masked=1)
    assert shown(*findings.window(masked, 0.5, 300))["count"] == "warn"


def test_a_search_that_is_blind_or_heard_nothing_proves_nothing():
    """And a single part of the film is a failure."""
    heard = findings.Heard(messages=10, size=1_000, needles=5, found=0)
    assert findings.pictures(heard, "operator").state == "ok"
    for bad in ({"found": 1}, {"blind": True}, {"messages": 0}):
        assert findings.pictures(replace(heard, **bad), "operator").state == "fail"
    assert [findings.refused(denied).state for denied in (True, False)] == ["ok", "fail"]
    states = [findings.lifetime(*one, "metrics").state for one in ((1, 100), (2, 100), (0, 0))]
    assert states == ["ok", "warn", "left out"]
    cameras = [findings.camera("a/b", *one, "x:1", 9).state for one in ((1, "live"), (0, None), (3, "backing-off"))]
    assert cameras == ["ok", "fail", "fail"]


def test_a_camera_where_half_of_the_passages_stay_is_named():
    """The others are summed up in a line; without a whole day nothing is known."""
    half, few = {("cannes", "gate"): 0.5}, {("cannes", "hall"): 0.4}
    [found] = judged.staying(half | few)
    assert (found.check, found.state) == ("who stays at cannes/gate", "warn")
    assert found.found == "50% of yesterday's passages neither came nor went"
    assert "moretta aim" in found.todo
    assert [one.state for one in judged.staying(few)] == ["ok"]
    assert [one.state for one in judged.staying({})] == ["left out"]


def test_a_camera_whose_faces_are_larger_than_needed_is_named():
    """By its own `long_side`; one whose faces are smaller, and one of which nothing is known, is not."""
    tenths = {("cannes", "gate"): 32.0, ("cannes", "hall"): 31.0, ("cannes", "far"): 47.0, ("cannes", "bus"): 90.0}
    sides = {("cannes", "gate"): 640, ("cannes", "hall"): 640, ("cannes", "far"): 960, ("cannes", "bus"): 480}
    [found] = judged.face_sizes(tenths, sides | {("cannes", "new"): 640})
    assert (found.check, found.state) == ("face sizes at cannes/gate", "ok")
    assert found.found == "nine of ten of yesterday's faces had 32 px or more of a picture of 640 px"
    assert found.todo.startswith("`long_side: 480` would do")
    assert judged.face_sizes({}, sides) == []


def test_what_a_camera_saw_is_read_off_a_page_of_metrics():
    """Of yesterday alone, and of sizes the smallest tenth; a page of something else has no camera, or can't be read."""
    page = """# HELP moretta_drift_stayed_share Share
# TYPE moretta_drift_stayed_share gauge
moretta_drift_stayed_share{camera="gate",day="yesterday",site="cannes"} 0.7
moretta_drift_stayed_share{camera="hall",day="today",site="cannes"} 0.9
"""
    page += "# TYPE moretta_drift_size_pixels gauge\n" + "".join(
        f'moretta_drift_size_pixels{{site="cannes",camera="gate",day="{day}",quantile="0.{tenths}"}} {size}\n'
        for day, tenths, size in (("yesterday", 1, 33.5), ("yesterday", 5, 50.0), ("baseline", 1, 20.0))
    )
    assert stayed_of(page) == {("cannes", "gate"): 0.7}
    assert small_faces_of(page) == {("cannes", "gate"): 33.5}
    assert stayed_of("# TYPE up gauge\nup 1\n") == {}
    for text in ("<html>", 'moretta_drift_stayed_share{day="yesterday"} 0.5', "up secret-123"):
        with pytest.raises(NoMetrics, match=r"^(ValueError|KeyError)$"):
            stayed_of(text)
