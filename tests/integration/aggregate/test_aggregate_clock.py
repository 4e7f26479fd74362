"""Two replicas of aggregate and a clock that is wrong: real processes, real clocks that a test sets."""

import asyncio
import itertools
import time

import pytest
from messages import sightings
from patience import until
from set_clock import WallClock
from site_process import Site

from proto.sightings import SightingV1
from proto.subjects import SIGHTINGS, SITE_LEASES, WINDOWS

SECOND = 1_000_000_000
WINDOW_S = 5
LIMIT_S = 60


async def go_by(bus):
    """Store what a camera sees, for ever: a person every two seconds."""
    for number in itertools.count():
        at, step = time.time_ns(), number % 10
        x = 0.1 + 0.2 * step  # fast: on a busy machine a slow walker would seem to stand, and be waited for
        face = SightingV1(box=(x, 0.3, x + 0.1, 0.5), code="m", score=0.9, confidence=0.95)
        faces = [face] if step < 4 else []
        await bus.store(SIGHTINGS, sightings(*faces, site="quay", camera="gate", sequence=number, at=at, aspect=1.7))
        await asyncio.sleep(max(0.0, 0.2 - (time.time_ns() - at) / SECOND))


class Pair:
    """Two replicas, each with a clock of its own, and what they publish."""

    def __init__(self, site, bus, folder):
        self._site, self._bus = site, bus
        self.clocks = [WallClock(folder, f"clock-{name}") for name in "ab"]
        self.replicas = [
            site.start("aggregate", MORETTA_AGGREGATE__REPLICA=name, **clock.environment)
            for name, clock in zip("ab", self.clocks, strict=True)
        ]

    async def windows(self):
        return [stored.message for stored in await self._bus.history(WINDOWS, site="quay")]

    async def holder(self):
        last = await self._bus.last(SITE_LEASES, site="quay")
        return last.message.holder if last else None

    async def until(self, condition, what):
        await until(condition, lambda: [what, [one.words[-5:] for one in self.replicas]], LIMIT_S, every_s=0.2)

    async def more(self, count):
        """Wait for so many windows more."""
        before = len(await self.windows())

        async def there():
            return len(await self.windows()) >= before + count

        await self.until(there, f"{count} windows more")

    async def readiness(self, replica):
        return (await asyncio.to_thread(self.replicas[replica].get, "/readyz"))[1]


@pytest.fixture(name="pair")
async def _pair(tmp_path):
    site = Site(tmp_path, cold=True)
    site.server.start()
    site.server.make()
    quay = {"id": "quay", "profile": "lab", "window_s": WINDOW_S, "lateness_s": 1.0,
            "cameras": [{"id": "gate", "url": "rtsp://127.0.0.1/"}]}  # fmt: skip
    site.write({"sites": [quay], "log": {"format": "json"}})
    try:
        async with site.bus("aggregate") as bus, site.bus("inference") as inference:
            pair = Pair(site, bus, tmp_path)
            passing = asyncio.create_task(go_by(inference))
            try:
                await pair.more(2)
                yield pair
            finally:
                passing.cancel()
                await asyncio.wait([passing])
    finally:
        site.close()


@pytest.mark.parametrize(("wrong", "off"), [(0, -100.0), (1, 100.0)])
async def test_a_replica_with_a_wrong_clock_gives_the_site_to_the_other(pair, wrong, off):
    """It says why it is not ready; no window is lost, none comes twice, none is of another time."""
    pair.clocks[wrong].set(off)

    async def handed_over():
        return await pair.holder() == "ab"[1 - wrong]

    await pair.until(handed_over, "the other holds the site")
    await pair.more(2)
    assert "clock is 100." in await pair.readiness(wrong)
    assert "clock is" not in await pair.readiness(1 - wrong)
    check(await pair.windows())


async def test_when_all_clocks_differ_from_the_servers_nothing_is_published_until_they_agree(pair):
    """The server seems to be ahead of both: they wait, say why, and go on with what was stored meanwhile."""
    for clock in pair.clocks:
        clock.set(-100.0)

    async def both_say_so():
        return all(["clock is 100." in await pair.readiness(replica) for replica in (0, 1)])

    await pair.until(both_say_so, "both say so")
    count = len(await pair.windows())
    await asyncio.sleep(2 * WINDOW_S)
    assert len(await pair.windows()) == count
    for clock in pair.clocks:
        clock.set(0.0)
    await pair.more(3)
    check(await pair.windows())


def check(windows):
    """They follow one another, each is over, and in those that were observed as a whole two or three people passed."""
    assert all(a.end == b.start for a, b in itertools.pairwise(windows)), [(w.start, w.end) for w in windows]
    assert all(w.end < time.time_ns() for w in windows)
    assert {w.persons for w in windows if w.coverage == 1.0} <= {2, 3}
    assert any(w.coverage == 1.0 for w in windows[-2:])
