"""What becomes of a frame: services.inference.worker, with real seals and lanes and a model that does as it is told."""

import asyncio
import gc
import sys
import threading
import time
from types import SimpleNamespace

import messages
import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from patience import patient, until
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from proto.codec import decode_as, encode_as
from proto.frames import FrameReplyV1
from proto.sightings import SightingsV1, SightingV1
from proto.subjects import FRAMES
from services.bus import Request
from services.frames.sealing.keys import OPEN_NS, OpeningKeys
from services.frames.sealing.seal import i420_bytes, proof_of, reply_key, seal_into
from services.inference import publisher as publishing
from services.inference.core.faces import Face
from services.inference.lanes import LARGEST_PIXELS, Lanes
from services.inference.publisher import SightingsPublisher
from services.inference.worker import Worker
from services.kernel.clock import boottime_ns

MS = 1_000_000
SITE = "cannes"
SUBJECT = FRAMES.subject(site="cannes", camera="gate")
KEY_ID, SECRET = b"key id 8", bytes(range(32))
FACE = Face(x1=0.25, y1=0.5, x2=0.5, y2=0.75, score=0.875, verdict="masked", confidence=0.75)


class Clock:
    """Stands still, so that no frame ages while this machine does something else."""

    def __init__(self):
        self.now = boottime_ns()

    def __call__(self):
        return self.now


class Model:
    """Stands for a FaceModel: keeps what it saw, waits while the gate is shut, raises if told so."""

    id, sha256 = "stub-1", "ab" * 32
    manifest = SimpleNamespace(min_face_px=12.0)

    def __init__(self, faces, clock):
        self.faces, self.error, self.slow_ns, self.clock = list(faces), None, 0, clock
        self.seen, self.threads = [], set()
        self.gate = threading.Event()
        self.gate.set()
        self.inside = 0

    def find(self, picture):
        self.inside += 1
        assert self.gate.wait(patient(10))
        self.clock.now += self.slow_ns
        self.seen.append(picture.copy())
        self.threads.add(threading.current_thread().name)
        self.inside -= 1
        if self.error:
            raise self.error
        return self.faces

    def warm_up(self, width, height):
        self.warmed = (width, height)


class Asker:
    """The sending side of a request: what it was answered, and what the lanes' buffers held at that very moment."""

    reply = "_INBOX.asker"

    def __init__(self, lanes, *, breaks=False):
        self.lanes, self.breaks = lanes, breaks
        self.answers, self.pixels = [], []
        self.at = None

    async def respond(self, data):
        self.at = time.monotonic()
        self.pixels += [np.frombuffer(lane._pixels, np.uint8).any() for lane in self.lanes._lanes if not lane.busy]
        self.answers.append(decode_as(FrameReplyV1, "msgpack", data))
        if self.breaks:
            raise ConnectionError("the connection was lost")

    @property
    def outcomes(self):
        return [answer.outcome for answer in self.answers]


class Bench:
    """A worker with everything around it."""

    def __init__(self, faces=(), lanes=1, emit=None, always=True):
        self.clock = Clock()
        self.models = [Model(faces, self.clock) for _ in range(lanes)]
        spare = list(self.models)
        self.lanes = Lanes(lambda: spare.pop(0), lanes, self.clock, always=always)
        self.keys = OpeningKeys()
        self.keys.add(SITE, KEY_ID, bytearray(SECRET), self.clock.now)
        self.emitted = []
        self.worker = Worker("box-1", self.lanes, self.keys, emit or self.emitted.append, self.clock)

    @property
    def model(self):
        return self.models[0]

    def request(self, asker, *, waited_ms=0.0, subject=SUBJECT):
        received = self.clock.now - round(waited_ms * MS)
        return Request(FRAMES, subject, {}, 0, received, asker)

    async def ask(self, frame, *, asker=None, wait=True, **how):
        """Hand a frame in; returns the asker once it is answered."""
        asker = asker or Asker(self.lanes)
        await self.worker.handle(frame, self.request(asker, **how))
        if wait:
            await self.worker.finish()
        return asker


