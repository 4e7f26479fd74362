"""Whoever holds the bus, or a service's credential, against sealed frames: on a real server, with its permissions."""

import asyncio
import contextlib
import os
import signal
from types import SimpleNamespace

import messages
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from frames_tap import with_tap
from nats.aio.client import Client
from on_bus import settled
from patience import patient, until
from site_process import Site
from suspended import _put_forward  # noqa: F401 - a fixture

from proto.frames import FrameReplyV1
from proto.subjects import FRAMES, FRAMES_QUEUE, KEYS, WORKERS
from services.aggregate.core.counting.cameras import CameraRecord as Timeline
from services.frames.sealing.keys import OPEN_NS, FrameKey, new_key
from services.frames.sealing.seal import i420_bytes, seal_into
from services.frames.sealing.wrap import wrap_key
from services.inference.keys import KeyReceiver
from services.inference.lanes import Lanes
from services.inference.worker import Worker
from services.ingest.camera.keys import KeyGiver
from services.ingest.camera.metrics import PictureMetrics
from services.ingest.camera.pictures import BufferPool, Picture
from services.ingest.camera.sender import LIVE_BUDGET_NS, FrameSender
from services.kernel.clock import boottime_ns
from services.sites.settings import CameraSettings

MS = 1_000_000
WIDTH, HEIGHT = 64, 32
INGEST, INFERENCE = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


class Model:
    """Keeps what it was shown."""

    id, sha256 = "stub-1", "ab" * 32
    manifest = SimpleNamespace(min_face_px=12.0)

    def __init__(self):
        self.seen = []

    def find(self, picture):
        self.seen.append(bytes(picture))
        return []


class Attacked:
    """A giver of keys, workers with all that they need, and somebody with every right in the account."""

    def __init__(self, stack, site):
        self.stack, self.site, self.tasks = stack, site, []
        self.sequence = 0

    async def start(self):
        self.ingest = await self.bus("ingest")
        self.giver = KeyGiver(self.ingest, "cannes", INGEST, (INFERENCE.public_key(),))
        await self.giver.listen()
        self.giver.begin()
        self.tasks.append(asyncio.create_task(self.giver.run()))
        self.attacker = Client()
        await self.attacker.connect(
            self.site.server.url, user="tap", password="tap", inbox_prefix=b"_INBOX_ingest-frames"
        )
        self.stack.push_async_callback(self.attacker.close)
        return self

    async def bus(self, identity):
        return await self.stack.enter_async_context(self.site.bus(identity, "MORETTA_FRAMES"))

    async def worker(self, name="box-1"):
        """A worker that holds the current key; what it saw and what it told are kept in it."""
        bus, model, told = await self.bus("inference"), Model(), []
        keys = KeyReceiver(bus, name, ["cannes"], INFERENCE, (INGEST.public_key(),))
        await keys.listen()
        self.tasks.append(asyncio.create_task(keys.run()))
        lanes = Lanes(lambda: model, 1)
        self.stack.callback(lanes.close)
        worker = Worker(name, lanes, keys.keys, told.append)
        self.stack.push_async_callback(worker.finish)
        await bus.serve(FRAMES, worker.handle)
        await settled(bus)
        await until(lambda: keys.keys.get("cannes", self.giver.current().id, boottime_ns()), "the worker's first key")
        return SimpleNamespace(bus=bus, seen=model.seen, told=told, keys=keys.keys)

    def frame(self, *, key: FrameKey | None = None, budget_ms=3_000, **fields):
        """The next frame of the camera, as ingest seals it."""
        key, self.sequence = key or self.giver.current(), self.sequence + 1
        pixels = os.urandom(i420_bytes(WIDTH, HEIGHT))
        frame = messages.frame(
            len(pixels), sequence=self.sequence, at=10**18 + self.sequence, budget=budget_ms * MS, width=WIDTH,
            height=HEIGHT, key=key.id, key_age=boottime_ns() - key.born, nonce=key.nonce(),
        )  # fmt: skip
        frame = msgspec.structs.replace(frame, **fields)
        seal_into(key.cipher, frame, memoryview(pixels))
        return frame

    async def inject(self, frame, subject="moretta.v1.frames.cannes.gate", limit_s: float | None = None):
        """Send a frame as the attacker does; returns the outcome, None if nobody answered."""
        data = frame if isinstance(frame, bytes) else msgspec.msgpack.encode(frame)
        with contextlib.suppress(TimeoutError):
            answer = await self.attacker.request(subject, data, timeout=limit_s or patient())
            return msgspec.msgpack.decode(answer.data, type=FrameReplyV1).outcome
        return None


