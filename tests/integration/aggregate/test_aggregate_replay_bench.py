"""What reading a window again costs: bench.replay, on a real server."""

import asyncio
import json

import pytest
from patience import patient
from program import Program
from warm import COMMAND_LINE, warm

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


def test_it_measures():
    """A few seconds of two cameras, twice: everything is read, and all of it costs something."""
    options = ["--minutes", "0.05", "--cameras", "2", "--pictures", "20", "--rounds", "2", "--json"]
    # Its own group, with the servers that it starts: all are ended here, whatever becomes of it.
    with Program(warm(COMMAND_LINE).start("bench.replay", options, group=True), group=True) as bench:
        assert bench.ended(60) == 0, bench.last_words()
    found = {row["name"]: row["runs"] for row in json.loads("".join(bench.printed))}
    assert {len(runs) for runs in found.values()} == {2}
    assert len(found) == 4
    assert all(min(runs) > 0 for name, runs in found.items() if "growth" not in name)
