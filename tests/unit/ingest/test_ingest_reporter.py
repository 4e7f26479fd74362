"""What the world hears of a camera: services.ingest.camera.reporter."""

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
from proto.public import CameraV1, Lifetime
from proto.sightings import CameraEventV1
from proto.subjects import CAMERA_EVENTS, CAMERAS
from services.ingest.camera import reporter as sut
from services.ingest.camera.leased import CameraStatus
from services.ingest.camera.metrics import STATES, PictureMetrics
from services.ingest.camera.playback import CameraStats
from services.ingest.camera.reporter import Pace, Reporter
from services.ingest.core.lifetime import Lifetimes
from services.kernel.clock import boottime_ns
from services.sites.settings import CameraSettings, SiteSettings

SECOND = 1_000_000_000


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

    def __init__(self, every_s=60.0, quiet_s=0.0, **site):
        self.line = Line()
        self.name = f"cam-{secrets.token_hex(4)}"
        self.stats = CameraStats("h264", 1920, 1080, 25.004, 100, 0, 0, 0)
        self.camera = SimpleNamespace(
            site="cannes",
            settings=CameraSettings(id=self.name, url="/clip.mp4"),
            stats=lambda: self.stats,
            status=None,
        )
        pace = Pace.of(SiteSettings(id="cannes", **{"profile": "lab", **site}))
        metrics = PictureMetrics("cannes", self.name, is_trial=pace.is_trial)
        self.sender = SimpleNamespace(lifetimes=Lifetimes(), without_worker=False, answered=0, metrics=metrics)
        self.reporter = Reporter(self.line, every_s, pace, quiet_s=quiet_s)
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


async def test_a_successor_says_nothing_that_is_over():
    """Its thread knows that it is live before the loop has heard of it: `connecting` would be its first word."""
    scene = Scene(quiet_s=60.0)
    async with reporting(scene):
        scene.change("connecting", at=1)
        await asyncio.sleep(0.1)
        pending = [
            CameraStatus("cannes", scene.name, 7, state, None, at, "") for state, at in (("stalled", 2), ("live", 3))
        ]
        scene.camera.status, scene.sender.answered = pending[-1], 1
        await until(lambda: scene.line.states(CAMERAS))
        for status in pending:
            scene.reporter.changed(status)
        scene.change("stalled", at=4)
        await until(lambda: len(scene.line.states(CAMERAS)) > 1)
        assert scene.line.states(CAMERAS) == ["live", "stalled"]


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


async def test_a_successor_whose_time_is_over_says_what_is_now():
    """Its camera's thread is a state ahead of what the loop heard; what comes late is said once, and what follows."""
    scene = Scene(quiet_s=0.3)
    async with reporting(scene):
        scene.change("connecting", at=1)
        ahead = CameraStatus("cannes", scene.name, 7, "backing-off", "refused", 2, "")
        scene.camera.status = ahead
        await until(lambda: scene.line.states(CAMERAS) == ["backing-off"])
        scene.reporter.changed(ahead)
        scene.change("connecting", at=3)
        await until(lambda: len(scene.line.states(CAMERAS)) > 1)
        assert scene.line.states(CAMERAS) == ["backing-off", "connecting"]


async def test_what_a_camera_is():
    """Decoder and size are in its state at once; its URL and its error's text are not."""
    scene = Scene()
    async with reporting(scene):
        scene.change("failed-config", "not-found", message="/secret/place does not exist")
        await until(lambda: len(scene.line.stored) == 2)
    public = scene.line.stored[1][1]
    assert isinstance(public, CameraV1)
    assert (public.decoder, public.width, public.height) == ("h264", 1920, 1080)
    assert (public.fps, public.analysed_fps, public.shed_share, public.lifetime) == (None,) * 4, "no window has ended"
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
        await until(lambda: len(scene.line.states(CAMERA_EVENTS)) >= 3)
        assert set(scene.line.states(CAMERA_EVENTS)) == {"paused"}
        scene.change("live", at=6)
        await until(lambda: scene.line.states(CAMERA_EVENTS)[-1] == "live")
        told = scene.line.states(CAMERA_EVENTS)
        await asyncio.sleep(0.4)
        assert scene.line.states(CAMERA_EVENTS) == told
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


class Clock:
    """UTC as the reporter sees it, set by a test."""

    def __init__(self, monkeypatch):
        self.now = 1_800_000_000 * SECOND
        clock = SimpleNamespace(time_ns=lambda: self.now)
        monkeypatch.setattr(sut, "time", clock)


