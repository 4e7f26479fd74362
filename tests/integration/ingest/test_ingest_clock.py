"""Ingest on a host whose clock is wrong, and is set while it runs: real processes, a real clock that a test sets."""

import asyncio
import time

import clips
import pytest
from patience import until
from set_clock import WallClock
from site_process import Site

from proto.subjects import CAMERA_EVENTS, CAMERAS, SIGHTINGS

SECOND = 1_000_000_000
LIMIT_S = 60


@pytest.fixture(name="site")
async def _site(tmp_path):
    site = Site(tmp_path, cold=True)
    site.server.start()
    film = clips.make_clip(tmp_path / "film.mp4", pictures=50)
    camera = {"id": "gate", "url": str(film), "loop": True}
    site.write(
        {"sites": [{"id": "cannes", "cameras": [camera]}], "log": {"format": "json"}, "ingest": {"report_s": 0.5}}
    )
    try:
        yield site
    finally:
        site.close()


class Scene:
    """A site whose ingest goes by a clock of its own."""

    def __init__(self, site, bus, reader, clock):
        self.site, self.bus, self.reader, self.clock = site, bus, reader, clock
        site.start("inference")
        self.ingest = site.start("ingest", **clock.environment)

    async def state(self):
        last = await self.reader.last(CAMERAS, site="cannes", camera="gate")
        return (last.message.state, last.message.reason) if last else None

    async def until_state(self, *state):
        await until_async(self.state, state, self.site)

    async def sightings(self):
        return await self.bus.history(SIGHTINGS, site="cannes")


async def until_async(ask, wanted, site):
    async def there():
        return await ask() == wanted

    await until(there, lambda: [line for service in site.services for line in service.words[-8:]], LIMIT_S, every_s=0.2)


def off_s(stored):
    """How far a picture's event time is from the server's time of its sightings, in s."""
    return (stored.message.at - stored.time) / SECOND


@pytest.mark.parametrize("off", [-7_200.0, pytest.param(86_400.0, marks=pytest.mark.long)])
async def test_a_host_that_starts_with_a_wrong_clock_says_so_and_counts_when_it_is_right(site, tmp_path, off):
    """No picture is analysed by such a clock. When it is set, the camera goes on by itself under a higher number."""
    clock = WallClock(tmp_path, off_s=off)
    async with site.bus("aggregate") as bus, site.bus("operator") as reader:
        scene = Scene(site, bus, reader, clock)
        await scene.until_state("paused", "wrong-clock")
        [event, *_] = [s.message for s in await bus.history(CAMERA_EVENTS, site="cannes")]
        assert (event.state, event.reason, event.lease < time.time_ns() // 1_000_000) == ("paused", "wrong-clock", True)
        assert "clock is" in (await asyncio.to_thread(scene.ingest.get, "/readyz"))[1]
        assert await scene.sightings() == []
        clock.set(0.0)
        await scene.until_state("live", None)
        await until_async(lambda: more_than(scene, 5), True, site)
        found = await scene.sightings()
        assert all(abs(off_s(one)) < 60 for one in found), [off_s(one) for one in found]
        assert all(one.message.lease > time.time_ns() // 1_000 - 3_600 * 10**6 for one in found)


async def more_than(scene, count, since=0):
    return len([one for one in await scene.sightings() if one.sequence > since]) > count


@pytest.mark.parametrize(("before", "after"), [(-0.4, 0.4), (0.4, -0.4)])
async def test_event_time_follows_a_step(site, tmp_path, before, after):
    """Forward within the lease; back under a higher number, since event time never goes back within one."""
    clock = WallClock(tmp_path, off_s=before)
    async with site.bus("aggregate") as bus, site.bus("operator") as reader:
        scene = Scene(site, bus, reader, clock)

        async def by(off):
            """The last picture, if its event time is by such a clock: a slow machine analyses some too late to tell."""
            found = await scene.sightings()
            return found[-1] if found and abs(off_s(found[-1]) - off) < 0.3 else None

        first = await until(lambda: by(before), "pictures by the first clock", LIMIT_S)
        clock.set(after)
        last = await until(lambda: by(after), "pictures by the clock after the step", LIMIT_S)
        assert last.message.lease >= first.message.lease
        is_same = last.message.lease == first.message.lease
        was_served_again = len(scene.ingest.said("camera in service")) > 1  # an ingest that got no time lost its lease
        assert not is_same if after < before else is_same or was_served_again


async def test_a_clock_that_goes_wrong_stops_the_camera_before_a_wrong_time_is_told(site, tmp_path):
    """A day ahead while it plays: paused; no sighting ever has the wrong time."""
    clock = WallClock(tmp_path)
    async with site.bus("aggregate") as bus, site.bus("operator") as reader:
        scene = Scene(site, bus, reader, clock)
        await until_async(lambda: more_than(scene, 5), True, site)
        clock.set(86_400.0)
        await scene.until_state("paused", "wrong-clock")
        since = (await scene.sightings())[-1].sequence
        clock.set(0.0)
        await scene.until_state("live", None)
        await until_async(lambda: more_than(scene, 5, since), True, site)
        assert all(abs(off_s(one)) < 60 for one in await scene.sightings())
