"""`moretta aim`: asks ingest to tell what a camera's picture is good for, and shows it while it lasts."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.live import Live

from operate.cli.aim_screen import screen
from operate.orders import ANSWER_S, checked, operator_bus
from proto.aiming import AimReplyV1, AimReportV1, AimRequestV1
from proto.subjects import AIM, AIM_REPORTS
from services.bus import Bus, NoWorkers, Request
from services.kernel.settings import SettingsError

_COMMAND = "moretta aim"
_SILENT_S = 5.0
"""Reports come twice a second; after so long without one ingest has gone."""


async def aim(
    file: Path, site: str, camera: str, *, operator: str, why: str, seconds: float, console: Console
) -> AimReportV1:
    """Show the reports as they come and return the last; on what is no terminal, as JSON lines.

    SettingsError if ingest refuses, or falls silent.
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
    """Return the next report of our own order; another operator's may be on its way to its end."""
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
