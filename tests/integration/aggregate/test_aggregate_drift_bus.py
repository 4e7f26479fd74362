"""Days of cameras on a real NATS server: whoever dies, no face is counted twice, and what is lost is known."""

import asyncio
import functools
import time

import nats.errors
import pytest
import yaml
from nats.js import api
from patience import until
from prometheus_client import REGISTRY

from proto.subjects import DRIFT
from services.aggregate import drift_days as keeping
from services.aggregate import service
from services.aggregate.core.config import SECOND

CHILD = """
import functools, sys
from services.aggregate import service
from services.aggregate.settings import AggregateFile
from services.kernel.process import main
service.SiteDrift = functools.partial(service.SiteDrift, every=10**9)
sys.exit(main("aggregate", AggregateFile, service.wire))
"""
"""The service as it is, but for storing every second instead of every five minutes."""


def noon() -> str:
    """Return a time zone in which it is about noon: no day ends during a test."""
    ahead = 12 - time.gmtime().tm_hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"


@pytest.fixture(name="site")
def _site(scene):
    """A site's settings, at noon; its windows wait for pictures that a restarted server delays."""
    return scene.site(timezone=noon(), lateness_s=60)


@pytest.fixture(name="_every_second")
def _every_second(monkeypatch):
    """Days are stored every second of the stream."""
    monkeypatch.setattr(service, "SiteDrift", functools.partial(service.SiteDrift, every=SECOND))


async def show(scene, pictures: int) -> None:
    """Store pictures of now, with three faces each."""
    for _ in range(pictures):
        await scene.picture(time.time_ns(), "masked", "unmasked", "unknown")


async def days(scene) -> list:
    """Return the days that are stored."""
    return await until(lambda: scene.published(DRIFT), "a day", ignoring=(nats.errors.Error,), every_s=0.1)


async def until_counted(scene, faces: int) -> None:
    """Wait until the one day that is stored holds exactly so many faces, a third of them unknown; never more."""

    async def counted() -> bool:
        found[:] = [sum(m.unknown * 3 for m in day.models) for day in await scene.published(DRIFT)]
        assert max(found, default=0) <= faces, "counted twice"
        return found[-1:] == [faces]

    found: list[int] = []
    await until(counted, lambda: f"{faces} faces: {found}", 30, every_s=0.1, ignoring=(nats.errors.Error,))
    [day] = await days(scene)
    assert [(sum(m.sizes), sum(m.scores), m.unknown) for m in day.models] == [(faces, faces, faces // 3)]


async def test_a_killed_process_counts_nothing_twice_and_loses_nothing(scene, site, tmp_path):
    """SIGKILL in the middle of a day, faces before, at and after it: the stream has them all, and so has the day."""
    (path := tmp_path / "moretta.yaml").write_text(yaml.safe_dump(scene.raw(site)))
    (script := tmp_path / "child.py").write_text(CHILD)
    program = scene.launch(path, script)
    await show(scene, 4)
    await until_counted(scene, 12)
    await show(scene, 3)
    await asyncio.to_thread(program.close)
    await show(scene, 2)
    scene.launch(path, script)
    await until_counted(scene, 27)
    await show(scene, 1)
    await until_counted(scene, 30)


@pytest.mark.usefixtures("_every_second")
async def test_a_restart_with_nothing_new_changes_no_day(scene, site):
    """A replay of the whole stream adds nothing: the record says up to where it counts."""
    app = await scene.start(site)
    await show(scene, 4)
    await until_counted(scene, 12)
    [before] = await days(scene)
    await scene.stop(app)
    await scene.start(site)
    await show(scene, 1)
    await until_counted(scene, 15)
    [after] = await days(scene)
    assert after.stream_created == before.stream_created
    assert after.stream_sequence > before.stream_sequence


@pytest.mark.usefixtures("_every_second")
async def test_all_lost_but_what_was_stored(scene, site):
    """Service and server die: what was stored stays, what was only in the memory stream is lost, nothing is doubled."""
    app = await scene.start(site)
    await show(scene, 4)
    await until_counted(scene, 12)
    await scene.stop(app)
    await show(scene, 2)
    scene.server.kill()
    scene.server.start()
    await scene.start(site)
    await show(scene, 3)
    await until_counted(scene, 21)


@pytest.mark.usefixtures("_every_second")
async def test_a_restarted_server_costs_no_face_that_was_read(scene, site):
    """Only the server dies: the service goes on in the new stream with what it has counted."""
    await scene.start(site)
    await show(scene, 4)
    await until_counted(scene, 12)
    [before] = await days(scene)
    scene.server.kill()
    scene.server.start()
    await show(scene, 2)
    await until_counted(scene, 18)
    [after] = await days(scene)
    assert after.stream_created > before.stream_created


@pytest.mark.usefixtures("_every_second")
async def test_two_at_once_count_once(scene, site):
    """Two services that both believe they hold the site store the same day."""
    await asyncio.gather(scene.start(site), scene.start(site))
    for pictures in (2, 4, 6):
        await show(scene, 2)
        await until_counted(scene, 3 * pictures)


@pytest.mark.usefixtures("_every_second")
async def test_without_its_stream_windows_come_out_and_days_begin_later(scene, monkeypatch):
    """The stream of days cannot be made: the site is ready and publishes; as soon as it can, days are stored."""
    monkeypatch.setattr(keeping, "WAIT_S", 0.2)
    monkeypatch.setattr(keeping, "_RETRY_S", 0.2)
    js = scene.bus.streams.js
    await js.delete_stream("DRIFT")
    await js.add_stream(api.StreamConfig(name="SQUATTER", subjects=["moretta.v1.drift.>"]))
    app = await scene.start(scene.site(timezone=noon()))
    start = scene.border()
    await scene.window(start, "masked", "masked", "masked")
    await until(app.probes.is_ready)
    await scene.until_window(lambda w: w.start == start and w.persons == 3, zone="_site")
    await js.delete_stream("SQUATTER")

    async def stored() -> list:
        await show(scene, 1)
        return await scene.published(DRIFT)

    await until(stored, "a day", ignoring=(nats.errors.Error,))


@pytest.mark.usefixtures("_every_second")
async def test_a_day_is_one_message(scene, site):
    """However often it is stored, a camera's day is one message of the stream."""
    await scene.start(site)
    for pictures in (2, 4):
        await show(scene, 2)
        await until_counted(scene, 3 * pictures)
    info = await scene.bus.streams.js.stream_info("DRIFT")
    assert info.state.messages == 1
    [stored] = await scene.bus.history(DRIFT, site="market")
    assert stored.subject == f"moretta.v1.drift.market.door.{stored.message.day}"
    assert stored.sequence > 1


@pytest.mark.usefixtures("_every_second")
async def test_a_reload_takes_a_removed_cameras_metrics_away(scene, site):
    """Metrics come with the camera's configuration and go with it, at once."""

    def cameras() -> set[str]:
        families = [f for f in REGISTRY.collect() if f.name == "moretta_drift_baseline_days"]
        return {s.labels["camera"] for f in families for s in f.samples if s.labels["site"] == "market"}

    app = await scene.start(site)
    await until(lambda: cameras() == {"door"})
    other = {**site, "cameras": [{"id": "gate", "zone": "hall", "url": "rtsp://camera/"}]}
    await app._apply(scene.file(other))
    assert cameras() <= {"gate"}
    await until(lambda: cameras() == {"gate"})
    await scene.stop(app)
    assert cameras() == set()
