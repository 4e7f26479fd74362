"""The whole of inference, as a process, on a real server with the box's permissions; ingest is played by the test."""

import asyncio
import contextlib
import hashlib
import itertools
import json
import re
import shutil
import signal
from functools import partial

import messages
import pytest
from patience import until
from portrait_picture import picture
from site_process import Site
from tiny_onnx import classifier_of_two, detector_that_hangs

from proto.sightings import CODES
from proto.subjects import FRAMES, SIGHTINGS
from proto.subjects import MODELS as MODELS_TOLD
from services.bus import NoWorkers
from services.frames.sealing.seal import i420_bytes, seal_into
from services.frames.sealing.settings import SealingSettings
from services.inference.errors import ERRORS_NAME, read_errors
from services.inference.model import MODELS, load_model
from services.ingest.camera.keys import KeyGiver
from services.kernel.clock import boottime_ns
from services.kernel.settings import Secret

MS = 1_000_000
WIDTH, HEIGHT = 320, 180
GREY = bytes([128]) * i420_bytes(WIDTH, HEIGHT)


class Ingest:
    """The other side: keys for workers, and frames of a grey picture."""

    def __init__(self, frames, main, identities):
        self.frames, self.main, self.identities = frames, main, identities
        self.givers, self.tasks = {}, []
        self.numbers = itertools.count()

    async def open(self, *sites):
        for site in sites:
            self.givers[site] = KeyGiver(self.frames, site, *self.identities)
            await self.givers[site].listen()
            self.givers[site].begin()
            self.tasks.append(asyncio.create_task(self.givers[site].run()))

    def frame(self, *, site="cannes", pixels=GREY, width=WIDTH, height=HEIGHT, budget_ms=20_000, spoil=False):
        key = self.givers[site].current()
        sequence = next(self.numbers)
        frame = messages.frame(
            len(pixels), site=site, sequence=sequence, at=10**18 + sequence, age=1 * MS, budget=budget_ms * MS,
            width=width, height=height, key=key.id, key_age=boottime_ns() - key.born, nonce=key.nonce(),
        )  # fmt: skip
        seal_into(key.cipher, frame, memoryview(pixels))
        if spoil:
            frame.sealed[5] ^= 1
        return frame

    async def ask(self, frame, timeout=5.0):
        return await self.frames.request(FRAMES, frame, timeout=timeout)

    async def answer(self, *but, **how):
        """Send frames until one is answered otherwise than `but`; returns its sequence and the reply.

        `late` is what a worker says that has just been slow, whatever the frame is.
        """

        async def answered():
            frame = self.frame(**how)
            reply = await self.ask(frame)
            return None if reply.outcome in {"late", *but} else (frame.sequence, reply)

        return await until(answered, "an answer", 45, every_s=0.05, ignoring=(NoWorkers, TimeoutError))

    async def outcome(self, **how):
        """The outcome of a frame that a worker has looked at."""
        return (await self.answer(**how))[1].outcome

    async def until_done(self, site="cannes"):
        """Send frames until one is done; returns its sequence."""
        sequence, reply = await self.answer("no-key", "busy", site=site)
        assert reply.outcome == "done"
        return sequence


@pytest.fixture(name="site")
def _site(tmp_path):
    site = Site(tmp_path)
    site.server.start()
    settings(site, "cannes")
    yield site
    site.close()


def settings(site, *names, **sections):
    site.write({"sites": [{"id": name, "profile": "lab"} for name in names], **sections})


@pytest.fixture(name="ingest")
async def _ingest(site):
    files = {"signing_key": "ingest.key", "verify_key": "inference.pub"}
    folder = site.identities.folder
    sealing = SealingSettings(**{name: Secret((folder / file).read_text()) for name, file in files.items()})
    async with site.bus("ingest", "MORETTA_FRAMES") as frames, site.bus("aggregate") as main:
        await main.ensure_streams(["SIGHTINGS"])
        ingest = Ingest(frames, main, (sealing.private(), sealing.trusted()))
        await ingest.open("cannes")
        yield ingest
        for task in ingest.tasks:
            assert not task.done()
            task.cancel()
        await asyncio.gather(*ingest.tasks, return_exceptions=True)


