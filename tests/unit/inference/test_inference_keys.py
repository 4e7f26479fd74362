"""Announcing a worker and keeping its keys: services.inference.keys."""

import asyncio
import contextlib
import gc
import sys
import time

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from patience import patient, until
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from proto.subjects import KEYS, WORKERS
from services.frames.sealing.keys import OPEN_NS, FrameKey
from services.frames.sealing.wrap import is_genuine, wrap_key
from services.inference import keys as sut
from services.inference.keys import KeyReceiver
from services.kernel.clock import boottime_ns

IDENTITY, INGEST = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
FRAME_KEY, KEY_ID = bytearray(range(32)), b"key id 8"
PUBLIC = X25519PrivateKey.generate().public_key().public_bytes_raw()
MS = 1_000_000


def wrapped(said, key_id=KEY_ID, signer=INGEST, **ages):
    """A key message as ingest makes it."""
    return wrap_key(signer, FrameKey(key_id, FRAME_KEY, None, 0), said, **ages)


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
    receiver = KeyReceiver(line, "box-1", list(sites), IDENTITY, (INGEST.public_key(),))
    running = asyncio.create_task(receiver.run())
    try:
        yield receiver
        assert not running.done(), "it never ends by itself"
    finally:
        running.cancel()
        await asyncio.wait([running])


def refused():
    return REGISTRY.get_sample_value("moretta_inference_frame_keys_refused_total")


async def test_the_worker_announces_itself_to_every_site(line):
    """Again and again, signed by the inference identity, each with a later time."""
    async with announcing(line, ["cannes", "lyon"]):
        await until(lambda: len(line.published) >= 8)
    assert {m.site for m in line.published} == {"cannes", "lyon"}
    assert {m.worker for m in line.published} == {"box-1"}
    assert all(is_genuine([IDENTITY.public_key()], m) for m in line.published)
    times = [m.at for m in line.published if m.site == "lyon"]
    assert times == sorted(set(times))
    assert abs(times[-1] - time.time_ns()) < 5_000_000_000


async def test_a_clock_set_back_does_not_age_the_announcements(line, monkeypatch):
    """Ingest refuses an older announcement as a replay, so the times follow the monotonic clock."""
    async with announcing(line):
        await until(lambda: len(line.published) >= 2)
        real = time.time_ns
        monkeypatch.setattr(sut.time, "time_ns", lambda: real() - 25_000 * MS)
        await until(lambda: len(line.published) >= 4)
        times = [m.at for m in line.published]
        assert times == sorted(set(times))
        monkeypatch.setattr(sut.time, "time_ns", lambda: real() - 86_400_000 * MS)
        so_far = len(line.published)
        await until(lambda: len(line.published) >= so_far + 2)
    assert line.published[-1].at < times[0] - 86_000_000 * MS, "one that was set far back is followed"


async def test_new_sites_are_announced_to(line):
    """After a reload the worker wants the keys of the new site too."""
    async with announcing(line) as receiver:
        await until(lambda: line.published)
        receiver.sites = ["cannes", "lyon"]
        await until(lambda: any(m.site == "lyon" for m in line.published))


async def test_keys_are_received_whatever_announcement_they_answer(line):
    """A key made for one of the last three announcements opens: answers may cross the next announcement."""
    async with announcing(line) as receiver:
        await until(lambda: len(line.published) >= 3)
        for number, said in enumerate(line.published[-3:]):
            await receiver._receive(wrapped(said, bytes([number] * 8)), None)
        assert len(receiver.keys) == 3
        assert receiver.keys.get("cannes", bytes([2] * 8), boottime_ns()) is not None


