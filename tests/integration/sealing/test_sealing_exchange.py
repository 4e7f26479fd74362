"""Ingest's KeyGiver and inference's KeyReceiver on a real server with the box's permissions."""

import asyncio
import contextlib
import time

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from frames_tap import with_tap
from nats.aio.client import Client
from patience import patient, until
from site_process import Site
from structlog.testing import capture_logs

from proto.subjects import KEYS, WORKERS
from services.frames.sealing.keys import KEEP_NS
from services.frames.sealing.wrap import announce
from services.inference.keys import KeyReceiver
from services.ingest.camera import keys as giving
from services.ingest.camera.keys import KeyGiver
from services.kernel.clock import boottime_ns

IDENTITY, INGEST = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


@pytest.fixture(name="site")
def _site(tmp_path):
    site = Site(tmp_path, extend=with_tap)
    site.server.start()
    yield site
    site.close()


class Exchange:
    """A giver, and receivers and forgers beside it."""

    def __init__(self, stack, site):
        self.stack, self.site, self.tasks = stack, site, []
        self.announced = []

    async def giver(self, name="cannes", identity=IDENTITY, *, serves=True):
        bus = await self.stack.enter_async_context(self.site.bus("ingest", "MORETTA_FRAMES"))
        giver = KeyGiver(bus, name, INGEST, (identity.public_key(),))
        await giver.listen()
        if serves:
            giver.begin()
        self.run(giver.run())
        return giver

    async def receiver(self, worker="box-1", sites=("cannes",), identity=IDENTITY):
        bus = await self.stack.enter_async_context(self.site.bus("inference", "MORETTA_FRAMES"))
        receiver = KeyReceiver(bus, worker, list(sites), identity, (INGEST.public_key(),))
        await receiver.listen()
        self.run(receiver.run())
        return receiver

    def run(self, coro):
        self.tasks.append(asyncio.create_task(coro))
        return self.tasks[-1]

    async def tap(self):
        """Everything that is said in the account MORETTA_FRAMES, as subject and payload."""
        client, heard = Client(), []
        await client.connect(self.site.server.url, user="tap", password="tap")
        self.stack.push_async_callback(client.close)

        async def hear(msg):
            heard.append((msg.subject, bytes(msg.data)))

        await client.subscribe(">", cb=hear)
        return heard

    async def inference(self):
        """A bus with the rights of inference, for what is forged or replayed."""
        return await self.stack.enter_async_context(self.site.bus("inference", "MORETTA_FRAMES"))


@pytest.fixture(name="exchange")
async def _exchange(site):
    async with contextlib.AsyncExitStack() as stack:
        exchange = Exchange(stack, site)
        yield exchange
        for task in exchange.tasks:
            assert not task.done(), "neither side ever ends by itself"
            task.cancel()
        await asyncio.gather(*exchange.tasks, return_exceptions=True)


def held(receiver):
    """A worker's living keys by id, of all sites."""
    receiver.keys.expire(boottime_ns())
    return {name: key for keys in receiver.keys._sites.values() for name, key in keys.items()}


def holds(receiver, key):
    return key.id in held(receiver)


async def test_a_worker_that_comes_gets_the_keys(exchange):
    """Within moments of its announcement it opens what ingest seals from then on."""
    giver = await exchange.giver()
    receiver = await exchange.receiver()
    await until(lambda: holds(receiver, giver.current()))


async def test_keys_exist_only_while_a_camera_is_served(exchange):
    """Before `begin` and after `end` nothing is handed out, though the worker announces itself all the time."""
    giver, heard = await exchange.giver(serves=False), await exchange.tap()
    receiver = await exchange.receiver()
    await until(lambda: sum(subject.startswith("moretta.v1.workers.") for subject, _ in heard) >= 4, "announced")
    assert not [subject for subject, _ in heard if subject.startswith("moretta.v1.keys.")]
    giver.begin()
    await until(lambda: holds(receiver, giver.current()))
    secrets = [key.secret for key in giver._keys._keys]
    giver.end()
    assert [bytes(secret) for secret in secrets] == [bytes(32)] * len(secrets)
    heard.clear()
    await until(lambda: sum(subject.startswith("moretta.v1.workers.") for subject, _ in heard) >= 4, "announced again")
    assert not [subject for subject, _ in heard if subject.startswith("moretta.v1.keys.")]
    giver.begin()
    await until(lambda: holds(receiver, giver.current()), "after that they come again")