async def test_frames_become_sightings(site, ingest):
    """Each frame is answered `done` by the worker, and its sightings are stored, in order, with what the frame said."""
    inference = site.start("inference")
    await ingest.until_done()
    answers = [await ingest.answer("no-key") for _ in range(6)]
    replies, sequences = [reply for _, reply in answers], [sequence for sequence, _ in answers]
    assert {reply.outcome for reply in replies} == {"done"}
    assert all(reply.service_ms > 0 for reply in replies)
    assert len({reply.worker for reply in replies}) == 1
    stored = await _stored(ingest, sequences[-1])
    assert [m.sequence for m in stored[-6:]] == sequences
    assert [m.at for m in stored] == [10**18 + m.sequence for m in stored]
    assert {(m.site, m.camera, m.lease, m.period) for m in stored} == {("cannes", "gate", 7, 200 * MS)}
    assert {tuple(m.faces) for m in stored} == {()}
    assert inference.get("/readyz")[0] == 200
    assert inference.metric("moretta_inference_frames_total", outcome="done") == len(stored)
    assert inference.stop() == 0


async def test_the_stream_holds_the_models_errors_before_its_first_sighting(site, ingest):
    """Aggregate decides from the stream alone: with the first picture it has the errors of the shipped model."""
    site.start("inference")
    await _stored(ingest, await ingest.until_done())
    [told, *_] = await ingest.main.history(MODELS_TOLD, site="cannes")
    [first, *_] = await ingest.main.history(SIGHTINGS, site="cannes")
    model = load_model()
    assert (told.message.model, told.message.model_sha256) == (model.id, model.sha256)
    assert told.message.errors == read_errors(MODELS, model.sha256)
    assert (first.message.model, first.message.model_sha256) == (model.id, model.sha256)
    assert told.sequence < first.sequence


async def _stored(ingest, last):
    """The stored sightings, once the one with this sequence is among them."""

    async def found():
        stored = [s.message for s in await ingest.main.history(SIGHTINGS, site="cannes")]
        return stored if last in [m.sequence for m in stored] else None

    return await until(found, "the last one is stored", every_s=0.05)


async def test_what_a_worker_refuses(site, ingest):
    """A spoilt frame, a wrong size and an unknown key get their own answers, and the worker goes on."""
    inference = site.start("inference")
    first = await ingest.until_done()
    assert await ingest.outcome(spoil=True) == "invalid"
    assert await ingest.outcome(width=WIDTH * 2) == "invalid"
    await ingest.open("lyon")
    assert await ingest.outcome(site="lyon") == "no-key"
    late = partial(inference.metric, "moretta_inference_frames_total", outcome="late")
    before = late()
    assert (await ingest.ask(ingest.frame(budget_ms=1))).outcome == "late"
    assert late() == before + 1
    last = await ingest.until_done()
    stored = await _stored(ingest, last)
    assert [m.sequence for m in stored if m.sequence >= first] == [first, last]
    assert inference.metric("moretta_inference_frames_total", outcome="invalid") == 2


async def test_many_at_once_are_refused_and_not_queued(site, ingest):
    """One lane: of forty frames at once some are done, the others answered, and none waits beyond its budget."""
    site.start("inference")
    await ingest.until_done()
    frames = [ingest.frame() for _ in range(40)]
    asked = await asyncio.gather(*(ingest.ask(frame, timeout=3.0) for frame in frames), return_exceptions=True)
    outcomes = [reply.outcome for reply in asked if not isinstance(reply, BaseException)]
    assert set(outcomes) <= {"done", "busy", "late", "no-key"}  # a key is gone after two seconds of a busy machine
    assert len(set(outcomes)) > 1
    assert "done" in outcomes