@pytest.mark.parametrize("connected", [True, False])
async def test_what_was_recorded_cannot_be_opened_later(line, monkeypatch, connected):
    """An announcement's private key is soon forgotten, also in an outage: a recorded message is noise even to us."""
    monkeypatch.setattr(sut, "_PRIVATE_NS", 300 * MS)
    async with announcing(line) as receiver:
        await until(lambda: line.published)
        recorded, first = wrapped(line.published[0]), receiver._private[0]
        line.connected = connected
        await until(lambda: first not in receiver._private)
        assert connected or len(receiver._private) == 0
        before = refused()
        await receiver._receive(recorded, None)
        assert (len(receiver.keys), refused() - before) == (0, 1)
    assert len(receiver._private) == 0


async def test_no_error_keeps_a_private_key(line, monkeypatch):
    """A key that answers an earlier announcement is tried on the later one first: nothing refers to that any more."""
    monkeypatch.setattr(sut, "_PRIVATE_NS", 600_000 * MS)  # on a machine as slow as it likes
    async with announcing(line) as receiver:
        await until(lambda: len(line.published) >= 2)
        gc.collect()
        gc.disable()
        try:
            held = [said.private for said in receiver._private]
            before = [sys.getrefcount(private) for private in held]
            await receiver._receive(wrapped(line.published[0]), None)
            await receiver._receive(wrapped(msgspec.structs.replace(line.published[0], public_key=PUBLIC)), None)
            assert len(receiver.keys) == 1
            assert [sys.getrefcount(private) for private in held] == before
        finally:
            gc.enable()


async def test_a_key_played_back_lives_no_longer(line):
    """However late it comes, and whatever it was held back for, it dies two seconds after its birth at the latest."""
    async with announcing(line) as receiver:
        await until(lambda: line.published)
        made = receiver._private[0].made
        await receiver._receive(wrapped(line.published[0], age=300 * MS), None)
        key = receiver.keys.get("cannes", KEY_ID, made)
        assert key.born == made - 300 * MS
        assert made < key.born + key.doubt + 300 * MS <= boottime_ns(), "as young as it may be: just sent"
        receiver.keys.expire(key.born + OPEN_NS)
        await receiver._receive(wrapped(line.published[0], age=OPEN_NS), None)
        assert len(receiver.keys) == 0


async def test_a_key_that_ingest_did_not_sign_is_refused(line):
    """Else whoever can publish hands workers keys of his own, and pictures to count. After a reload it is another's."""
    async with announcing(line) as receiver:
        await until(lambda: line.published)
        stranger, before = Ed25519PrivateKey.generate(), refused()
        await receiver._receive(wrapped(line.published[-1], signer=stranger), None)
        assert (len(receiver.keys), refused() - before) == (0, 1)
        receiver.trust(IDENTITY, (stranger.public_key(),))
        await receiver._receive(wrapped(line.published[-1]), None)
        assert (len(receiver.keys), refused() - before) == (0, 2)
        await receiver._receive(wrapped(line.published[-1], signer=stranger), None)
        assert len(receiver.keys) == 1


async def test_a_key_that_was_not_made_for_us_is_refused(line):
    """Counted, and nothing is kept, though ingest did sign it; the receiver goes on."""
    change = {"public_key": PUBLIC}
    async with announcing(line) as receiver:
        await until(lambda: line.published)
        before = refused()
        said = msgspec.structs.replace(line.published[-1], **change)
        await receiver._receive(wrapped(said), None)
        assert (len(receiver.keys), refused() - before) == (0, 1)


async def test_a_key_of_a_site_that_the_worker_does_not_have_is_refused(line):
    """After a reload without Lyon its keys are refused: a worker has no room for sites that it does not serve."""
    async with announcing(line, ["cannes", "lyon"]) as receiver:
        await until(lambda: len(line.published) >= 2)
        said, before = next(m for m in line.published if m.site == "lyon"), refused()
        receiver.sites = ["cannes"]
        await receiver._receive(wrapped(said), None)
        assert (len(receiver.keys), refused() - before) == (0, 1)


