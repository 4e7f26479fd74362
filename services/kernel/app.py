"""The life of a service (docs/architecture.md).

Signal -> readiness off -> intake off -> in-flight work finished, with a limit -> outputs flushed -> closed in reverse
order -> exit code. A background task that ends by itself is a fault (exit 1). A second signal leaves at once.
"""

import argparse
import asyncio
import ctypes
import os
import platform
import resource
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import uvloop
from msgspec import Struct
from prometheus_client import Counter

from services.kernel.build import BUILD, build
from services.kernel.faults import StartError
from services.kernel.log import configure, get_logger
from services.kernel.probes import Probes, ProbesSettings
from services.kernel.settings import SettingsError, load

log = get_logger()

RELOADS = Counter("moretta_settings_reloads_total", "Reloads of the settings", ["outcome"])
STEP_LIMIT_S = 5.0
"""How long one step of stopping may take."""
_WATCH_S = 0.5
_AGAIN_S = 0.1
_THREAD_LIMIT_S = 1.0
_PR_SET_DUMPABLE = 4
EXIT_OK, EXIT_FAULT, EXIT_USAGE = 0, 1, 2


T = TypeVar("T", bound=Struct)
Wire = Callable[["App", Any], Coroutine[Any, Any, None]]
Before = Callable[[Path, Any], None]
"""Takes the settings' file and the settings; StartError if the service must not run with them."""


class Connected(Protocol):
    """What knows whether it is connected, and what it is refused there."""

    @property
    def connected(self) -> bool: ...
    @property
    def refused(self) -> frozenset[str]: ...

    @property
    def not_stored(self) -> str: ...