async def test_the_first_camera_waits_for_no_announcement(exchange):
    """A worker that was heard before the camera came gets the key at once: it does not announce itself any more here.

    Else the first half second of a site that another replica takes over would be lost.
    """
    giver, heard = await exchange.giver(serves=False), await exchange.tap()
    bus = await exchange.inference()
    receiver = KeyReceiver(bus, "box-1", ["cannes"], IDENTITY, (INGEST.public_key(),))
    await receiver.listen()
    await receiver._announce()
    await until(lambda: giver._heard, "the announcement")
    giver.begin()
    await until(lambda: holds(receiver, giver.current()), "the first key", every_s=0.01)
    assert len([subject for subject, _ in heard if subject.startswith("moretta.v1.workers.")]) == 1
    receiver.keys.destroy()


async def test_a_forged_announcement_is_refused_when_keys_are_needed(exchange):
    """Without need nothing is checked; but nobody gets a key whom the identity did not sign."""
    giver = await exchange.giver(serves=False)
    bus = await exchange.inference()
    stranger = announce(Ed25519PrivateKey.generate(), "cannes", "stranger", _public(), time.time_ns())
    friend = announce(IDENTITY, "cannes", "friend", _public(), time.time_ns())
    for message in (stranger, friend):
        await bus.publish(WORKERS, message)
    await until(lambda: set(giver._heard) == {"stranger", "friend"}, "both are heard")
    with capture_logs() as lines:
        giver.begin()
    assert set(giver._workers) == {"friend"}
    assert [line["worker"] for line in lines if "not signed" in line.get("reason", "")] == ["stranger"]


@pytest.mark.alone
async def test_for_five_seconds_no_frame_is_without_its_key(exchange):
    """Keys change every second in real time; once joined, each worker holds whatever key seals."""
    giver = await exchange.giver()
    receivers = [await exchange.receiver(f"box-{n}") for n in range(3)]
    await until(lambda: all(holds(receiver, giver.current()) for receiver in receivers))
    used, missing, end = set(), 0, time.monotonic() + 5
    while time.monotonic() < end:
        key = giver.current()
        used.add(key.id)
        await asyncio.sleep(0.02)  # a frame takes a moment
        missing += sum(not holds(receiver, key) for receiver in receivers)
    assert 4 <= len(used) <= 8
    assert missing == 0


@pytest.mark.alone
async def test_no_key_grows_old_on_either_side(exchange):
    """Every secret that was ever held is zeros 2 s after the key's birth, on a machine that is not frozen."""
    giver = await exchange.giver()
    receiver = await exchange.receiver()
    seen = {}
    end = time.monotonic() + 4.5
    late = []
    while time.monotonic() < end:
        now = boottime_ns()
        for key in [*giver._keys._keys, *held(receiver).values()]:
            seen.setdefault(id(key.secret), (key.secret, now))
        late += [now - first for secret, first in seen.values() if any(secret) and now - first > KEEP_NS + 500_000_000]
        await asyncio.sleep(0.02)
    assert len(seen) >= 6
    assert late == []


async def test_an_announcement_of_another_identity_gets_nothing(exchange):
    """A worker that the inference identity did not sign gets no key, and is named in the log."""
    giver = await exchange.giver()
    with capture_logs() as lines:
        stranger = await exchange.receiver("stranger", identity=Ed25519PrivateKey.generate())
        friend = await exchange.receiver("friend")
        await until(lambda: holds(friend, giver.current()))
        await until(lambda: any("not signed" in line.get("reason", "") for line in lines))
    assert len(stranger.keys) == 0
    assert set(giver._workers) == {"friend"}


