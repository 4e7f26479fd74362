"""The bounded publisher: services.inference.publisher."""

import asyncio
import contextlib

import messages
import pytest
from patience import patient
from prometheus_client import REGISTRY

from proto.codec import ContractError
from proto.subjects import SIGHTINGS
from services.inference import publisher as sut
from services.inference.publisher import SightingsPublisher

LIMIT_S = 0.2
"""The limit of what is never stored here. What is stored has as long as a busy machine may need."""


class JetStream:
    """A bus that stores, or hangs, or raises, as it is told."""

    def __init__(self):
        self.stored, self.ids, self.asked = [], [], []
        self.connected = True
        self.hangs, self.errors = False, {}

    async def store(self, row, message, *, message_id):
        assert row is SIGHTINGS
        self.asked.append(message.sequence)
        if message.sequence in self.errors:
            raise self.errors[message.sequence]
        while self.hangs:
            await asyncio.sleep(0.005)
        self.stored.append(message.sequence)
        self.ids.append(message_id)


def sightings(sequence, lease=7):
    return messages.sightings(site="s", camera="c", lease=lease, sequence=sequence, at=sequence)


def lost():
    return REGISTRY.get_sample_value("moretta_inference_sightings_lost_total")


@pytest.fixture(name="jetstream")
def _jetstream(monkeypatch):
    monkeypatch.setattr(sut, "_TIMEOUT_S", patient())
    return JetStream()


@pytest.fixture(name="briefly")
def _briefly(monkeypatch):
    """What is emitted meanwhile has a short limit, which ends at one moment for all of it, on a slow machine too."""

    @contextlib.contextmanager
    def briefly():
        loop = asyncio.get_running_loop()
        now = loop.time()
        with monkeypatch.context() as patch:
            patch.setattr(sut, "_TIMEOUT_S", LIMIT_S)
            patch.setattr(loop, "time", lambda: now)
            yield

    return briefly


async def flushed(publisher):
    """Wait until all is stored or lost; a publisher that hangs fails the test."""
    await asyncio.wait_for(publisher.flush(), patient())


@pytest.fixture(name="publisher")
async def _publisher(jetstream):
    publisher = SightingsPublisher(jetstream)
    running = asyncio.create_task(publisher.run())
    yield publisher
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_sightings_are_stored_in_order(publisher, jetstream):
    """What was emitted first is stored first, each under an id of its own that a second try would share."""
    for number in range(100):
        publisher.emit(sightings(number))
    await flushed(publisher)
    assert jetstream.stored == list(range(100))
    assert jetstream.ids[:2] == ["s/c/7/0", "s/c/7/1"]
    assert len(set(jetstream.ids)) == 100


async def test_emit_never_waits(jetstream):
    """It is no coroutine: the caller goes on at once, whatever JetStream does."""
    publisher = SightingsPublisher(jetstream)
    assert publisher.emit(sightings(1)) is None


async def test_what_is_not_stored_in_time_is_lost_and_later_ones_go_on(publisher, jetstream, briefly):
    """A hanging JetStream costs what it did not take within the limit, counted, and nothing that comes after."""
    before = lost()
    jetstream.hangs = True
    with briefly():
        publisher.emit(sightings(1))
    await flushed(publisher)
    assert (jetstream.stored, lost() - before) == ([], 1)
    jetstream.hangs = False
    publisher.emit(sightings(2))
    await flushed(publisher)
    assert (jetstream.stored, lost() - before) == ([2], 1)


async def test_the_limit_counts_from_the_emission(publisher, jetstream, briefly):
    """What waited behind another one does not get a time of its own: all that hung is lost after one limit."""
    before, loop = lost(), asyncio.get_running_loop()
    jetstream.hangs = True
    began = loop.time()
    with briefly():
        for number in range(20):
            publisher.emit(sightings(number))
    await flushed(publisher)
    assert loop.time() - began > LIMIT_S * 0.9
    assert jetstream.asked == [0]
    assert (jetstream.stored, lost() - before) == ([], 20)


async def test_what_is_too_old_is_not_sent_at_all(publisher, jetstream, briefly):
    """A message that is counted as lost does not turn up later: `ended` may already have been told."""
    jetstream.hangs = True
    with briefly():
        for number in range(5):
            publisher.emit(sightings(number))
    await flushed(publisher)
    assert jetstream.asked == [0]


async def test_nothing_is_given_to_a_client_that_would_send_it_later(publisher, jetstream, briefly):
    """While disconnected nothing is published; what comes back in time is stored, what does not is lost."""
    before = lost()
    jetstream.connected = False
    with briefly():
        publisher.emit(sightings(1))
    await flushed(publisher)
    assert (jetstream.asked, lost() - before) == ([], 1)
    publisher.emit(sightings(2))
    await asyncio.sleep(0)
    jetstream.connected = True
    await flushed(publisher)
    assert (jetstream.stored, lost() - before) == ([2], 1)


@pytest.mark.parametrize("error", [ContractError("SightingsV1", "no"), RuntimeError("a stream without room")])
async def test_one_bad_message_does_not_stop_the_others(publisher, jetstream, error):
    """What can never be stored is counted as lost; the publisher goes on."""
    before = lost()
    jetstream.errors[2] = error
    for number in (1, 2, 3):
        publisher.emit(sightings(number))
    await flushed(publisher)
    assert (jetstream.stored, lost() - before) == ([1, 3], 1)


async def test_the_queue_is_bounded_and_the_oldest_is_lost(jetstream, monkeypatch):
    """Memory does not grow with an outage: the newest are kept, each one dropped is counted."""
    monkeypatch.setattr(sut, "_QUEUE", 4)
    publisher, before = SightingsPublisher(jetstream), lost()
    for number in range(10):
        publisher.emit(sightings(number))
    assert lost() - before == 6
    running = asyncio.create_task(publisher.run())
    await flushed(publisher)
    running.cancel()
    await asyncio.wait([running])
    assert jetstream.stored == [6, 7, 8, 9]


async def test_flush_waits_for_what_is_being_stored(publisher, jetstream):
    """The last sightings of a stopping worker are stored before its connection closes."""
    jetstream.hangs = True
    publisher.emit(sightings(1))
    flushing = asyncio.create_task(publisher.flush())
    await asyncio.sleep(0.02)
    assert not flushing.done()
    jetstream.hangs = False
    await asyncio.wait_for(flushing, patient())
    assert jetstream.stored == [1]
