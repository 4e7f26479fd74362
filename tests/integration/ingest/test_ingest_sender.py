"""A camera's way to inference, over real NATS to a worker that answers by script: services.ingest.camera.sender."""

import asyncio
import contextlib
import secrets
import time

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from patience import patient, until
from prometheus_client import REGISTRY

from proto.codec import decode, encode_as
from proto.frames import FrameQualityV1, FrameReplyV1
from proto.subjects import FRAMES, FRAMES_QUEUE
from services.bus import Bus, NatsSettings
from services.frames.sealing.keys import SealingKeys, new_key
from services.frames.sealing.seal import open_into, proof_of, reply_key
from services.ingest.camera import sender as sut
from services.ingest.camera.leased import CameraStatus
from services.ingest.camera.metrics import PictureMetrics
from services.ingest.camera.pictures import BufferPool, Picture
from services.ingest.camera.sender import FILE_BUDGET_NS, LIVE_BUDGET_NS, FrameSender
from services.ingest.core.picture import i420_size
from services.kernel.clock import boottime_ns
from services.sites.settings import CameraSettings

MS = 1_000_000
SIZE = (64, 32)
SILENCE = "silence"


class Camera:
    """Yields the pictures it was given and counts what it is told."""

    def __init__(self, *, paced=True, url="/clip.mp4"):
        name = f"cam-{secrets.token_hex(4)}"  # metrics are for ever: each test has its own
        self.site, self.settings = "site", CameraSettings(id=name, url=url, long_side=160, paced=paced)
        self.metrics = PictureMetrics(self.site, name, is_trial=True)
        self.pool = BufferPool(160, 3)
        self.queue = asyncio.Queue()
        self.sheds, self.round_trips, self.ages = 0, [], []
        self.allows, self.shedding = True, self
        self.status = None
        self.sequence = -1

    def give(self, *, decoded_ms_ago=0.0):
        """Put a picture into the queue; returns it."""
        buffer, size = self.pool.take(), i420_size(*SIZE)
        buffer[:size] = content(self.sequence + 1)
        self.sequence += 1
        decoded = boottime_ns() - round(decoded_ms_ago * MS)
        picture = Picture(*SIZE, self.sequence, 7, 10**18 + self.sequence, decoded, 200 * MS, buffer, self.pool)
        self.queue.put_nowait(picture)
        return picture

    def end(self):
        self.queue.put_nowait(None)

    async def take(self):
        return await self.queue.get()

    def may_send(self, age_ns):
        self.ages.append(age_ns)
        return self.allows

    def answered(self, service_ns):
        self.round_trips.append(service_ns)

    def drop(self):
        self.sheds += 1
        self.metrics.ended("shed")

    def metric(self, name, **labels):
        found = REGISTRY.get_sample_value(name, {"site": "site", "camera": self.settings.id, **labels})
        return 0.0 if found is None else found

    def outcomes(self):
        """The counted outcomes that are not zero."""
        names = ("done", "shed", "unconfirmed", "error")
        counts = {name: self.metric("moretta_ingest_frames_total", outcome=name) for name in names}
        return {name: count for name, count in counts.items() if count}


def content(sequence):
    return bytes((np.arange(i420_size(*SIZE)) * 3 + sequence + 1).astype(np.uint8) | 1)


QUALITY = FrameQualityV1(brightness=0.5, dark=0.0, clipped=0.0, sharpness=0.25, smallest=10.0)


class Worker:
    """A subscriber of the frames' queue group that answers by script; the last entry is repeated."""

    def __init__(self, url, script, delay_s=0.0, forges=None):
        self.url, self.script, self.delay_s, self.forges = url, list(script), delay_s, forges
        self.frames, self.times = [], []

    async def __aenter__(self):
        self.bus = await Bus.connect(NatsSettings(url=self.url), "inference", "MORETTA_FRAMES")
        await self.bus.client.subscribe(FRAMES.wildcard(), queue=FRAMES_QUEUE, cb=self._take)
        for _ in range(2):  # nats-py's ping overtakes the subscription, the second one does not
            await self.bus.client.flush()
        return self

    async def __aexit__(self, *_):
        await self.bus.close()

    async def _take(self, msg):
        self.frames.append(decode(FRAMES, msg.data))
        self.times.append(boottime_ns())
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if answer == SILENCE:
            return
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        quality = QUALITY if self.frames[-1].aim else None
        proof = proof_of(reply_key(bytearray(SECRETS[self.frames[-1].key]), self.frames[-1]), answer)
        if self.forges is not None:
            proof = self.forges(proof)
        reply = FrameReplyV1(outcome=answer, worker="w", quality=quality, proof=proof)
        await msg.respond(encode_as("msgpack", reply))