@pytest.fixture(name="make")
async def _make():
    made = []

    def make(**how):
        made.append(Bench(**how))
        return made[-1]

    yield make
    for bench in made:
        for model in bench.models:
            model.gate.set()
        await bench.worker.finish()
        bench.lanes.close()


def pixels_of(width=64, height=32):
    return np.arange(i420_bytes(width, height), dtype=np.uint32).astype(np.uint8) | 1


def frame(*, width=64, height=32, secret=SECRET, **changes):
    """A frame as ingest seals it, when its key was as old as it is now."""
    pixels = pixels_of(width, height)
    usual = {"age": 2 * MS, "key": KEY_ID, "key_age": 3_600_000 * MS}
    made = messages.frame(len(pixels), width=width, height=height, **usual | changes)
    seal_into(AESGCM(secret), made, memoryview(pixels))
    return made


def count(outcome):
    return REGISTRY.get_sample_value("moretta_inference_frames_total", {"outcome": outcome}) or 0.0


async def test_a_frame_is_analysed(make):
    """The model sees exactly the pixels that were sealed; the answer is `done` with the worker's name and its time."""
    bench = make()
    before, bench.model.slow_ns = count("done"), 20 * MS
    asker = await bench.ask(frame())
    (seen,) = bench.model.seen
    assert seen.shape == (48, 64)
    assert (seen.reshape(-1) == pixels_of()).all()
    (answer,) = asker.answers
    assert (answer.outcome, answer.worker) == ("done", "box-1")
    assert answer.service_ms == 20
    assert count("done") == before + 1


async def test_the_sightings_say_what_was_seen_and_where(make):
    """Place, lease, sequence, event time and period are the frame's; the boxes and verdicts are the model's."""
    bench = make(faces=[FACE])
    await bench.ask(frame())
    (sightings,) = bench.emitted
    assert sightings == SightingsV1(
        site="cannes",
        camera="gate",
        lease=7,
        sequence=41,
        at=10**18,
        period=200 * MS,
        aspect=2.0,
        model="stub-1",
        model_sha256="ab" * 32,
        faces=[SightingV1(box=(0.25, 0.5, 0.5, 0.75), code="m", score=0.875, confidence=0.75)],
    )
    assert encode_as("msgpack", sightings)


async def test_a_picture_with_nobody_is_a_sighting_too(make):
    """It proves that somebody looked: coverage rests on it."""
    bench = make()
    await bench.ask(frame())
    assert [s.faces for s in bench.emitted] == [[]]


async def test_an_aimed_frame_is_told_its_quality(make):
    """Light, sharpness and sizes, and only where the frame asks; never the verdict. The meter's buffers are zeros."""
    bench = make(faces=[FACE, msgspec.structs.replace(FACE, verdict="unknown")])
    assert (await bench.ask(frame())).answers[0].quality is None
    (answer,) = (await bench.ask(frame(aim=True))).answers
    told = answer.quality
    assert (told.smallest, [(face.size, face.unknown) for face in told.faces]) == (
        12.0,
        [(pytest.approx(128**0.5), None), (pytest.approx(128**0.5), "too-small")],
    )
    assert 0 < told.brightness < 1
    assert told.sharpness is not None
    assert "masked" not in str(msgspec.to_builtins(told))
    meter = bench.lanes._lanes[0]._meter
    assert not any(buffer.any() for buffer in (meter._strip, meter._work, meter._mask, meter._black))


@pytest.mark.parametrize("aim", [False, True])
async def test_the_pixels_are_gone_before_the_answer(make, aim):
    """At the moment of the reply the lane's buffer is zeros, though the model saw the picture in it."""
    bench = make()
    asker = await bench.ask(frame(aim=aim))
    assert bench.model.seen[0].any()
    assert asker.pixels == [False]


async def test_the_pixels_are_gone_before_the_answer_of_a_broken_seal(make):
    """AES-GCM writes the plain text before it finds the tag wrong: that is overwritten too."""
    bench = make()
    broken = frame()
    broken.sealed[-1] ^= 1
    asker = await bench.ask(broken)
    assert asker.outcomes == ["invalid"]
    assert asker.pixels == [False]
    assert bench.model.seen == []
    assert bench.emitted == []