class App:
    """What a wiring function hangs its parts on."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.probes = Probes()
        self._steps: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._apply: Callable[[Any], Awaitable[None]] | None = None
        self._check: Callable[[Any], None] | None = None
        self._started = asyncio.Event()
        self._stopping = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._left: set[asyncio.Future[Any]] = set()
        self._fault = False

    def spawn(self, name: str, coro: Coroutine[Any, Any, Any], *, may_end: bool = False) -> asyncio.Task[Any]:
        """Run a background task for the service's whole life; if it ends by itself, that is a fault.

        One that `may_end` is a fault only when it ends with an exception.
        """
        task = asyncio.create_task(coro, name=name)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, may_end=may_end))
        return task

    def _ended(self, task: asyncio.Task[Any], *, may_end: bool) -> None:
        self._tasks.discard(task)
        if may_end and not task.cancelled() and task.exception() is None:
            return
        if task.cancelled() or self._stopping.is_set():
            if not task.cancelled() and task.exception() is not None:
                log.warning("a task failed while stopping", task=task.get_name(), error=str(task.exception()))
            return
        error = task.exception()
        log.error("a background task ended by itself", task=task.get_name(), exc_info=error)
        self._fault = True
        self._stopping.set()

    def on_stop(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        """Add a step of stopping: last-in-first-out, each with a limit, and none keeps the others from running."""
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
        """Set what takes new settings into force."""
        self._apply = apply

    def before_reload(self, check: Callable[[Any], None]) -> None:
        """Set what looks at new settings before they take force; StartError says why they can't."""
        self._check = check

    async def cut(self, task: asyncio.Task[Any]) -> None:
        """Cancel a task, and wait for its end with a limit."""
        task.cancel()
        _, stuck = await asyncio.wait({task}, timeout=STEP_LIMIT_S)
        self._left |= stuck

    def started(self) -> None:
        """Say that the wiring is done."""
        self._started.set()
        self.probes.ready("running", ok=True)

    def stop(self) -> None:
        """Begin to stop, as a signal does."""
        self._stopping.set()

    def fail(self, why: str) -> None:
        """Begin to stop because of a fault that only a new process mends; while stopping it is only told."""
        log.error("a fault that only a new process mends", why=why)
        if not self._stopping.is_set():
            self._fault = True
            self._stopping.set()

    async def until_stopped(self) -> None:
        """Wait for a signal, `stop()` or a fault."""
        await self._stopping.wait()

    async def reload(self, file: Path, schema: type[Struct]) -> bool:
        """Take the file's settings into force; an invalid file leaves the old ones and makes readiness say so.

        One at a time, and none before the wiring is done: what takes settings into force isn't there earlier.
        """
        async with self._reloading:
            await self._started.wait()
            try:
                settings = load(file, schema)
                if self._check is not None:
                    self._check(settings)
                if self._apply is not None:
                    await self._apply(settings)
            except (SettingsError, StartError) as error:
                RELOADS.labels("invalid").inc()
                self.probes.ready("settings", ok=False, why=str(error))
                log.error("the new settings are not in force", problems=str(error).splitlines())
                return False
            RELOADS.labels("applied").inc()
            self.probes.ready("settings", ok=True)
            log.info("new settings in force" if self._apply else "new settings take effect at the next start")
            return True

    async def close(self) -> int:
        """Run the steps of stopping; returns the exit code."""
        self._stopping.set()
        self.probes.ready("running", ok=False, why="stopping")
        for name, step in reversed(self._steps):
            await self._one_step(name, step)
        self._left |= await end_tasks(self._tasks, STEP_LIMIT_S)
        await self.probes.stop()
        return EXIT_FAULT if self._fault else EXIT_OK

    def left(self) -> list[str]:
        """Return what would not end although it was cancelled."""
        return [getattr(task, "get_name", lambda: "a step")() for task in self._left if not task.done()]

    async def _one_step(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        # In a task of its own, which is not waited for beyond the limit even if it will not be cancelled.
        task = asyncio.ensure_future(step())
        await asyncio.wait([task], timeout=STEP_LIMIT_S)
        if not task.done():
            task.cancel()
            self._left.add(task)
            log.error("a step of stopping took too long", step=name, limit_s=STEP_LIMIT_S)
        elif task.cancelled() or task.exception() is not None:
            error = None if task.cancelled() else task.exception()
            log.error("a step of stopping failed", step=name, exc_info=error)


async def end_tasks(tasks: Iterable[asyncio.Task[Any]], limit_s: float = float("inf")) -> set[asyncio.Task[Any]]:
    """Cancel until all have ended, or the limit; returns those that have not.

    Once isn't enough: before Python 3.12 `wait_for`, in which nats-py waits, may lose a cancellation.
    """
    left, end = set(tasks), time.monotonic() + limit_s
    while left and time.monotonic() < end:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN_S)
    return left


async def serve(name: str, file: Path, schema: type[Struct], settings: Any, wire: Wire) -> int:
    """Run a service until a signal or a fault; returns the exit code."""
    app = App(name)
    app.probes.ready("running", ok=False, why="starting")
    _on_signals(app, file, schema)
    try:
        await _start_probes(app, settings.probes)
        _start_tracing(app, settings)
        app.spawn("watch settings", _watch(app, file, schema))
        starting = asyncio.create_task(wire(app, settings), name="start")
        stopping = asyncio.create_task(app.until_stopped(), name="wait for the end")
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            app.started()
            log.info("running", probes=f"http://{settings.probes.host}:{app.probes.port}", **build())
            await stopping
        await app.cut(starting)
    except StartError as error:
        code = _cannot_start(file, error)
        await app.close()
        return code
    except Exception:
        log.exception("failed to start")
        await app.close()
        return EXIT_FAULT
    code = await app.close()
    log.info("stopped", code=code)
    if left := app.left():
        # The loop's own end would wait for these for ever.
        log.error("leaving tasks that do not end", tasks=left)
        os._exit(code)
    return code


def _cannot_start(file: Path, error: StartError) -> int:
    log.error("cannot start", file=str(file), error=str(error))
    return EXIT_USAGE


async def _start_probes(app: App, settings: ProbesSettings) -> None:
    try:
        await app.probes.start(settings)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise StartError(f"probes.port: cannot listen on {where}: {error.strerror}; take a free port, or 0") from None


