"""Operational alerts: from closed windows alone, each once, whatever dies."""

import random
import sys
from collections import Counter

import messages
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proto.codec import encode
from proto.public import AlertV1, OperationalAlertV1, RuleStateV1, WindowV1
from proto.subjects import ALERTS, OPERATIONS, RULES, WINDOWS
from services.aggregate.core.config import CameraConfig
from services.aggregate.core.counting.coverage import CoverageSpan
from services.aggregate.core.counting.windows import OpenWindow
from services.aggregate.core.rules.operations import (
    APART,
    Operations,
    Standing,
    WindowFinding,
    fold,
    judge_camera,
    judge_zone,
)
from services.aggregate.core.site import SiteCore
from services.sites.settings import OperationsSettings, RuleSettings

RULE = RuleSettings(id="low", zone="hall", fire_below=0.6, clear_above=0.6, for_windows=1, min_persons=1)
STRICT = structs.replace(RULE, id="strict", min_persons=50)
CAMERAS = [CameraConfig(id="back"), CameraConfig(id="door", zone="hall")]
ROWS = {WindowV1: WINDOWS, AlertV1: ALERTS, RuleStateV1: RULES, OperationalAlertV1: OPERATIONS}


def run(core, messages):
    """Return all that is published, passages apart, each with the time of its message."""
    return [(m.time, o) for m in messages for o in core.step(m) if type(o) in ROWS]


