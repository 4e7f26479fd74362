"""`moretta up`: runs NATS and the four services on one machine, and shows what they publish."""

import asyncio
import contextlib
import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats.errors
import nats.js.errors
from rich import get_console
from rich.console import Console
from rich.file_proxy import FileProxy
from rich.live import Live
from rich.text import Text

from operate.box.box import Box
from operate.box.data_folder import usual_folder
from operate.box.page import USUAL_PORT, Page, linked, placed, usual_page
from operate.box.page_key import KEY
from operate.box.page_link import last_port
from operate.box.ports import Claim, require_free, wanted
from operate.box.ready import notify_ready
from operate.box.screen import Screen, first_numbers, page_sign
from operate.identities import WebSocket
from operate.live_state import LiveState
from operate.output import has_reader, program
from proto.codec import as_json
from proto.permissions import READER, heard_by, mirrored
from proto.public import AlertV1
from proto.subjects import ALERTS, CAMERAS, DELIVERIES, NOTIFICATIONS, OPERATIONS, RULES, WINDOWS
from services.aggregate.settings import AggregateFile
from services.bus import Bus, Request
from services.ingest.settings import IngestFile
from services.kernel.app import end_tasks
from services.kernel.settings import SettingsError, load
from services.sites.settings import SiteSettings

PRINTED = (WINDOWS, ALERTS, RULES, OPERATIONS, CAMERAS, NOTIFICATIONS, DELIVERIES)
"""What it prints as lines of JSON where it is not on a terminal."""
_REFRESH_S, _SOON_S, _LATE_S = 1.0, 0.1, 30.0
_LAST = mirrored(heard_by(READER))[-1].name
"""The stream of a reader's account that aggregate makes last."""


async def up(
    folder: Path,
    settings_file: Path,
    sites: list[SiteSettings],
    duration_s: float | None,
    door: WebSocket | None = None,
    facts: str = "",
) -> int:
    """Run until Ctrl-C, for `duration_s`, or until a service cannot run at all; returns the exit code.

    It also ends when the pipe that it prints to has no reader any more, as after `| head`: it would run on unseen.
    `door` is the WebSocket listener for browsers on other pages than the box's own, `facts` what is said first: the
    profiles in force, and where numbers are kept.
    """
    view = LiveState()
    screen = Screen(view, sites)
    console = get_console()
    print_line = screen.write if console.is_terminal else _print_log
    ended = ended_by_signal()
    ingest, file = load(settings_file, IngestFile), load(settings_file, AggregateFile)
    ports = wanted(ingest, file.aggregate.page, door)
    require_free(ports)
    async with contextlib.AsyncExitStack() as stack:
        wished = file.aggregate.page or usual_page(door)
        claim = stack.enter_context(Claim(wished.port or USUAL_PORT))
        page = placed(wished, last_port(folder), ports, claim)
        box = Box(
            folder,
            settings_file,
            on_line=_with_page(print_line, screen),
            probes_port=ingest.probes.port,
            page=linked(page, ingest.ingest.web),
            web=ingest.ingest.web,
            door=door,
            sizes=file.nats.sizes,
        )
        assert box.page is not None
        screen.page = _page_line(box.page, folder)
        own = box.page.link.in_words(box.page_key) if box.page.link.is_shared and sys.stderr.isatty() else screen.page
        _print_log("moretta", f"{own}\n{facts}\n{first_numbers(sites, time.time_ns())}")
        # Without this handler SIGHUP would end the process at once and leave its secrets behind.
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, box.reload)
        await stack.enter_async_context(box)
        screen.notes.append(f"operators: -c {box.operator_file}")
        if door is not None:
            _add_note(screen, f"subscribers in a browser: ws://{door.listen}, from pages of {', '.join(door.origins)}")
        reached = "" if folder == usual_folder() else f" -c {shlex.quote(str(box.operator_file))}"
        for site in sites:
            print(f"numbers as a table: {program()} stats {site.id}{reached}", file=sys.stderr)
            print(f"operators: {program()} pause {site.id} [CAMERA]{reached}", file=sys.stderr, flush=True)
        bus = await listen(box, view, None if console.is_terminal else _print_message)
        address = f"subscribers: export NATS_URL={box.url} NATS_NKEY={shlex.quote(str(box.seed_file))}"
        readable = asyncio.create_task(_begin_readers(screen, view, bus, address))
        try:
            showing = [_show(console, screen, view), _follow(settings_file, screen)]
            waiting = [asyncio.create_task(one) for one in (ended.wait(), box.failed(), *showing)]
            await asyncio.wait(waiting, timeout=duration_s, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        finally:
            await end_tasks([readable])
            await bus.close()
        faults = box.faults()
    for fault in faults:
        print(fault, file=sys.stderr)
    return 2 if faults else 0


def _page_line(page: Page, folder: Path) -> str:
    """Return where the page is, and how one gets its key, which a log must not have."""
    line, asked = f"numbers in a browser: {page.link.url}", page.link.asks_key
    if not page.link.is_shared:
        return f"{line}, with the key in {(folder / 'identities' / KEY).absolute()}" if asked else line
    where = "" if folder == usual_folder() else f" --data {shlex.quote(str(folder.absolute()))}"
    return f"{line}, by the link that `{program()} page{where}` shows"


async def listen(box: Box, view: LiveState, each: Callable[[str, Any], None] | None) -> Bus:
    """Return a subscriber's connection that passes messages to `view`, and subject and message to `each`."""
    bus = await Bus.connect(box.nats("subscriber"), "subscriber")

    async def take(message: Any, request: Request) -> None:
        view.take(message)
        if each is not None:
            each(request.subject, message)

    for row in PRINTED:
        await bus.serve(row, take, pending=1_000)
    return bus


async def _begin_readers(screen: Screen, view: LiveState, bus: Bus, address: str) -> None:
    """Say where readers come in, once aggregate has made their streams: a program that came earlier would end.

    Then show the alerts of before this start that still fire.
    """
    late = ", whose streams are not there yet"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LATE_S):
            while late:
                with contextlib.suppress(nats.errors.Error, nats.js.errors.Error):
                    await bus.streams.js.stream_info(_LAST)
                    late = ""
                await asyncio.sleep(_SOON_S)
    _add_note(screen, f"{address}{late}")
    notify_ready()
    if not late:
        await _recall(screen, view, bus)


