"""What the world hears of a camera: services.ingest.reporter."""

import asyncio
import contextlib
import secrets
import time
from types import SimpleNamespace

import pytest
from patience import until
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from proto.codec import encode
from proto.public import CameraV1
from proto.sightings import CameraEventV1
from proto.subjects import CAMERA_EVENTS, CAMERAS
from services.ingest import reporter as sut
from services.ingest.camera import CameraStatus
from services.ingest.core.lifetime import Lifetimes
from services.ingest.metrics import STATES
from services.ingest.playback import CameraStats
from services.ingest.reporter import Reporter
from services.sites.settings import CameraSettings


class Line:
    """A bus that keeps what is stored and published, and checks that it is within the contract."""

    def __init__(self):
        self.connected, self.stored, self.published = True, [], []

    async def store(self, row, message):
        assert encode(row, message)
        await asyncio.sleep(0)
        self.stored.append((row, message))

    async def publish(self, row, message):
        assert encode(row, message)
        self.published.append((row, message))

    def states(self, row):
        return [message.state for each, message in self.stored if each is row]


class Scene:
    """A reporter with a camera and a sender whose figures can be set."""

    def __init__(self, every_s=60.0, quiet_s=0.0):
        self.line = Line()
        self.name = f"cam-{secrets.token_hex(4)}"
        self.stats = CameraStats("h264", 1920, 1080, 25.004, 100, 0, 0, 0)
        self.camera = SimpleNamespace(
            site="cannes",
            settings=CameraSettings(id=self.name, url="/clip.mp4"),
            stats=lambda: self.stats,
            status=None,
        )
        self.sender = SimpleNamespace(lifetimes=Lifetimes(), without_worker=False, answered=0)
        self.reporter = Reporter(self.line, every_s, quiet_s=quiet_s)
        self.reporter.attach(self.camera, self.sender)
        self.sent = asyncio.Event()

    def change(self, state, reason=None, at=1, message=""):
        self.camera.status = CameraStatus("cannes", self.name, 7, state, reason, at, message)
        self.reporter.changed(self.camera.status)

    def gauge(self):
        """The states whose gauge exists, and their values."""
        labels = {"site": "cannes", "camera": self.name}
        found = {s: REGISTRY.get_sample_value("moretta_camera_state", labels | {"state": s}) for s in STATES}
        return {state: value for state, value in found.items() if value is not None}


@contextlib.asynccontextmanager
async def reporting(scene):
    running = [asyncio.create_task(task) for task in (scene.reporter.run(scene.sent.wait), scene.reporter.measure())]
    try:
        yield
        assert not any(task.done() for task in running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)


async def test_every_change_is_told_twice_and_in_order():
    """To aggregate in the stream it decides from, and to anyone as the camera's state."""
    scene = Scene()
    async with reporting(scene):
        scene.change("connecting", at=1)
        scene.change("live", at=2)
        scene.change("backing-off", "refused", at=3)
        await until(lambda: len(scene.line.stored) == 6)
    assert [row for row, _ in scene.line.stored] == [CAMERA_EVENTS, CAMERAS] * 3
    assert [m for row, m in scene.line.stored if row is CAMERA_EVENTS] == [
        CameraEventV1(site="cannes", camera=scene.name, lease=7, state="connecting", at=1),
        CameraEventV1(site="cannes", camera=scene.name, lease=7, state="live", at=2),
        CameraEventV1(site="cannes", camera=scene.name, lease=7, state="backing-off", reason="refused", at=3),
    ]
    public = [m for row, m in scene.line.stored if row is CAMERAS]
    assert [(m.state, m.reason, m.since) for m in public] == [
        ("connecting", None, 1),
        ("live", None, 2),
        ("backing-off", "refused", 3),
    ]
    assert all(abs(m.at - time.time_ns()) < 5_000_000_000 for m in public)