@pytest.mark.parametrize("change", [{"worker": "other"}, {"public_key": bytes(range(32))}, {"at": 1}])
async def test_a_changed_announcement_gets_nothing(exchange, change):
    """Whoever can publish but not sign can't turn a genuine announcement into one of their own."""
    giver = await exchange.giver()
    said = announce(IDENTITY, "cannes", "box-1", bytes(range(1, 33)), time.time_ns())
    await _hear(exchange, giver, msgspec.structs.replace(said, **change))
    assert giver._workers == {}


async def test_an_announcement_for_another_site_gets_nothing(exchange):
    """A genuine announcement to Lyon, sent on to Cannes' subject, is refused there."""
    giver = await exchange.giver("cannes")
    bus = await exchange.inference()
    said = announce(IDENTITY, "lyon", "box-1", bytes(range(1, 33)), time.time_ns())
    with capture_logs() as lines:
        await bus.client.publish(WORKERS.subject(site="cannes"), msgspec.msgpack.encode(said))
        await until(lambda: any("not signed for this site" in line.get("reason", "") for line in lines))
    assert giver._workers == {}


async def test_a_replayed_announcement_changes_nothing(exchange, monkeypatch):
    """Neither while its worker is known, nor after it was forgotten: no key is made for a key of the past."""
    giver, heard = await exchange.giver(), await exchange.tap()
    old = announce(IDENTITY, "cannes", "box-1", _public(), time.time_ns())
    new = announce(IDENTITY, "cannes", "box-1", _public(), time.time_ns() + 1)
    await _hear(exchange, giver, old, new)
    assert giver._workers["box-1"].announcement == new
    await _hear(exchange, giver, old)
    assert giver._workers["box-1"].announcement == new, "the older one does not take its place"
    seen = giver._workers["box-1"].seen
    await _hear(exchange, giver, new)
    assert giver._workers["box-1"].seen == seen, "a repetition does not keep a dead worker known"
    monkeypatch.setattr(giving, "_FORGET_NS", 500_000_000)
    await until(lambda: giver._workers == {}, "a silent worker is forgotten")
    before = len([s for s, _ in heard if s.endswith(".box-1")])
    await _hear(exchange, giver, old, new)
    assert giver._workers == {}
    await asyncio.sleep(0.3)
    assert len([s for s, _ in heard if s.endswith(".box-1")]) == before


def _public():
    return X25519PrivateKey.generate().public_key().public_bytes_raw()


async def _hear(exchange, giver, *messages):
    """Publish announcements, and a witness's behind them: once that one is known (and forgotten), all were heard."""
    bus = await exchange.inference()
    for message in [*messages, announce(IDENTITY, "cannes", "witness", _public(), time.time_ns())]:
        await bus.publish(WORKERS, message)
    await until(lambda: "witness" in giver._workers, "the witness is heard", every_s=0.01)
    del giver._workers["witness"]


async def test_a_worker_with_an_impossible_key_harms_nobody(exchange):
    """A signed announcement whose X25519 key shares no secret gets no key; the others get theirs."""
    giver = await exchange.giver()
    await _hear(exchange, giver, announce(IDENTITY, "cannes", "odd", bytes(32), time.time_ns()))
    receiver = await exchange.receiver()
    await until(lambda: holds(receiver, giver.current()))
    first = giver.current()
    await until(lambda: giver.current() is not first and holds(receiver, giver.current()))
    assert "odd" in giver._workers


async def test_a_silent_worker_gets_no_more_keys(exchange, monkeypatch):
    """After its last announcement it is forgotten, and nothing is sent to it."""
    monkeypatch.setattr(giving, "_FORGET_NS", 500_000_000)
    giver, heard = await exchange.giver(), await exchange.tap()
    await _hear(exchange, giver, announce(IDENTITY, "cannes", "gone", _public(), time.time_ns()))
    assert "gone" in giver._workers
    await until(lambda: "gone" not in giver._workers)
    heard.clear()
    await asyncio.sleep(1.3)
    assert not [subject for subject, _ in heard if subject.endswith(".gone")]


