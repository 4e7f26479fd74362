"""The configuration that travels in the stream, and when it takes over."""

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proto.sightings import SiteConfigV1
from services.aggregate.core.config import SECOND, ConfigSchedule, SiteConfig, divides_hour
from services.sites.settings import CameraSettings, RuleSettings, SiteSettings, ZoneSettings

SITE = SiteSettings(
    id="market",
    profile="alerting",
    zones=[ZoneSettings(id="hall"), ZoneSettings(id="attic")],
    cameras=[
        CameraSettings(id="yard", url="rtsp://admin:hunter2@10.0.0.9/1?token=s3cret"),
        CameraSettings(id="door", zone="hall", url="file.mp4"),
    ],
    rules=[RuleSettings(id="low", fire_below=0.5, clear_above=0.6)],
)
LENGTHS = st.sampled_from([1.0, 60.0, 300.0, 400.0, 600.0, 720.0, 900.0, 1_200.0, 1_800.0, 3_600.0])


MOMENTS = st.integers(10**18, 2 * 10**18)


def config(window_s=300.0, **changes):
    """Return a configuration with these windows."""
    return structs.replace(SiteConfig.of(SITE), window_s=window_s, **changes)


def test_no_url_and_no_secret_gets_into_the_stream():
    """The message holds nothing of a camera's address, user or password."""
    text = SiteConfig.of(SITE).message().config
    assert not any(part in text for part in ("hunter2", "s3cret", "admin", "rtsp", "10.0.0.9", "file.mp4", "url"))


def test_it_comes_back_as_it_was():
    """Encoding and decoding change nothing, and the hash names the content."""
    original = SiteConfig.of(SITE)
    again = SiteConfig.decode(original.message())
    assert again == original
    assert again.sha256 == original.sha256 == original.message().sha256


def test_the_order_in_the_file_does_not_matter():
    """Cameras and zones in another order, or another URL, are the same configuration."""
    moved = structs.replace(
        SITE,
        cameras=[structs.replace(c, url="rtsp://elsewhere/") for c in reversed(SITE.cameras)],
        zones=SITE.zones[::-1],
    )
    assert SiteConfig.of(moved).sha256 == SiteConfig.of(SITE).sha256


def test_what_people_call_a_rule_decides_nothing():
    """Another name or action is the same configuration: it begins no row anew, and is in no stream."""
    named = structs.replace(SITE, rules=[structs.replace(SITE.rules[0], name="Few masks", action="Hand out masks.")])
    assert SiteConfig.of(named).message() == SiteConfig.of(SITE).message()


def test_every_decision_changes_the_hash():
    """What decides numbers is in the hash."""
    base = SiteConfig.of(SITE)
    changed = [
        structs.replace(SITE, window_s=600.0), structs.replace(SITE, profile="lab"), structs.replace(SITE, rules=[]),
        structs.replace(SITE, lateness_s=1.0), structs.replace(SITE, cameras=SITE.cameras[:1]),
        structs.replace(SITE, close_on_end=True),
    ]  # fmt: skip
    assert len({base.sha256, *(SiteConfig.of(s).sha256 for s in changed)}) == len(changed) + 1


def test_a_site_without_ignored_areas_keeps_its_hash():
    """A new field that is not used is in no byte: an earlier version beside this one has the same hash (ADR 29)."""
    assert SiteConfig.of(SITE).sha256 == "75d001b26696c2f31207fb8f8254220f913f6d6a1e91971a9d63ea9747a98f10"
    yard = structs.replace(SITE.cameras[0], ignore=[[(0, 0), (1, 0), (1, 1)]])
    ignoring = SiteConfig.of(structs.replace(SITE, cameras=[yard, SITE.cameras[1]]))
    assert ignoring.sha256 != SiteConfig.of(SITE).sha256
    assert SiteConfig.decode(ignoring.message()) == ignoring
    assert ignoring.grounds["yard"].ignored == [[(0, 0), (1, 0), (1, 1)]]


def test_zones_without_a_camera_are_left_out():
    """Only zones with cameras are published; the whole site comes last and has all cameras."""
    assert SiteConfig.of(SITE).zone_cameras == {"hall": ["door"], "_site": ["door", "yard"]}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"site": 1}', '{"window_s": 7}'])
