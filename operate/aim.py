"""`moretta aim`: asks ingest to report how usable a camera's picture is, and draws the reports as they come."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from operate.orders import ANSWER_S, checked, operator_bus
from proto.aiming import (
    HEAT_COLUMNS,
    HEAT_ROWS,
    Advice,
    AimReplyV1,
    AimReportV1,
    AimRequestV1,
    PictureSize,
    Quantiles,
)
from proto.subjects import AIM, AIM_REPORTS
from services.bus import Bus, NoWorkers, Request
from services.ingest.core.aiming import less_in_words
from services.kernel.settings import SettingsError

_COLOURS = (
    "#1c1c1c",
    "#2b2140",
    "#45236b",
    "#652a80",
    "#8a2f7f",
    "#b23a6c",
    "#d6514f",
    "#ee7a35",
    "#f8ae3c",
    "#fcec8a",
)
"""From nothing to the maximum. Each is lighter than the last, so that the map is readable without colours."""
_ENDS = {
    "time": "the time is over",
    "paused": "ended: the camera was paused",
    "replaced": "ended: somebody aims this camera anew",
    "out-of-service": "ended: the camera is not served here any more",
}
_SHARP, _BLURRED = 0.15, 0.05
_STYLES = {"fine": "bold green", "no-face": "bold cyan", "faces-withheld": "bold cyan"}


def in_words(advice: Advice) -> str:
    """Return an advice in words."""
    some, limit = share_in_words(advice.share), f"{advice.limit:g} px"
    return {
        "no-picture": "no picture is analysed: is the camera live, and is inference running?",
        "too-dark": "too dark",
        "too-bright": "too bright: shorten the exposure, or shade the camera",
        "against-light": "turn away from the light",
        "blurred": "blurred: clean or focus the lens, or shorten the exposure",
        "no-face": "no face seen yet, or too few to say anything",
        "move-closer": f"move closer: {some} of the faces are under {limit}",
        "turn-to-faces": f"{some} of the faces cannot be judged: turn the camera to face people, or expose shorter",
        "faces-withheld": "nothing is said of faces: this site's profile allows nothing finer than the whole site",
        "fine": f"fine; {less_in_words(advice.limit)}" if advice.limit else "fine",
    }[advice.code]


def share_in_words(share: float) -> str:
    """Return a share in words: all, most, half, or percent."""
    if share >= 0.95:
        return "all"
    if 0.45 <= share <= 0.55:
        return "half"
    return "most" if share >= 0.75 else f"{share:.0%}"


def screen(report: AimReportV1) -> RenderableType:
    """Return a report as a drawing, 68 columns wide."""
    left = _ENDS[report.ended] if report.ended else f"{report.left / 1e9:.0f} s left"
    title = f"{report.site}/{report.camera}: where faces are ({left})"
    canvas = Panel(_canvas(report.heat), title=title, box=box.ROUNDED, expand=False, padding=0)
    note = Text("No picture, no verdict, no count: the map is relative to its own maximum.", style="dim")
    return Group(canvas, _advice(report.advice), _figures(report), note)


def _canvas(heat: str | None) -> Text:
    digits = heat or "0" * HEAT_COLUMNS * HEAT_ROWS
    text = Text(no_wrap=True)
    for number, digit in enumerate(digits):
        row, column = divmod(number, HEAT_COLUMNS)
        text.append("\n" if row and column == 0 else "")
        text.append("  " if digit == "0" else f"{digit} ", style=f"{_ink(digit)} on {_COLOURS[int(digit)]}")
    return text


def _ink(digit: str) -> str:
    return "#000000" if digit >= "6" else "#d0d0d0"


def _advice(advice: list[Advice]) -> RenderableType:
    text = Text()
    for number, one in enumerate(advice):
        style = _STYLES.get(one.code, "bold yellow")
        text.append(("\n" if number else "") + f"→ {in_words(one)}", style=style)
    return text


def _figures(report: AimReportV1) -> Table:
    table = Table(box=box.SIMPLE, show_header=False, padding=(0, 1))
    table.add_row("face size, analysed picture", _sizes(report.sizes, report.analysed))
    table.add_row("face size, camera's picture", _sizes(report.picture_sizes, report.picture))
    small = f"{_percent(report.too_small)} too small" + (f" (under {report.smallest:g} px)" if report.smallest else "")
    table.add_row("unknown", f"{small}, {_percent(report.unsure)} unsure" if report.sizes else "–")
    table.add_row(
        "brightness",
        f"{_percent(report.brightness)} (nearly black {_percent(report.dark)}, white {_percent(report.clipped)})",
    )
    table.add_row("sharpness", _sharpness(report.sharpness))
    return table


def _sizes(sizes: Quantiles | None, picture: PictureSize | None) -> str:
    of = f" of {picture.width}x{picture.height}" if picture else ""
    if sizes is None:
        return f"–{of}"
    return f"{sizes.p50:g} px{of}; 10 % under {sizes.p10:g}, 10 % over {sizes.p90:g}"


def _sharpness(value: float | None) -> str:
    if value is None:
        return "–"
    word = "blurred" if value < _BLURRED else "sharp" if value >= _SHARP else "soft"
    return f"{value:.2f} {word} (0 blurred; {_SHARP:g} and more is sharp)"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


_COMMAND = "moretta aim"
_SILENT_S = 5.0
"""Reports come twice a second; after this time without one, ingest has gone."""


async def aim(
    file: Path, site: str, camera: str, *, operator: str, why: str, seconds: float, console: Console
) -> AimReportV1:
    """Show the reports as they come and return the last; as JSON lines if the console is no terminal.

    SettingsError if ingest refuses, or sends no more reports.
    """
    order = AimRequestV1(site=site, camera=camera, operator=operator, why=why, seconds=seconds, at=time.time_ns())
    request = checked(_COMMAND, order)
    bus = await operator_bus(file)
    try:
        reports: asyncio.Queue[AimReportV1] = asyncio.Queue()

        async def take(report: AimReportV1, _request: Request) -> None:
            reports.put_nowait(report)

        await bus.serve(AIM_REPORTS, take, site=site, camera=camera)
        reply = await _ask(bus, request)
        return await _show(reports, reply.since, console)
    finally:
        await bus.close()


async def _ask(bus: Bus, request: AimRequestV1) -> AimReplyV1:
    try:
        reply: Any = await bus.request(AIM, request, timeout=ANSWER_S)
    except NoWorkers:
        raise _refused(f"no ingest serves site {request.site!r}") from None
    except TimeoutError:
        why_not = (
            f"no ingest answered for {request.camera!r}; is the camera served at the moment, and is this an operator?"
        )
        raise _refused(why_not) from None
    assert isinstance(reply, AimReplyV1)
    if reply.error is not None:
        raise _refused(reply.error)
    return reply


async def _show(reports: "asyncio.Queue[AimReportV1]", since: int | None, console: Console) -> AimReportV1:
    if not console.is_terminal:
        while True:
            report = await _next(reports, since)
            sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
            sys.stdout.flush()
            if report.ended is not None:
                return report
    with Live(console=console, auto_refresh=False) as live:
        while True:
            report = await _next(reports, since)
            live.update(screen(report), refresh=True)
            if report.ended is not None:
                return report


async def _next(reports: "asyncio.Queue[AimReportV1]", since: int | None) -> AimReportV1:
    """Return the next report of our own order; reports of another operator's order may still come until it ends."""
    try:
        async with asyncio.timeout(_SILENT_S):
            while True:
                report = await reports.get()
                if report.since == since:
                    return report
    except TimeoutError:
        raise _refused("ingest tells nothing any more; has it ended?") from None


def _refused(why: str) -> SettingsError:
    return SettingsError(_COMMAND, [("", why)])