async def test_a_reload_announces_to_a_new_site(site, ingest):
    """A site that comes with a reload gets its frames analysed, without a restart."""
    inference = site.start("inference")
    await ingest.until_done("cannes")
    await ingest.open("lyon")
    assert await ingest.outcome(site="lyon") == "no-key"
    settings(site, "cannes", "lyon")
    await ingest.until_done("lyon")
    await ingest.until_done("cannes")
    await until(lambda: inference.said("new settings in force"), inference.last_words)
    assert len(inference.said("new settings in force")) == 1


async def test_a_face_in_a_frame_is_in_its_sighting(site, ingest):
    """A portrait: one face, and its verdict is the model's."""
    site.start("inference")
    await ingest.until_done()
    sequence, _ = await ingest.answer("no-key", pixels=picture(WIDTH, HEIGHT).tobytes())
    stored = await _stored(ingest, sequence)
    assert [face.code for face in stored[-1].faces] == [CODES["unmasked"]]


async def test_a_stopping_worker_answers_what_it_has_in_hand(site, ingest):
    """SIGTERM in the middle of frames: what was taken is answered and its sightings are stored, exit code 0."""
    inference = site.start("inference")
    await ingest.until_done()
    done = []

    async def send():
        while True:
            frame = ingest.frame()
            with contextlib.suppress(TimeoutError):  # a machine that does something else
                reply = await ingest.ask(frame, timeout=1.0)
                if reply.outcome == "done":
                    done.append(frame.sequence)

    sending = asyncio.create_task(send())
    await until(lambda: len(done) > 3, "some frames are done", 30, every_s=0.01)
    inference.signal(signal.SIGTERM)
    with contextlib.suppress(NoWorkers):
        await sending
    assert await asyncio.to_thread(inference.ended) == 0
    stored = {m.sequence for m in await _stored(ingest, done[-1])}
    assert set(done) <= stored
    assert not [line for line in inference.lines if line.get("level") == "error"]


async def test_a_killed_worker_is_replaced(site, ingest):
    """Another process takes over with keys of its own; the stream goes on in order."""
    first = site.start("inference")
    await ingest.until_done()
    assert await asyncio.to_thread(first.stop, signal.SIGKILL) == -signal.SIGKILL
    site.start("inference")
    last = await ingest.until_done()
    sequences = [m.sequence for m in await _stored(ingest, last)]
    assert sequences == sorted(set(sequences))


async def test_sightings_of_an_outage_are_counted_as_lost(site, ingest):
    """While NATS is frozen the publisher loses what it could not store in 2 s; afterwards it goes on."""
    inference = site.start("inference")
    await ingest.until_done()
    frame = ingest.frame()
    async with site.bus("inference") as other:
        asking = asyncio.create_task(ingest.ask(frame, timeout=0.5))
        await asyncio.gather(asking, return_exceptions=True)
        assert other.connected
    site.server.kill()
    await asyncio.sleep(0.5)
    site.server.start()
    await until(lambda: ingest.main.connected and ingest.frames.connected, "connected again")
    last = await ingest.until_done()
    stored = await _stored(ingest, last)
    assert [m.sequence for m in stored] == sorted(m.sequence for m in stored)
    assert not inference.is_over


def copied(folder):
    """A copy of the shipped model to damage."""
    shutil.copytree(MODELS, folder)
    return folder


def damaged(folder):
    path = copied(folder) / "detector.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def without(folder):
    (copied(folder) / "classifier.onnx").unlink()


def nonsense(folder):
    (copied(folder) / "model.json").write_text("{}")


def anothers(folder):
    path = copied(folder) / ERRORS_NAME
    path.write_text(path.read_text().replace(load_model().sha256, "b" * 64))


