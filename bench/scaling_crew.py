"""The processes of `bench.scaling`: started, added, removed by SIGTERM, killed by SIGKILL and replaced."""

import asyncio
import random
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field

from bench.scale_stack import Stack
from bench.scaling_plan import SCALED, Act, Plan, Scaled, Step, possible


@dataclass
class Event:
    """What happened to one process: `at` is unix time, `took_s` until it was ready, or had ended."""

    at: float
    act: Act
    service: Scaled
    name: str
    took_s: float | None = None
    code: int | None = None
    """Its exit code, if it was removed."""
    replaced_by: str = ""
    """Who was started for a killed one; a Deployment starts another pod just so."""


@dataclass
class Crew:
    """Who runs now, by service; and the events so far."""

    stack: Stack
    plan: Plan
    running: dict[Scaled, list[str]] = field(default_factory=lambda: {service: [] for service in SCALED})
    events: list[Event] = field(default_factory=list)
    _starting: set[str] = field(default_factory=set)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _count: int = 0

    def __post_init__(self) -> None:
        """Draw by the plan's seed which process is removed or killed."""
        self._random = random.Random(self.plan.seed)

    async def begin(self) -> None:
        """Start the first processes: those of a service at the same time, ingest last."""
        names = [f"aggregate-{number}" for number in range(self.plan.aggregate)]
        for name in names:
            await self.stack.start(name, "aggregate")
        await asyncio.gather(*(self.stack.until_ready(name) for name in names))
        for service in reversed(SCALED):
            names = [await self._start(service) for _ in range(self.plan.start[service])]
            await asyncio.gather(*(self._ready(name) for name in names))

    async def act(self, step: Step) -> None:
        """Do what a step says; what takes its time goes on beside."""
        service, counts = step.service, {name: len(names) for name, names in self.running.items()}
        act = possible(step, counts, self.plan.least)
        if act == "add":
            event = self._event(act, service, await self._start(service))
            self._beside(self._joined(event, event.name))
            return
        event = self._event(act, service, self._drawn(service))
        if act == "remove":
            self._beside(self._end(event))
            return
        await self.stack.kill(event.name)
        event.replaced_by = await self._start(service)
        self._beside(self._joined(event, event.replaced_by))

    async def settle(self) -> None:
        """Wait until all that was begun is done."""
        await asyncio.gather(*self._tasks)

    def _drawn(self, service: Scaled) -> str:
        """Take out a process that is ready."""
        names = self.running[service]
        name = self._random.choice([name for name in names if name not in self._starting] or names)
        names.remove(name)
        return name

    def _event(self, act: Act, service: Scaled, name: str) -> Event:
        self.events.append(event := Event(time.time(), act, service, name))
        return event

    async def _start(self, service: Scaled) -> str:
        self._count += 1
        name = f"{service}-{self._count:03}"
        await self.stack.start(name, service)
        self.running[service].append(name)
        self._starting.add(name)
        return name

    def _beside(self, work: Coroutine[None, None, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def _ready(self, name: str) -> None:
        await self.stack.until_ready(name)
        self._starting.discard(name)

    async def _joined(self, event: Event, name: str) -> None:
        await self._ready(name)
        event.took_s = time.time() - event.at

    async def _end(self, event: Event) -> None:
        event.code = await self.stack.end(event.name)
        event.took_s = time.time() - event.at
