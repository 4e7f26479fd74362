"""What a site's runner does on the bus, where a real server cannot be made to do it."""

from dataclasses import replace

import pytest
from examples import examples
from fair_clock import fair_host
from hypothesis import given
from hypothesis import strategies as st
from messages import window
from msgspec import structs

from proto.public import WindowV1
from proto.sightings import PassageV1, SightingsV1
from services.aggregate import published
from services.aggregate.clock_skew import ClockSteppedBack
from services.aggregate.runner import SiteRunner
from services.aggregate.service import SiteRunners
from services.aggregate.settings import AggregateSettings
from services.bus import Fenced, StreamReset
from services.sites.settings import RuleSettings

SECOND = 1_000_000_000
DAY = 86_400 * SECOND

RULE = RuleSettings(id="low", fire_below=0.6, clear_above=0.8, for_windows=3)


@pytest.mark.parametrize(("few", "read"), [(0, 1), (2, 65), (70, 257), (700, 1_025)])
async def test_a_start_reads_no_more_than_it_needs(make, few, read):
    """Of thousands of windows the first and the last, and so many more that a row of windows without data is whole."""
    config = make.config(profile="alerting", window_s=300.0, rules=[RULE])
    windows = [_window(config, index, 50 if index < 3_000 - few else 5) for index in range(3_000)]
    found = await published.read(make.shelf(windows), "market", [config])
    assert found.windows == [windows[0], *windows[-read:]]


def _window(config, index, judged):
    at = index * config.window
    end = at + config.window
    return window(at, judged, (0, 0, 0), site="market", end=end, config_sha256=config.sha256)


class AtTheEnd(Exception):
    """The list of messages is at its end; a real stream never is."""


class FakeBus:
    """A bus that replays a list. A mock, since being fenced takes a race that no test can bring about for sure."""

    def __init__(self, messages, fence_on=None):
        self.messages, self.fence_on = messages, fence_on
        self.stored, self.conditions, self.streams = [], [], self

    async def created(self, _name):
        return 1, len(self.messages)

    async def history(self, _row, **_tokens):
        return []

    async def latest(self, _row, **_tokens):
        return []

    async def first(self, _row, **_tokens):
        return None

    async def last(self, _row, **_tokens):
        return None

    async def store(self, _row, message, *, message_id=None, held=None):
        self.stored.append((message, message_id))
        self.conditions.append(held)
        return len(self.stored)

    async def store_once(self, row, message, *, is_done, held=None):
        if isinstance(message, self.fence_on or ()):
            raise Fenced(row.of(message))
        self.stored.append((message, None))
        self.conditions.append(held)
        return True

    async def follow(self, _stream, _filters, *, start=1):
        for message in self.messages:
            yield message
        raise AtTheEnd


def runner(make, bus, ready=lambda _: None):
    """Return a runner of the small site on this bus."""
    return SiteRunner(bus, make.config(), AggregateSettings(), fair_host(), ready)


async def follow(subject):
    """Follow until the list is at its end."""
    with pytest.raises(AtTheEnd):
        await subject.follow()


def kinds(bus):
    """Return the names of what was stored, in order."""
    return [type(message).__name__ for message, _ in bus.stored]


async def test_nothing_is_published_after_being_fenced(make):
    """Somebody else published later than us: the task ends with Fenced and stores nothing more."""
    bus = FakeBus(make.stream().passer(5).ticks(8, 200).messages, fence_on=WindowV1)
    with pytest.raises(Fenced):
        await runner(make, bus).follow()
    assert kinds(bus) == ["SiteConfigV1", "PassageV1", "OperationalAlertV1"]


async def test_a_passage_is_stored_before_the_window_that_counts_it(make):
    """A crash between the two replays the window; the other way round it would lose the passage."""
    bus = FakeBus(make.stream().passer(5).watch(7.4, 59).passer(59).ticks(62, 63).messages)
    await follow(runner(make, bus))
    assert kinds(bus) == ["SiteConfigV1", "PassageV1", "PassageV1", "WindowV1"]


async def test_passages_have_ids_of_their_own(make):
    """Two people whose tracks one message closes are two messages to the server's de-duplication."""
    stream = make.stream()
    for step in range(5):
        stream.seen(5 + step / 5, make.face(0.2), make.face(0.8))
    bus = FakeBus(stream.watch(6, 9).messages)
    await follow(runner(make, bus))
    ids = [name for message, name in bus.stored if isinstance(message, PassageV1)]
    assert len(ids) == len(set(ids)) == 2