SECRETS = {}
"""All keys' bytes by id: a worker's memory of keys that ingest has destroyed."""


def known(key):
    SECRETS.setdefault(key.id, bytes(key.secret))
    return key


class Keys:
    """The frame keys as KeyGiver gives them; `rotate` makes another one current."""

    def __init__(self):
        self.all = [known(new_key(0))]

    def __call__(self):
        return self.all[-1]

    def rotate(self):
        self.all.append(known(new_key(0)))

    def opened(self, frame):
        """What a worker with all keys ever made reads."""
        (key,) = [k for k in self.all if k.id == frame.key]
        out = bytearray(i420_size(frame.width, frame.height))
        open_into(key.cipher, frame, memoryview(out))
        return bytes(out)


@pytest.fixture(name="live_ms", autouse=True)
def _live_ms(request, monkeypatch):
    """The budget of a live picture: longer than 100 ms, so that a busy machine is no finding, unless the test says."""
    budget = getattr(request, "param", 3_000)
    monkeypatch.setattr(sut, "LIVE_BUDGET_NS", budget * MS)
    return budget


REAL = pytest.mark.parametrize("live_ms", [100], indirect=True)
SHORT = pytest.mark.parametrize("live_ms", [700], indirect=True)


@pytest.fixture(name="frames_bus")
async def _frames_bus(nats_server):
    bus = await Bus.connect(NatsSettings(url=nats_server.url), "ingest", "MORETTA_FRAMES")
    yield bus
    await bus.close()


@contextlib.asynccontextmanager
async def sending(bus, camera, keys=None):
    """A running sender; it must have come to its end, without an error, when the camera has."""
    sender = FrameSender(bus, camera, keys or Keys(), camera.metrics)
    running = asyncio.create_task(sender.run())
    try:
        yield sender
        camera.end()
        await asyncio.wait_for(running, patient(30))
    finally:
        running.cancel()
        await asyncio.wait([running])


async def send_one(bus, camera, keys=None, **how):
    """Send one picture to its end; returns the sender and how long it took in ms."""
    async with sending(bus, camera, keys) as sender:
        began = time.monotonic()
        picture = camera.give(**how)
    assert picture._released
    return sender, (time.monotonic() - began) * 1e3


async def test_a_picture_arrives_sealed_and_is_counted(frames_bus, nats_server):
    """The worker can open what was in the picture; the answer makes it `done`, with a lifetime."""
    camera, keys = Camera(), Keys()
    async with Worker(nats_server.url, ["done"]) as worker:
        sender, _ = await send_one(frames_bus, camera, keys, decoded_ms_ago=5)
    (frame,) = worker.frames
    assert keys.opened(frame) == content(0)
    assert (frame.site, frame.camera, frame.lease, frame.sequence) == ("site", camera.settings.id, 7, 0)
    assert (frame.at, frame.period, frame.budget) == (10**18, 200 * MS, 3_000 * MS)
    assert 5 * MS <= frame.age < 3_000 * MS
    assert camera.outcomes() == {"done": 1}
    assert (sender.answered, camera.sheds, sender.without_worker) == (1, 0, False)
    assert len(camera.round_trips) == 1


async def test_the_picture_is_overwritten_before_the_request_leaves(nats_server, frames_bus):
    """When the frame is handed to the connection every buffer of the camera is zeros and back in its pool."""
    camera, looked = Camera(), []

    class Watched:
        """The real bus, with a look at the camera's memory before each request."""

        connected = True

        async def request(self, *args, **more):
            looked.append([any(buffer) for buffer in camera.pool._free])
            return await frames_bus.request(*args, **more)

    async with Worker(nats_server.url, ["busy", "done"]):
        await send_one(Watched(), camera)
    assert looked == [[False] * 3] * 2
    assert camera.outcomes() == {"done": 1}