def test_what_cannot_be_read_is_a_value_error(text):
    """A configuration of another make is refused, not half understood."""
    with pytest.raises(ValueError):
        SiteConfig.decode(SiteConfigV1(site="market", sha256="a" * 64, config=text))


def test_windows_that_do_not_divide_an_hour_are_refused():
    """A stored configuration with such windows would have no borders."""
    odd = structs.replace(config(), window_s=7.0).message()
    with pytest.raises(ValueError, match="hour"):
        SiteConfig.decode(odd)


@pytest.mark.parametrize("field", ['"later":1', '"calibration":{"counted":309,"recall_ratio":0.9}'])
def test_unknown_fields_are_tolerated(field):
    """Neither a later version's additions nor what is gone by now keep us from reading a stored configuration."""
    message = SiteConfig.of(SITE).message()
    more = SiteConfigV1(site="market", sha256="a" * 64, config=f"{message.config[:-1]},{field}}}")
    assert SiteConfig.decode(more) == SiteConfig.of(SITE)


@given(LENGTHS, st.integers(10**10, 10**19), st.sampled_from([0, 1_800, 2_700]))
def test_windows_are_aligned_to_the_hour(length, at, phase):
    """Every full hour of the site's clock is a border, and a moment lies in its window."""
    clock = config(length, phase_s=phase)
    assert clock.start_of(at) <= at < clock.start_of(at) + clock.window
    full = at - (at + phase * SECOND) % (3_600 * SECOND)
    assert clock.start_of(full) == full
    assert divides_hour(length)


@pytest.mark.parametrize(
    ("zone", "phase"),
    [("UTC", 0), ("Europe/Paris", 0), ("Asia/Kolkata", 1_800), ("Asia/Kathmandu", 2_700), ("America/St_Johns", 1_800)],
)
def test_the_sites_clock_decides_where_hours_begin(zone, phase):
    """Where the clock is ahead of UTC by a part of an hour, so are the windows; summer time moves nothing."""
    assert SiteConfig.of(structs.replace(SITE, timezone=zone)).phase_s == phase


@examples(50)
@given(LENGTHS, LENGTHS, st.sampled_from([0, 1_800, 2_700]), st.sampled_from([0, 1_800, 2_700]), MOMENTS)
def test_windows_follow_one_another_whatever_changes(old, new, was, now, after):
    """Each window ends where the next begins, none is shorter than its configuration's, and soon all are aligned."""
    schedule = ConfigSchedule(config(old, phase_s=was))
    schedule.change(config(new, phase_s=now), after)
    at, end = schedule.window_at(after)[0], after + 4 * 3_600 * SECOND
    while at < end:
        start, until = schedule.window_at(at)
        assert start == at
        assert schedule.window_at(until - 1) == (start, until)
        assert schedule.at(start) is schedule.at(until - 1)
        assert until - start >= schedule.at(start).window
        at = until
    assert at == schedule.at(at).start_of(at)
    assert schedule.at(at).phase_s == now


@given(LENGTHS, LENGTHS, st.integers(10**18, 2 * 10**18))
def test_a_change_takes_over_at_a_common_border(old, new, after):
    """The border is one of both lengths' windows, later than the moment, and within the hour."""
    schedule = ConfigSchedule(config(old))
    schedule.change(config(new, lateness_s=9.0), after)
    border = next(b for b in _borders(schedule, after))
    assert after < border <= after + 3_600 * SECOND
    assert border % config(old).window == border % config(new).window == 0
    assert schedule.at(border - 1) == config(old)
    assert schedule.at(border) == config(new, lateness_s=9.0)


def _borders(schedule, after):
    """Yield where the configuration changes, found by asking for every second's border."""
    first = schedule.at(after)
    hour = 3_600 * SECOND
    low, high = after, after + hour
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if schedule.at(middle) != first else (middle + 1, high)
    yield low