def _start_tracing(app: App, settings: Any) -> None:
    wanted = getattr(settings, "tracing", None)
    if wanted is None or wanted.endpoint is None:
        return
    from services.kernel.tracing.start import start

    end = start(app.name, wanted)
    app.on_stop("send the last spans", lambda: asyncio.to_thread(end))


def _on_signals(app: App, file: Path, schema: type[Struct]) -> None:
    loop = asyncio.get_running_loop()
    signals = 0

    def stop() -> None:
        nonlocal signals
        signals += 1  # a fault may be stopping us already, and the first signal must not cut that short
        if signals > 1:
            os._exit(EXIT_FAULT)
        app.stop()

    def hup() -> None:
        app.spawn("reload settings", app.reload(file, schema), may_end=True)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, hup)


async def _watch(app: App, file: Path, schema: type[Struct]) -> None:
    """Reload when the file changes; a Kubernetes ConfigMap changes by swapping a link beside it.

    And when settings that could not be read can be: the secret that they name came later than they did.
    """
    from watchfiles import awatch

    before, readable = _content(file), True
    changes = awatch(
        file.parent,
        stop_event=app._stopping,  # noqa: SLF001 - same module
        recursive=False,
        step=200,
        yield_on_timeout=True,  # every five seconds
    )
    async for _ in changes:
        now = _content(file)
        if now != before or (not readable and _is_readable(file, schema)):
            before = now
            await app.reload(file, schema)
            readable = _is_readable(file, schema)
    await app.until_stopped()


def _is_readable(file: Path, schema: type[Struct]) -> bool:
    try:
        load(file, schema)
    except SettingsError:
        return False
    return True


def _content(file: Path) -> bytes | None:
    """Return the file's bytes; None where there is no file that can be read, which is a change like any other."""
    try:
        return file.read_bytes()
    except OSError:
        return None


def main(
    name: str, schema: type[Struct], wire: Wire, arguments: list[str] | None = None, before: Before | None = None
) -> int:
    """Run a service as its module's command: `-c FILE`."""
    parser = argparse.ArgumentParser(prog=f"moretta {name}")
    parser.add_argument("-c", "--config", type=Path, required=True, metavar="FILE", help="settings (YAML)")
    return run(name, parser.parse_args(arguments).config, schema, wire, before)


def run(name: str, file: Path, schema: type[Struct], wire: Wire, before: Before | None = None) -> int:
    """Load the settings, run the service, return the exit code: 0 stopped, 1 a fault, 2 a user's mistake.

    `before` is called once the settings are loaded, before there is an event loop or any thread.
    """
    leave_no_core()
    configure(name)
    try:
        settings: Any = load(file, schema)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_USAGE
    configure(name, settings.log)
    BUILD.labels(service=name, python=platform.python_version(), **build()).set(1)
    if before is not None:
        try:
            before(file, settings)
        except StartError as error:
            return _cannot_start(file, error)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(serve(name, file, schema, settings, wire))
        last = _leave_at_the_latest(code)
    _leave_stuck_threads(code)
    last.cancel()
    return code


def leave_no_core() -> None:
    """Keep pixels and keys out of core dumps: none is written, and on Linux no other user may look into our memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)


def _leave_at_the_latest(code: int) -> threading.Timer:
    """See to it that the process ends: closing the loop waits without a limit for threads of its executor."""

    def leave() -> None:
        log.warning("leaving what does not end", threads=[thread.name for thread in threading.enumerate()])
        sys.stderr.flush()
        os._exit(code)

    timer = threading.Timer(STEP_LIMIT_S, leave)
    timer.daemon = True
    timer.start()
    return timer


def _leave_stuck_threads(code: int) -> None:
    """Exit although a thread hangs in FFmpeg: the interpreter would wait for it for as long as its read may take."""
    others = [t for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon]
    for thread in others:
        thread.join(_THREAD_LIMIT_S)  # one that was told to end just now takes a moment
    stuck = [thread.name for thread in others if thread.is_alive()]
    if stuck:
        log.warning("leaving threads that do not end", threads=stuck)
        sys.stderr.flush()
        os._exit(code)
