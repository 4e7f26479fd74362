"""The process of a service: from its command line to its exit code (docs/architecture.md).

A signal begins the stop, a second one ends the process at once. Settings are reloaded on SIGHUP, or when the file
changes.
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
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop
from msgspec import Struct

from services.kernel.app import EXIT_FAULT, STEP_LIMIT_S, App
from services.kernel.build import BUILD, build
from services.kernel.faults import StartError
from services.kernel.log import configure, get_logger
from services.kernel.probes import ProbesSettings
from services.kernel.settings import SettingsError, load

log = get_logger()

EXIT_USAGE = 2
_THREAD_LIMIT_S = 1.0
_PR_SET_DUMPABLE = 4

Wire = Callable[[App, Any], Coroutine[Any, Any, None]]
Before = Callable[[Path, Any], None]
"""Called with the settings file and the settings; raises StartError if the service must not run with them."""


async def serve(name: str, file: Path, schema: type[Struct], settings: Any, wire: Wire, content: bytes | None) -> int:
    """Run a service until a signal or a fault; return the exit code. `content` is the file's before the loading."""
    app = App(name)
    app.probes.ready("running", ok=False, why="starting")
    if hasattr(settings, "nats"):  # from the first second, which may last for hours; no URL, which may hold a password
        app.probes.ready("nats", ok=False, why="not connected to NATS yet; the log says why")
    _on_signals(app, file, schema)
    try:
        await _start_probes(app, settings.probes)
        _start_tracing(app, settings)
        app.spawn("watch settings", _watch(app, file, schema, content))
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
        # Closing the event loop would wait for these tasks for ever.
        log.error("unfinished tasks left behind", tasks=left)
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
    from services.kernel.tracing.settings import start

    end = start(app.name, wanted)
    app.on_stop("send the last spans", lambda: asyncio.to_thread(end))


def _on_signals(app: App, file: Path, schema: type[Struct]) -> None:
    loop = asyncio.get_running_loop()
    signals = 0

    def stop() -> None:
        nonlocal signals
        signals += 1  # a fault may already have begun the stop, and the first signal must not cut that short
        if signals > 1:
            os._exit(EXIT_FAULT)
        app.stop()

    def hup() -> None:
        app.spawn("reload settings", app.reload(file, schema), may_end=True)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, hup)


async def _watch(app: App, file: Path, schema: type[Struct], content: bytes | None) -> None:
    """Reload when the file changes. A Kubernetes ConfigMap changes by swapping a link beside the file.

    `content` was read before the settings were loaded, so that a change while the service starts is not missed. Also
    reload when unreadable settings become readable: a secret's file may arrive after the settings that name it.
    """
    from watchfiles import awatch

    changes = awatch(
        file.parent,
        stop_event=app.stopping,
        recursive=False,
        step=200,
        yield_on_timeout=True,  # every five seconds
    )
    async for _ in changes:
        now = _content(file)
        if now != content or (not app.is_readable and await asyncio.to_thread(_is_readable, file, schema)):
            content = now
            await app.reload(file, schema)
    await app.until_stopped()


def _is_readable(file: Path, schema: type[Struct]) -> bool:
    try:
        load(file, schema)
    except SettingsError:
        return False
    return True


def _content(file: Path) -> bytes | None:
    """Return the file's bytes; None if no file can be read, which is a change like any other, and of a pipe.

    A pipe can be read once, and that is for the loading.
    """
    try:
        return file.read_bytes() if file.is_file() else None
    except OSError:
        return None


def main(
    name: str, schema: type[Struct], wire: Wire, arguments: list[str] | None = None, before: Before | None = None
) -> int:
    """Run a service from its module's command line, `-c FILE`; return the exit code."""
    parser = argparse.ArgumentParser(prog=f"moretta {name}")
    parser.add_argument("-c", "--config", type=Path, required=True, metavar="FILE", help="settings (YAML)")
    return run(name, parser.parse_args(arguments).config, schema, wire, before)


def run(name: str, file: Path, schema: type[Struct], wire: Wire, before: Before | None = None) -> int:
    """Load the settings, run the service, return the exit code: 0 stopped, 1 a fault, 2 a user's mistake.

    `before` is called once the settings are loaded, before there is an event loop or any thread.
    """
    leave_no_core()
    configure(name)
    content = _content(file)
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
    return _run_loop(serve(name, file, schema, settings, wire, content))


def _run_loop(service: Coroutine[Any, Any, int]) -> int:
    """Run a service in an event loop; return the exit code. No thread outlives the loop, whatever ended it."""
    code = EXIT_FAULT
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            code = runner.run(service)
        except BaseException:  # a cancellation, too: a camera's thread would go on with nobody to pause it
            log.exception("event loop ended by itself")
        last = _leave_at_the_latest(code)
    _leave_stuck_threads(code)
    last.cancel()
    _drop_unwritten_lines()
    return code


def leave_no_core() -> None:
    """Keep pixels and keys out of core dumps: none is written, and on Linux no other user may read our memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)


def _leave_at_the_latest(code: int) -> threading.Timer:
    """Make sure that the process ends: closing the event loop waits without a limit for threads of its executor."""

    def leave() -> None:
        log.warning("leaving what does not end", threads=[thread.name for thread in threading.enumerate()])
        os._exit(code)

    timer = threading.Timer(STEP_LIMIT_S, leave)
    timer.daemon = True
    timer.start()
    return timer


def _drop_unwritten_lines() -> None:
    """Drop what a log without a reader did not take: the interpreter would try again, fail, and end with code 120."""
    try:
        sys.stderr.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        os.close(nowhere)


def _leave_stuck_threads(code: int) -> None:
    """Exit even if a thread hangs in FFmpeg: the interpreter would wait for it for as long as its read may take."""
    others = [t for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon]
    for thread in others:
        thread.join(_THREAD_LIMIT_S)  # a thread that was told to end just now takes a moment
    stuck = [thread.name for thread in others if thread.is_alive()]
    if stuck:
        log.warning("unfinished threads left behind", threads=stuck)
        os._exit(code)
