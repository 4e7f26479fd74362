"""Where a site goes on after a start: services.aggregate.core.restart.resume."""

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from messages import alert, fault, window
from msgspec import structs

from proto.public import RuleStateV1
from proto.sightings import PassageV1
from services.aggregate.core.config import SECOND, ConfigSchedule, SiteConfig
from services.aggregate.core.counting.passages import ReplayMark
from services.aggregate.core.restart.resume import (
    ReplayStart,
    Restored,
    StoredConfig,
    first_config,
    first_window,
    last_ahead,
)
from services.sites.settings import CameraSettings, SiteSettings

MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
HOUR = 1_700_000_000 // 3_600 * 3_600 * SECOND
SITE = SiteSettings(id="market", profile="lab", window_s=60.0, cameras=[CameraSettings(id="door", url="film.mp4")])
SCHEDULE = ConfigSchedule(SiteConfig.of(SITE))


def passage(at_s=0.0, created=HOUR, sequence=1, index=0):
    return PassageV1(
        site="market", camera="door", zone="_site", code="m", at=HOUR + round(at_s * SECOND),
        stream_created=created, stream_sequence=sequence, index=index,
    )  # fmt: skip


def out(start_s):
    """A window of the whole site, a minute long, that was published."""
    start = HOUR + start_s * SECOND
    return structs.replace(window(start), zone="_site", end=start + MINUTE)


@pytest.mark.parametrize(
    ("passages", "windows", "now_s", "created_s", "start_s", "reason"),
    [
        ([], [], 130, 130, 120, "started-late"),  # the first start of all
        ([passage(61)], [], 130, 0, 60, "started-late"),  # a passage that no window counts yet
        ([], [out(0)], 190, 0, 60, "started-late"),  # the series goes on where it ended
        ([], [out(0)], 190, 185, 60, "bus-restarted"),  # the stream is younger: the time before it is a gap, no hole
        ([], [out(0)], 8_000, 7_900, 7_980, "started-late"),  # but not for more than two hours
        ([passage(61)], [out(0)], 190, 100, 60, "bus-restarted"),
        ([passage(10)], [out(0)], 70, 0, 60, "started-late"),  # what a window counted waits for none
    ],
)
def test_the_first_window(passages, windows, now_s, created_s, start_s, reason):
    """It is that of the first message, of the earliest passage that waits, or the one after the last that is out."""
    created = HOUR + created_s * SECOND
    mine = [structs.replace(one, stream_created=created) for one in passages] if created_s == 0 else passages
    first = first_window(Restored.of(mine, windows), SCHEDULE, HOUR + now_s * SECOND, created)
    assert (first.start - HOUR, first.reason) == (start_s * SECOND, reason)
    assert first.waiting == [one for one in mine if not windows or one.at >= windows[-1].end]


@given(
    st.lists(st.integers(0, 600), max_size=5), st.lists(st.integers(0, 9), max_size=4, unique=True),
    st.integers(0, 900), st.integers(0, 900),
)  # fmt: skip
@examples(300)
def test_no_passage_that_waits_is_before_the_first_window(moments, minutes, now_s, created_s):
    """Whatever is stored: nothing is counted in a window that is out, and nothing that waits is left out."""
    restored = Restored.of(
        [passage(at, sequence=number) for number, at in enumerate(moments)], [out(60 * one) for one in sorted(minutes)]
    )
    now, created = HOUR + now_s * SECOND, HOUR + created_s * SECOND
    first = first_window(restored, SCHEDULE, now, created)
    assert first.start <= now
    assert first.start % MINUTE == 0
    assert all(first.start <= one.at for one in first.waiting)
    assert all(one.at >= restored.site_done for one in first.waiting)


