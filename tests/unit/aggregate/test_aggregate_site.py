"""One site from its stream: passages, windows, gaps."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proto.public import OperationalAlertV1, WindowV1
from proto.sightings import PassageV1
from services.aggregate.core.config import CameraConfig
from services.aggregate.core.exchange import Dropped, Reset
from services.aggregate.core.site import SiteCore
from services.sites.settings import RuleSettings
from services.statistics.figures import observed, rates
from services.statistics.rate_interval import Judged

TWO = [CameraConfig(id="back"), CameraConfig(id="door", zone="hall")]


def run(config, messages, core=None):
    """Return all that comes out."""
    core = core or SiteCore(config)
    return [output for message in messages for output in core.step(message)]


def windows(outputs, zone="_site"):
    """Return the windows of a zone."""
    return [o for o in outputs if isinstance(o, WindowV1) and o.zone == zone]


def passages(outputs):
    """Return the passages."""
    return [o for o in outputs if isinstance(o, PassageV1)]


def dropped(outputs):
    """Return why messages were dropped."""
    return [o.reason for o in outputs if isinstance(o, Dropped)]


def test_a_window_counts_those_last_seen_in_it(make):
    """Each person counts in the window of the last sighting, by verdict, with rate and interval."""
    stream = make.stream().passer(5, "masked").passer(10, "masked").passer(20, "unmasked").passer(59.5, "masked")
    out = run(make.config(), stream.ticks(62, 130).messages)
    first, second = windows(out)
    assert (first.persons, first.masked, first.unmasked, first.unknown) == (3, 2, 1, 0)
    assert first.rate == 0.667
    assert first.interval[0] < 2 / 3 < first.interval[1]
    assert (second.persons, second.start, second.end) == (
        1,
        make.hour + 60 * make.second,
        make.hour + 120 * make.second,
    )
    assert [p.verdict for p in passages(out)] == ["masked", "masked", "unmasked", "masked"]


def test_a_window_closes_after_its_lateness(make):
    """Nothing is published before the end plus the lateness, by the server's clock."""
    core, stream = SiteCore(make.config()), make.stream().watch(0, 60)
    assert windows(run(None, stream.tick(61.99).messages, core)) == []
    assert len(windows(run(None, make.stream().tick(62).messages, core))) == 1


def test_time_passes_with_any_message(make):
    """A sighting closes windows as a tick does."""
    assert len(windows(run(make.config(), make.stream().watch(0, 63).messages))) == 1


def test_a_watched_window_is_covered_wholly(make):
    """With a picture every period, coverage is 1 and there is no gap."""
    [window] = windows(run(make.config(), make.stream().watch(0, 63).messages))
    assert (window.coverage, make.lacking(window), window.cameras_ok, window.cameras_expected) == (1.0, [], 1, 1)
    assert (window.persons, window.rate, window.suppressed) == (0, None, None)
    assert (window.model, window.model_sha256) == (make.model, make.model_sha)


def test_the_first_window_started_late(make):
    """A window that began before anything was stored says so, and is covered in part."""
    [window] = windows(run(make.config(), make.stream().watch(15, 63).messages))
    assert (window.coverage, make.lacking(window), window.cameras_ok) == (0.75, ["started-late"], 0)


def test_lost_pictures_beyond_three_periods_lower_coverage(make):
    """A hole of 6 s in the pictures costs the 5.6 s for which nothing vouches."""
    [window] = windows(run(make.config(), make.stream().watch(0, 30).watch(36, 63).messages))
    assert window.coverage == pytest.approx(1 - (6.2 - 0.6) / 60, abs=1e-3)
    assert make.lacking(window) == ["frames-lost"]


@pytest.mark.parametrize(("state", "reason"), [("stalled", "camera-down"), ("paused", "paused")])
def test_a_camera_that_says_it_is_down_is_the_reason(make, state, reason):
    """From a camera's own word on, its silence has that reason, also when the window closes during it."""
    stream = make.stream().watch(0, 30).event(30, state).ticks(31, 122)
    first, second = windows(run(make.config(), stream.messages))
    assert (first.coverage, make.lacking(first)) == (observed(30.4 / 60), [reason])
    assert (second.coverage, make.lacking(second), second.cameras_ok) == (0.0, [reason], 0)