async def test_a_successor_speaks_when_a_picture_was_analysed():
    """Its word fences the predecessor off, whose pictures are analysed meanwhile: having pictures is not enough."""
    scene = Scene(quiet_s=60.0)
    async with reporting(scene):
        scene.change("connecting", at=1)
        scene.change("live", at=2)
        await asyncio.sleep(0.3)
        assert (scene.line.stored, scene.reporter.takes_effect) == ([], False)
        scene.sender.answered = 1
        await until(lambda: scene.line.states(CAMERAS) == ["live"])
        assert scene.reporter.takes_effect


@pytest.mark.parametrize("state", ["paused", "ended"])
async def test_a_successor_without_pictures_to_come_speaks_at_once(state):
    """A camera that is paused, or has ended, needs no predecessor."""
    scene = Scene(quiet_s=60.0)
    scene.sent.set()
    async with reporting(scene):
        scene.change(state)
        await until(lambda: scene.line.states(CAMERAS) == [state])


async def test_a_successor_that_sees_nothing_speaks_in_the_end():
    """Its predecessor lets go after a while, whatever becomes of it."""
    scene = Scene(quiet_s=0.3)
    async with reporting(scene):
        scene.change("connecting")
        await until(lambda: scene.line.states(CAMERAS) == ["connecting"])


async def test_what_a_camera_is():
    """Decoder, size and rate of the camera are in its state; its URL and its error's text are not."""
    scene = Scene()
    async with reporting(scene):
        scene.change("failed-config", "not-found", message="/secret/place does not exist")
        await until(lambda: len(scene.line.stored) == 2)
    public = scene.line.stored[1][1]
    assert isinstance(public, CameraV1)
    assert (public.decoder, public.width, public.height, public.fps) == ("h264", 1920, 1080, 25.0)
    for row, message in scene.line.stored:
        data = encode(row, message)
        assert b"secret" not in data
        assert b"clip.mp4" not in data


async def test_figures_come_without_a_change():
    """Every few seconds, over core NATS, with the state in force."""
    scene = Scene(every_s=0.05)
    async with reporting(scene):
        scene.change("live")
        await until(lambda: len(scene.line.published) >= 3)
    assert {row for row, _ in scene.line.published} == {CAMERAS}
    assert {m.state for _, m in scene.line.published} == {"live"}
    assert scene.line.states(CAMERAS) == ["live"]


async def test_a_camera_without_pictures_says_so_again(monkeypatch):
    """Why nothing is seen stays in the stream, however long it lasts; a live camera's pictures say enough."""
    monkeypatch.setattr(sut, "REPEAT_S", 0.1)
    scene = Scene(every_s=0.02)
    async with reporting(scene):
        scene.change("paused", "operator", at=5)
        await until(lambda: scene.line.states(CAMERA_EVENTS) == ["paused"] * 3)
        scene.change("live", at=6)
        await until(lambda: scene.line.states(CAMERA_EVENTS)[-1] == "live")
        told = len(scene.line.stored)
        await asyncio.sleep(0.4)
        assert len(scene.line.stored) == told
    assert {m.at for row, m in scene.line.stored if row is CAMERA_EVENTS and m.state == "paused"} == {5}


async def test_no_figures_before_the_first_state():
    """A camera that was not started has nothing to tell."""
    scene = Scene(every_s=0.01)
    async with reporting(scene):
        await asyncio.sleep(0.1)
    assert scene.line.published == []


async def test_no_figures_while_disconnected():
    """Old figures are of no use to anyone, and would fill the client's memory."""
    scene = Scene(every_s=0.01)
    async with reporting(scene):
        scene.change("live")
        await until(lambda: scene.line.published)
        scene.line.connected = False
        told = len(scene.line.published)
        await asyncio.sleep(0.1)
        assert len(scene.line.published) == told


