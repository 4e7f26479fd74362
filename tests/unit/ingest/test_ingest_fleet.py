"""Which cameras are in service: services.ingest.camera.fleet, with real cameras on real files."""

import asyncio
import itertools
import threading
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import clips
import pytest
from msgspec import structs
from patience import patient, until
from prometheus_client import REGISTRY

from proto.subjects import CAMERA_EVENTS
from services.frames.sealing.keys import new_key
from services.ingest.camera import fleet as sut
from services.ingest.camera.fleet import Fleet
from services.ingest.core.orders import Orders
from services.ingest.settings import IngestSettings
from services.kernel.app import App
from services.sites.settings import CameraSettings, RestSettings, SiteSettings


class Line:
    """A bus that keeps what is stored, and never has a worker."""

    connected = False

    def __init__(self):
        self.stored = []

    async def store(self, row, message):
        self.stored.append((row, message))

    def states(self, camera):
        return [(m.lease, m.state) for row, m in self.stored if row is CAMERA_EVENTS and m.camera == camera]


class Giver:
    """Frame keys of a site, which nobody asks for without `begin`."""

    def __init__(self):
        self.begun, self.told = False, []

    def begin(self):
        self.told += [] if self.begun else ["begin"]
        self.begun = True

    def end(self):
        self.begun = False
        self.told.append("end")

    def current(self):
        assert self.begun
        return new_key(0)


@pytest.fixture(name="clip", scope="module")
def _clip(tmp_path_factory):
    return clips.make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", width=160, height=96, pictures=25)


@pytest.fixture(name="ground")
async def _ground():
    """A fleet with its surroundings; whatever the test did, no camera is left."""
    line, app = Line(), App("ingest")
    fleet = Fleet(app, line, line, IngestSettings())
    givers = {"cannes": Giver(), "lyon": Giver()}
    ground = SimpleNamespace(fleet=fleet, line=line, app=app, givers=givers, leases=itertools.count(1))
    yield ground
    await fleet.stop()
    assert not app._fault
    assert threads() == set()


async def put(ground, sites):
    """Take settings and serve all their cameras, as one replica that holds every lease does."""
    await ground.fleet.apply(sites, ground.givers)
    for place in ground.fleet.wanted:
        if place not in ground.fleet.running:
            ground.fleet.start(place, next(ground.leases))


def threads():
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("camera ")}


def site(clip, *names, site="cannes", **more):
    cameras = [CameraSettings(id=name, url=str(clip), loop=True, long_side=160, **more) for name in names]
    return SiteSettings(id=site, profile="lab", cameras=cameras)


def leases(ground, name="cannes"):
    return {camera.settings.id: camera.lease for camera in ground.fleet.cameras(name)}


async def test_the_cameras_are_those_of_the_settings(ground, clip):
    """Each has a thread, a lease of its own and plays."""
    await put(ground, [site(clip, "a", "b"), site(clip, "a", site="lyon")])
    assert threads() == {"camera cannes/a", "camera cannes/b", "camera lyon/a"}
    assert set(leases(ground)) == {"a", "b"}
    assert len({*leases(ground).values(), *leases(ground, "lyon").values()}) == 3
    await until(lambda: "live" in [state for _, state in ground.line.states("b")])


async def test_the_same_settings_again_change_nothing(ground, clip):
    """A reload that changes another section touches no camera."""
    await put(ground, [site(clip, "a", "b")])
    before = [id(camera) for camera in ground.fleet.cameras("cannes")]
    await put(ground, [site(clip, "a", "b")])
    assert [id(camera) for camera in ground.fleet.cameras("cannes")] == before


async def test_a_camera_comes_and_another_goes(ground, clip):
    """The third one plays on: the same object, the same lease, no change of state."""
    await put(ground, [site(clip, "stays", "goes")])
    await until(lambda: "live" in [state for _, state in ground.line.states("stays")])
    (kept,) = [c for c in ground.fleet.cameras("cannes") if c.settings.id == "stays"]
    told, pictures = ground.line.states("stays"), kept.stats().pictures
    await put(ground, [site(clip, "comes", "stays")])
    assert threads() == {"camera cannes/comes", "camera cannes/stays"}
    assert kept in ground.fleet.cameras("cannes")
    await until(lambda: kept.stats().pictures > pictures + 5)
    assert ground.line.states("stays") == told


async def test_a_changed_camera_begins_again_with_a_higher_lease(ground, clip):
    """Aggregate can tell its new pictures from the old; its neighbour is not touched."""
    await put(ground, [site(clip, "a", "b")])
    before = leases(ground)
    changed = SiteSettings(id="cannes", cameras=[*site(clip, "a", fps=2.0).cameras, *site(clip, "b").cameras])
    await put(ground, [changed])
    assert leases(ground)["a"] > max(before.values())
    assert leases(ground)["b"] == before["b"]
    assert len(threads()) == 2