async def test_nothing_is_stored_without_a_valid_lease(make):
    """Whatever is stored is stored under the condition that the lease is valid at that moment."""
    stream, held = make.stream().passer(5).watch(7.4, 59).passer(59).ticks(62, 63), object()
    bus = FakeBus(stream.messages)
    await follow(SiteRunner(bus, make.config(), AggregateSettings(), fair_host(), lambda _: None, held=held))
    assert len(bus.conditions) == len(bus.stored) == 4
    assert set(bus.conditions) == {held}


async def test_ready_after_the_last_message_of_before(make):
    """Readiness comes with the last message that was stored before the start, not earlier."""
    told = []
    bus = FakeBus(make.stream().watch(0, 2).messages)
    messages, bus.messages = bus.messages, bus.messages[:-1]

    async def created(_name):
        return 1, len(messages)

    bus.created = created
    await follow(runner(make, bus, told.append))
    assert True not in told
    bus.messages = messages
    await follow(runner(make, bus, told.append))
    assert told[-1] is True


async def test_a_lost_stream_gets_its_configuration_again(make):
    """The new stream is empty: the configuration in force is announced into it."""
    bus = FakeBus([*make.stream().watch(0, 2).messages, StreamReset(5)])
    await follow(runner(make, bus))
    assert kinds(bus) == ["SiteConfigV1", "SiteConfigV1"]


class LiveBus(FakeBus):
    """A bus whose messages come as they are stored. `clock` goes on when it is read; it is wrong by `off` from the
    first message on.
    """

    def __init__(self, messages, true, off=0):
        super().__init__(messages)
        self.true, self.now, self.off, self.will_be = true, true[0], 0, off
        self.stepped = lambda: None

    def clock(self):
        self.now += SECOND // 1_000  # more would bring it within two seconds of a message that is ahead by three
        return self.now + self.off

    def steady(self):
        return self.now

    def host(self, offset_s=lambda: 0.0):
        return fair_host(offset_s, self.clock, self.steady)

    async def follow(self, _stream, _filters, *, start=1):
        self.off = self.will_be
        self.stepped()
        for message, true in zip(self.messages, self.true, strict=True):
            self.now = max(self.now, true)
            yield message
        raise AtTheEnd

    @property
    def windows(self):
        return [message for message, _ in self.stored if isinstance(message, WindowV1)]


def stepped(make, by, first=70, last=75):
    """Four minutes of a door, and when each message was stored; NATS's clock is ahead by so much for five seconds."""
    stream = make.stream(ordered=False).ticks(0, 240)
    for second in range(0, 240, 20):
        stream.watch(second, second + 5).passer(second + 5).watch(second + 7.4, second + 20)
    ordered = sorted(stream.messages, key=lambda one: one.time)
    spell = range(make.hour + first * SECOND, make.hour + last * SECOND)
    messages = [replace(m, sequence=n, time=m.time + by * (m.time in spell)) for n, m in enumerate(ordered, 1)]
    return messages, [one.time for one in ordered]


@pytest.mark.parametrize("by", [5 * SECOND, 3_600 * SECOND, DAY])
async def test_while_the_servers_clock_was_ahead_time_stands_still(make, by):
    """It is right again when we look: no window of the future is published, and the others are the same bytes."""
    told = [await _windows(make, ahead) for ahead in (0, by)]
    assert told[0] == told[1]
    assert [window.persons for window in told[0] if window.zone == "_site"] == [3, 3, 3]


async def _windows(make, ahead, first=70, last=75):
    """Return what is published of the four minutes while NATS's clock is ahead in a part of them."""
    bus = LiveBus(*stepped(make, ahead, first, last))
    await follow(SiteRunner(bus, make.config(), AggregateSettings(), bus.host(), lambda *_, **__: None))
    return bus.windows


@given(st.integers(3 * SECOND, 30 * DAY), st.integers(1, 225), st.integers(1, 15))
@examples(40, ordinary=5)
async def test_whenever_and_however_far_the_servers_clock_was_ahead(make, by, first, lasts):
    """The same bytes as with a clock that was right."""
    assert await _windows(make, by, first, first + lasts) == await _windows(make, 0)