async def _recall(screen: Screen, view: LiveState, bus: Bus) -> None:
    try:
        found = await bus.latest(ALERTS)
    except (nats.errors.Error, nats.js.errors.Error) as error:
        _add_note(screen, f"alerts of before this start could not be read: {error}")
        return
    for stored in found:
        assert isinstance(stored.message, AlertV1)
        view.recall(stored.message)


def _add_note(screen: Screen, note: str) -> None:
    screen.notes.append(note)
    _print_log("moretta", note)


def _print_log(_name: str, line: str) -> None:
    """Print to standard error, or above the live table, which takes that over and would wrap a line to be copied."""
    if isinstance(sys.stderr, FileProxy):
        get_console().print(Text.from_ansi(line), soft_wrap=True)
    else:
        print(line, file=sys.stderr, flush=True)


def _with_page(print_line: Callable[[str, str], None], screen: Screen) -> Callable[[str, str], None]:
    """Show log lines, and the camera page when ingest logs it. Its address stays visible, unlike the QR code."""

    def on_line(name: str, line: str) -> None:
        print_line(name, line)
        if name == "ingest" and (sign := page_sign(line)) is not None:
            _print_log(name, sign)
            page = next(one for one in sign.splitlines() if one.startswith("camera page: "))
            screen.notes = [*(note for note in screen.notes if not note.startswith("camera page: ")), page]

    return on_line


def ended_by_signal() -> asyncio.Event:
    """Return an event that Ctrl-C and SIGTERM set, instead of ending the process, while the loop runs."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    return ended


async def _show(console: Console, screen: Screen, view: LiveState) -> None:
    if console.is_terminal:
        with Live(screen, console=console, refresh_per_second=2, screen=False):
            await asyncio.Event().wait()
    while has_reader():
        _print_line({"status": view.status()})
        await asyncio.sleep(_REFRESH_S)
    _print_log("moretta", "nobody reads standard output any more; stopping")


async def _follow(file: Path, screen: Screen) -> None:
    """Follow the settings file: show its present cameras and zones. As for the services, a bad file changes nothing."""
    before = 0
    while True:
        with contextlib.suppress(SettingsError, OSError):
            if before != (before := file.stat().st_mtime_ns):
                screen.show(load(file, IngestFile).sites)
        await asyncio.sleep(_REFRESH_S)


def _print_message(subject: str, message: Any) -> None:
    _print_line({"subject": subject, "message": message})


def _print_line(value: Any) -> None:
    sys.stdout.write(as_json(value).decode() + "\n")
    sys.stdout.flush()