async def test_figures_are_of_the_last_whole_window(monkeypatch):
    """Nothing of what happens in a window is told before its end, and then only in steps; the state is told at once."""
    clock, scene = Clock(monkeypatch), Scene(every_s=0.02, profile="stats-only", window_s=300)
    told = lambda: scene.line.published[-1][1]  # noqa: E731

    async def at(seconds, sampled, shed, late):
        clock.now = (1_800_000_000 + seconds) * SECOND
        scene.stats = CameraStats("h264", 1920, 1080, 24.97, 100, sampled, shed, 0)
        scene.sender.lifetimes.late = late
        await until(lambda: told().at >= clock.now)
        return told()

    async with reporting(scene):
        scene.change("live")
        await until(lambda: scene.line.published)
        await at(300, 0, 0, 0)
        for seconds in (302, 400, 598):
            assert (await at(seconds, 5 * seconds, 40, 40)).lifetime is None
        found = await at(600, 1_500, 30, 5)
        assert (found.fps, found.analysed_fps, found.shed_share) == (25.0, 4.8, 0.03)
        lifetime = (1_800_000_300 * SECOND, 1_800_000_600 * SECOND, 1_500, 15)
        assert found.lifetime == Lifetime(*lifetime)
        for seconds in (602, 700, 898):
            assert (await at(seconds, 9_000, 3_000, 3_000)).lifetime == Lifetime(*lifetime)
        scene.change("paused", "operator")
        await until(lambda: scene.line.states(CAMERAS)[-1] == "paused")
        assert scene.line.stored[-1][1].lifetime == Lifetime(*lifetime)


async def test_other_windows_begin_anew(monkeypatch):
    """New settings of the site: figures are of whole windows of the new length, and there are none before."""
    clock, scene = Clock(monkeypatch), Scene(every_s=0.02, window_s=10)
    async with reporting(scene):
        scene.change("live")
        for seconds in (0, 10, 20):
            clock.now = (1_800_000_000 + seconds) * SECOND
            await until(lambda: scene.line.published and scene.line.published[-1][1].at == clock.now)
        assert scene.line.published[-1][1].lifetime is not None
        scene.reporter.keep(Pace.of(SiteSettings(id="cannes", profile="lab", window_s=10)))
        assert scene.reporter._message(scene.camera.status).lifetime is not None, "the same settings change nothing"
        scene.reporter.keep(Pace.of(SiteSettings(id="cannes", profile="alerting", window_s=600)))
        assert scene.reporter._message(scene.camera.status).lifetime is None
        assert not scene.sender.metrics.is_trial


async def test_metrics_of_pictures_change_once_a_minute_where_people_depend_on_it(monkeypatch):
    """And in steps: three late ones of 300 are none. In a trial each picture is told at once, with its time."""
    clock, scene = Clock(monkeypatch), Scene(every_s=0.02, profile="stats-only")
    labels = {"site": "cannes", "camera": scene.name}
    value = lambda name, **more: REGISTRY.get_sample_value(name, labels | more)  # noqa: E731
    bucket = lambda le: value("moretta_pixel_lifetime_seconds_bucket", le=le)  # noqa: E731

    def pictures(metrics):
        for lived in [0.02] * 297 + [0.15] * 3:
            metrics.ended("done")
            metrics.lived(lived)
            metrics.lagged(lived)

    async with reporting(scene):
        scene.change("live")
        await until(lambda: value("moretta_camera_picture_age_seconds") is not None)
        pictures(scene.sender.metrics)
        told = len(scene.line.published)
        await until(lambda: len(scene.line.published) > told + 2)
        assert (bucket("0.1"), value("moretta_ingest_frames_total", outcome="done")) == (None, None)
        assert value("moretta_camera_picture_age_seconds").is_integer()
        clock.now += 60 * SECOND
        await until(lambda: value("moretta_ingest_frames_total", outcome="done") == 300)
        assert [bucket(le) for le in ("0.05", "0.09", "0.1", "+Inf")] == [0, 0, 300, 300]
        assert value("moretta_pixel_lifetime_seconds_sum") == pytest.approx(30.0)
        assert value("moretta_ingest_decode_lag_seconds_bucket", le="0.1") == 0
    trial = PictureMetrics("cannes", scene.name, is_trial=True)
    pictures(trial)
    assert [bucket(le) for le in ("0.02", "0.1", "+Inf")] == [297, 597, 600]


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

    def info(decoder, size):
        return value("info", decoder=decoder, size=size, decoded="all")

    async with reporting(scene):
        scene.change("backing-off", "refused")
        await until(lambda: value("picture_age_seconds") is not None)
        assert (value("fps"), 0 <= value("picture_age_seconds") < 60) == (0, True)
        scene.stats = CameraStats("hevc", 640, 360, 12.5, 9, 0, 0, 0, boottime_ns() - 7 * 1_000_000_000)
        scene.change("live")
        await until(lambda: value("fps") == 12.5 and info("hevc", "640x360") == 1)
        assert 7 <= value("picture_age_seconds") < 60
        assert info("h264", "1920x1080") is None
        assert value("failures_total", reason="refused") == 1
    scene.reporter.retire()
    assert info("hevc", "640x360") is None
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