def told(outputs, start=0):
    """Return the operational alerts in short, in seconds since `start`."""
    return [
        (o.kind, o.name, o.state, (o.since - start) // 10**9, (o.at - start) // 10**9, o.reason)
        for _, o in outputs
        if isinstance(o, OperationalAlertV1)
    ]


def test_a_camera_is_down_until_it_is_seen_again_for_nine_tenths(make):
    """More than half of a window lost: it fires. Five sixths seen change nothing. Nine tenths or more resolve."""
    stream = make.stream().watch(0, 60).event(60, "stalled").ticks(61, 130).watch(130, 245)
    found = run(SiteCore(make.config()), stream.messages)
    assert told(found, make.hour) == [
        ("camera-down", "door", "firing", 60, 120, "camera-down"),
        ("camera-down", "door", "resolved", 60, 240, None),
    ]
    kinds = [type(o).__name__ for _, o in found]
    assert kinds == ["WindowV1", "OperationalAlertV1", "WindowV1", "WindowV1", "OperationalAlertV1", "WindowV1"]
    firing, resolved = (o for _, o in found if isinstance(o, OperationalAlertV1))
    assert (firing.coverage, resolved.coverage) == (pytest.approx(0.4 / 60), 1.0)


@pytest.mark.parametrize(
    ("missed", "verdict", "reason"),
    [
        ([], "good", None),
        ([(6, "frames-lost")], "good", None),
        ([(7, "frames-lost")], "between", None),
        ([(30, "camera-down")], "between", None),
        ([(31, "camera-down")], "bad", "camera-down"),
        ([(16, "frames-lost"), (15, "camera-down")], "bad", "frames-lost"),
        ([(16, "frames-lost"), (16, "camera-down")], "bad", "frames-lost"),  # of equals the last by name
        ([(16, "camera-down"), (16, "frames-lost")], "bad", "frames-lost"),
        ([(31, "paused")], "excused", None),
        ([(59, "started-late")], "excused", None),
        ([(20, "paused"), (31, "bus-restarted")], "bad", "bus-restarted"),
        ([(25, "paused"), (20, "camera-down")], "between", None),
    ],
)
def test_what_a_window_says_of_a_camera(make, missed, verdict, reason):
    """More than half of the whole window, lost for other reasons than a pause or a late start, is bad."""
    slot, at = OpenWindow(make.hour, make.hour + 60 * make.second, make.config()), make.hour
    for seconds, why in missed:
        slot.note("door", CoverageSpan(at, at + seconds * make.second, why))
        at += seconds * make.second
    slot.note("door", CoverageSpan(at, slot.end))
    found = judge_camera(slot, "door")
    assert (found.verdict, found.reason) == (verdict, reason)
    assert found.coverage == pytest.approx((slot.end - at) / (slot.end - slot.start))


def window(judged, coverage=1.0, gaps=()):
    """Return a window of so many judged people."""
    return messages.window(0, 0, (judged, 0, 0), site="market", zone="hall", coverage=coverage, gaps=list(gaps))


@pytest.mark.parametrize(
    ("seen", "verdict", "reason"),
    [
        (window(60), "good", None),
        (window(30), "good", None),
        (window(19), "bad", None),
        (window(60, 0.4, ["camera-down"]), "bad", "camera-down"),
        (window(60, 0.4, ["paused", "frames-lost"]), "bad", "frames-lost"),
        (window(0, 0.0, ["paused"]), "excused", None),
        (window(0, 0.1, ["started-late"]), "excused", None),
        (window(0, 0.6, ["paused"]), "bad", None),
    ],
)
def test_what_a_window_says_of_a_zone(seen, verdict, reason):
    """Bad is what none of its rules can judge; a pause is no lack of data."""
    found = judge_zone([RULE, STRICT], seen)
    assert (found.verdict, found.reason) == (verdict, reason)


SAYS = st.lists(st.sampled_from(["bad", "bad", "good", "between", "excused"]), max_size=40)


def walk(verdict, needed):
    """Return where a camera stands after each window."""
    standing, found = Standing(), []
    for start, one in enumerate(verdict):
        found.append(standing := fold(standing, WindowFinding(one), start, needed))
    return found


@given(SAYS, st.integers(1, 4))
def test_a_row_fires_and_one_good_window_resolves(verdict, needed):
    """It fires with the last of so many bad windows in a row, since the first; the first good window resolves."""
    standings = walk(verdict, needed)
    for before, after, one, index in zip([Standing(), *standings], standings, verdict, range(99), strict=False):
        if after.firing and not before.firing:
            since = [s for s in verdict[after.since : index + 1] if s != "excused"]
            assert since == ["bad"] * needed
        assert before.firing or after.firing == (one == "bad" and after.row >= needed)
        assert not before.firing or after.firing == (one != "good")
        assert not (before.firing and after.firing) or after.since == before.since


@given(SAYS, st.integers(1, 4))
def test_a_pause_changes_nothing(verdict, needed):
    """Windows that were missed because of a pause, put in anywhere, neither fire, nor resolve, nor end a row."""
    without = [s for s in verdict if s != "excused"]
    kept = [s for s, one in zip(walk(verdict, needed), verdict, strict=True) if one != "excused"]
    assert [(s.firing, s.row) for s in kept] == [(s.firing, s.row) for s in walk(without, needed)]


def test_a_new_configuration_begins_a_zones_row_anew():
    """Thresholds that changed must not count what older ones found; what fires goes on firing."""
    standing = fold(fold(Standing(), WindowFinding("bad", config="a"), 0, 2), WindowFinding("bad", config="b"), 1, 2)
    assert (standing.firing, standing.row, standing.since) == (False, 1, 1)
    standing = fold(fold(standing, WindowFinding("bad", config="b"), 2, 2), WindowFinding("between", config="c"), 3, 2)
    assert (standing.firing, standing.row) == (True, 0)


def test_bad_windows_more_than_a_day_apart_are_no_row():
    """A pause between them may be as long as a night, but not as long as a restart would have to read."""
    for apart, row, since in ((APART, 2, 5), (APART + 1, 1, 6 + APART)):
        standing = fold(fold(Standing(), WindowFinding("bad"), 5, 3), WindowFinding("excused"), 6, 3)
        standing = fold(standing, WindowFinding("bad"), 5 + apart, 3)
        assert (standing.row, standing.since) == (row, since)


def site(make, **changes):
    """Return a site with a camera in a zone with a rule, and one outside."""
    values = {"cameras": CAMERAS, "zones": ["hall"], "rules": [RULE], "window_s": 15.0, "lateness_s": 1.0}
    return make.config(**{**values, **changes})


def test_a_zone_without_data_is_told_after_three_windows(make):
    """Nobody comes: at the third window in a row that no rule can judge; the first one with people resolves."""
    stream = make.stream().watch(0, 46).passer(46).watch(48.4, 62)
    found = run(SiteCore(site(make, cameras=CAMERAS[1:])), stream.messages)
    assert told(found, make.hour) == [
        ("no-data", "hall", "firing", 0, 45, None),
        ("no-data", "hall", "resolved", 0, 60, None),
    ]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"close_on_end": True}, set()),
        ({"profile": "fr-2021-269"}, {("camera-down", False)}),
        ({"profile": "stats-only"}, {("camera-down", True)}),
        ({"profile": "alerting"}, {("camera-down", True), ("no-data", True)}),
    ],
)
def test_what_a_profile_and_a_recording_allow(make, changes, wanted):
    """A file that ended is no fault. No profile hides a camera that is down; no-data is for those that have rules."""
    config = structs.replace(site(make, cameras=CAMERAS[1:], **changes), window_s=1_200.0)
    found = run(SiteCore(config), make.stream().watch(0, 1).event(1, "stalled").ticks(2, 4 * 1_200).messages)
    assert {(o.kind, o.coverage is not None) for _, o in found if isinstance(o, OperationalAlertV1)} == wanted


