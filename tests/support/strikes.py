"""Freezes and kills replicas of a service at random, and brings each back after a while."""

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from program import Program

FROZEN_S = (0.3, 2.0, 3.2, 5.0, 8.0)
"""Some are shorter than a lease (3 s), some longer."""
DEAD_S = (0.1, 2.0, 4.0)


@dataclass(frozen=True)
class Strike:
    """What was done to one replica, from when to when (s, UTC)."""

    name: str
    how: Literal["freeze", "kill"]
    began: float
    ended: float


class Strikes:
    """Strikes the replicas in `running` every few seconds, all at once, too; `start` starts a killed one again."""

    def __init__(self, rng: random.Random, running: Mapping[str, Program], start: Callable[[str], object]) -> None:
        self._rng, self._running, self._start = rng, running, start
        self._down: set[str] = set()
        self.done: list[Strike] = []

    @contextlib.asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Strike until the block ends, and wait until every replica is back."""
        striking = asyncio.create_task(self._strike_on())
        try:
            yield
        finally:
            striking.cancel()
            (failed,) = await asyncio.gather(striking, return_exceptions=True)
            assert failed is None, failed

    async def _strike_on(self) -> None:
        async with asyncio.TaskGroup() as group:
            with contextlib.suppress(asyncio.CancelledError):  # the group waits for those that are still down
                while True:
                    await asyncio.sleep(self._rng.uniform(0.5, 6))
                    if up := sorted(set(self._running) - self._down):
                        name, how = self._rng.choice(up), self._rng.choice(["freeze", "freeze", "kill"])
                        self._down.add(name)
                        length = self._rng.choice(FROZEN_S if how == "freeze" else DEAD_S)
                        group.create_task(self._strike(name, how, length), name=f"{how} {name}")

    async def _strike(self, name: str, how: Literal["freeze", "kill"], length: float) -> None:
        process, began = self._running[name], time.time()
        if how == "freeze":
            process.signal(signal.SIGSTOP)
            await asyncio.sleep(length)
            process.signal(signal.SIGCONT)
        else:
            process.signal(signal.SIGKILL)
            await asyncio.to_thread(process.process.wait)
            await asyncio.sleep(length)
            self._start(name)
        self._down.discard(name)
        self.done.append(Strike(name, how, began, time.time()))
