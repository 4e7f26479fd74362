"""Announcing a worker and keeping its keys: services.inference.keys."""

import asyncio
import contextlib
import time

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import REGISTRY

from proto.subjects import KEYS, WORKERS
from services.inference import keys as sut
from services.inference.keys import KeyReceiver
from services.sealing.wrap import is_genuine, wrap_key

IDENTITY = Ed25519PrivateKey.generate()
FRAME_KEY, KEY_ID = bytearray(range(32)), b"key id 8"


class Line:
    """A connection that keeps what is published."""

    def __init__(self):
        self.connected, self.published, self.error = True, [], None

    async def publish(self, row, message):
        if self.error:
            raise self.error
        assert row is WORKERS
        self.published.append(message)


@pytest.fixture(name="line")
def _line(monkeypatch):
    monkeypatch.setattr(sut, "ANNOUNCE_S", 0.1)
    return Line()


@contextlib.asynccontextmanager
async def announcing(line, sites=("cannes",)):
    receiver = KeyReceiver(line, "box-1", list(sites), IDENTITY)
    running = asyncio.create_task(receiver.run())
    try:
        yield receiver
        assert not running.done(), "it never ends by itself"
    finally:
        running.cancel()
        await asyncio.wait([running])


def refused():
    return REGISTRY.get_sample_value("moretta_inference_frame_keys_refused_total")


async def test_the_worker_announces_itself_to_every_site(line, wait_until):
    """Again and again, signed by the inference identity, each with a later time."""
    async with announcing(line, ["cannes", "lyon"]):
        await wait_until(lambda: len(line.published) >= 8)
    assert {m.site for m in line.published} == {"cannes", "lyon"}
    assert {m.worker for m in line.published} == {"box-1"}
    assert all(is_genuine(IDENTITY.public_key(), m) for m in line.published)
    times = [m.at for m in line.published if m.site == "lyon"]
    assert times == sorted(set(times))
    assert abs(times[-1] - time.time_ns()) < 5_000_000_000


async def test_a_clock_set_back_does_not_age_the_announcements(line, wait_until, monkeypatch):
    """Ingest refuses an older announcement as a replay, so the times follow the monotonic clock."""
    async with announcing(line):
        await wait_until(lambda: len(line.published) >= 2)
        monkeypatch.setattr(sut.time, "time_ns", lambda: 0)
        await wait_until(lambda: len(line.published) >= 4)
    times = [m.at for m in line.published]
    assert times == sorted(set(times))


async def test_new_sites_are_announced_to(line, wait_until):
    """After a reload the worker wants the keys of the new site too."""
    async with announcing(line) as receiver:
        await wait_until(lambda: line.published)
        receiver.sites = ["cannes", "lyon"]
        await wait_until(lambda: any(m.site == "lyon" for m in line.published))


async def test_keys_are_received_whatever_announcement_they_answer(line, wait_until):
    """A key made for one of the last three announcements opens: answers may cross the next announcement."""
    async with announcing(line) as receiver:
        await wait_until(lambda: len(line.published) >= 3)
        for number, said in enumerate(line.published[-3:]):
            await receiver._receive(wrap_key(FRAME_KEY, bytes([number] * 8), said), None)
        assert len(receiver.keys) == 3
        assert receiver.keys.get(bytes([2] * 8), time.monotonic_ns()) is not None


async def test_what_was_recorded_cannot_be_opened_later(line, wait_until):
    """The private key of an announcement is forgotten after three more: a recorded key message is noise even to us."""
    async with announcing(line) as receiver:
        await wait_until(lambda: line.published)
        recorded = wrap_key(FRAME_KEY, KEY_ID, line.published[0])
        await wait_until(lambda: len(line.published) >= 4)
        before = refused()
        await receiver._receive(recorded, None)
        assert (len(receiver.keys), refused() - before) == (0, 1)


@pytest.mark.parametrize(
    "change", [{"worker": "box-2"}, {"site": "lyon"}, {"wrapped": bytes(48)}, {"ephemeral": bytes(32)}]
)
async def test_a_key_that_was_not_made_for_us_is_refused(line, wait_until, change):
    """Counted, and nothing is kept; the receiver goes on."""
    async with announcing(line) as receiver:
        await wait_until(lambda: line.published)
        before = refused()
        message = wrap_key(FRAME_KEY, KEY_ID, line.published[-1])
        await receiver._receive(msgspec.structs.replace(message, **change), None)
        assert (len(receiver.keys), refused() - before) == (0, 1)


async def test_a_key_before_the_first_announcement_is_refused(line):
    """Nobody can have made it."""
    receiver = KeyReceiver(line, "box-1", ["cannes"], IDENTITY)
    other = KeyReceiver(line, "box-1", ["cannes"], IDENTITY)
    await other._announce()
    await receiver._receive(wrap_key(FRAME_KEY, KEY_ID, line.published[0]), None)
    assert len(receiver.keys) == 0


async def test_keys_of_an_idle_worker_die(line, wait_until, monkeypatch):
    """Without any frame a key is overwritten in time, by the announcing itself."""
    async with announcing(line) as receiver:
        await wait_until(lambda: line.published)
        secret = bytearray(FRAME_KEY)
        receiver.keys.add(KEY_ID, secret, time.monotonic_ns())
        began = time.monotonic()
        await wait_until(lambda: not any(secret))
        assert time.monotonic() - began < 2.0
    assert len(receiver.keys) == 0


async def test_keys_are_overwritten_at_the_end(line, wait_until):
    """A worker that stops leaves no key."""
    async with announcing(line) as receiver:
        await wait_until(lambda: line.published)
        secret = bytearray(FRAME_KEY)
        receiver.keys.add(KEY_ID, secret, time.monotonic_ns())
    assert secret == bytes(32)


async def test_nothing_is_announced_while_disconnected(line, wait_until):
    """The client would keep it all and send it late; after the outage the worker announces itself again."""
    line.connected = False
    async with announcing(line) as receiver:
        await asyncio.sleep(0.3)
        assert line.published == []
        assert len(receiver._private) == 0
        line.connected = True
        await wait_until(lambda: line.published)


async def test_a_connection_that_breaks_does_not_end_the_worker(line, wait_until):
    """An announcement that can't be sent is tried again a second later."""
    line.error = ConnectionError("lost")
    async with announcing(line):
        await asyncio.sleep(0.3)
        line.error = None
        await wait_until(lambda: line.published)


def test_the_row_of_the_keys_belongs_to_one_worker():
    """A worker subscribes to its own keys only."""
    assert KEYS.wildcard(worker="box-1") == "moretta.v1.keys.*.box-1"
