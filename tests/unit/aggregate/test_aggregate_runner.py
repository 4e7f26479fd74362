"""What a site's runner does on the bus, where a real server cannot be made to do it."""

import pytest
from messages import window

from proto.public import WindowV1
from proto.sightings import PassageV1
from services.aggregate import published
from services.aggregate.runner import SiteRunner
from services.aggregate.settings import AggregateSettings
from services.bus import Fenced, StreamReset
from services.sites.settings import RuleSettings

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
    return SiteRunner(bus, make.config(), AggregateSettings(), ready)


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
    await follow(SiteRunner(bus, make.config(), AggregateSettings(), lambda _: None, held=held))
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