async def test_no_plain_byte_leaves(nats_server, frames_bus):
    """The frame as it travels has no 16-byte run of the picture, and each has a nonce of its own."""
    camera = Camera()
    async with Worker(nats_server.url, ["done"]) as worker, sending(frames_bus, camera):
        for _ in range(3):
            camera.give()
    assert [frame.sequence for frame in worker.frames] == [0, 1, 2]
    assert len({frame.nonce for frame in worker.frames}) == 3
    for frame in worker.frames:
        plain, sealed = content(frame.sequence), bytes(frame.sealed)
        assert not {plain[i : i + 16] for i in range(len(plain) - 15)} & {
            sealed[i : i + 16] for i in range(len(sealed) - 15)
        }


async def test_lifetime_counts_from_decode_to_the_answer(frames_bus, nats_server):
    """What passed before the sending and what the worker took are both in it."""
    camera = Camera()
    async with Worker(nats_server.url, ["done"], delay_s=0.02) as worker:
        sender, _ = await send_one(frames_bus, camera, decoded_ms_ago=30)
    lived_ms = 1e3 * camera.metric("moretta_pixel_lifetime_seconds_sum")
    assert 50 <= lived_ms < 50 + 1e3 * patient(3)
    assert (sender.lifetimes.pictures, sender.lifetimes.unconfirmed) == (1, 0)
    assert sender.lifetimes.late == (lived_ms > 100)
    assert worker.frames[0].age >= 30 * MS
    (round_trip,) = camera.round_trips
    assert 20 * MS <= round_trip < lived_ms * MS - 29 * MS


@pytest.mark.parametrize("answer", ["busy", "no-key"])
async def test_one_retry(frames_bus, nats_server, answer):
    """Another worker may be free, or have the key: it is asked once more, with the age of that moment."""
    camera, keys = Camera(), Keys()
    async with Worker(nats_server.url, [answer, "done"]) as worker:
        sender, _ = await send_one(frames_bus, camera, keys)
    first, second = worker.frames
    assert camera.outcomes() == {"done": 1}
    assert first.age < second.age
    assert keys.opened(second) == content(0)
    assert sender.lifetimes.pictures == 1


@pytest.mark.parametrize("answer", ["busy", "no-key"])
async def test_not_more_than_one_retry(frames_bus, nats_server, answer):
    """After the second refusal the frame is shed: the next picture is newer."""
    camera = Camera()
    async with Worker(nats_server.url, [answer]) as worker:
        sender, _ = await send_one(frames_bus, camera)
    assert len(worker.frames) == 2
    assert (camera.outcomes(), camera.sheds) == ({"shed": 1}, 1)
    assert sender.lifetimes.pictures == 0
    assert camera.round_trips == []


async def test_late_is_shed_without_a_retry(frames_bus, nats_server):
    """It will not get younger."""
    camera = Camera()
    async with Worker(nats_server.url, ["late"]) as worker:
        await send_one(frames_bus, camera)
    assert len(worker.frames) == 1
    assert (camera.outcomes(), camera.sheds) == ({"shed": 1}, 1)


@pytest.mark.parametrize("answer", ["invalid", "failed"])
async def test_an_error_has_a_lifetime(frames_bus, nats_server, answer):
    """A worker that could not use the frame had its pixels: when they were gone counts as for any other."""
    camera = Camera()
    async with Worker(nats_server.url, [answer]) as worker:
        sender, _ = await send_one(frames_bus, camera)
    assert len(worker.frames) == 1
    assert (camera.outcomes(), camera.sheds) == ({"error": 1}, 0)
    assert sender.lifetimes.pictures == 1
    assert camera.metric("moretta_pixel_lifetime_seconds_count") == 1


@pytest.mark.parametrize("forges", [lambda _: None, lambda proof: bytes(len(proof))])
@pytest.mark.parametrize("answer", ["done", "failed", "invalid"])
async def test_who_has_not_the_key_confirms_nothing(frames_bus, nats_server, answer, forges):
    """An answer that anybody could give is none: the picture's lifetime is unconfirmed, at once."""
    camera, refused = Camera(), "moretta_ingest_replies_refused_total"
    before = REGISTRY.get_sample_value(refused)
    async with Worker(nats_server.url, [answer], forges=forges):
        sender, _ = await send_one(frames_bus, camera)
    assert camera.outcomes() == {"unconfirmed": 1}
    assert (sender.lifetimes.unconfirmed, sender.answered) == (1, 0)
    assert REGISTRY.get_sample_value(refused) == before + 1