def test_a_paused_site_is_no_fault(make):
    """However long everything is paused, nobody is told."""
    stream = make.stream().watch(0, 15, camera="door").watch(0, 15, camera="back")
    stream.event(15, "paused", camera="door").event(15, "paused", camera="back").ticks(16, 200)
    assert told(run(SiteCore(site(make)), stream.messages)) == []


def test_what_is_not_configured_any_more_is_resolved(make):
    """A camera that is down and a zone without data go: with the first window without them, what fired is resolved."""
    left = site(make, cameras=CAMERAS[:1], zones=[], rules=[])
    stream = make.stream(ordered=False).watch(0, 80, camera="back").put(left.message(), make.hour + 62 * make.second)
    messages = sorted(stream.messages, key=lambda m: m.time)
    found = told(run(SiteCore(site(make)), messages), make.hour)
    assert found == [
        ("camera-down", "door", "firing", 15, 30, "camera-down"),
        ("no-data", "hall", "firing", 15, 60, "camera-down"),
        ("camera-down", "door", "resolved", 15, 75, None),
        ("no-data", "hall", "resolved", 15, 75, None),
    ]


def test_a_camera_that_becomes_a_film_is_not_down(make):
    """Its alert ends with the first window of the film: of films nothing fires, and so nothing would end it."""
    films = site(make, close_on_end=True)
    stream = make.stream(ordered=False).watch(0, 100, camera="back").put(films.message(), make.hour + 62 * make.second)
    messages = sorted(stream.watch(75, 100).messages, key=lambda m: m.time)
    found = told(run(SiteCore(site(make)), messages), make.hour)
    assert {(kind, name) for kind, name, state, *_ in found if state == "firing"} == {
        (kind, name) for kind, name, state, *_ in found if state == "resolved"
    }
    assert len(found) == 4


def test_a_camera_that_is_taken_away_is_not_down(make):
    """It is silent from then on, while the window goes on; nobody is told, nor of its zone's rules that go with it."""
    left = site(make, cameras=CAMERAS[:1], zones=[], rules=[], window_s=20.0)
    stream = make.stream(ordered=False).watch(0, 90, camera="back").watch(0, 16)
    stream.put(left.message(), make.hour + 16 * make.second)
    assert told(run(SiteCore(site(make)), sorted(stream.messages, key=lambda m: m.time))) == []


