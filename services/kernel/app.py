"""The lifecycle of a service (docs/architecture.md): what runs until it ends, and how it stops.

Readiness off -> intake off -> in-flight work finished, within a limit -> outputs flushed -> parts closed in reverse
order -> exit code. A background task that ends by itself is a fault (exit 1).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct
from prometheus_client import Counter

from services.kernel.faults import StartError
from services.kernel.log import get_logger
from services.kernel.probes import Probes
from services.kernel.settings import SettingsError, load

log = get_logger()

RELOADS = Counter("moretta_settings_reloads_total", "Reloads of the settings", ["outcome"])
STEP_LIMIT_S = 5.0
"""How long one step of stopping may take."""
_WATCH_S = 0.5
_RETRY_S = 0.1
EXIT_OK, EXIT_FAULT = 0, 1
"""A user's mistake is 2 (`services.kernel.process`)."""


class Connected(Protocol):
    """A connection that knows whether it is up, and which subjects the server refuses."""

    @property
    def connected(self) -> bool: ...
    @property
    def refused(self) -> frozenset[str]: ...

    @property
    def not_stored(self) -> str: ...


class App:
    """One running service: the wiring function registers tasks, steps of stopping and reload handlers here."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.probes = Probes()
        self._steps: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._apply: Callable[[Any], Awaitable[None]] | None = None
        self._check: Callable[[Any], None] | None = None
        self._started = asyncio.Event()
        self.stopping = asyncio.Event()
        """Set from the moment in which the stop begins."""
        self._reloading = asyncio.Lock()
        self._asked = self._covered = 0
        """How many reloads were asked for, and how many of them the newest one covers: it began after they came."""
        self._is_applied = False
        self.is_readable = True
        """Whether settings could be read when they were last loaded: a secret may come after the file that names it."""
        self._left: set[asyncio.Future[Any]] = set()
        self._fault = False

    def spawn(self, name: str, coro: Coroutine[Any, Any, Any], *, may_end: bool = False) -> asyncio.Task[Any]:
        """Run a background task for the service's whole life. It is a fault if the task ends by itself.

        With `may_end`, it is a fault only if the task ends with an exception.
        """
        task = asyncio.create_task(coro, name=name)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, may_end=may_end))
        return task

    def _ended(self, task: asyncio.Task[Any], *, may_end: bool) -> None:
        self._tasks.discard(task)
        if may_end and not task.cancelled() and task.exception() is None:
            return
        if task.cancelled() or self.stopping.is_set():
            if not task.cancelled() and task.exception() is not None:
                log.warning("a task failed while stopping", task=task.get_name(), error=str(task.exception()))
            return
        error = task.exception()
        log.error("background task ended by itself", task=task.get_name(), exc_info=error)
        self._fault = True
        self.stopping.set()

    def on_stop(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        """Add a step of stopping. Steps run last-in-first-out, each within a limit, even if another one fails."""
        self._steps.append((name, step))

    def watch(self, *buses: Connected) -> None:
        """Make readiness depend on these connections to NATS."""
        self.spawn("watch NATS", self._watch_buses(buses))

    async def _watch_buses(self, buses: tuple[Connected, ...]) -> None:
        while True:
            self.probes.ready("nats", all(bus.connected for bus in buses), "not connected to NATS")
            refused = ", ".join(sorted(subject for bus in buses for subject in bus.refused))
            self.probes.ready("rights", not refused, f"NATS refuses {refused}: reload it with this version's rights")
            waiting = "; ".join(filter(None, (bus.not_stored for bus in buses)))
            self.probes.ready("storing", not waiting, waiting)
            await asyncio.sleep(_WATCH_S)

    def on_reload(self, apply: Callable[[Any], Awaitable[None]]) -> None:
        """Set the function that applies new settings."""
        self._apply = apply

    def before_reload(self, check: Callable[[Any], None]) -> None:
        """Set the function that checks new settings before they are applied. Its StartError says why they can't be."""
        self._check = check

    async def cut(self, task: asyncio.Task[Any]) -> None:
        """Cancel a task, and wait for its end within a limit."""
        task.cancel()
        _, stuck = await asyncio.wait({task}, timeout=STEP_LIMIT_S)
        self._left |= stuck

    def started(self) -> None:
        """Report that the wiring is done."""
        self._started.set()
        self.probes.ready("running", ok=True)

    def stop(self) -> None:
        """Begin to stop, as a signal does."""
        self.stopping.set()

    async def until_stopped(self) -> None:
        """Wait for a signal, `stop()` or a fault."""
        await self.stopping.wait()

    async def reload(self, file: Path, schema: type[Struct]) -> bool:
        """Apply the file's settings; return whether that worked. An invalid file keeps the old ones and ends readiness.

        Reloads run one at a time, and none before the wiring is done: until then nothing can apply settings. Those that
        are asked for while one runs are one together.
        """
        self._asked += 1
        number = self._asked
        async with self._reloading:
            if self._covered < number:
                await self._started.wait()
                self._covered = self._asked
                self._is_applied = await self._reload(file, schema)
            return self._is_applied

    async def _reload(self, file: Path, schema: type[Struct]) -> bool:
        try:
            self.is_readable = False
            settings = await asyncio.to_thread(load, file, schema)  # those of 500 cameras take seconds
            self.is_readable = True
            if self._check is not None:
                await asyncio.to_thread(self._check, settings)
            if self._apply is not None:
                await self._apply(settings)
        except (SettingsError, StartError) as error:
            RELOADS.labels("invalid").inc()
            self.probes.ready("settings", ok=False, why=str(error))
            log.error("new settings not in force", problems=str(error).splitlines())
            return False
        RELOADS.labels("applied").inc()
        self.probes.ready("settings", ok=True)
        log.info("new settings in force" if self._apply else "new settings await a restart")
        return True

    async def close(self) -> int:
        """Run the steps of stopping; return the exit code."""
        self.stopping.set()
        self.probes.ready("running", ok=False, why="stopping")
        for name, step in reversed(self._steps):
            await self._one_step(name, step)
        self._left |= await end_tasks(self._tasks, STEP_LIMIT_S)
        await self.probes.stop()
        return EXIT_FAULT if self._fault else EXIT_OK

    def left(self) -> list[str]:
        """Return the names of tasks that were cancelled and have not ended."""
        return [getattr(task, "get_name", lambda: "a step")() for task in self._left if not task.done()]

    async def _one_step(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        # The step runs in its own task. Stopping waits no longer than the limit, even if the task ignores cancellation.
        task = asyncio.ensure_future(step())
        await asyncio.wait([task], timeout=STEP_LIMIT_S)
        if not task.done():
            task.cancel()
            self._left.add(task)
            log.error("shutdown step timed out", step=name, limit_s=STEP_LIMIT_S)
        elif task.cancelled() or task.exception() is not None:
            error = None if task.cancelled() else task.exception()
            log.error("a step of stopping failed", step=name, exc_info=error)


async def end_tasks(tasks: Iterable[asyncio.Task[Any]], limit_s: float = float("inf")) -> set[asyncio.Task[Any]]:
    """Cancel tasks until all have ended or the limit is reached; return those that have not ended.

    Cancelling once isn't enough: before Python 3.12 `wait_for`, in which nats-py waits, may lose a cancellation.
    """
    left, end = set(tasks), time.monotonic() + limit_s
    while left and time.monotonic() < end:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_RETRY_S)
    return left