def with_own(folder, part, content):
    """A model one of whose networks is another."""
    (copied(folder) / ERRORS_NAME).unlink()
    (folder / "own.onnx").write_bytes(content)
    manifest = json.loads((folder / "model.json").read_text())
    manifest[part] = {"file": "own.onnx", "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "model.json").write_text(json.dumps(manifest))


def failing(folder):
    """Its classifier fails at the first picture."""
    with_own(folder, "classifier", classifier_of_two())


@pytest.mark.long
@pytest.mark.timeout(400)  # a lane may take a hundred times what its warm run took, which is seconds on a busy machine
async def test_a_worker_whose_model_hangs_ends(site, ingest):
    """No answer, so that ingest counts the picture as unconfirmed; one line names the lane, and the process is over."""
    with_own(site.folder / "model", "detector", detector_that_hangs())
    settings(site, "cannes", inference={"model": str(site.folder / "model"), "threads": 1})
    inference = site.start("inference")
    await ingest.until_done()
    bright = bytes([255]) + GREY[1:]

    unanswered = []

    async def has_ended():
        """Ask again and again: on a busy machine a picture comes too late to be looked at, and has no answer either."""
        try:
            await ingest.ask(ingest.frame(pixels=bright), timeout=1.0)
        except TimeoutError:
            unanswered.append(bright)
        except NoWorkers:
            await asyncio.sleep(0.1)
        return inference.process.poll() is not None

    await until(has_ended, "the process ends", 300)
    assert unanswered
    assert await asyncio.to_thread(inference.ended) == 1
    (line,) = [line for line in inference.lines if line["level"] == "error"]
    assert re.search(r"lane-0 has been at one picture for \d+ s", line["exception"])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (anothers, f"/model/errors.json: model_sha256 is {'b' * 64}, but the model here is "),
        (damaged, "/model/detector.onnx: sha256 is "),
        (without, "/model/classifier.onnx: cannot be read: No such file or directory"),
        (nonsense, "/model/model.json: is no model manifest: "),
        (lambda folder: None, "/model/model.json: cannot be read: No such file or directory"),
        (failing, f"model {load_model().id}: fails on a grey picture of 640x360: "),
    ],
)
def test_an_unusable_model_is_one_line_and_exit_2(tmp_path, spoil, said):
    """The line names the file, or the model, and what is wrong with it: nothing was connected to, no traceback."""
    spoil(tmp_path / "model")
    site = Site(tmp_path)
    settings(site, "cannes", inference={"model": str(tmp_path / "model")})
    line = only_line(site.start("inference"))
    assert line["error"].startswith((f"{tmp_path}{said}", said))
    if spoil is damaged:
        want = json.loads((MODELS / "model.json").read_text())["detector"]["sha256"]
        assert line["error"].endswith(f", expected {want}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "sealing.signing_key is missing; `sealing.signing_key_file` names a file with 64 hexadecimal digits"),
        ("nonsense", "sealing.signing_key is no Ed25519 key; `sealing.signing_key_file` names a file with 64"),
    ],
)
def test_a_wrong_key_is_one_line_and_exit_2(tmp_path, text, said):
    """A user's mistake is told in one line that says what would be right, without a traceback or the key."""
    site = Site(tmp_path)
    settings(site, "cannes")
    (tmp_path / "wrong.key").write_text(text or "")
    key = str(tmp_path / "wrong.key") if text else None
    line = only_line(site.start("inference", MORETTA_SEALING__SIGNING_KEY_FILE=key))
    assert line["error"].startswith(said)
    assert "nonsense" not in str(line)


def only_line(service):
    """The one thing that a service said that could not start."""
    assert service.ended(30) == 2
    assert len(service.words) == len(service.lines), "a traceback"
    (line,) = [line for line in service.lines if line["level"] == "error"]
    assert line["event"] == "cannot start"
    assert "\n" not in line["error"]
    return line