async def test_displaced_keys_are_counted_and_told_of_once(line):
    """Too many ingests of one site: a counter by site, and one line in the log, not one for each key."""

    def displaced():
        return REGISTRY.get_sample_value("moretta_inference_frame_keys_displaced_total", {"site": "cannes"}) or 0

    async with announcing(line) as receiver:
        before = displaced()
        with capture_logs() as lines:
            for number in range(sut.MAX_OF_SITE + 3):
                receiver.keys.add("cannes", number.to_bytes(8, "big"), bytearray(FRAME_KEY), boottime_ns())
        assert displaced() - before == 3
        assert [line["site"] for line in lines if line["event"] == "frame keys over limit"] == ["cannes"]


async def test_refused_keys_are_logged_once_a_minute(line, monkeypatch):
    """For each site and reason, by a made-up clock; the counter has them all. Foreign sites are one, however many."""
    now, before, stranger = [boottime_ns()], refused(), Ed25519PrivateKey.generate()
    monkeypatch.setattr(sut, "boottime_ns", lambda: now[0])
    receiver = KeyReceiver(line, "box-1", ["cannes", "lyon"], IDENTITY, (INGEST.public_key(),))
    await receiver._announce()

    async def refuse(count):
        for number in range(count):
            for said in (*line.published[:2], msgspec.structs.replace(line.published[0], site=f"site-{number}")):
                await receiver._receive(wrapped(said, signer=stranger), None)

    with capture_logs() as lines:
        await refuse(100)
        assert [line["site"] for line in lines] == ["cannes", "lyon", "site-0"]
        now[0] += 59_000 * MS
        await refuse(1)
        await receiver._receive(wrapped(msgspec.structs.replace(line.published[0], public_key=PUBLIC)), None)
        assert len(lines) == 4, "another reason is told by itself"
        now[0] += 1_000 * MS
        await refuse(2)
    assert [line["site"] for line in lines[4:]] == ["cannes", "lyon", "site-0"]
    assert refused() - before == 3 * 103 + 1


async def test_a_key_before_the_first_announcement_is_refused(line):
    """Nobody can have made it."""
    receiver, other = (KeyReceiver(line, "box-1", ["cannes"], IDENTITY, (INGEST.public_key(),)) for _ in range(2))
    await other._announce()
    await receiver._receive(wrapped(line.published[0]), None)
    assert len(receiver.keys) == 0


async def test_keys_of_an_idle_worker_die(line, monkeypatch):
    """Without any frame a key is overwritten in time, by the announcing itself."""
    async with announcing(line) as receiver:
        await until(lambda: line.published)
        secret = bytearray(FRAME_KEY)
        receiver.keys.add("cannes", KEY_ID, secret, boottime_ns())
        began = time.monotonic()
        await until(lambda: not any(secret))
        assert time.monotonic() - began < patient(5)
    assert len(receiver.keys) == 0


async def test_keys_are_overwritten_at_the_end(line):
    """A worker that stops leaves no key."""
    async with announcing(line) as receiver:
        await until(lambda: line.published)
        secret = bytearray(FRAME_KEY)
        receiver.keys.add("cannes", KEY_ID, secret, boottime_ns())
    assert secret == bytes(32)


async def test_nothing_is_announced_while_disconnected(line):
    """The client would keep it all and send it late; after the outage the worker announces itself again."""
    line.connected = False
    async with announcing(line) as receiver:
        await asyncio.sleep(0.3)
        assert line.published == []
        assert len(receiver._private) == 0
        line.connected = True
        await until(lambda: line.published)


async def test_a_connection_that_breaks_does_not_end_the_worker(line):
    """An announcement that can't be sent is tried again a second later."""
    line.error = ConnectionError("lost")
    async with announcing(line):
        await asyncio.sleep(0.3)
        line.error = None
        await until(lambda: line.published)


def test_the_row_of_the_keys_belongs_to_one_worker():
    """A worker subscribes to its own keys only."""
    assert KEYS.wildcard(worker="box-1") == "moretta.v1.keys.*.box-1"