async def test_the_pixels_are_gone_before_the_answer_of_a_failure(make):
    """A model that raises leaves no picture behind either; the lane is free again, and the next frame is done."""
    bench = make()
    bench.model.error = RuntimeError("out of memory")
    before = count("failed")
    asker = await bench.ask(frame())
    assert (asker.outcomes, asker.pixels) == (["failed"], [False])
    assert count("failed") == before + 1
    assert bench.emitted == []
    bench.model.error = None
    assert (await bench.ask(frame())).outcomes == ["done"]


async def test_a_frame_waits_while_it_can_make_it(make):
    """Behind a frame in hand the next one waits, sealed; the one after it could not make it and is refused at once."""
    bench = make()
    bench.worker.warmed(25 * MS)
    bench.model.gate.clear()
    first = await bench.ask(frame(), wait=False)
    await until(lambda: bench.model.inside == 1)
    second, third = [await bench.ask(frame(), wait=False) for _ in range(2)]
    assert (first.answers, second.answers, third.outcomes) == ([], [], ["busy"])
    assert third.answers[0].service_ms == 0
    bench.model.gate.set()
    await bench.worker.finish()
    assert (first.outcomes, second.outcomes, len(bench.emitted)) == (["done"], ["done"], 2)
    assert first.at < second.at
    assert (await bench.ask(frame())).outcomes == ["done"]


@pytest.mark.parametrize(
    ("change", "outcome"), [({"age": 50 * MS}, "late"), ({"key": b"too old!", "budget": 20_000 * MS}, "no-key")]
)
async def test_what_waited_in_vain_is_refused_unread(make, change, outcome):
    """When the lane is free at last, a frame that is too old by then, or whose key has died, is not opened."""
    bench = make()
    bench.model.gate.clear()
    await bench.ask(frame(), wait=False)
    await until(lambda: bench.model.inside == 1)
    born = bench.clock.now - 1_000 * MS
    bench.keys.add(SITE, b"too old!", bytearray(SECRET), born)
    waiting, fresh = [await bench.ask(one, wait=False) for one in (frame(**change), frame(budget=20_000 * MS))]
    assert waiting.answers == []
    bench.keys.expire(born + OPEN_NS)
    bench.clock.now += 50 * MS
    bench.model.gate.set()
    await bench.worker.finish()
    assert (waiting.outcomes, fresh.outcomes, len(bench.model.seen)) == ([outcome], ["done"], 2)


async def test_a_lane_is_taken_before_its_task_runs(make):
    """Two frames in one turn of the loop do not get the same lane."""
    bench = make()
    bench.worker.warmed(60 * MS)
    askers = [Asker(bench.lanes), Asker(bench.lanes)]
    await asyncio.gather(*(bench.worker.handle(frame(), bench.request(asker)) for asker in askers))
    await bench.worker.finish()
    assert sorted(a.outcomes for a in askers) == [["busy"], ["done"]]


async def test_as_many_frames_as_lanes(make):
    """Two lanes analyse two frames at a time, each with its own model and thread; the third is refused."""
    bench = make(lanes=2)
    bench.worker.warmed(60 * MS)
    for model in bench.models:
        model.gate.clear()
    askers = [await bench.ask(frame(), wait=False) for _ in range(3)]
    await until(lambda: [model.inside for model in bench.models] == [1, 1])
    assert askers[2].outcomes == ["busy"]
    assert bench.lanes.busy() == 2
    for model in bench.models:
        model.gate.set()
    await bench.worker.finish()
    assert [a.outcomes for a in askers] == [["done"], ["done"], ["busy"]]
    first, second = (model.threads for model in bench.models)
    assert not first & second
    assert threading.current_thread().name not in first | second


async def test_a_lane_that_comes_into_use_takes_what_waits(make):
    """Else it would stay empty for as long as frames wait for the others."""
    bench = make(lanes=2, always=False)
    first, second = bench.models
    first.gate.clear()
    askers = [await bench.ask(frame(), wait=False) for _ in range(4)]
    await until(lambda: first.inside == 1)
    bench.lanes._width.now, bench.lanes._always = 2, True
    first.gate.set()
    await bench.worker.finish()
    assert [asker.outcomes for asker in askers] == [["done"]] * 4
    assert len(second.seen) >= 1
    assert len(first.seen) + len(second.seen) == 4