@pytest.mark.parametrize("answer", ["busy", "no-key", "late"])
async def test_who_refuses_needs_no_key_and_claims_nothing(frames_bus, nats_server, answer):
    """A worker without the key can't prove that it refused; such an answer is in no lifetime and tells no quality."""
    camera, told = Camera(), []
    async with (
        Worker(nats_server.url, [answer], forges=lambda _: None) as worker,
        sending(frames_bus, camera) as sender,
    ):
        sender.on_quality = lambda *quality: told.append(quality)
        camera.give()
    assert (camera.outcomes(), worker.frames[0].aim, told) == ({"shed": 1}, True, [])
    assert sender.lifetimes.pictures == 0


def test_the_budget_of_a_live_picture():
    """100 ms, and no setting changes it (docs/privacy.md)."""
    assert LIVE_BUDGET_NS == 100 * MS


@REAL
async def test_silence_is_unconfirmed_after_the_budget(frames_bus, nats_server, monkeypatch):
    """No answer within 100 ms of decoding: counted, late, and in the histogram's last bucket alone."""
    camera, limits, request = Camera(), [], type(frames_bus).request

    async def limited(bus, *args, timeout):
        limits.append(timeout)
        return await request(bus, *args, timeout=timeout)

    monkeypatch.setattr(type(frames_bus), "request", limited)
    async with Worker(nats_server.url, [SILENCE]) as worker:
        sender, _ = await send_one(frames_bus, camera, decoded_ms_ago=40)
        await until(lambda: worker.frames)
    assert len(worker.frames) == 1
    assert camera.outcomes() == {"unconfirmed": 1}
    assert (sender.lifetimes.pictures, sender.lifetimes.unconfirmed, sender.lifetimes.late) == (1, 1, 1)
    assert camera.metric("moretta_pixel_lifetime_seconds_bucket", le="0.1") == 0
    assert camera.metric("moretta_pixel_lifetime_seconds_bucket", le="+Inf") == 1
    assert len(camera.round_trips) == 1, "the shedder must learn that it takes too long"
    assert worker.frames[0].age >= 40 * MS
    assert limits == [pytest.approx((LIVE_BUDGET_NS - worker.frames[0].age) / 1e9, abs=1e-6)]
    # It waited for what was left of the budget when it asked; a timer may be a moment early.
    assert camera.round_trips[0] >= LIVE_BUDGET_NS - worker.frames[0].age - 1 * MS


@SHORT
async def test_a_silent_retry_is_unconfirmed(frames_bus, nats_server):
    """A refusal and then silence: the second worker may hold the frame."""
    camera = Camera()
    async with Worker(nats_server.url, ["busy", SILENCE]) as worker:
        _, took_ms = await send_one(frames_bus, camera)
    assert len(worker.frames) == 2
    assert camera.outcomes() == {"unconfirmed": 1}
    assert 690 <= took_ms < 690 + 1e3 * patient(3)


@SHORT
async def test_after_silence_the_next_picture_goes_on(frames_bus, nats_server):
    """A lost answer costs one picture."""
    camera = Camera()
    async with Worker(nats_server.url, [SILENCE, "done"]), sending(frames_bus, camera):
        camera.give()
        await until(lambda: camera.outcomes() == {"unconfirmed": 1})
        camera.give()
    assert camera.outcomes() == {"unconfirmed": 1, "done": 1}


async def test_without_a_worker(frames_bus, nats_server):
    """NATS says at once that nobody is there: shed and shown, not waited for; with a worker it is over."""
    camera = Camera()
    async with sending(frames_bus, camera) as sender:
        camera.give()
        await until(lambda: camera.outcomes() == {"shed": 1})
        assert sender.without_worker
        async with Worker(nats_server.url, ["done"]):
            camera.give()
            await until(lambda: camera.outcomes() == {"shed": 1, "done": 1})
            assert not sender.without_worker
    assert sender.lifetimes.unconfirmed == 0


async def test_without_a_server(frames_bus, nats_server):
    """While disconnected nothing is kept in the client to be sent later: no worker sees an old frame."""
    camera = Camera()
    async with sending(frames_bus, camera) as sender:
        nats_server.kill()
        await until(lambda: not frames_bus.connected)
        for number in range(3):
            camera.give()
            await until(lambda number=number: camera.outcomes() == {"shed": number + 1})
        assert sender.without_worker
        nats_server.start()
        async with Worker(nats_server.url, ["done"]) as worker:
            await until(lambda: frames_bus.connected)
            camera.give()
            await until(lambda: camera.outcomes() == {"shed": 3, "done": 1})
        assert [frame.sequence for frame in worker.frames] == [3]
    assert sender.lifetimes.unconfirmed == 0


