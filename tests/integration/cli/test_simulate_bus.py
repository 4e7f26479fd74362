"""`moretta simulate --bus` with the real aggregate on a server with the box's permissions."""

import asyncio
import re
import time

import msgspec
import pytest
import yaml
from command_line import moretta
from nats.errors import Error
from patience import until
from site_process import Site

from operate.identities import settings_file
from proto.public import CameraV1
from proto.subjects import CAMERAS, WINDOWS
from testbed.simulation.crowd_plan import Truth

SCENARIO = """
phases: [{seconds: 360, arrivals_per_minute: 20, masked: 0.7}]
outages: [{start: 130, seconds: 100}]
"""
SITE = {
    "id": "market", "profile": "lab", "window_s": 60, "lateness_s": 1, "close_on_end": True,
    "zones": [{"id": "hall"}],
    "cameras": [{"id": "door", "zone": "hall", "url": "rtsp://door/"}, {"id": "gate", "url": "rtsp://gate/"}],
}  # fmt: skip


class CountedSite:
    """A server, aggregate and the operator's file."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.file = site.identities.write("operator.yaml", settings_file(site.server.url, "operator"))
        for identity in ("ingest", "inference"):
            site.identities.write(f"{identity}.yaml", settings_file(site.server.url, identity))
        raw = yaml.safe_load(self.file.read_text()) | {"sites": [SITE]}
        self.whole = site.identities.write("site.yaml", yaml.safe_dump(raw))
        self.scenario = site.folder / "scenario.yaml"
        self.scenario.write_text(SCENARIO)

    async def say(self, *arguments):
        return await asyncio.to_thread(moretta, "simulate", *arguments, limit_s=100)

    async def counted(self, **changes) -> None:
        """Start aggregate."""
        self.site.write({"sites": [SITE | changes], "log": {"format": "json"}, "aggregate": {"tick_s": 0.1}})
        await asyncio.to_thread(self.site.start("aggregate").wait_for, "running")

    async def windows(self):
        async with self.site.bus("operator") as bus:
            return [s.message for s in await bus.history(WINDOWS, site="market", zone="_site")]

    async def camera(self, state: str, age_s: float = 0.0, name: str = "door") -> None:
        """Say of a camera what ingest says."""
        at = time.time_ns() - round(age_s * 1e9)
        async with self.site.bus("aggregate") as owner, self.site.bus("ingest") as bus:
            await owner.ensure_streams(["CAMERAS"])
            await bus.store(CAMERAS, CameraV1(site="market", camera=name, state=state, since=at, at=at))


@pytest.fixture(name="ground")
async def _ground(tmp_path):
    site = Site(tmp_path)
    site.server.start()
    try:
        yield CountedSite(site)
    finally:
        await asyncio.to_thread(site.close)


async def test_minutes_in_a_moment(ground):
    """Six minutes of two cameras come out as windows that are near the truth, in which the outage is a gap; a second
    simulation goes on where the first one ended, and one that is too long is refused."""
    await ground.counted()
    truth_file = ground.site.folder / "truth.json"
    run = await ground.say(ground.scenario, "--bus", "-c", ground.whole, "--truth", truth_file)
    assert run.returncode == 0, run.stderr
    # 300 s of pictures of two cameras less the outages, and live, stalled, live, ended of each
    assert f"market: {2 * (260 * 5 + 4)} messages of 2 cameras, 360 s of event time" in run.stderr
    look = run.stderr.splitlines()[-1]
    assert re.fullmatch(r"look at it: (moretta stats market --from \S+:00Z --to \S+:00Z -c .*/site.yaml)", look)
    true = msgspec.json.decode(truth_file.read_bytes(), type=Truth)
    end = true.began + 360 * 10**9

    async def all_windows():
        found = await ground.windows()
        return found if found and found[-1].end >= end else None

    windows = await until(all_windows, "the last window", 60, every_s=0.2, ignoring=(Error, TimeoutError))
    mine = [w for w in windows if w.end > true.began]
    persons = sum(w.persons or 0 for w in mine)
    assert persons == pytest.approx(len(true.passages), rel=0.35)
    assert sum(w.masked or 0 for w in mine) / persons == pytest.approx(0.7, abs=0.2)
    assert {w.model for w in mine if w.persons} == {"simulated"}
    assert any("camera-down" in w.gaps and w.coverage < 0.9 for w in mine)
    # Whether a whole window lies in the outage depends on the clock; nobody was counted in one that does.
    assert all((w.persons is None) == (w.coverage == 0) for w in mine)
    assert mine[-2].coverage == 1.0

    again = await ground.say(ground.scenario, "--bus", "-c", ground.whole, "--truth", truth_file, "--seed", 9)
    assert again.returncode == 0, again.stderr
    assert msgspec.json.decode(truth_file.read_bytes(), type=Truth).began >= end - 60 * 10**9
    long = await ground.say("day", "--bus", "-c", ground.whole)
    assert long.returncode == 2
    assert long.stderr.startswith("moretta simulate: site market: an earlier simulation published its windows up to 0.")


async def test_a_site_whose_cameras_run_is_left_alone(ground):
    """A camera that is live, or that ingest tries to reach, is named. A paused one is no hindrance, nor is a state left
    behind by an ingest that is gone; and they are how cameras are known without the site's settings."""
    command = (ground.scenario, "--bus", "-c", ground.file, "--site", "market")
    await ground.counted()
    nothing = await ground.say(*command)
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert nothing.stderr.startswith("moretta simulate: site market: has no camera that is known; ")
    for state in ("live", "backing-off"):
        await ground.camera(state)
        run = await ground.say(*command)
        assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (2, "", 1), run.stderr
        assert run.stderr.startswith(f"moretta simulate: site market: has cameras that run (door is {state}); pause")
    await ground.camera("live", age_s=300)
    await ground.camera("paused", name="gate")
    run = await ground.say(*command)
    assert run.returncode == 0, run.stderr
    assert "messages of 2 cameras" in run.stderr


async def test_a_site_whose_windows_the_real_clock_closes(ground):
    """Refused also where the operator's file says nothing of the site: aggregate tells how it closes them."""
    await ground.counted(close_on_end=False)
    await ground.camera("paused")
    run = await ground.say(ground.scenario, "--bus", "-c", ground.file, "--site", "market")
    assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (2, "", 1), run.stderr
    assert run.stderr.startswith(
        "moretta simulate: site market: close_on_end must be true for a simulation: without it"
    )


async def test_mistakes_are_told(ground):
    """No aggregate, no such site, no site named, windows that the real clock closes, a missing file:
    one line each."""
    slow = ground.site.identities.write("slow.yaml", ground.whole.read_text().replace("end: true", "end: false"))
    for arguments, told in (
        ((ground.whole,), "moretta simulate: --bus: aggregate has never run there"),
        ((ground.whole, "--site", "lyon"), f"moretta simulate: --site: 'lyon' is not in {ground.whole}; it has market"),
        ((ground.file,), f"moretta simulate: --site: is missing; {ground.file} names no site"),
        ((slow,), f"{slow}: sites[0].close_on_end: must be true for a simulation"),
    ):
        run = await ground.say(ground.scenario, "--bus", "-c", *arguments)
        assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (2, "", 1), run.stderr
        assert run.stderr.startswith(told)
    ground.whole.with_name("inference.yaml").unlink()
    run = await ground.say(ground.scenario, "--bus", "-c", ground.whole)
    assert run.returncode == 2
    assert run.stderr.startswith(f"{ground.whole}: publishing as inference needs ")
