"""The run of `bench.scaling`: films, a nats-server, the processes, the steps in time, and what is read meanwhile."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import av

from bench.clip import Format, make_clips
from bench.scale_stack import LIMIT_S, Stack, stack
from bench.scaling_crew import Crew, Event
from bench.scaling_plan import Plan
from bench.scaling_scrapes import Scrape, scrape
from bench.scaling_seen import Seen, watching
from bench.system import NotMeasured
from proto.public import WindowV1
from proto.subjects import WINDOWS

FILM = Format(320, 180, 0.05, fps=1)
FILM_S = 60.0
SLOWED = 2.0
"""The film is played so many times slower: each decoded picture that is not analysed costs 1.6 ms for nothing."""
_TURNS = 5
_STEADY_S = 10.0
"""Cameras are live and shared evenly for so long before the clock starts."""
_SECOND = 10**9
Told = Callable[[str], None]


@dataclass
class Ran:
    """All that was heard and read; `began` and `ended` (unix s) are the clock's."""

    plan: Plan
    began: float
    ended: float
    seen: Seen
    scrapes: list[Scrape]
    events: list[Event]
    published: list[tuple[str, float, float | None]]
    """Zone, start (unix s) and coverage of each published window."""
    ready_s: float = 0.0
    """From the start of the first process until the clock started."""


async def run(plan: Plan, films: Path, logs: Path | None, told: Told) -> Ran:
    """Run a plan. TimeoutError if the cameras don't become live, NotMeasured if a process ends by itself."""
    told("drawing films")
    clips = await asyncio.to_thread(_films, films)
    async with stack(plan.settings(clips), logs) as running, watching(running, plan.cameras) as seen:
        crew, started = Crew(running, plan), time.time()
        told("starting processes")
        await crew.begin()
        await _until_even(seen, told)
        ran = await _through(running, crew, seen, told)
        ran.ready_s = ran.began - started
        await asyncio.sleep(plan.lateness_s)
        ran.published = await _published(running)
        return ran


def _films(folder: Path) -> list[Path]:
    """Return films whose pictures come at twenty different moments of the two seconds from one to the next."""
    clips = make_clips(folder, FILM, FILM_S)
    return [
        _slowed(clip, clip.with_suffix(f".{number}.mp4"), 0.1 * number) for number in range(_TURNS) for clip in clips
    ]


def _slowed(clip: Path, target: Path, later_s: float) -> Path:
    """Write a clip that is slowed down, and whose first picture lasts longer."""
    with av.open(str(clip)) as source, av.open(str(target), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is None or packet.pts is None:  # the last one is empty
                continue
            later = round(later_s / packet.time_base) if packet.pts else 0
            packet.pts, packet.dts = round(packet.pts * SLOWED) + later, round(packet.dts * SLOWED) + later
            packet.duration = round((packet.duration or 0) * SLOWED)
            packet.stream = stream
            sink.mux(packet)
    return target


async def _until_even(seen: Seen, told: Told) -> None:
    """Wait until every camera is analysed, and replicas differ by one camera at most, for some seconds."""
    since = time.time()
    async with asyncio.timeout(4 * LIMIT_S):
        while time.time() - since < _STEADY_S:
            await asyncio.sleep(1.0)
            share = seen.shares[-1] if seen.shares else None
            told(f"{len(seen.sightings)} of {seen.cameras} cameras analysed, shares {_in_words(seen)}")
            if share is None or share.free or share.spread > 1 or len(seen.sightings) < seen.cameras:
                since = time.time()


async def _through(running: Stack, crew: Crew, seen: Seen, told: Told) -> Ran:
    """Take the steps; read all metrics just before each, and halfway to the next."""
    plan, began = crew.plan, time.time()
    tick_s, ended = plan.every_s / 2, began + 60 * plan.minutes
    steps = {round(step.at_s / tick_s): step for step in plan.steps}
    scrapes: list[Scrape] = []
    for tick in range(int(60 * plan.minutes / tick_s) + 1):
        await asyncio.sleep(max(0.0, began + tick * tick_s - time.time()))
        scrapes.append(await scrape(running))
        _require_all(running)
        if tick in steps:
            await crew.act(steps[tick])
        told(_line(scrapes, crew, seen, ended))
    await crew.settle()
    return Ran(plan, began, ended, seen, scrapes, crew.events, [])


def _require_all(running: Stack) -> None:
    gone = [name for name, process in running.programs.items() if process.returncode is not None]
    if gone:
        raise NotMeasured(f"{' and '.join(gone)} ended by itself")


def _line(scrapes: list[Scrape], crew: Crew, seen: Seen, ended: float) -> str:
    """Return the progress in one line."""
    left = max(0.0, ended - scrapes[-1].at) / 60
    busy = ""
    if len(scrapes) > 1:
        before, now = scrapes[-2:]
        busy = f"{(now.machine_s - before.machine_s) / (now.at - before.at):.2f} cores, "
    late = sum(time.time() - log[-1].at > 2 * crew.plan.period_s for log in seen.sightings.values())
    last = f"; {crew.events[-1].act} {crew.events[-1].name}" if crew.events else ""
    return f"{left:.1f} min left, {busy}{late} cameras late, shares {_in_words(seen)}{last}"


def _in_words(seen: Seen) -> str:
    if not seen.shares:
        return "-"
    share = seen.shares[-1]
    return f"{sorted(share.cameras.values())}" + (f" and {share.free} free" if share.free else "")


async def _published(running: Stack) -> list[tuple[str, float, float | None]]:
    stored = [cast("WindowV1", one.message) for one in await running.bus.history(WINDOWS)]
    return [(one.zone, one.start / _SECOND, one.coverage) for one in stored]