def test_a_live_camera_without_pictures_lost_frames(make):
    """A camera that is back while no worker answers has lost its frames from then on."""
    stream = make.stream().watch(0, 10).event(10, "stalled").event(20, "live").ticks(21, 62)
    assert make.lacking(windows(run(make.config(), stream.messages))[0]) == ["camera-down", "frames-lost"]


def test_a_silent_site_has_windows_that_say_nothing_was_observed(make):
    """An outage is no empty room: no figures, coverage 0, window after window."""
    found = windows(run(make.config(), make.stream().ticks(0, 185).messages))
    assert [(w.coverage, w.persons, w.suppressed) for w in found] == [(0.0, None, "nothing-observed")] * 3
    assert [make.lacking(w) for w in found] == [["started-late"], ["camera-down"], ["camera-down"]]


def test_a_clock_that_was_ahead_costs_its_own_time_only(make):
    """Ahead for half a minute, then right: who came counts once, and what is seen from then on is observed."""
    stream = make.stream().watch(0, 60)
    stream.passer(661, lease=2, delay=-599.9).watch(663.4, 690, lease=2, delay=-599.9)
    stream.watch(90, 150, lease=3).passer(150, lease=3).watch(152.4, 783, lease=3)
    found = run(make.config(), stream.messages)
    assert [(o.coverage, o.persons) for o in windows(found)] == [
        (1.0, 0), (observed(30.4 / 60), 0), (1.0, 1), *[(1.0, 0)] * 8, (1.0, 1), (1.0, 0)
    ]  # fmt: skip
    assert not [o for o in found if isinstance(o, OperationalAlertV1)]


def test_zones_and_the_whole_site(make):
    """A zone has its cameras' people, the site has all; a zone without a camera is not published."""
    config = make.config(cameras=TWO, zones=["attic", "hall"])
    stream = make.stream().passer(5, camera="door").passer(10, camera="back").passer(20, camera="back")
    out = run(config, stream.ticks(22, 62).messages)
    assert [(w.zone, w.persons) for w in out if isinstance(w, WindowV1)] == [("hall", 1), ("_site", 3)]
    assert {(p.camera, p.zone) for p in passages(out)} == {("door", "hall"), ("back", "_site")}


@pytest.mark.parametrize("watched", [True, False])
def test_a_camera_without_a_zone_is_not_told_by_subtraction(make, watched):
    """Its nobody is a small number; nothing of it is told where it observed nothing."""
    config = make.config(cameras=TWO, zones=["hall"], suppress_below=2)
    stream = make.stream().passer(5, camera="door").passer(10, camera="door").passer(20, camera="door")
    if watched:
        stream.watch(21, 25, camera="back")
    out = run(config, stream.ticks(26, 62).messages)
    assert [w.persons for w in (*windows(out, "hall"), *windows(out))] == [None if watched else 3, 3]


def test_a_zone_is_covered_by_its_own_cameras(make):
    """Coverage of the site is the mean of its cameras'; a zone's gaps are its own."""
    config = make.config(cameras=TWO, zones=["hall"])
    stream = make.stream()
    for step in range(315):
        stream.seen(step / 5, camera="door")
        if step < 150:
            stream.seen(step / 5, camera="back")
    out = run(config, stream.messages)
    [hall], [whole] = windows(out, "hall"), windows(out)
    assert (hall.coverage, make.lacking(hall), hall.cameras_ok, hall.cameras_expected) == (1.0, [], 1, 1)
    assert whole.coverage == observed((1 + 30.4 / 60) / 2)
    assert (make.lacking(whole), whole.cameras_ok, whole.cameras_expected) == (["frames-lost"], 1, 2)