async def test_two_reloads_at_once(ground, clip):
    """A signal and a changed file ask for the same thing at the same time: every camera is there once."""
    await put(ground, [site(clip, "a", "b", "c")])
    wanted = [site(clip, "b", "d", fps=2.0)]
    await asyncio.gather(*(put(ground, wanted) for _ in range(3)))
    assert sorted(leases(ground)) == ["b", "d"]
    assert threads() == {"camera cannes/b", "camera cannes/d"}


def series(site, camera):
    """The metrics that have something of a camera."""
    place = {"site": site, "camera": camera}
    return {f.name for f in REGISTRY.collect() for s in f.samples if place.items() <= s.labels.items()}


async def test_a_site_goes_with_its_cameras(ground, clip):
    """What the settings no longer name is not looked at, and no metric knows it; what another replica serves is only
    no more in a state here: what was counted of it stays as it is.
    """
    await put(ground, [site(clip, "a"), site(clip, "a", site="lyon")])
    await until(lambda: {"moretta_camera_state", "moretta_ingest_frames"} <= series("cannes", "a"))
    await ground.fleet.drop(("cannes", "a"))
    assert "moretta_ingest_frames" in series("cannes", "a")
    assert not series("cannes", "a") & {"moretta_camera_state", "moretta_camera_fps", "moretta_camera_info"}
    await put(ground, [site(clip, "a", site="lyon")])
    assert ground.fleet.cameras("cannes") == []
    assert threads() == {"camera lyon/a"}
    assert series("cannes", "a") == set()
    assert series("lyon", "a")


async def test_nothing_starts_after_the_end(ground, clip):
    """A reload that is under way while the service stops starts no camera that nobody would stop."""
    await put(ground, [site(clip, "a", "b")])
    await asyncio.gather(put(ground, [site(clip, "c", "d")]), ground.fleet.stop())
    await put(ground, [site(clip, "e")])
    assert ground.fleet.cameras("cannes") == []
    assert threads() == set()


async def test_the_cameras_stop_at_the_same_time(ground, clip, monkeypatch):
    """Ten cameras that each need a while to end do not need ten whiles."""
    await put(ground, [site(clip, *(f"c{n}" for n in range(10)))])
    inside = most = 0

    async def slow(camera, limit_s, real=sut.Camera.stop):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.02)
        inside -= 1
        return await real(camera, limit_s)

    monkeypatch.setattr(sut.Camera, "stop", slow)
    await ground.fleet.stop()
    assert most == 10


async def test_a_paused_site_s_cameras_start_paused(ground, clip):
    """An order in force holds for a camera that comes later: it opens nothing and shows no picture."""
    ground.fleet.obey(Orders(sites=frozenset({"cannes"})))
    await put(ground, [site(clip, "a"), site(clip, "b", site="lyon")])
    (paused,) = ground.fleet.cameras("cannes")
    await until(lambda: "live" in [state for _, state in ground.line.states("b")])
    assert [state for _, state in ground.line.states("a")] == ["paused"]
    assert paused.stats().pictures == 0


async def test_a_lost_cancellation_stops_nobody(ground, clip):
    """A task that was being answered by NATS at the moment of its cancellation is cancelled again."""
    entered = []

    async def deaf(row, message):
        entered.append(message)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(60)  # what wait_for does before Python 3.12 when its answer has just come

    ground.line.store = deaf
    await put(ground, [site(clip, "a")])
    await until(lambda: entered)
    await asyncio.wait_for(ground.fleet.stop(), patient(3))


async def test_cameras_rest_by_the_clock(ground, clip):
    """Paused within the hours with that reason, an operator's order on top, live again when both are over."""
    now = [datetime(2026, 11, 24, 21, 59, 59, tzinfo=UTC).timestamp()]
    hours = RestSettings(start="23:00", end="06:00")
    place = site(clip, "a", rests=[hours])
    place = structs.replace(place, timezone="Europe/Paris")
    ground.fleet._utc = lambda: now[0]
    await put(ground, [place])
    keeping = asyncio.create_task(ground.fleet.keep_hours())
    (camera,) = ground.fleet.cameras("cannes")

    def status():
        return camera.status and (camera.status.state, camera.status.reason)

    await until(lambda: status() == ("live", None))
    now[0] += 1
    await until(lambda: status() == ("paused", "schedule"))
    ground.fleet.obey(Orders(cameras=frozenset({("cannes", "a")})))
    await until(lambda: status() == ("paused", "operator"))
    now[0] += 7 * 3600
    await asyncio.sleep(1)
    assert status() == ("paused", "operator")
    ground.fleet.obey(Orders())
    await until(lambda: status() == ("live", None))
    keeping.cancel()
    await asyncio.wait([keeping])


