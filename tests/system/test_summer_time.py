"""Clocks are put forward and back while the real services run: windows go on, the hours in the settings hold."""

import itertools
import struct
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import clips
import pytest
from patience import until
from site_process import Site

from proto.subjects import CAMERA_EVENTS, WINDOWS

SECOND = 1_000_000_000
HOUR = 3_600
WINDOW_S = 2
SOON_S = (8, 20, 60)
"""How many seconds ahead clocks change: later, if the camera was not ready by then."""


@pytest.fixture(name="site")
def _site(tmp_path):
    site = Site(tmp_path, cold=True)
    site.server.start()
    try:
        yield site
    finally:
        site.close()


def soon_zone(folder: Path, name: str, moment: int, before_s: int, after_s: int) -> dict[str, str]:
    """Write a time zone (TZif, RFC 8536) that is `before_s` ahead of UTC until `moment` (Unix seconds), then `after_s`.

    The larger of the two is summer time. Return the variables by which a Python process knows this zone beside the
    system's.
    """
    summer = max(before_s, after_s)
    kinds = b"".join(struct.pack(">lbB", off, off == summer, 4 * (off == summer)) for off in (before_s, after_s))
    names = b"STD\0DST\0"
    counts = struct.pack(">6l", 0, 0, 0, 2, 2, len(names))  # two transitions: one long ago, one at the moment
    times = struct.pack(">2q", -(1 << 33), moment) + bytes([0, 1])
    old = b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 1) + struct.pack(">lbB", before_s, 0, 0) + b"\0"
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(old + b"TZif2" + bytes(15) + counts + times + kinds + names + b"\n\n")
    return {"PYTHONTZPATH": f"{folder}:/usr/share/zoneinfo:/usr/lib/zoneinfo"}


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
@pytest.mark.timeout(300)
async def test_windows_go_on_and_cameras_rest_by_the_clock_on_the_wall(site, tmp_path, before_s, after_s, rests_after):
    """The camera begins or ends its rest in the moment in which clocks change; no window is missing, none is longer."""
    film, zones = clips.make_clip(tmp_path / "film.mp4", pictures=50), tmp_path / "zones"
    first, then = ("live", "paused") if rests_after else ("paused", "live")
    site.write({"sites": [{"id": "elsewhere"}], "log": {"format": "json"}})
    for soon_s in SOON_S:  # services look once which zones there are
        environment = soon_zone(zones, f"Test/In-{soon_s}", 0, before_s, after_s)
    for name in ("aggregate", "inference", "ingest"):
        site.start(name, **environment)
    await until(lambda: all(service.running for service in site.services), "all run", 60)
    async with site.bus("aggregate") as bus:
        for soon_s in SOON_S:  # a machine may take as long as it likes until the camera is in its first state
            moment, name, zone = int(time.time()) + soon_s, f"cannes-{soon_s}", f"Test/In-{soon_s}"
            soon_zone(zones, zone, moment, before_s, after_s)
            rests = [rest_around(moment, after_s if rests_after else before_s)]
            cannes = {"id": name, "timezone": zone, "profile": "lab", "window_s": WINDOW_S, "lateness_s": 1.0,
                      "rests": rests, "cameras": [{"id": "gate", "url": str(film), "loop": True}]}  # fmt: skip
            site.write({"sites": [cannes], "log": {"format": "json"}})
            if await was_before(site, bus, name, first, moment):
                break
        else:
            pytest.fail(f"the camera was not {first} within {SOON_S[-1]} s: {last_words(site)()}")
        changed = await turned(site, bus, name, then)
        assert changed.at >= moment * SECOND, "it changed before the clocks did"

        async def beyond():
            found = [stored.message for stored in await bus.history(WINDOWS, site=name)]
            return found if found and found[-1].start > moment * SECOND else None

        windows = await until(beyond, "a window after the moment", 30, every_s=0.3)
    assert all(a.end == b.start for a, b in itertools.pairwise(windows))
    assert {w.end - w.start for w in windows} == {WINDOW_S * SECOND}
    assert any(w.start <= moment * SECOND < w.end for w in windows)


async def was_before(site, bus, name, state, moment):
    """Whether the camera was in a state before the moment: known once it is in it, or once the moment has passed."""

    async def known():
        at = [event.at for event in await events(bus, name) if event.state == state]
        return [at[0] < moment * SECOND] if at else [False] if time.time() > moment else None

    return (await until(known, last_words(site), SOON_S[-1] + 20, every_s=0.3))[0]


async def turned(site, bus, name, state):
    """The event with which the camera came into a state."""

    async def there():
        return [event for event in await events(bus, name) if event.state == state]

    return (await until(there, last_words(site), SOON_S[-1] + 30, every_s=0.3))[0]


async def events(bus, name):
    return [stored.message for stored in await bus.history(CAMERA_EVENTS, site=name)]


def last_words(site):
    return lambda: [service.words[-6:] for service in site.services]