def test_late_sightings_only_count_as_late(make):
    """What comes for a closed window changes no later one; its faces are in `late_total` from then on."""
    stream = make.stream().watch(0, 63)
    for step in range(5):
        stream.seen(50 + step / 5, make.face(0.5), make.face(0.2), delay=14)
    stream.watch(64.2, 183)
    out = run(make.config(), stream.messages)
    assert [(w.persons, w.late_total) for w in windows(out)] == [(0, 0), (0, 10), (0, 10)]
    assert dropped(out) == ["late"] * 5


def test_sightings_within_the_lateness_are_in_time(make):
    """A sighting stored after the window's end but before it closes counts in it."""
    stream = make.stream().watch(0, 59)
    for step in range(5):
        stream.seen(59 + step / 5, make.face(), delay=2)
    assert windows(run(make.config(), stream.watch(60, 63).messages))[0].persons == 1


def test_the_fence_drops_an_old_holder(make):
    """Of two holders of a camera only the later one's pictures count, each sequence once."""
    stream = make.stream()
    for step in range(10):
        at = 5 + step / 5
        stream.seen(at, make.face(0.3), lease=2, sequence=step + 1)
        stream.seen(at, make.face(0.7), lease=1, sequence=100 + step)
        stream.seen(at, make.face(0.3), lease=2, sequence=step + 1)
    out = run(make.config(), stream.watch(8, 63, lease=2).messages)
    assert windows(out)[0].persons == 1
    assert dropped(out) == ["fenced"] * 20


def test_an_old_holders_event_is_fenced_too(make):
    """The word of a holder that lost the lease does not make a camera go down."""
    stream = make.stream().watch(0, 20, lease=2).event(20, "ended", lease=1).watch(20, 63, lease=2)
    out = run(make.config(), stream.messages)
    assert (windows(out)[0].coverage, dropped(out)) == (1.0, ["fenced"])


def test_a_later_holders_event_raises_the_fence(make):
    """From a new holder's first word on, the old one's pictures are dropped."""
    stream = make.stream().watch(0, 10, lease=1).event(10, "connecting", lease=2).watch(10, 12, lease=1)
    assert dropped(run(make.config(), stream.messages)) == ["fenced"] * 10


@pytest.mark.parametrize(("begins", "counts"), [(11, 0), (19, 0), (21, 1)])
def test_a_number_from_a_clock_that_was_ahead_shuts_a_camera_out_for_ten_seconds(make, begins, counts):
    """Its holder crashed, and the next one has a number of today: once nothing comes of the other, that counts."""
    stream = make.stream().watch(0, 10, lease=10**15)
    stream.event(begins, "live", lease=5).passer(begins, lease=5).watch(begins + 2.4, begins + 3, lease=5)
    out = run(make.config(), stream.ticks(30, 63).messages)
    assert windows(out)[0].persons == counts
    assert bool(dropped(out)) == (not counts)


def test_an_old_holders_pictures_never_count_again(make):
    """A process that was frozen for long sends what it had: that is no later than what came since."""
    stream = make.stream().watch(0, 10, lease=1).passer(10, lease=2).watch(12.4, 14, lease=2)
    for step in range(10):
        stream.seen(9 + step / 5, make.face(0.7), lease=1, delay=30)
    out = run(make.config(), stream.ticks(45, 63).messages)
    assert (windows(out)[0].persons, dropped(out)) == (1, ["fenced"] * 10)


def test_unknown_cameras_count_nowhere(make):
    """A camera that is not configured changes nothing."""
    stream = make.stream().passer(5, camera="ghost").event(9, "stalled", camera="ghost").watch(0, 63)
    out = run(make.config(), stream.messages)
    assert (windows(out)[0].persons, set(dropped(out))) == (0, {"unknown-camera"})


@pytest.mark.parametrize(("changes", "most"), [({}, 3_660), ({"close_on_end": True}, 86_400)])
def test_a_clock_too_far_ahead_opens_no_windows(make, changes, most):
    """Pictures and events are dropped, or they would spoil every window until then; recordings may be further ahead."""
    stream = make.stream().seen(0)
    for ahead in (most, most + 1):
        stream.seen(ahead, make.face(), delay=-ahead)
        stream.event(ahead, "live")
        stream.messages[-1] = replace(stream.messages[-1], time=make.hour)
    core = SiteCore(make.config(**changes))
    assert dropped(run(None, stream.messages, core)) == ["ahead", "ahead"]
    assert core._series.last == make.config(**changes).start_of(make.hour + most * make.second)