def traffic(make, seed, changed=None):
    """Return a stream of eight windows in which cameras go down and come back, with people or without."""
    rng, stream = random.Random(seed), make.stream(ordered=False)
    for camera in ("back", "door"):
        up = True
        for at in range(0, 120, 5):
            if rng.random() < 0.3:
                up = not up
                stream.event(at, "live" if up else "stalled", camera=camera)
            if up and rng.random() < 0.3:
                stream.passer(at, rng.choice(["masked", "unmasked"]), camera=camera)
                stream.watch(at + 2.4, at + 5, camera=camera)
            elif up:
                stream.watch(at, at + 5, camera=camera)
    if changed is not None:
        stream.put(changed.message(), make.hour + 50 * make.second)
    ordered = sorted(stream.ticks(0, 125).messages, key=lambda m: m.time)
    return [type(m)(m.message, n, m.time, m.stream_created) for n, m in enumerate(ordered, 1)]


def restarted(make, core, stored, configs, messages):
    """Return all that is published when a core goes on from what is stored; passages are made again by the replay."""
    return [*stored, *make.restore(core, stored, configs), *(o for _, o in run(core, messages))]


def assert_same(got, wanted):
    """Of each kind, the same bytes in the same order."""
    for kind, row in ROWS.items():
        assert [encode(row, o) for o in got if type(o) is kind] == [encode(row, o) for o in wanted if type(o) is kind]


@examples(25)
@given(st.integers(0, 10**6), st.floats(0, 1), st.integers(1, 3), st.integers(1, 3))
def test_a_crash_anywhere_loses_and_doubles_nothing(make, seed, where, down, no_data):
    """Killed after any message and restarted from what is stored, also around a change of configuration."""
    config = site(make, operations=OperationsSettings(camera_down_windows=down, no_data_windows=no_data))
    changed = structs.replace(config, operations=OperationsSettings(camera_down_windows=2), cameras=CAMERAS[1:])
    messages = traffic(make, seed, changed)
    wanted = run(SiteCore(config), messages)
    cut = round(where * len(wanted))
    stored = [o for _, o in wanted[:cut]]
    assert_same(restarted(make, SiteCore(config), stored, [config, changed], messages), [o for _, o in wanted])


@examples(12)
@given(st.integers(0, 10**6), st.floats(0.5, 1), st.integers(1, 3))
def test_a_stream_that_forgets_is_enough_for_the_row(make, seed, where, down):
    """Restarted from a stream that holds no more than a row of windows: the row is the same, and what it decides."""
    config = site(make, operations=OperationsSettings(camera_down_windows=down))
    messages = traffic(make, seed)
    wanted = run(SiteCore(config), messages)
    cut = round(where * len(wanted))
    stored = [o for _, o in wanted[:cut]]
    kept = wanted[cut - 1][0] - round((down + 1) * 15.0 + 2.0) * make.second
    got = restarted(make, SiteCore(config), stored, [config], [m for m in messages if m.time >= kept])
    assert_same(got, [o for _, o in wanted])


def test_a_window_of_many_zones_costs_each_of_them_the_same(make):
    """Four times as many zones, each with a rule, are four times the work, not sixteen or sixty-four times."""

    def steps(count):
        zones = [f"z{number}" for number in range(count)]
        cameras = [CameraConfig(id=f"c-{zone}", zone=zone) for zone in zones]
        rules = [structs.replace(RULE, id=f"low-{zone}", zone=zone) for zone in zones]
        config = structs.replace(make.config(), cameras=cameras, zones=zones, rules=rules)
        slot = OpenWindow(make.hour, make.hour + 60 * make.second, config)
        windows, operations, seen = slot.publish({}, {}), Operations(), Counter[str]()
        sys.setprofile(lambda _frame, event, _what: seen.update([event]))
        try:
            assert list(operations.take(slot, windows, config)) is not None
        finally:
            sys.setprofile(None)
        return seen["call"] + seen["c_call"]

    assert steps(80) < 6 * steps(20)