async def test_no_secret_is_on_the_bus(exchange):
    """A subscriber with every right hears announcements and wrapped keys, and in them none of the keys' bytes."""
    heard = await exchange.tap()
    giver = await exchange.giver()
    receiver = await exchange.receiver()
    secrets, end = set(), time.monotonic() + 2.5
    while time.monotonic() < end:
        secrets |= {bytes(key.secret) for key in giver._keys._keys}
        await asyncio.sleep(0.05)
    await until(lambda: holds(receiver, giver.current()))
    kinds = {subject.split(".")[2] for subject, _ in heard}
    assert kinds == {"workers", "keys"}
    payloads = b"".join(payload for _, payload in heard)
    assert len(secrets) >= 3
    for secret in secrets:
        assert not any(secret[i : i + 6] in payloads for i in range(27))


async def test_a_recorded_key_message_opens_nothing_later(exchange):
    """Played back seconds later to the very same worker it is refused: the private key that it was made for is gone."""
    heard = await exchange.tap()
    giver = await exchange.giver()
    receiver = await exchange.receiver()
    await until(lambda: holds(receiver, giver.current()))
    recorded = [(subject, data) for subject, data in heard if subject.startswith("moretta.v1.keys.")]
    ids = {msgspec.msgpack.decode(data)["key"] for _, data in recorded}
    await asyncio.sleep(4.2)
    assert not ids & set(held(receiver))
    bus = await exchange.stack.enter_async_context(exchange.site.bus("ingest", "MORETTA_FRAMES"))
    for subject, data in recorded:
        await bus.client.publish(subject, data)
    await _hear(exchange, giver)
    assert not ids & set(held(receiver))


async def test_after_a_restart_of_nats_the_keys_come_again(exchange, site):
    """Neither side ends, nothing old is handed out, and soon after the worker holds the current key."""
    giver = await exchange.giver()
    receiver = await exchange.receiver()
    await until(lambda: holds(receiver, giver.current()))
    site.server.kill()
    await until(lambda: not giver._bus.connected and not receiver._bus.connected)
    await until(lambda: not len(receiver.keys), "its keys died of age")
    site.server.start()
    await until(lambda: giver._bus.connected and receiver._bus.connected)
    back = time.monotonic()
    await until(lambda: holds(receiver, giver.current()))
    assert time.monotonic() - back < patient(15)


async def test_ingest_that_starts_again_is_followed(exchange):
    """A new ingest has new keys; the worker gets them with its next announcement."""
    receiver = await exchange.receiver()
    giver = await exchange.giver()
    await until(lambda: holds(receiver, giver.current()))
    second = await exchange.giver()
    await until(lambda: holds(receiver, second.current()) and holds(receiver, giver.current()))


async def test_keys_of_two_sites_are_apart(exchange):
    """Each site has its own keys, and a worker that serves one of them never gets the other's."""
    cannes, lyon = await exchange.giver("cannes"), await exchange.giver("lyon")
    both = await exchange.receiver("both", ["cannes", "lyon"])
    one = await exchange.receiver("one", ["lyon"])
    await until(lambda: holds(both, cannes.current()) and holds(both, lyon.current()))
    await until(lambda: holds(one, lyon.current()))
    assert not holds(one, cannes.current())
    assert not {key.id for key in cannes._keys._keys} & set(held(one))


async def test_keys_are_zeros_when_ingest_stops(exchange):
    """What the giver held is overwritten as its last act."""
    bus = await exchange.stack.enter_async_context(exchange.site.bus("ingest", "MORETTA_FRAMES"))
    giver = KeyGiver(bus, "cannes", INGEST, (IDENTITY.public_key(),))
    giver.begin()
    running = asyncio.create_task(giver.run())
    await asyncio.sleep(0)
    secrets = [key.secret for key in giver._keys._keys]
    assert all(any(secret) for secret in secrets)
    running.cancel()
    await asyncio.wait([running])
    assert [bytes(secret) for secret in secrets] == [bytes(32)] * len(secrets)


def test_the_rows_carry_no_plain_key():
    """The contract has no field in which a frame key could travel unwrapped."""
    assert set(KEYS.message.__struct_fields__) == {
        *("site", "worker", "key", "age", "waited", "ephemeral", "wrapped", "signature")
    }
    assert set(WORKERS.message.__struct_fields__) == {"site", "worker", "public_key", "at", "signature", "names"}