@given(
    st.lists(st.tuples(st.integers(0, 170), st.integers(3_661, 90_000), st.integers(0, 3), st.booleans()), max_size=9)
)
def test_whatever_was_too_far_ahead_changes_no_window(make, strays):
    """Pictures and events of a wrong clock, under any lease and at any moment: what the right clock says counts on."""
    stream = make.stream().watch(0, 60).passer(60).watch(62.4, 120).passer(120).watch(122.4, 190)
    mixed = list(stream.messages)
    for when, ahead, lease, is_event in strays:
        other = make.stream()
        at = when + ahead
        other.event(at, "paused", lease=lease) if is_event else other.seen(at, make.face(), lease=lease)
        mixed.append(replace(other.messages[-1], time=make.hour + when * make.second))
    mixed.sort(key=lambda one: one.time)
    out = run(make.config(), [replace(one, sequence=number) for number, one in enumerate(mixed, 1)])
    assert windows(out) == windows(run(make.config(), stream.messages))
    assert dropped(out) == ["ahead"] * len(strays)


def test_a_window_is_judged_by_one_model(make):
    """Another model's pictures are unobserved in the open window; at the next border it takes over."""
    stream = make.stream().watch(0, 30)
    stream.passer(30, model="masks-2", sha="c" * 64).watch(32.4, 60, model="masks-2", sha="c" * 64)
    stream.passer(60, model="masks-2", sha="c" * 64).watch(62.4, 123, model="masks-2", sha="c" * 64)
    first, second = windows(run(make.config(), stream.messages))
    assert (first.model, first.persons, make.lacking(first)) == (make.model, 0, ["model-changed"])
    assert first.coverage == observed(30.4 / 60)
    assert (second.model, second.model_sha256, second.persons) == ("masks-2", "c" * 64, 1)
    assert (second.coverage, make.lacking(second)) == (1.0, [])


def test_a_window_has_the_errors_of_its_model(make):
    """The interval holds chance and the errors of the model that judged the window, which it carries; no other's."""
    stream = make.stream().told(0).told(0, model="masks-2", sha="c" * 64)
    for number in range(8):
        stream.passer(1 + 5 * number, "unmasked" if number == 3 else "masked")
    [window] = windows(run(make.config(), stream.watch(42, 63).messages))
    assert window.model_errors == make.errors
    assert window.sampling_interval == rates(7, [Judged(8)]).interval
    assert window.interval == rates(7, [Judged(8, make.errors)]).interval
    assert window.interval[0] < window.sampling_interval[0] < window.rate < window.sampling_interval[1]


@pytest.mark.parametrize("other", [{"model": "masks-2"}, {"sha": "c" * 64}])
def test_without_its_models_errors_a_window_has_the_interval_of_chance(make, other):
    """Of a model that nobody measured, of another name or other bytes, no errors are made up."""
    [window] = windows(run(make.config(), make.stream().told(0, **other).passer(1).watch(3, 63).messages))
    assert window.model_errors is None
    assert window.interval == window.sampling_interval == rates(1, [Judged(1)]).interval


def test_errors_that_are_told_before_the_window_closes_are_in_it(make):
    """The last ones that the stream tells count: they may come while it is open, and may be estimated anew."""
    anew = structs.replace(make.errors, sources=9)
    stream = make.stream().passer(1).told(3).watch(3, 40).told(40, anew).watch(40, 63).told(63)
    assert windows(run(make.config(), stream.messages))[0].model_errors == anew


def test_files_close_their_windows_when_all_have_ended(make):
    """With close_on_end the open windows close once every camera has ended and nothing can be in flight."""
    config = make.config(close_on_end=True, cameras=TWO, zones=["hall"], window_s=1_200.0)
    stream = make.stream().passer(1, camera="door").passer(1, camera="back").event(5, "ended", camera="back")
    core = SiteCore(config)
    assert windows(run(None, stream.ticks(6, 20).messages, core)) == []
    assert windows(run(None, make.stream().event(21, "ended").tick(22).messages, core)) == []
    assert [w.persons for w in windows(run(None, make.stream().ticks(23, 9_000).messages, core))] == [2]