def test_a_change_that_was_to_come_is_replaced():
    """Of two changes before the same border the later one holds; going back leaves nothing to change."""
    schedule, hour = ConfigSchedule(config()), 3_600 * SECOND
    schedule.change(config(lateness_s=7.0), hour + 1)
    schedule.change(config(lateness_s=8.0), hour + 2)
    assert schedule.at(2 * hour).lateness_s == 8.0
    schedule.change(config(), hour + 3)
    assert schedule.at(2 * hour) == config()


def test_repeating_a_change_does_not_put_it_off():
    """The repeated announcement of a coming configuration keeps its border."""
    schedule, hour = ConfigSchedule(config(300)), 3_600 * SECOND
    for second in (1, 100, 299):
        schedule.change(config(300, lateness_s=9.0), hour + second * SECOND)
    assert schedule.at(hour + 300 * SECOND).lateness_s == 9.0


def test_closed_windows_configurations_are_forgotten():
    """What holds for closed windows only is dropped; what is in force stays."""
    schedule = ConfigSchedule(config())
    schedule.change(config(lateness_s=9.0), 0)
    schedule.forget(config().window)
    assert schedule.at(0).lateness_s == 9.0


@examples(50)
@given(LENGTHS, LENGTHS, st.sampled_from([0, 1_800, 2_700]), st.sampled_from([0, 1_800, 2_700]), MOMENTS)
def test_a_start_that_knows_the_border_has_the_same_windows(old, new, was, now, after):
    """Also of the long first window, when nothing of the configuration before is known any more."""
    schedule = ConfigSchedule(config(old, phase_s=was))
    schedule.change(config(new, phase_s=now), after)
    border = schedule.border(config(new, phase_s=now))
    again = ConfigSchedule(config(new, phase_s=now), border)
    at = after if border is None else border
    for _ in range(5):
        assert again.window_at(at) == schedule.window_at(at)
        at = schedule.window_at(at)[1]


def test_a_border_that_was_decided_stays():
    """A replay that sees less decides as the first run did, and announces the same."""
    schedule, hour = ConfigSchedule(config(300)), 3_600 * SECOND
    later = config(300, lateness_s=9.0)
    schedule.change(later, hour + SECOND, since=hour + 900 * SECOND)
    assert schedule.border(later) == hour + 900 * SECOND
    schedule.change(later, hour + 2 * SECOND)
    schedule.change(later, hour + 3 * SECOND, since=hour + 900 * SECOND)
    assert schedule.border(later) == hour + 900 * SECOND
    assert (schedule.border(config(300)), ConfigSchedule(config(300)).border(config(300))) == (None, None)


def test_what_is_before_the_first_border_belongs_to_no_window_beyond_it():
    """A start knows a border and not the configuration before it: windows before end there at the latest."""
    border = 3_600 * SECOND + 900 * SECOND
    schedule = ConfigSchedule(config(1_200), border)
    assert schedule.window_at(border - 1) == (3_600 * SECOND, border)
    assert schedule.window_at(border)[0] == border


@pytest.mark.parametrize(("done_s", "first"), [(3_600, (3_600, 4_800)), (4_500, (4_500, 6_000))])
def test_the_first_window_begins_where_the_last_one_ended(done_s, first):
    """Also where that is no border of the configuration: the one before it is known no more."""
    schedule = ConfigSchedule(config(1_200))
    schedule.go_on_from(done_s * SECOND)
    assert schedule.window_at(done_s * SECOND) == (first[0] * SECOND, first[1] * SECOND)
    assert schedule.window_at(first[1] * SECOND)[0] == first[1] * SECOND


def test_where_a_start_goes_on_is_announced_as_no_border():
    """A next start would take it for decided, and give its zones time from before they held."""
    schedule = ConfigSchedule(config(1_200))
    schedule.go_on_from(4_500 * SECOND)
    assert schedule.border(config(1_200)) is None
    later = config(1_200, lateness_s=9.0)
    schedule.change(later, 4_600 * SECOND)
    assert schedule.border(later) == 6_000 * SECOND


def test_the_message_carries_the_border():
    """As far as it is known; the configuration comes back as it was."""
    message = config(1_200).message(5 * SECOND)
    assert (message.since, SiteConfig.decode(message)) == (5 * SECOND, config(1_200))
    assert config(1_200).message().since is None