class Box(LiveBus):
    """A bus and a host with one clock, which is ahead by so much in a spell of time."""

    def __init__(self, make, by, spell, *, is_over):
        super().__init__(*stepped(make, by, *spell))
        self.spell = range(make.hour + spell[0] * SECOND, make.hour + spell[1] * SECOND)
        self.by, self.is_over = by, is_over
        self.messages = [self.as_stored(one, true) for one, true in zip(self.messages, self.true, strict=True)]

    def as_stored(self, one, true):
        """Ingest has this clock, too: event times are ahead, and after the step back each lease has a new number."""
        if not isinstance(one.message, SightingsV1):
            return one
        ahead = self.by * (true in self.spell)
        lease = one.message.lease + (true >= self.spell.stop)
        return replace(one, message=structs.replace(one.message, at=one.message.at + ahead, lease=lease))

    def clock(self):
        self.now += SECOND // 100
        return self.now + self.by * (self.now in self.spell and not self.is_over)


@pytest.mark.parametrize(("by", "lost"), [(5 * SECOND, 0), (100 * SECOND, 1), (3_600 * SECOND, 1), (DAY, 1)])
async def test_a_box_whose_clock_was_ahead_begins_anew_and_counts(make, by, lost):
    """NATS and this host have one clock, so nobody notices until it is set back; what was decided ahead is repaired.

    Who passed meanwhile is in no window that was yet to come: the one in which it was says that pictures were lost.
    """
    bus, quiet = Box(make, by, (63, 75), is_over=False), lambda *_, **__: None
    with pytest.raises(ClockSteppedBack):
        await SiteRunner(bus, make.config(), AggregateSettings(), bus.host(), quiet).follow()
    assert bus.now < make.hour + 80 * SECOND
    again = Box(make, by, (63, 75), is_over=True)
    again.now = again.spell.stop
    await follow(SiteRunner(again, make.config(), AggregateSettings(), again.host(), quiet))
    windows = [window for window in again.windows if window.zone == "_site"]
    assert [window.persons for window in windows] == [3, 3 - lost, 3]
    assert ["frames-lost" in window.gaps for window in windows] == [False, True, False]


async def test_a_site_that_begins_anew_is_given_up_first():
    """As one that another replica publishes: whoever takes it then reads the stream from its start."""
    sites = SiteRunners(*[None] * 4)

    async def followed():
        raise ClockSteppedBack("3600 s")

    await sites._until_fenced("market", followed())
    assert sites.fenced == {"market"}


async def test_a_host_whose_clock_is_behind_publishes_later_and_the_same(make, monkeypatch):
    """The two clocks disagree, and nobody can say which is wrong: it waits until its own gets there."""
    monkeypatch.setattr("services.aggregate.clock_skew.LOOK_S", 0.0)
    messages, true = stepped(make, 0)
    bus = LiveBus(messages[:900], true[:900], off=-3 * SECOND)
    clock = bus.host(lambda: bus.off / SECOND)
    bus.stepped = clock.look
    await follow(SiteRunner(bus, make.config(), AggregateSettings(), clock, lambda *_, **__: None))
    assert [window.persons for window in bus.windows if window.zone == "_site"] == [3, 3]
    assert bus.now + bus.off >= messages[899].time - 2 * SECOND


async def test_windows_of_the_future_stop_a_site_until_they_are_removed(make, monkeypatch):
    """The reason names the command; when it was run, the site goes on by itself."""
    monkeypatch.setattr("services.aggregate.runner._REPAIR_S", 0.0)
    bus, told, asked = LiveBus(*stepped(make, 0)), [], []
    ahead = window(make.hour + DAY, 5, (0, 0, 0), site="market", end=make.hour + DAY + 60 * SECOND)

    async def read(_bus, _site, _configs):
        asked.append(None)
        return published.Published([], [], [], [ahead] if len(asked) < 3 else [])

    monkeypatch.setattr(published, "read", read)
    await follow(SiteRunner(
        bus, make.config(), AggregateSettings(), bus.host(), lambda done, why="": told.append((done, why))
    ))  # fmt: skip
    whys = [why for done, why in told if not done and why]
    assert len(whys) == 2
    assert "moretta repair market -c BACKUP.yaml" in whys[0]
    assert [window.persons for window in bus.windows if window.zone == "_site"] == [3, 3, 3]