@pytest.fixture(name="site")
def _site(tmp_path):
    site = Site(tmp_path, extend=with_tap)
    site.server.start()
    yield site
    site.close()


@pytest.fixture(name="attacked")
async def _attacked(site, put_forward):
    """On a clock that stands still: only a test makes keys and frames older."""
    async with contextlib.AsyncExitStack() as stack:
        attacked = await Attacked(stack, site).start()
        yield attacked
        for task in attacked.tasks:
            assert not task.done(), "nothing that anybody sends ends either side"
            task.cancel()
        await asyncio.gather(*attacked.tasks, return_exceptions=True)


async def test_a_frame_played_back_counts_once_and_soon_opens_nowhere(attacked, put_forward):
    """Within its budget it opens again and says the same, which aggregate drops; then it is late, also for another
    worker and whatever age it claims; after its key's death nobody can open it.
    """
    first = await attacked.worker()
    frame = attacked.frame(budget_ms=700)
    assert [await attacked.inject(frame) for _ in range(2)] == ["done", "done"]
    fence = Timeline(0, "started-late")
    assert [fence.admit(told, told.at) for told in first.told] == [True, False]
    second = await attacked.worker("box-2")
    await first.bus.stop_serving()
    frame = attacked.frame(budget_ms=150)
    assert second.keys.get("cannes", frame.key, boottime_ns())
    put_forward(0.3)
    assert await attacked.inject(msgspec.structs.replace(frame, age=0)) == "late"
    put_forward(OPEN_NS / 1e9 - 0.3)
    assert second.keys.get("cannes", frame.key, boottime_ns()) is None
    assert await attacked.inject(frame) == "no-key"
    assert (second.seen, second.told) == ([], [])


async def test_what_is_changed_or_moved_opens_nowhere(attacked):
    """Of another camera or site, by its subject or by its own word, with another's pixels, cut, lengthened: not one."""
    worker = await attacked.worker()
    one, two = attacked.frame(), attacked.frame(camera="exit")
    sealed = bytes(one.sealed)
    replace = msgspec.structs.replace
    spoilt = {
        "another camera's subject": (one, "moretta.v1.frames.cannes.exit"),
        "another site's subject": (one, "moretta.v1.frames.lyon.gate"),
        "another camera's name": (replace(one, camera="exit"), "moretta.v1.frames.cannes.gate"),
        "another camera's name and subject": (replace(one, camera="exit"), "moretta.v1.frames.cannes.exit"),
        "another camera's pixels": (replace(one, sealed=two.sealed), "moretta.v1.frames.cannes.gate"),
        "another sequence": (replace(one, sequence=one.sequence + 1), "moretta.v1.frames.cannes.gate"),
        "a later lease": (replace(one, lease=2**63), "moretta.v1.frames.cannes.gate"),
        "a longer budget": (replace(one, budget=20_000 * MS), "moretta.v1.frames.cannes.gate"),
        "a later sealing": (replace(one, key_age=one.key_age + MS), "moretta.v1.frames.cannes.gate"),
        "asked for its quality": (replace(one, aim=True), "moretta.v1.frames.cannes.gate"),
        "cut short": (replace(one, sealed=sealed[:-1]), "moretta.v1.frames.cannes.gate"),
        "made longer": (replace(one, sealed=sealed + b"x"), "moretta.v1.frames.cannes.gate"),
        "without its tag": (replace(one, sealed=sealed[:-16]), "moretta.v1.frames.cannes.gate"),
    }
    outcomes = {name: await attacked.inject(*how) for name, how in spoilt.items()}
    assert outcomes == dict.fromkeys(spoilt, "invalid")
    cut = msgspec.msgpack.encode(one)[:-40]
    assert await attacked.inject(cut, limit_s=1.0) is None, "what breaks the contract is not answered"
    assert (worker.seen, worker.told) == ([], [])
    assert [await attacked.inject(two, FRAMES.of(two)), await attacked.inject(one)] == ["done", "done"], "in any order"
    assert [(told.camera, told.sequence) for told in worker.told] == [("exit", two.sequence), ("gate", one.sequence)]