async def test_a_wrong_clock_pauses_live_cameras_alone(ground, clip):
    """With its own reason; a film that is read as fast as it is analysed has its own time. An operator comes first."""
    live = site(clip, "door")
    film = structs.replace(site(clip, "film", site="lyon", paced=False), close_on_end=True)
    await put(ground, [live, film])
    ground.fleet.mind_clock("an hour ahead")
    await until(lambda: ground.fleet.running["cannes", "door"].status.state == "paused")
    assert ground.fleet.running["cannes", "door"].status.reason == "wrong-clock"
    assert ground.fleet.running["lyon", "film"].status.state != "paused"
    ground.fleet.obey(Orders(sites=frozenset({"cannes"})))
    assert ground.fleet.running["cannes", "door"].status.reason == "operator"
    ground.fleet.obey(Orders())
    assert ground.fleet.running["cannes", "door"].status.reason == "wrong-clock"
    ground.fleet.mind_clock("")
    await until(lambda: ground.fleet.running["cannes", "door"].status.state == "live")


async def test_frame_keys_are_there_while_a_camera_of_the_site_is_served(ground, clip):
    """From a site's first camera to its last one, and for no other site: workers have room for few ingests of one."""
    cannes, lyon = ground.givers["cannes"], ground.givers["lyon"]
    await ground.fleet.apply([site(clip, "a", "b"), site(clip, "c", site="lyon")], ground.givers)
    assert (cannes.told, lyon.told) == ([], []), "no camera is served here yet"
    ground.fleet.start(("cannes", "a"), 1)
    ground.fleet.start(("cannes", "b"), 1)
    assert (cannes.told, lyon.told) == (["begin"], [])
    await ground.fleet.drop(("cannes", "a"))
    assert cannes.told == ["begin"]
    await ground.fleet.drop(("cannes", "b"))
    assert cannes.told == ["begin", "end"]
    ground.fleet.start(("cannes", "a"), 2)
    assert (cannes.told, lyon.told) == (["begin", "end", "begin"], [])


def reason(ground, name="a"):
    (status,) = [camera.status for camera in ground.fleet.cameras("cannes") if camera.settings.id == name]
    return status and (status.state, status.reason)


async def test_a_stuck_camera_is_not_opened(ground, clip):
    """It has no thread, and says so: in a pause that it is paused, and afterwards that it is stuck."""
    ground.fleet.obey(Orders(stuck=frozenset({("cannes", "a")})))
    await put(ground, [site(clip, "a", "b")])
    assert threads() == {"camera cannes/b"}
    await until(lambda: ground.line.states("a"))
    assert reason(ground) == ("failed-config", "stuck")
    ground.fleet.obey(replace(ground.fleet.orders, sites=frozenset({"cannes"})))
    assert reason(ground) == ("paused", "operator")
    ground.fleet.obey(replace(ground.fleet.orders, sites=frozenset()))
    assert reason(ground) == ("failed-config", "stuck")
    assert threads() == {"camera cannes/b"}


async def test_a_camera_that_is_stuck_no_more_is_started_anew(ground, clip):
    """By an operator's order the old Camera is dropped; whoever holds the lease starts another one, with a thread."""
    ground.fleet.obey(Orders(stuck=frozenset({("cannes", "a")})))
    await put(ground, [site(clip, "a")])
    ground.fleet.obey(Orders())
    await until(lambda: ground.fleet.cameras("cannes") == [])
    await put(ground, [site(clip, "a")])
    await until(lambda: reason(ground) == ("live", None))


async def test_new_settings_end_that_a_camera_is_stuck(ground, clip):
    """Its own settings; another camera's change nothing."""
    ground.fleet.obey(Orders(stuck=frozenset({("cannes", "a"), ("cannes", "b")})))
    await put(ground, [site(clip, "a", "b")])
    changed = SiteSettings(id="cannes", cameras=[*site(clip, "a", fps=2.0).cameras, *site(clip, "b").cameras])
    await put(ground, [changed])
    assert ground.fleet.orders.stuck == {("cannes", "b")}
    await until(lambda: reason(ground) == ("live", None))
    assert reason(ground, "b") == ("failed-config", "stuck")


async def test_a_stuck_camera_is_recorded(ground, clip, monkeypatch):
    """As soon as its thread is stuck; the fleet keeps it as it is until the record says otherwise."""
    free, told = threading.Event(), []

    def hang(_decoder, _packet):  # provoked: nothing that a decoder may be given takes so long
        free.wait(60)
        return []

    monkeypatch.setattr("services.ingest.camera.playback.Decoder.decode", hang)
    ground.fleet._settings = IngestSettings(stuck_limit_s=1.0, stop_limit_s=0.5)
    record = ground.fleet.record_stuck
    ground.fleet.record_stuck = lambda *args: (told.append(args), record(*args))
    try:
        await put(ground, [site(clip, "a", open_timeout_s=0.1, read_timeout_s=0.1)])
        await until(lambda: told == [(("cannes", "a"), True)])
        assert reason(ground) == ("failed-config", "stuck")
        ground.fleet.obey(ground.fleet.orders)
        assert len(ground.fleet.cameras("cannes")) == 1
    finally:
        free.set()
    await until(lambda: threads() == set())
    assert reason(ground) == ("failed-config", "stuck")