@pytest.mark.parametrize(
    ("age_ms", "waited_ms", "service_ms", "outcome"),
    [
        (2, 0, 30, "done"),
        (2, 60, 30, "done"),
        (60, 0, 30, "done"),
        (2, 80, 30, "late"),
        (80, 0, 30, "late"),
        (40, 40, 30, "late"),
        (100, 0, 0, "late"),
        (101, 0, 0, "late"),
        (2, 150, 0, "late"),
        (2, 0, 99, "late"),
    ],
)
async def test_what_cannot_make_it_is_refused_unread(make, age_ms, waited_ms, service_ms, outcome):
    """Age at send + our own wait + the expected service time decide against the budget of 100 ms."""
    bench = make()
    bench.worker.warmed(service_ms * MS)
    asker = await bench.ask(frame(age=age_ms * MS), waited_ms=waited_ms)
    assert asker.outcomes == [outcome]
    assert len(bench.model.seen) == (outcome == "done")
    assert len(bench.emitted) == (outcome == "done")


@pytest.mark.parametrize(("sealed_ms_ago", "outcome"), [(20, "done"), (300, "late")])
async def test_a_frame_is_as_old_as_its_seal(make, sealed_ms_ago, outcome):
    """Held back, played back or left in a buffer, whatever age it claims: its key tells how long ago it was sealed."""
    bench = make()
    bench.keys.add(SITE, b"aged key", bytearray(SECRET), bench.clock.now, age=500 * MS, doubt=400 * MS)
    asker = await bench.ask(frame(key=b"aged key", age=0, key_age=(500 - sealed_ms_ago) * MS))
    assert (asker.outcomes, len(bench.model.seen)) == ([outcome], outcome == "done")


@pytest.mark.parametrize(("change", "proven"), [({}, True), ({"age": 200 * MS}, True), ({"key": b"other id"}, False)])
async def test_who_has_the_key_proves_its_answer(make, change, proven):
    """Done or refused: with the frame's key, and for this frame alone; without the key there is no proof."""
    bench, asked = make(), frame(**change)
    (answer,) = (await bench.ask(asked)).answers
    right = proof_of(reply_key(bytearray(SECRET), asked), answer.outcome)
    assert answer.proof == (right if proven else None)


def ages():
    """How many frames' ages were told, and how many of them were within the budget."""
    name = "moretta_inference_frame_age_seconds"
    within = REGISTRY.get_sample_value(f"{name}_bucket", {"le": "0.1"})
    return REGISTRY.get_sample_value(f"{name}_count"), within


@pytest.mark.parametrize(("waited_ms", "outcome", "within"), [(0, "done", 1), (150, "late", 0)])
async def test_the_age_of_every_frame_is_told(make, waited_ms, outcome, within):
    """Also of one that grew too old before anybody looked at it: a queue shows, however its frames end."""
    bench, before = make(), ages()
    assert (await bench.ask(frame(), waited_ms=waited_ms)).outcomes == [outcome]
    assert ages() == (before[0] + 1, before[1] + within)


async def test_what_frames_took_is_expected_of_the_next(make):
    """A lane that needs longer than the budget refuses frames of any age, without a warm-up having said so."""
    bench = make()
    bench.model.slow_ns = 150 * MS
    assert (await bench.ask(frame())).outcomes == ["done"]
    assert (await bench.ask(frame())).outcomes == ["late"]


async def test_a_slow_start_does_not_shed_for_ever(make):
    """Refusals make the old estimate fade: within a few seconds of frames one is tried again."""
    bench = make()
    bench.worker.warmed(500 * MS)
    outcomes = [(await bench.ask(frame())).outcomes[0] for _ in range(40)]
    assert outcomes[0] == "late"
    assert "done" in outcomes