@pytest.mark.parametrize("signer", ["attacker", "inference"])
async def test_nobody_else_can_hand_a_worker_keys(attacked, signer):
    """With ingest's own credential on the bus, but not its identity, somebody gives a worker his key and his pictures.

    Not even who may announce workers can: the other side's identity is no better than none.
    """
    stolen, announced = await attacked.bus("ingest"), []
    await stolen.serve(WORKERS, lambda message, _: _keep(announced, message), site="cannes")
    worker, key = await attacked.worker(), new_key(boottime_ns())
    await until(lambda: announced)
    identity = INFERENCE if signer == "inference" else Ed25519PrivateKey.generate()
    await stolen.publish(KEYS, wrap_key(identity, key, announced[-1]))
    assert await attacked.inject(attacked.frame(key=key)) == "no-key"
    assert (worker.keys.get("cannes", key.id, boottime_ns()), worker.seen, worker.told) == (None, [], [])
    assert await attacked.inject(attacked.frame()) == "done", "the true one goes on"


async def _keep(kept, message):
    kept.append(message)


class Camera:
    """Yields one picture, and is told what became of it."""

    def __init__(self):
        self.site, self.settings, self.status = "cannes", CameraSettings(id="gate", url="rtsp://camera"), None
        self.shedding = self
        pool = BufferPool(160, 1)
        now = boottime_ns()
        self._pictures = [Picture(WIDTH, HEIGHT, 1, 7, 10**18, now, 200 * MS, pool.take(), pool), None]

    async def take(self):
        return self._pictures.pop(0)

    def may_send(self, _age):
        return True

    def answered(self, _took):
        pass

    def drop(self):
        pass


@pytest.mark.parametrize("who", ["a tap", "the inference credential"])
async def test_nobody_else_can_say_that_pixels_are_gone(attacked, monkeypatch, who):
    """An answer without the frame's key confirms no lifetime, be it from the bus or by inference's own credential."""
    monkeypatch.setattr("services.ingest.camera.sender.LIVE_BUDGET_NS", 20 * LIVE_BUDGET_NS)
    lie = msgspec.msgpack.encode(FrameReplyV1(outcome="done", worker="box-1", proof=os.urandom(16)))
    client = attacked.attacker if who == "a tap" else (await attacked.bus("inference")).client
    heard = []

    async def answer(msg):
        heard.append(msg.subject)
        await msg.respond(lie)

    await client.subscribe("moretta.v1.frames.*.*", queue="" if who == "a tap" else FRAMES_QUEUE, cb=answer)
    await client.flush()
    metrics = PictureMetrics("cannes", "gate", is_trial=True)
    sender = FrameSender(attacked.ingest, Camera(), attacked.giver.current, metrics)
    await asyncio.wait_for(sender.run(), patient())
    assert heard == ["moretta.v1.frames.cannes.gate"]
    assert (sender.lifetimes.pictures, sender.lifetimes.unconfirmed, sender.answered) == (1, 1, 0)


async def test_a_revoked_identity_gets_no_key_and_soon_reads_nothing(site):
    """Another key in the file and a reload, no restart: within 2 s the old workers' keys are dead, and stay so."""
    camera = {"id": "gate", "url": "rtsp://127.0.0.1:9/"}  # nobody is there; keys are made for a site with a camera
    site.write({"sites": [{"id": "cannes", "cameras": [camera]}]})
    folder, new = site.identities.folder, Ed25519PrivateKey.generate()
    old = Ed25519PrivateKey.from_private_bytes(bytes.fromhex((folder / "inference.key").read_text()))
    trusted = (Ed25519PrivateKey.from_private_bytes(bytes.fromhex((folder / "ingest.key").read_text())).public_key(),)
    ingest = site.start("ingest")
    async with site.bus("inference", "MORETTA_FRAMES") as bus:
        receivers = [KeyReceiver(bus, name, ["cannes"], key, trusted) for name, key in (("old", old), ("new", new))]
        running = [asyncio.create_task(receiver.run()) for receiver in receivers]
        for receiver in receivers:
            await receiver.listen()
        await until(lambda: len(receivers[0].keys), limit_s=30)
        assert len(receivers[1].keys) == 0
        site.identities.write("inference.pub", new.public_key().public_bytes_raw().hex())
        ingest.signal(signal.SIGHUP)
        await until(lambda: ingest.said("new settings in force"))
        revoked, newest = boottime_ns(), 0
        while len(receivers[0].keys) or not len(receivers[1].keys):
            held = receivers[0].keys._sites.get("cannes", {}).values()
            newest = max([newest, *(key.born + key.doubt for key in held)])
            await asyncio.sleep(0.02)
            assert boottime_ns() - revoked < patient(30) * 1e9
        assert newest <= revoked, "what it held was made before, and dies by its own age"
        for _ in range(30):
            assert len(receivers[0].keys) == 0
            await asyncio.sleep(0.05)
        assert ingest.said("worker no longer trusted")
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
