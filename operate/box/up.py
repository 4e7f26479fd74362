"""`moretta up`: NATS and the four services on one machine, and what they publish."""

import asyncio
import contextlib
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.live import Live

from operate.box.box import Box
from operate.box.page_sign import page_sign
from operate.box.screen import Screen
from operate.identities import WebSocket
from operate.view import View
from proto.subjects import ALERTS, CAMERAS, DELIVERIES, OPERATIONS, RULES, WINDOWS
from services.aggregate.settings import AggregateFile
from services.bus import Bus, Request
from services.ingest.settings import IngestFile
from services.kernel.settings import SettingsError, load
from services.sites.settings import SiteSettings

_PUBLIC = (WINDOWS, ALERTS, RULES, OPERATIONS, CAMERAS, DELIVERIES)
_REFRESH_S = 1.0


async def up(
    folder: Path,
    settings_file: Path,
    sites: list[SiteSettings],
    duration_s: float | None,
    door: WebSocket | None = None,
) -> int:
    """Run until Ctrl-C, for `duration_s`, or until a service cannot run at all; returns the exit code.

    `door` is where browsers of other pages than the box's own come in.
    """
    view = View()
    screen = Screen(view, sites)
    console = Console()
    said = screen.said if console.is_terminal else _say
    ended = _ended_by_signal()
    port = load(settings_file, IngestFile).probes.port
    file = load(settings_file, AggregateFile)
    box = Box(
        folder,
        settings_file,
        on_line=_with_page(said, screen),
        probes_port=port,
        page=file.aggregate.page,
        door=door,
        sizes=file.nats.sizes,
    )
    # Without it SIGHUP would end this at once, and leave the secrets that it made behind.
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, box.reload)
    async with box:
        screen.notes.append(f"operators: -c {box.operator_file}")
        _tell(screen, f"subscribers: export NATS_URL={box.url} NATS_NKEY={shlex.quote(str(box.seed_file))}")
        if door is not None:
            _tell(screen, f"subscribers in a browser: ws://{door.listen}, from pages of {', '.join(door.origins)}")
        if box.page_url:
            key = f", with the key in {box.page_key}" if box.page_key else ""
            _tell(screen, f"numbers in a browser: {box.page_url}{key}")
        for site in sites:
            order = f"operators: moretta pause {site.id} [CAMERA] -c {box.operator_file}"
            print(order, file=sys.stderr, flush=True)
        bus = await listen(box, view, None if console.is_terminal else _print_message)
        try:
            showing = [_show(console, screen, view), _follow(settings_file, screen)]
            waiting = [asyncio.create_task(one) for one in (ended.wait(), box.failed(), *showing)]
            await asyncio.wait(waiting, timeout=duration_s, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        finally:
            await bus.close()
        faults = box.faults()
    for fault in faults:
        print(fault, file=sys.stderr)
    return 2 if faults else 0


async def listen(box: Box, view: View, each: Callable[[str, Any], None] | None) -> Bus:
    """Return a subscriber's connection that feeds `view`, and `each` with subject and message."""
    bus = await Bus.connect(box.nats("subscriber"), "subscriber")

    async def take(message: Any, request: Request) -> None:
        view.take(message)
        if each is not None:
            each(request.subject, message)

    for row in _PUBLIC:
        await bus.serve(row, take, pending=1_000)
    return bus


def _tell(screen: Screen, note: str) -> None:
    screen.notes.append(note)
    _say("moretta", note)


def _say(_name: str, line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _with_page(said: Callable[[str, str], None], screen: Screen) -> Callable[[str, str], None]:
    """Show, beside what is said, where the camera page is; its address stays in sight, unlike the QR code."""

    def on_line(name: str, line: str) -> None:
        said(name, line)
        if name == "ingest" and (sign := page_sign(line)) is not None:
            _say(name, sign)
            page = next(one for one in sign.splitlines() if one.startswith("camera page: "))
            screen.notes = [*(note for note in screen.notes if not note.startswith("camera page: ")), page]

    return on_line


def _ended_by_signal() -> asyncio.Event:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    return ended


async def _show(console: Console, screen: Screen, view: View) -> None:
    if console.is_terminal:
        with Live(screen, console=console, refresh_per_second=2, screen=False):
            await asyncio.Event().wait()
    while True:
        _print_line({"status": view.status()})
        await asyncio.sleep(_REFRESH_S)


async def _follow(file: Path, screen: Screen) -> None:
    """Show the cameras and zones that the settings file has now; a bad file changes nothing, as for the services."""
    before = 0
    while True:
        with contextlib.suppress(SettingsError, OSError):
            if before != (before := file.stat().st_mtime_ns):
                screen.show(load(file, IngestFile).sites)
        await asyncio.sleep(_REFRESH_S)


def _print_message(subject: str, message: Any) -> None:
    _print_line({"subject": subject, "message": message})


def _print_line(value: Any) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()