def test_what_is_stored_twice_counts_once():
    """The same place in the stream and the same time: an acknowledgement was lost."""
    assert Restored.of([passage(1), passage(1), passage(2), passage(1, index=1)], []).passages == [
        passage(1), passage(2), passage(1, index=1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("other", "covered"),
    [
        (passage(5, sequence=7, index=1), True),
        (passage(4, sequence=7, index=0), True),
        (passage(4, sequence=3, index=9), True),
        (passage(5, sequence=7, index=2), False),
        (passage(5, sequence=8), False),
        (passage(6, sequence=3), False),  # a new stream with the old one's time of creation
        (passage(1, created=HOUR + 1), False),
    ],
)
def test_a_replay_makes_again_what_is_before_the_mark(other, covered):
    """By its place in the stream, and never what is later in event time than all that is stored."""
    stored = [passage(5, sequence=7, index=1), passage(1, sequence=2), passage(9, created=HOUR - 1, sequence=99)]
    assert ReplayMark.of(stored, HOUR).covers(other) == covered


def test_where_passages_were_dropped_only_those_that_were_read_are_stored():
    """The stream was full and has lost its oldest: they are counted again, the others are not."""
    stored = [passage(5, sequence=7, index=1), passage(6, sequence=9)]
    mark = ReplayMark.of(stored, HOUR, whole=False)
    assert [mark.covers(one) for one in (*stored, passage(4, sequence=7), passage(4, sequence=3))] == [
        True, True, False, False,
    ]  # fmt: skip


def test_without_stored_passages_nothing_is_made_again():
    """Not even what comes first in a stream."""
    assert not ReplayMark.of([], HOUR).covers(passage(0, sequence=0))


@pytest.mark.parametrize(("close_on_end", "ahead"), [(False, True), (True, False)])
def test_windows_of_the_future_are_found(close_on_end, ahead):
    """Some clock was wrong; only recordings are read faster than they play."""
    config = SiteConfig.of(structs.replace(SITE, close_on_end=close_on_end))
    windows = [
        structs.replace(out(0), config_sha256=config.sha256),
        structs.replace(out(60), config_sha256=config.sha256),
    ]
    assert last_ahead(windows, [config], HOUR + 2 * MINUTE) == 0
    assert last_ahead(windows, [config], HOUR + MINUTE) == (HOUR + 2 * MINUTE if ahead else 0)
    assert last_ahead(windows, [], HOUR) == HOUR + 2 * MINUTE


@pytest.mark.parametrize(
    ("needless_s", "first", "since"),
    [(0, "old", None), (150, "old", None), (250, "new", 300), (350, "new", 300), (10_000, "newest", None)],
)
def test_a_replay_begins_with_the_configuration_of_its_first_message(needless_s, first, since):
    """The stream may keep much older ones; the border is that which was said of it, then or later."""
    configs = {
        name: SiteConfig.of(structs.replace(SITE, lateness_s=lateness))
        for lateness, name in ((2.0, "old"), (3.0, "new"), (4.0, "newest"))
    }
    stored = [
        StoredConfig(configs["old"], HOUR + 100 * SECOND, None),
        StoredConfig(configs["new"], HOUR + 200 * SECOND, None),
        StoredConfig(configs["new"], HOUR + 300 * SECOND, HOUR + 300 * SECOND),
        StoredConfig(configs["newest"], HOUR + 400 * SECOND, None),
    ]
    found = first_config(stored, HOUR + needless_s * SECOND, configs["old"])
    assert found == (configs[first], None if since is None else HOUR + since * SECOND)
    assert first_config([], 0, configs["new"]) == (configs["new"], None)


@pytest.mark.parametrize(("came_s", "border_s", "held"), [(200, 300, "new"), (200, 400, "old"), (310, 300, "old")])
def test_a_configuration_that_was_replaced_before_its_border_never_held(came_s, border_s, held):
    """Another one took its border, and the windows from there on are that one's."""
    old, new = (SiteConfig.of(structs.replace(SITE, lateness_s=lateness)) for lateness in (2.0, 3.0))
    stored = [
        StoredConfig(old, HOUR + 100 * SECOND, HOUR + 300 * SECOND),
        StoredConfig(new, HOUR + came_s * SECOND, None),
        StoredConfig(new, HOUR + 500 * SECOND, HOUR + border_s * SECOND),
    ]
    found = (old, HOUR + 300 * SECOND) if held == "old" else (new, HOUR + border_s * SECOND)
    assert first_config(stored, 0, old) == found


@pytest.mark.parametrize(
    ("times", "skipped"),
    [
        ([100, 101, 102], [False, False, False]),
        ([10, 20, 100, 101], [True, True, False, False]),
        ([100, 102, 10, 20, 100, 101], [False, False, True, True, False, False]),  # stored ahead of time, then older
        ([10, 100, 12, 101], [True, False, False, False]),  # NATS's clock was behind for a moment
        ([100, 800, 12, 801], [False, False, False, False]),
    ],
)
def test_a_replay_leaves_out_old_messages_at_its_beginning_alone(times, skipped):
    """Those that the stream keeps for too long; not those of a clock that was behind later."""
    start = ReplayStart(HOUR + 50 * SECOND)
    assert [start.skips(HOUR + one * SECOND) for one in times] == skipped


def judged(at):
    """What may be published about a window that ends then, but the window."""
    state = RuleStateV1(
        site="market", zone="_site", rule="mask-rate", profile="lab", state="firing", before="pending",
        reason="held-long-enough", row=2, start=at - MINUTE, end=at,
    )  # fmt: skip
    return [alert(start=at - MINUTE, end=at), state, fault(at=at), fault(kind="no-data", name="_site", at=at)]


@pytest.mark.parametrize("kind", range(4))
def test_what_was_judged_in_the_future_is_found_without_its_window(kind):
    """Else each decision up to then would count as published already: a repair that broke off has left it."""
    one = judged(HOUR + MINUTE)[kind]
    config = SiteConfig.of(SITE)
    assert last_ahead([one, out(-60)], [config], HOUR) == HOUR + MINUTE
    assert last_ahead([one], [config], HOUR + MINUTE) == 0


def test_what_recordings_decided_may_be_ahead():
    """Up to their last window, whoever decided it; what is later was decided by a wrong clock."""
    config = SiteConfig.of(structs.replace(SITE, close_on_end=True))
    film = structs.replace(out(60), config_sha256=config.sha256)
    assert last_ahead([*judged(film.end), film, *judged(HOUR + MINUTE)], [config], HOUR) == 0
    for one in judged(film.end + 1):
        assert last_ahead([one, film], [config], HOUR) == film.end + 1


@pytest.mark.parametrize("kind", ["channel-down", "undelivered"])
def test_what_notify_publishes_stops_no_site(kind):
    """Its times are those of its own clock, and no decision waits for them."""
    assert last_ahead([fault(kind=kind, at=HOUR + DAY)], [], HOUR) == 0