def test_what_was_in_flight_at_the_end_still_counts(make):
    """A sighting stored just after `ended` counts, and does not keep the window open."""
    stream = make.stream().event(2, "ended")
    for step in range(4):
        stream.seen(1 + step / 5, make.face(), delay=1.5)
    found = windows(run(make.config(close_on_end=True), stream.ticks(3, 9).messages))
    assert [w.persons for w in found] == [1]


def test_without_close_on_end_the_window_stays_open(make):
    """A camera that ended does not close a live site's window."""
    stream = make.stream().passer(1).event(4, "ended").ticks(5, 59)
    assert windows(run(make.config(), stream.messages)) == []


def test_a_file_that_begins_again_opens_windows_again(make):
    """After the end no window is published until a new lease brings pictures."""
    config = make.config(close_on_end=True)
    stream = make.stream().passer(1).event(4, "ended").ticks(5, 600).watch(610, 723, lease=2)
    found = windows(run(config, stream.messages))
    assert [(w.start - make.hour) // make.second for w in found] == [0, 600, 660]


def test_a_file_that_begins_again_at_once_keeps_its_window_open(make):
    """Pictures of a new lease come before the window of what ended was closed: it goes on."""
    stream = make.stream().passer(1).event(4, "ended").watch(5, 12, lease=2)
    assert windows(run(make.config(close_on_end=True), stream.messages)) == []


def test_a_recording_may_be_ahead_of_the_clock(make):
    """Files read faster than they play fill windows of their own time and close at the end."""
    stream = make.stream(delay=0)
    for minute in range(3):
        stream.passer(60 * minute + 5, delay=-60 * minute)
    stream.event(170, "ended")
    stream.messages[-1] = type(stream.messages[-1])(
        stream.messages[-1].message, 999, make.hour + 60 * make.second, stream.created
    )
    found = windows(run(make.config(close_on_end=True), [*stream.messages, *make.stream().tick(62).messages]))
    assert [w.persons for w in found] == [1, 1, 1]


def test_recordings_close_their_windows_as_they_are_read(make):
    """A window closes once every recording was read beyond it, though the clock on the wall stands still."""
    config = make.config(close_on_end=True, cameras=TWO, zones=["hall"])
    stream = make.stream(delay=0)
    for minute in range(3):
        stream.passer(60 * minute + 5, camera="door", delay=-60 * minute - 5)
    core = SiteCore(config)
    assert windows(run(None, stream.messages, core)) == []
    behind = make.stream(delay=0).watch(121, 123, camera="back", delay=-122)
    assert [w.persons for w in windows(run(None, behind.messages, core))] == [1, 1]
    further = make.stream(delay=0).event(124, "ended", camera="back").messages
    further[-1] = type(further[-1])(further[-1].message, 998, make.hour, make.hour - 100 * make.second)
    assert [w.persons for w in windows(run(None, further, core))] == []
    assert [
        w.persons for w in windows(run(None, make.stream().watch(130, 190, camera="door", delay=-130).messages, core))
    ] == [1]


def test_a_live_camera_with_a_clock_ahead_closes_nothing(make):
    """Only recordings are ahead of the server's clock; a live camera's clock may be wrong, and be put right."""
    stream = make.stream().watch(3_600, 3_610, delay=-3_600).watch(20, 21, lease=2)
    out = run(make.config(), stream.messages)
    assert windows(out) == []
    assert dropped(out) == []


def test_a_bus_reset_lowers_coverage_and_loses_nobody(make):
    """People counted before a reset stay counted; the silence around it is `bus-restarted`; leases begin anew."""
    core, before = SiteCore(make.config()), make.stream().passer(5, lease=9).watch(7.4, 20, lease=9)
    run(None, before.messages, core)
    assert core.step(Reset()) == []
    after = make.stream(created=make.hour + 40 * make.second).watch(40, 45, lease=1).passer(45, lease=1)
    [window] = windows(run(None, after.watch(47.4, 63, lease=1).messages, core))
    assert (window.persons, make.lacking(window)) == (2, ["bus-restarted", "started-late"])
    assert window.coverage == pytest.approx((20.4 - 5 + 20) / 60, abs=1e-3)


def test_a_models_errors_outlive_the_stream(make):
    """Until they are announced again; also for a start with the new stream, which reads the published windows."""
    ran, started = SiteCore(make.config()), SiteCore(make.config())
    before = structs.replace(make.errors, sources=9)
    stream = make.stream().told(0, before).watch(0, 60).told(60).told(60, model="masks-2", sha="c" * 64)
    published = windows(run(None, stream.watch(60.2, 123).messages, ran))
    ran.step(Reset())
    started.restore(windows=[*published[1:], published[0]])
    after = make.stream(created=make.hour + 123 * make.second).passer(124).watch(126.4, 185).messages
    windows_of = [windows(run(None, after, core))[-1] for core in (ran, started)]
    assert [(one.persons, one.model_errors) for one in windows_of] == [(1, make.errors)] * 2
    assert windows_of[0].interval == windows_of[1].interval != windows_of[0].sampling_interval


def test_a_models_errors_hold_for_no_other_model(make):
    """Not for one of the same name either, which a start with a new stream sees first."""
    [published] = windows(run(make.config(), make.stream().told(0).watch(0, 63).messages))
    core = SiteCore(make.config())
    core.restore(windows=[published])
    after = make.stream(created=make.hour + 64 * make.second).passer(65, sha="c" * 64).watch(67.4, 125, sha="c" * 64)
    [window] = windows(run(None, after.messages, core))
    assert (window.persons, window.model_errors) == (1, None)


def test_a_long_reset_marks_every_window_it_hid(make):
    """Windows that passed while the bus was away are published, unobserved, with its reason."""
    core = SiteCore(make.config())
    run(None, make.stream().watch(0, 50).messages, core)
    core.step(Reset())
    found = windows(run(None, make.stream().tick(200).watch(200, 243).messages, core))
    assert [make.lacking(w) for w in found] == [["bus-restarted"]] * 4
    assert [w.coverage for w in found] == [observed(50.4 / 60), 0.0, 0.0, observed(40 / 60)]


def test_a_night_of_silence_leaves_a_hole(make):
    """After many hours without a message, windows older than two hours are not made up one by one."""
    core = SiteCore(make.config())
    run(None, make.stream().watch(0, 63).messages, core)
    found = windows(run(None, make.stream().tick(36_000).tick(36_063).messages, core))
    assert found[0].start == make.hour + 60 * make.second
    assert len(found) <= 123


def test_a_start_after_a_silence_opens_the_windows_of_passages_that_none_counts(make):
    """Those between are left out; the passages stored before a crash are counted each in its own window."""
    stream = make.stream().passer(5).passer(605).tick(610)
    found = passages(run(make.config(), stream.messages))
    core = SiteCore(make.config())
    core.restore(found)
    shown = windows(run(None, make.stream().tick(5 * 3_600).messages, core))
    counted = [((w.start - make.hour) // make.second, w.persons) for w in shown if w.persons]
    assert counted == [(0, 1), (600, 1)]
    assert len(shown) < 200


def test_the_server_clock_never_goes_back(make):
    """A step back of the server's clock opens nothing that is closed."""
    core = SiteCore(make.config())
    assert len(windows(run(None, make.stream().watch(0, 63).messages, core))) == 1
    assert windows(run(None, make.stream().tick(10).tick(61).messages, core)) == []
    assert core.now >= make.hour + 62 * make.second


def test_a_new_configuration_takes_over_at_the_border(make):
    """The open window keeps its cameras and hash; the next one has the new ones."""
    old, new = make.config(), make.config(cameras=[*make.config().cameras, CameraConfig(id="new")])
    stream = make.stream().watch(0, 10).put(new.message(), make.hour + 10 * make.second)
    stream.watch(10, 60).watch(60, 123).ticks(123, 124)
    first, second = windows(run(old, stream.messages))
    assert (first.config_sha256, first.cameras_expected, first.coverage) == (old.sha256, 1, 1.0)
    assert (second.config_sha256, second.cameras_expected, second.coverage) == (new.sha256, 2, 0.5)


def test_longer_windows_begin_where_both_grids_meet(make):
    """From 60 s to 180 s: windows of the old length up to the common border, then of the new one; no holes."""
    new = make.config(window_s=180.0)
    stream = make.stream().tick(0).put(new.message(), make.hour + make.second).ticks(2, 370)
    found = windows(run(make.config(), stream.messages))
    assert [(w.start - make.hour) // make.second for w in found] == [0, 60, 120, 180]
    assert [(w.end - w.start) // make.second for w in found] == [60, 60, 60, 180]


def test_an_unreadable_configuration_changes_nothing(make):
    """What another version wrote is dropped; the configuration in force stays."""
    broken = make.config().message().__class__(site="market", sha256="d" * 64, config="{}")
    out = run(make.config(), make.stream().tick(0).put(broken, make.hour + 1).watch(0.2, 63).messages)
    assert (dropped(out), windows(out)[0].config_sha256) == (["unreadable-config"], make.config().sha256)


def test_a_site_without_cameras_publishes_nothing(make):
    """Where nobody could look there are no windows."""
    assert run(make.config(cameras=[]), make.stream().ticks(0, 300).messages) == []


def test_a_rate_alert_follows_its_window(make):
    """An alert comes out right after the window that decided it."""
    rule = RuleSettings(id="low", fire_below=0.6, clear_above=0.8, for_windows=1, min_persons=5)
    stream = make.stream().watch(0, 2)
    for second in range(2, 58, 3):
        stream.passer(second, "unmasked")
    out = run(make.config(rules=[rule]), stream.ticks(60, 62).messages)
    kinds = [type(o).__name__ for o in out]
    assert kinds[-3:] == ["WindowV1", "AlertV1", "RuleStateV1"]
    assert (out[-2].state, out[-2].rate, out[-2].persons) == ("firing", 0.0, out[-3].persons)


def test_profiles_hold_at_the_last_step(make):
    """A configuration with zones under fr-2021-269 still publishes two figures of the whole site."""
    config = make.config(profile="fr-2021-269", cameras=TWO, zones=["hall"], window_s=1_200.0)
    out = [o for o in run(config, make.stream().passer(5).ticks(8, 1_202).messages) if isinstance(o, WindowV1)]
    assert [(w.zone, w.persons, w.rate, w.masked, w.coverage) for w in out] == [("_site", 1, 1.0, None, None)]


def test_a_clock_a_day_ahead_raises_no_fence(make):
    """Its pictures have later lease numbers, too; when it is right again, pictures count at once."""
    stream = make.stream()
    for step in range(20):
        stream.seen(86_400 + step / 5, make.face(), lease=10**15, delay=-86_400)
    stream.watch(5, 10).passer(10).watch(12.4, 59).ticks(60, 63)
    out = run(make.config(), stream.messages)
    assert dropped(out) == ["ahead"] * 20
    assert [window.persons for window in windows(out)] == [1]


@pytest.mark.parametrize("off", [-7_200, 7_200, 86_400])
def test_a_wrong_clock_is_the_reason_of_the_gap(make, off):
    """Neither the event's time nor its lease's number is trusted; another host's pictures still count."""
    stream = make.stream().watch(0, 20, lease=5)
    stream.put(stream.event(20 + off, "paused", lease=1, reason="wrong-clock").messages.pop().message, stream.at(20))
    out = run(make.config(), stream.ticks(21, 63).messages)
    [window] = windows(out)
    assert (make.lacking(window), dropped(out)) == (["wrong-clock"], [])
    assert window.coverage == pytest.approx(20.4 / 60, abs=0.01)
    again = stream.watch(70, 80, lease=5)
    assert dropped(run(make.config(), again.messages)) == []