@pytest.mark.parametrize(("age_ms", "outcome"), [(99, "done"), (5_000, "done"), (19_890, "done"), (20_001, "late")])
async def test_a_recorded_picture_may_wait(make, age_ms, outcome):
    """With the budget of a recorded file nothing is shed that a live camera's picture would be."""
    bench = make()
    bench.worker.warmed(90 * MS)
    asker = await bench.ask(frame(age=age_ms * MS, budget=20_000 * MS))
    assert asker.outcomes == [outcome]


async def test_a_frame_without_a_key_is_refused_at_once(make):
    """A key that was never received, even while another frame is in hand."""
    bench = make()
    asker = await bench.ask(frame(key=b"other id"))
    assert asker.outcomes == ["no-key"]
    assert bench.model.seen == []


async def test_a_frame_whose_key_has_died_is_refused(make):
    """What was recorded on the bus and comes again later cannot be opened."""
    bench = make()
    bench.keys.expire(bench.clock.now + OPEN_NS)
    assert (await bench.ask(frame())).outcomes == ["no-key"]


@pytest.mark.parametrize(
    "bad",
    [
        {"sealed": memoryview(bytes(i420_bytes(64, 32)))},
        {"sealed": memoryview(b"")},
        {"width": 62},
        {"height": 34},
        {"width": 128},
        {"sequence": 42},
        {"lease": 8},
        {"at": 10**18 + 1},
        {"nonce": b"another one."},
        {"budget": 20_000 * MS},
        {"period": 400 * MS},
        {"aim": True},
        {"camera": "exit"},
        {"site": "lyon"},
    ],
)
async def test_a_frame_that_is_not_what_was_sealed_is_invalid(make, bad):
    """Wrong sizes and any change of what the seal binds: refused, overwritten, nothing emitted, the lane is free."""
    bench = make()
    asker = await bench.ask(msgspec.structs.replace(frame(), **bad))
    assert (asker.outcomes, asker.pixels) == (["invalid"], [False])
    assert (bench.model.seen, bench.emitted) == ([], [])
    assert (await bench.ask(frame())).outcomes == ["done"]


async def test_no_frame_keeps_its_cipher(make):
    """Opened, broken, or one over which the model failed: no error and no work item refers to the key any more.

    Nothing is drawn: outside a service structlog draws errors with rich, whose lists of frames are a circle.
    """
    bench, broken = make(), frame()
    broken.sealed[5] ^= 1
    cipher = bench.keys.get(SITE, KEY_ID, bench.clock.now).cipher
    before, outcomes = sys.getrefcount(cipher), []
    gc.disable()
    try:
        with capture_logs():
            for one, error in ((frame(), None), (broken, None), (frame(), RuntimeError("out of memory"))):
                bench.model.error = error
                outcomes += (await bench.ask(one)).outcomes
        assert outcomes == ["done", "invalid", "failed"]
        bench.model.error = error = None  # ours, with the stack that raised it
        await until(lambda: sys.getrefcount(cipher) == before)  # the lane's thread lets go a moment later
    finally:
        gc.enable()


async def test_a_frame_on_another_camera_s_subject_is_invalid(make):
    """A picture can't be passed off as another camera's."""
    bench = make()
    asker = await bench.ask(frame(), subject=FRAMES.subject(site="cannes", camera="other"))
    assert asker.outcomes == ["invalid"]
    assert bench.emitted == []


async def test_a_frame_larger_than_a_lane_is_invalid(make):
    """More pixels than settings allow are refused before anything is opened."""
    bench = make()
    width = height = 1924
    assert width * height > LARGEST_PIXELS
    asker = await bench.ask(frame(width=width, height=height))
    assert asker.outcomes == ["invalid"]


async def test_the_largest_frame_that_settings_allow(make):
    """1920 x 1920 fits a lane."""
    bench = make()
    asker = await bench.ask(frame(width=1920, height=1920, budget=20_000 * MS))
    assert (asker.outcomes, asker.pixels) == (["done"], [False])
    assert bench.model.seen[0].shape == (2880, 1920)