async def test_each_picture_is_told_once_though_a_report_is_lost():
    """Reports are added up: what one that could not be sent counted is in the next one."""
    scene = Scene(every_s=0.01)

    def lived():
        return [m.lifetime for row, m in scene.line.stored + scene.line.published if row is CAMERAS]

    def sums():
        return sum(one.pictures for one in lived()), sum(one.late for one in lived())

    async with reporting(scene):
        scene.sender.lifetimes.add(20_000_000)
        scene.change("live")
        await until(lambda: len(scene.line.published) >= 2)
        scene.line.connected = False
        for _ in range(3):
            scene.sender.lifetimes.add_unconfirmed()
        await until(lambda: scene.reporter.latest.lifetime.late == 3)
        assert sums() == (1, 0)
        scene.line.connected = True
        await until(lambda: sums()[0] > 1)
        told = len(scene.line.published)
        await until(lambda: len(scene.line.published) > told + 2)
        assert sums() == (4, 3)


async def test_the_rates_are_those_since_the_last_report():
    """Analysed pictures per second and the share that was shed count from report to report."""
    scene = Scene()
    scene.stats = CameraStats("h264", 1920, 1080, 25.0, 100, 40, 10, 0)
    scene.sender.answered = 30
    scene.reporter._seen.at -= 10
    async with reporting(scene):
        scene.change("live", at=1)
        await until(lambda: len(scene.line.stored) == 2)
        scene.reporter._seen.at -= 10
        scene.stats = CameraStats("h264", 1920, 1080, 25.0, 200, 60, 10, 0)
        scene.sender.answered = 50
        scene.change("stalled", at=2)
        await until(lambda: len(scene.line.stored) == 4)
    first, second = (m for row, m in scene.line.stored if row is CAMERAS)
    assert first.analysed_fps == pytest.approx(3, rel=0.1)
    assert first.shed_share == 0.25
    assert second.analysed_fps == pytest.approx(2, rel=0.1)
    assert second.shed_share == 0


async def test_nothing_sampled_is_no_share():
    """A camera without pictures shed none of them."""
    scene = Scene()
    async with reporting(scene):
        scene.change("connecting")
        await until(lambda: len(scene.line.stored) == 2)
    assert scene.line.stored[1][1].shed_share == 0


async def test_a_shed_picture_of_an_earlier_sample():
    """A picture sampled before the last report and shed after it does not make the share more than one."""
    scene = Scene()
    scene.reporter._seen = sut._Seen(time.monotonic() - 1, sampled=5)
    scene.stats = CameraStats("h264", 64, 32, 25.0, 100, 6, 3, 0)
    async with reporting(scene):
        scene.change("live")
        await until(lambda: len(scene.line.stored) == 2)
    assert scene.line.stored[1][1].shed_share == 1


async def test_lifetimes_are_the_senders():
    """Percentiles, number, and how many had no answer."""
    scene = Scene()
    scene.sender.lifetimes.add(30_000_000)
    scene.sender.lifetimes.add_unconfirmed()
    async with reporting(scene):
        scene.change("live")
        await until(lambda: len(scene.line.stored) == 2)
    lifetime = scene.line.stored[1][1].lifetime
    assert (lifetime.p50_ms, lifetime.frames, lifetime.unconfirmed) == (30.0, 2, 1)


@pytest.mark.parametrize(("state", "reason"), [("live", "no-worker"), ("backing-off", "refused")])
async def test_a_missing_worker_is_shown(state, reason):
    """A live camera whose frames nobody takes says so; one with a trouble of its own says that."""
    scene = Scene()
    scene.sender.without_worker = True
    async with reporting(scene):
        scene.change(state, None if state == "live" else "refused")
        await until(lambda: len(scene.line.stored) == 2)
    event, public = (message for _, message in scene.line.stored)
    assert public.reason == reason
    assert event.reason == (None if state == "live" else "refused")