async def test_what_cannot_make_it_is_dropped_unread(frames_bus, nats_server):
    """When the shedder says no the picture is overwritten, counted and never sealed."""
    camera = Camera()
    camera.allows = False
    async with Worker(nats_server.url, ["done"]) as worker:
        await send_one(frames_bus, camera, decoded_ms_ago=30)
    assert worker.frames == []
    assert (camera.outcomes(), camera.sheds) == ({"shed": 1}, 1)
    assert camera.ages[0] >= 30 * MS
    assert not any(any(buffer) for buffer in camera.pool._free)


async def test_only_aimed_frames_ask_for_quality(frames_bus, nats_server):
    """While somebody aims the camera each reply tells the picture's quality; before and after none does."""
    camera, told = Camera(), []
    async with Worker(nats_server.url, ["done"]) as worker, sending(frames_bus, camera) as sender:
        for number, listener in enumerate([None, lambda frame, quality: told.append((frame.sequence, quality)), None]):
            sender.on_quality = listener
            camera.give()
            await until(lambda number=number: camera.outcomes() == {"done": number + 1})
    assert [frame.aim for frame in worker.frames] == [False, True, False]
    assert told == [(1, QUALITY)]


async def test_one_frame_in_flight(frames_bus, nats_server):
    """The next picture is not taken before the last one was answered."""
    camera = Camera()
    async with Worker(nats_server.url, ["done"], delay_s=0.03) as worker, sending(frames_bus, camera):
        for _ in range(3):
            camera.give()
    gaps = [b - a for a, b in zip(worker.times, worker.times[1:], strict=False)]
    assert len(gaps) == 2
    assert min(gaps) >= 30 * MS


@REAL
async def test_a_live_source_is_never_patient(frames_bus, nats_server):
    """`paced: false` is for files: a camera's pictures keep their 100 ms, whatever its settings say."""
    camera = Camera(paced=False, url="rtsp://127.0.0.1/x")
    async with Worker(nats_server.url, [SILENCE]) as worker:
        await send_one(frames_bus, camera)
        await until(lambda: worker.frames)
    assert worker.frames[0].budget == LIVE_BUDGET_NS
    assert len(worker.frames) == 1, "a file's picture is tried again"
    assert camera.outcomes() == {"unconfirmed": 1}


async def test_a_recorded_picture_is_tried_until_done(frames_bus, nats_server):
    """Whatever the answers are: the file's frame is not lost, and not shed before it is tried."""
    camera, keys = Camera(paced=False), Keys()
    camera.allows = False
    script = ["busy", "no-key", "late", "failed", "invalid", "busy", "busy", "done"]
    async with Worker(nats_server.url, script) as worker:
        sender, _ = await send_one(frames_bus, camera, keys)
    assert len(worker.frames) == 8
    assert {frame.budget for frame in worker.frames} == {FILE_BUDGET_NS}
    assert [keys.opened(frame) for frame in worker.frames] == [content(0)] * 8
    assert camera.outcomes() == {"done": 1}
    assert (sender.answered, camera.ages) == (1, [])


async def test_a_recorded_picture_waits_for_the_first_worker(frames_bus, nats_server):
    """`moretta count` begins to read before inference has loaded its model."""
    camera = Camera(paced=False)
    async with sending(frames_bus, camera) as sender:
        camera.give()
        await until(lambda: sender.without_worker)
        async with Worker(nats_server.url, ["done"]):
            await until(lambda: camera.outcomes() == {"done": 1})


async def test_a_recorded_picture_outlives_its_key(frames_bus, nats_server):
    """While it waits it is sealed anew with each current key: what arrives in the end opens, though old keys died."""
    camera, keys = Camera(paced=False), Keys()
    async with sending(frames_bus, camera, keys) as sender:
        camera.give()
        for _ in range(5):
            await until(lambda: sender.without_worker and sender._sealed_with is keys.all[-1])
            keys.rotate()
            await until(lambda: sender._sealed_with is keys.all[-1])
            keys.all[-2].destroy()
        async with Worker(nats_server.url, ["done"]) as worker:
            await until(lambda: camera.outcomes() == {"done": 1})
    assert keys.opened(worker.frames[-1]) == content(0)
    assert worker.frames[-1].key == keys.all[-1].id