async def test_the_answer_waits_for_no_jetstream(make, monkeypatch):
    """With a JetStream that takes nothing, and the publisher's queue full, every frame is still answered at once."""
    monkeypatch.setattr(publishing, "_QUEUE", 2)

    class Stuck:
        connected = True

        async def store(self, *_args, **_more):
            await asyncio.Event().wait()

    publisher = SightingsPublisher(Stuck())
    running = asyncio.create_task(publisher.run())
    bench = make(emit=publisher.emit)
    began = time.monotonic()
    askers = [await bench.ask(frame()) for _ in range(10)]
    assert [a.outcomes for a in askers] == [["done"]] * 10
    assert time.monotonic() - began < publishing._TIMEOUT_S
    running.cancel()
    await asyncio.wait([running])


async def test_the_answer_comes_before_the_sightings(make):
    """Ingest's lifetime does not wait for what is made of the faces."""
    order = []
    bench = make(emit=lambda _: order.append("sightings"))
    asker = Asker(bench.lanes)
    respond = asker.respond

    async def told(data):
        order.append("answer")
        await respond(data)

    asker.respond = told
    await bench.ask(frame(), asker=asker)
    assert order == ["answer", "sightings"]


async def test_an_answer_that_cannot_be_sent_loses_no_sightings(make):
    """With the connection just lost ingest counts the frame as unconfirmed; what was seen holds, and we go on."""
    bench = make(faces=[FACE])
    asker = await bench.ask(frame(), asker=Asker(bench.lanes, breaks=True))
    assert asker.outcomes == ["done"]
    assert len(bench.emitted) == 1
    assert (await bench.ask(frame())).outcomes == ["done"]


async def test_finish_waits_for_the_frames_in_hand(make):
    """A worker that is asked to stop answers what it has begun."""
    bench = make()
    bench.model.gate.clear()
    asker = await bench.ask(frame(), wait=False)
    await until(lambda: bench.model.inside == 1)
    finishing = asyncio.create_task(bench.worker.finish())
    await asyncio.sleep(0)
    assert not finishing.done()
    bench.model.gate.set()
    await asyncio.wait_for(finishing, 10)
    assert (asker.outcomes, len(bench.emitted)) == (["done"], 1)


async def test_a_frame_in_a_stuck_lane_is_never_answered(make, monkeypatch):
    """A reply would confirm that its pixels are gone. The lane takes no other frame, and no stop waits for it."""
    monkeypatch.setattr("services.inference.lanes.LOOK_S", 0)
    bench = make()
    await bench.lanes.warm_up(64, 32)
    bench.model.gate.clear()
    asker = await bench.ask(frame(), wait=False)
    await until(lambda: bench.model.inside == 1)
    (lane,) = bench.lanes._lanes
    assert np.frombuffer(lane._pixels, np.uint8).any()
    watching = asyncio.create_task(bench.lanes.watch())

    async def given_up():
        bench.clock.now += 1_000 * MS
        return watching.done()

    await until(given_up, "the watch gives the lane up")
    assert "lane-0 " in str(watching.exception())
    await asyncio.wait_for(bench.worker.finish(), 10)
    assert (asker.answers, bench.emitted) == ([], [])
    assert not np.frombuffer(lane._pixels, np.uint8).any()
    assert bench.lanes.free() is None
    bench.model.gate.set()


async def test_finish_with_nothing_in_hand(make):
    """It returns at once."""
    await asyncio.wait_for(make().worker.finish(), 1)


def counted() -> dict[str, float]:
    """All of inference's samples but the sums of times, and how the times fell."""
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if family.name.startswith("moretta_inference") and not sample.name.endswith(("_sum", "_bucket", "_created"))
    }


async def test_metrics_do_not_know_how_many_faces_there_were(make):
    """Nine faces in each picture, or none: the same series, and each rose by the same."""
    found = []
    for faces in ([FACE] * 9, []):
        bench, before = make(faces=faces), counted()
        for _ in range(5):
            await bench.ask(frame())
        found.append({name: value - before.get(name, 0.0) for name, value in counted().items()})
        assert len(bench.emitted) == 5
    assert found[0] == found[1]
    assert found[0]["moretta_inference_frames_total[('outcome', 'done')]"] == 5
