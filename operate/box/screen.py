"""A box's terminal output: the live tables, drawn by rich, and the address of the camera page.

The page is shown with its address, a QR code of it, and its certificate's fingerprint.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from operate.box.page_link import drawn, warning
from operate.live_state import LiveState, count_text, rate_text, share_text
from proto.public import CameraV1, WindowV1
from proto.types import WHOLE_SITE
from services.aggregate.core.config import SiteConfig
from services.sites.settings import SiteSettings, local_zone

_COLOURS = {"live": "green", "connecting": "yellow", "ended": "dim", "paused": "magenta"}
_LINES = 6
_FRAME = 3
"""Lines of the panel's frame, plus the cursor's line."""
_SIDES = 4
"""Columns of the panel's frame and padding."""


class Screen:
    """Draws a view; keeps the services' last few log lines, and notes that stay visible as long as it runs."""

    def __init__(self, view: LiveState, sites: list[SiteSettings], now: Callable[[], int] = time.time_ns) -> None:
        self._view, self._now = view, now
        self._sites: dict[str, SiteSettings] = {}
        self.show(sites)
        self._lines: deque[str] = deque(maxlen=_LINES)
        self.page = ""
        """The first line: where the page is."""
        self.notes: list[str] = []
        """Lines below the tables, such as where the operator's file is. Each was printed above the tables, too."""

    def show(self, sites: list[SiteSettings]) -> None:
        """Show the cameras and zones of these sites from now on, and no others."""
        self._sites = {site.id: site for site in sites}
        self._view.keep(sites)

    def write(self, name: str, line: str) -> None:
        """Keep a log line for the panel below the tables; a JSON line is made readable."""
        self._lines.append(f"{name}: {readable(line)}")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the current state. A low terminal, which shows no more than its height, gets fewer log lines."""
        shown = Group(*self._first(), self._windows(), self._cameras(), self._footer(options.max_width))
        yield shown
        free = console.size.height - len(console.render_lines(shown, options)) - _FRAME
        # Whole, since an error's remedy stands at its end; so what does not fit is left out at the top.
        wrapped = Text("\n".join(self._lines), overflow="fold").wrap(console, options.max_width - _SIDES)
        if self._lines and free > 0:
            yield Panel(Text("\n").join(wrapped[-free:]), title="said", style="dim")

    def _first(self) -> Iterator[Text]:
        if self.page:
            yield Text(self.page, style="bold")
        if not self._view.windows:
            yield Text(first_numbers(self._sites.values(), self._now()), style="bold")

    def _windows(self) -> Table:
        table = Table(title="Mask wearing, last closed window", box=box.SIMPLE_HEAD, expand=True)
        for heading in ("zone", "window", "persons", "rate", "coverage"):
            table.add_column(heading, justify="right" if heading in {"persons", "coverage"} else "left")
        for key in sorted(self._view.windows):
            table.add_row(*self._row(self._view.windows[key]))
        if not self._view.windows:
            table.add_row("none yet", "", "", "", "")
        return table

    def _row(self, window: WindowV1) -> tuple[str, ...]:
        site = self._sites.get(window.site)
        zone = site.zone_name(window.zone) if site else window.zone
        place = f"{zone} (whole site)" if window.zone == WHOLE_SITE else zone
        where = ZoneInfo(site.timezone) if site else ZoneInfo("UTC")
        start, end = (datetime.fromtimestamp(t / 1e9, where) for t in (window.start, window.end))
        span = f"{start:%H:%M:%S}-{end:%H:%M:%S}"
        return place, span, count_text(window.persons), rate_text(window), share_text(window.coverage)

    def _cameras(self) -> Table:
        table = Table(title="Cameras", box=box.SIMPLE_HEAD, expand=True)
        for heading in ("camera", "state", "picture", "analysed/s", "shed", "over 100 ms"):
            table.add_column(heading)
        for key in sorted(self._view.cameras):
            table.add_row(*_camera_row(self._view.cameras[key]))
        return table

    def _footer(self, width: int) -> Text:
        late = self._view.late()
        live = f"at most {late[0]} of {late[1]} pictures lived over 100 ms" if late else "no window of pictures yet"
        firing = ", ".join(f"{a.rule} at {a.zone}" for a in self._view.firing())
        text = Text(f"{live} · cameras up {self._view.cameras_up()}/{len(self._view.cameras)} · no picture is kept")
        text.append(f"\nALERT: {firing}" if firing else "\nno alert", style="bold red" if firing else "green")
        for note in self.notes:
            about, fits = note.partition(":")[0], cell_len(note) <= width  # of two lines, a paste would run the first
            text.append(f"\n{note if fits else f'{about}: see the line above the tables'}", style="dim")
        return text


def first_numbers(sites: Iterable[SiteSettings], now: int) -> str:
    """Return when the first window closes at the earliest, by the clock of its site, and in how long; `now` is ns UTC.

    It is a window later if the services start only once it has closed. Windows of recordings close by their clocks.
    """
    sites = list(sites)
    if not any(site.cameras for site in sites):
        return "no camera: nobody is counted; earlier numbers are there"
    closing = []
    for site in sites:
        if not site.close_on_end:
            config = SiteConfig.of(site)
            closing.append((config.start_of(now) + config.window + round(site.lateness_s * 1e9), site))
    if not closing:
        return "first numbers when the recordings' first window closes"
    at, site = min(closing, key=lambda one: one[0])
    minutes, seconds = divmod(-(-(at - now) // 1_000_000_000), 60)
    left = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    return f"first numbers at {datetime.fromtimestamp(at / 1e9, local_zone(site)):%H:%M:%S} at the earliest, in {left}"


def readable(line: str) -> str:
    """Return a service's JSON log line as text: the event, the reason, and the other fields."""
    try:
        logged: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.MsgspecError:
        return line
    logged = {key: value for key, value in logged.items() if value is not None and value != ""}
    about = [
        f"{k}={v}" for k, v in logged.items() if k not in {"event", "why", "service", "level", "timestamp", "exception"}
    ]
    parts = [str(logged.get("event", "")), str(logged.get("why", "")), " ".join(about)]
    return " · ".join(part for part in parts if part)


def _camera_row(camera: CameraV1) -> tuple[RenderableType, ...]:
    state = f"{camera.state} ({camera.reason})" if camera.reason else camera.state
    size = f"{camera.width}x{camera.height} {camera.decoder or ''}" if camera.width else ""
    life = camera.lifetime
    return (
        camera.camera,
        Text(state, style=_COLOURS.get(camera.state, "red")),
        size,
        "–" if camera.analysed_fps is None else f"{camera.analysed_fps:g}",
        f"≤ {share_text(camera.shed_share)}" if camera.shed_share is not None else share_text(None),
        f"≤ {life.late} of {life.pictures}" if life and life.pictures else "",
    )


class _PageLogged(msgspec.Struct):
    """The log line of ingest when it serves the camera page."""

    event: str
    url: str
    fingerprint: str


def page_sign(line: str) -> str | None:
    """Return the text to show for this log line of ingest; None if the line is about something else."""
    try:
        logged = msgspec.json.decode(line, type=_PageLogged)
    except msgspec.MsgspecError:
        return None
    if logged.event != "camera page":
        return None
    return f"{drawn(logged.url)}camera page: {logged.url}\n{warning(logged.fingerprint)}"