async def test_a_recorded_picture_outlives_its_key_during_a_silence(frames_bus, nats_server):
    """A worker that died with the frame in hand answers nothing for 2 s, longer than the key lives."""
    camera, keys = Camera(paced=False), Keys()
    async with Worker(nats_server.url, [SILENCE, "done"]) as worker, sending(frames_bus, camera, keys) as sender:
        camera.give()
        await until(lambda: worker.frames)
        keys.rotate()
        await until(lambda: sender._sealed_with is keys.all[-1])
        keys.all[0].destroy()
        await until(lambda: camera.outcomes() == {"done": 1})
    first, second = worker.frames
    assert first.key != second.key
    assert keys.opened(second) == content(0)


async def test_sealing_anew_leaves_no_plain_picture(frames_bus, nats_server, monkeypatch):
    """The buffer in which the old seal was opened is overwritten."""
    camera, keys, scratch = Camera(paced=False), Keys(), []
    monkeypatch.setattr(sut, "open_into", lambda *args: (scratch.append(args[-1]), open_into(*args)))
    async with sending(frames_bus, camera, keys) as sender:
        camera.give()
        await until(lambda: sender.without_worker)
        keys.rotate()
        await until(lambda: scratch)
        async with Worker(nats_server.url, ["done"]):
            await until(lambda: camera.outcomes() == {"done": 1})
    assert len(scratch[0]) == i420_size(*SIZE)
    assert not any(scratch[0])


async def test_a_recorded_picture_whose_key_is_gone_is_given_up(frames_bus, nats_server, monkeypatch):
    """Nobody can open it any more: an error at once, and not after its whole budget, here an hour, of refusals."""
    monkeypatch.setattr(sut, "FILE_BUDGET_NS", 3_600_000 * MS)
    camera, keys = Camera(paced=False), Keys()
    async with Worker(nats_server.url, ["no-key"]), sending(frames_bus, camera, keys):
        camera.give()
        await until(lambda: camera.queue.empty() and camera.pool.wait_idle(0))
        keys.all[-1].destroy()
        keys.rotate()
        await until(lambda: camera.outcomes() == {"error": 1})


async def test_a_recorded_picture_is_not_tried_while_paused(frames_bus, nats_server):
    """An operator's pause ends its tries: processing stops now, not in 20 s."""
    camera = Camera(paced=False)
    async with Worker(nats_server.url, ["busy"]) as worker, sending(frames_bus, camera):
        camera.give()
        await until(lambda: worker.frames)
        camera.status = CameraStatus("site", camera.settings.id, 7, "paused", "operator", 0)
        await until(lambda: camera.outcomes() == {"shed": 1})  # after its budget it would be an error
        tried = len(worker.frames)
        await asyncio.sleep(0.1)
        assert len(worker.frames) == tried


async def test_the_real_keys_over_three_seconds(frames_bus, nats_server):
    """With keys that rotate and die in real time each frame is sealed with a living key, and many keys are used."""
    camera, keys = Camera(), SealingKeys(boottime_ns())
    used, failed = set(), []

    def current():
        key = known(keys.current(boottime_ns()))
        used.add(key.id)
        return key

    async with Worker(nats_server.url, ["done"]) as worker, sending(frames_bus, camera, current):
        end = time.monotonic() + 3
        while time.monotonic() < end or len(worker.frames) <= 30 or len(used) < 3:
            if camera.queue.empty():  # a busy machine may not have sent the last one yet
                camera.give()
            await asyncio.sleep(0.05)
    for frame in worker.frames:
        out = bytearray(i420_size(*SIZE))
        open_into(AESGCM(SECRETS[frame.key]), frame, memoryview(out))
        if bytes(out) != content(frame.sequence):
            failed.append(frame.sequence)
    assert failed == []
    assert len(used) >= 3


async def test_a_picture_that_slept_with_its_host_is_not_sent(frames_bus, nats_server, suspend):
    """Decoded before a suspend, it is as old as the suspend was long; it is overwritten, and no lifetime is claimed."""
    camera, ages = Camera(), []
    camera.may_send = lambda age_ns: ages.append(age_ns) or age_ns < LIVE_BUDGET_NS
    async with Worker(nats_server.url, ["done"]) as worker, sending(frames_bus, camera):
        picture = camera.give()
        suspend(60)
        await until(lambda: picture._released)
    assert (worker.frames, camera.sheds) == ([], 1)
    assert ages[0] >= 60 * 10**9
