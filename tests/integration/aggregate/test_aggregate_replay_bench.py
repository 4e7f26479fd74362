"""What reading a window again costs: bench.replay, on a real server."""

import asyncio
import json
import sys

import pytest
from patience import patient

from bench.replay import Cost, Scene, _bus, replayed, rows
from services.bus import Bus
from services.bus.clock import Offset

HALF = {"window": [Cost(100, 5, 12.0, 0.02)], "one": [Cost(100, 0, 1.0, 0.04)], "hundred": [Cost(100, 0, 1.0, 0.05)]}


def test_the_scene_is_what_it_says():
    """As many cameras and pictures as asked, about as many faces; another run sees the same."""
    scene = Scene("market", 3, 5, 50)
    seen = list(scene.sightings(0))
    assert seen == list(scene.sightings(0))
    assert ({s.camera for s in seen}, len(seen)) == (set(scene.names), 150)
    assert [s.at for s in seen] == sorted(s.at for s in seen)
    assert 4 < sum(len(s.faces) for s in seen) / len(seen) <= 5


def test_the_table_says_what_is_missed():
    """A window that takes too long and a cost that grows with the cameras; the costs themselves are fair."""
    assert [row.met for row in rows(HALF)] == [False, True, True, False]


async def test_a_late_answer_about_the_clock_holds_nothing_up(monkeypatch: pytest.MonkeyPatch):
    """On a machine that does something else NATS may not answer at once; it is asked again."""
    asked: list[str] = []
    plain = Bus.clock_offset

    async def offset(self: Bus, stream: str) -> Offset | None:
        asked.append(stream)
        return None if len(asked) < 3 else await plain(self, stream)

    monkeypatch.setattr(Bus, "clock_offset", offset)
    async with asyncio.timeout(patient(30)), _bus() as bus:
        cost = await replayed(bus, Scene("market", 1, 2, 20))
    assert (cost.sightings, len(asked) >= 3) == (20, True)


async def test_it_measures():
    """A few seconds of two cameras: everything is read, and all of it costs something."""
    command = [
        sys.executable,
        "-m",
        "bench.replay",
        "--minutes",
        "0.2",
        "--cameras",
        "2",
        "--pictures",
        "200",
        "--json",
    ]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    values = {row["name"]: row["runs"] for row in json.loads(out)}
    assert all(min(value) > 0 for name, value in values.items() if "growth" not in name)