async def test_ended_is_told_when_no_sighting_will_follow(monkeypatch):
    """Only after the sender's last answer, and the time that inference may need to store what it saw."""
    monkeypatch.setattr(sut, "SETTLE_S", 0.2)
    scene = Scene(every_s=0.02)
    async with reporting(scene):
        scene.change("live", at=1)
        scene.change("ended", at=2)
        await until(lambda: scene.line.states(CAMERAS) == ["live"])
        await asyncio.sleep(0.1)
        assert scene.line.states(CAMERA_EVENTS) == ["live"]
        told = [m.state for _, m in scene.line.published]
        assert "ended" not in told, "figures may not tell it before it is so"
        sent_at = time.monotonic()
        scene.sent.set()
        await until(lambda: scene.line.states(CAMERAS) == ["live", "ended"])
        assert time.monotonic() - sent_at >= 0.2
        await until(lambda: "ended" in [m.state for _, m in scene.line.published])


def test_the_settling_is_longer_than_the_publisher_s_patience():
    """Inference stores or loses a sighting within 2 s."""
    assert sut.SETTLE_S > 2.0


async def test_one_gauge_says_the_state():
    """Exactly the state in force is 1; a camera out of service has no gauge that would say otherwise."""
    scene = Scene()
    async with reporting(scene):
        scene.change("connecting")
        scene.change("live")
        await until(lambda: len(scene.line.stored) == 4)
        assert scene.gauge() == {state: float(state == "live") for state in STATES}
    scene.reporter.retire()
    assert scene.gauge() == {}
    scene.reporter.retire()


async def test_figures_become_metrics_with_and_without_nats():
    """Rates, age, decoder, failures by reason; all but the count go with the camera, and another codec's at once."""
    scene = Scene(every_s=0.02)
    scene.line.connected = False

    def value(name, **labels):
        return REGISTRY.get_sample_value(f"moretta_camera_{name}", {"site": "cannes", "camera": scene.name} | labels)

    async with reporting(scene):
        scene.change("backing-off", "refused")
        await until(lambda: value("picture_age_seconds") is not None)
        assert (value("fps"), 0 <= value("picture_age_seconds") < 60) == (0, True)
        scene.stats = CameraStats("hevc", 640, 360, 12.5, 9, 0, 0, 0, time.monotonic_ns() - 7 * 1_000_000_000)
        scene.change("live")
        await until(lambda: value("fps") == 12.5 and value("info", decoder="hevc", size="640x360") == 1)
        assert 7 <= value("picture_age_seconds") < 60
        assert value("info", decoder="h264", size="1920x1080") is None
        assert value("failures_total", reason="refused") == 1
    scene.reporter.retire()
    assert value("info", decoder="hevc", size="640x360") is None
    assert [value(name) for name in ("fps", "analysed_fps", "picture_age_seconds")] == [None] * 3
    assert value("failures_total", reason="refused") == 1


async def test_a_wrong_setting_is_an_error_in_the_log():
    """What only a person can mend is logged as an error with its reason; the other changes are information."""
    scene = Scene()
    with capture_logs() as lines:
        async with reporting(scene):
            scene.change("connecting")
            scene.change("failed-config", "not-found", message="/x does not exist")
            await until(lambda: len(scene.line.stored) == 4)
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("camera connecting", "info"),
        ("camera failed-config", "error"),
    ]
    assert lines[1]["why"] == "/x does not exist"


async def test_metrics_and_log_go_on_while_nats_is_away():
    """What is to be told waits for NATS; who watches the camera by its gauges sees it as it is."""
    scene = Scene(every_s=0.02)
    labels = {"site": "cannes", "camera": scene.name}

    async def never(_row, _message):
        await asyncio.Event().wait()

    def age():
        return REGISTRY.get_sample_value("moretta_camera_picture_age_seconds", labels)

    scene.line.store = never
    with capture_logs() as lines:
        async with reporting(scene):
            scene.change("live")
            await asyncio.sleep(0.1)
            scene.change("backing-off", "refused")
            assert scene.gauge() == {state: float(state == "backing-off") for state in STATES}
            assert REGISTRY.get_sample_value("moretta_camera_failures_total", labels | {"reason": "refused"}) == 1
            before = age()
            await until(lambda: age() > before)
    assert [line["event"] for line in lines] == ["camera live", "camera backing-off"]
