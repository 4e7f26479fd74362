"""Two aggregates, frozen and killed at random for more than a minute: each window once, and its number is the truth.

By hand: `MORETTA_SEED=1 MORETTA_SEEDS=20 .venv/bin/pytest -n 3 -m long tests/system/test_chaos.py`.
"""

import asyncio
import random
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import nats.errors
import pytest
from messages import sightings
from patience import until
from program import Program
from seeds import seeds
from site_process import Site
from strikes import Strikes

from proto.public import AlertV1, WindowV1
from proto.sightings import CODES, SightingV1
from proto.subjects import ALERTS, SIGHTINGS, WINDOWS
from services.bus import Bus

WINDOW_S, FEED_S = 10, 70
SECOND = 10**9
NAMES = ("one", "two")
PEOPLE = 4
"""So many cross the camera's picture together, side by side, every twenty pictures."""
SEEN, CONFIRMED = 4, 3
"""Each is in so many pictures, and counts in the window of the last of them."""


@pytest.fixture(name="site")
def _site(tmp_path: Path):
    """One camera in a hall, windows of ten seconds, and an alert that fires and ends with what people wear."""
    rule = {"id": "low", "zone": "hall", "fire_below": 0.9, "clear_above": 0.9, "for_windows": 1, "min_persons": 1}
    hall = {"id": "quay", "profile": "lab", "window_s": WINDOW_S, "lateness_s": 2, "zones": [{"id": "hall"}]}
    hall |= {"cameras": [{"id": "gate", "zone": "hall", "url": "rtsp://127.0.0.1/"}], "rules": [rule]}
    site = Site(tmp_path)
    site.write({"log": {"format": "json"}, "sites": [hall]})
    site.server.start()
    yield site
    site.close()


def picture(number: int) -> list[SightingV1]:
    """Who is in the camera's picture of this number; for some twenty seconds all are masked, then nobody is."""
    step, verdict = number % 20, "masked" if (number // 100) % 2 else "unmasked"
    if step >= SEEN:
        return []
    left = 0.1 + 0.03 * step
    return [
        SightingV1(box=(left, top, left + 0.1, top + 0.15), code=CODES[verdict], score=0.9, confidence=0.95)
        for top in (0.05 + 0.22 * one for one in range(PEOPLE))
    ]


async def feed(bus: Bus, seconds: float) -> Counter[int]:
    """Store what the camera sees, five pictures a second; returns how many people each window has, by its start (s)."""
    truth: Counter[int] = Counter()
    number, end = 0, time.time() + seconds
    while time.time() < end:
        at = time.time_ns()
        seen = sightings(*picture(number), site="quay", camera="gate", sequence=number, at=at, aspect=1.7)
        await bus.store(SIGHTINGS, seen)
        if number % 20 == CONFIRMED:
            truth[at // SECOND // WINDOW_S * WINDOW_S] += PEOPLE
        number += 1
        await asyncio.sleep(0.17)
    return truth


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", seeds(1))
async def test_two_aggregates_at_random(site: Site, seed: int):
    """No window is lost, doubled or wrong, in its zone and for the site, and alerts fire and end in turn."""
    replicas: dict[str, Program] = {}

    def start(name: str) -> None:
        replicas[name] = site.start("aggregate", MORETTA_AGGREGATE__REPLICA=name)

    for name in NAMES:
        start(name)
    await until(lambda: all(replica.running for replica in replicas.values()), "both up", 60)
    strikes = Strikes(random.Random(seed), replicas, start)
    async with site.bus("inference") as inference, site.bus("aggregate") as bus:
        await asyncio.sleep(2 * WINDOW_S - time.time() % WINDOW_S + 0.05)
        began = int(time.time()) // WINDOW_S * WINDOW_S
        async with strikes.going_on():
            truth = await feed(inference, FEED_S)
        last = began + FEED_S - 2 * WINDOW_S  # who is in the last pictures of all may be cut off

        async def published() -> bool:
            found = await bus.last(WINDOWS, site="quay", zone="_site")
            return found is not None and found.message.start >= last * SECOND

        await until(published, "the last whole window", 90, every_s=0.2, ignoring=(nats.errors.Error,))
        windows = [stored.message for stored in await bus.history(WINDOWS, site="quay")]
        alerts = [stored.message for stored in await bus.history(ALERTS, site="quay")]
    how = [strike.how for strike in strikes.done]
    struck = f"{how.count('freeze')} freezes, {how.count('kill')} kills"
    print(f"seed {seed}: {struck}; {len(windows)} windows, {len(alerts)} alerts")
    by_zone = {zone: [one for one in windows if one.zone == zone] for zone in ("hall", "_site")}
    wrong = {zone: mistakes(found, truth, began, last) for zone, found in by_zone.items()}
    assert wrong == {"hall": [], "_site": []}, strikes.done
    in_turn(alerts)
    assert len(how) >= 8, "it proves little"


def mistakes(windows: list[WindowV1], truth: Counter[int], began: int, last: int) -> list[str]:
    """What is wrong with a zone's windows: one is missing, twice or out of order, or its number isn't the truth."""
    starts = [one.start // SECOND for one in windows]
    found = [f"after {a - began} s comes {b - began} s" for a, b in pairwise(starts) if b - a != WINDOW_S]
    missing = {*range(began, last + 1, WINDOW_S)} - {*starts}
    found += [f"there is none of {start - began} s" for start in sorted(missing)]
    for one in windows:
        start = one.start // SECOND
        if began <= start <= last and one.persons != truth[start]:
            observed = f"coverage {one.coverage}, {one.gaps}"
            found.append(f"{start - began} s: {one.persons} people of {truth[start]}, {observed}")
    return found


def in_turn(alerts: list[AlertV1]) -> None:
    """Each alert fires and ends, one after another, and none is told twice."""
    states = [one.state for one in alerts]
    assert states == (["firing", "resolved"] * len(states))[: len(states)], alerts
    assert len(states) >= 2, "nothing was told"
    assert len({(one.alert, one.state) for one in alerts}) == len(alerts)
