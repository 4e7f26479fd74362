"""Clocks are put forward and back while the real services run: windows go on, the hours in the settings hold."""

import asyncio
import itertools
import time
from datetime import UTC, datetime, timedelta

import clips
import pytest
from patience import patient, until
from site_process import Site
from soon_zone import HOUR, soon_zone

from proto.subjects import CAMERA_EVENTS, WINDOWS

SECOND = 1_000_000_000
WINDOW_S = 2
SOON_S = 8


@pytest.fixture(name="site")
def _site(tmp_path):
    site = Site(tmp_path, cold=True)
    site.server.start()
    try:
        yield site
    finally:
        site.close()


def rest_around(moment, off_s):
    """Hours from 20 minutes before to 20 minutes after a moment, by a clock that is so far ahead of UTC."""
    local = datetime.fromtimestamp(moment, UTC) + timedelta(seconds=off_s)
    return {"start": f"{local - timedelta(minutes=20):%H:%M}", "end": f"{local + timedelta(minutes=20):%H:%M}"}


@pytest.mark.parametrize(
    ("before_s", "after_s", "rests_after"),
    [
        (HOUR, 2 * HOUR, True),
        (2 * HOUR, HOUR, False),
        pytest.param(HOUR, 2 * HOUR, False, marks=pytest.mark.long),
        pytest.param(2 * HOUR, HOUR, True, marks=pytest.mark.long),
    ],
)
@pytest.mark.first
async def test_windows_go_on_and_cameras_rest_by_the_clock_on_the_wall(site, tmp_path, before_s, after_s, rests_after):
    """The camera begins or ends its rest in the moment in which clocks change; no window is missing, none is longer."""
    moment = int(time.time() + patient(SOON_S))
    zone = soon_zone(tmp_path / "zones", "Test/Soon", moment, before_s, after_s)
    film = clips.make_clip(tmp_path / "film.mp4", pictures=50)
    rests = [rest_around(moment, after_s if rests_after else before_s)]
    cannes = {"id": "cannes", "timezone": "Test/Soon", "profile": "lab", "window_s": WINDOW_S, "lateness_s": 1.0,
              "rests": rests, "cameras": [{"id": "gate", "url": str(film), "loop": True}]}  # fmt: skip
    site.write({"sites": [cannes], "log": {"format": "json"}})
    for name in ("aggregate", "inference", "ingest"):
        site.start(name, **zone)
    async with site.bus("aggregate") as bus:
        first, then = ("live", "paused") if rests_after else ("paused", "live")
        changed = await changed_to(site, bus, first, then)
        assert time.time() >= moment, "they changed before the clocks did"
        assert changed.at >= moment * SECOND
        await asyncio.sleep(2 * WINDOW_S)
        windows = [stored.message for stored in await bus.history(WINDOWS, site="cannes")]
    assert all(a.end == b.start for a, b in itertools.pairwise(windows))
    assert {w.end - w.start for w in windows} == {WINDOW_S * SECOND}
    assert any(w.start <= moment * SECOND < w.end for w in windows)


async def changed_to(site, bus, first, then):
    """Return the event with which the camera turned from the first state into the other."""

    async def there():
        events = [stored.message for stored in await bus.history(CAMERA_EVENTS, site="cannes")]
        told = [event.state for event in events]
        assert told.count(first) or len(told) < 9, told
        turned = [b for a, b in itertools.pairwise(events) if a.state in {first, "connecting"} and b.state == then]
        return turned[-1] if turned and first in told[: events.index(turned[-1])] else None

    return await until(there, lambda: [s.words[-6:] for s in site.services], 2 * SOON_S + 30, every_s=0.3)
