"""`moretta demo`: makes the films, runs the whole system on them, and compares its figures with the truth."""

import asyncio
import contextlib
import re
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from operate.box.box import Box
from operate.box.up import listen
from operate.show import has_reader
from operate.simulation.demo import report, site
from operate.simulation.demo.films import make, plans
from operate.simulation.demo.record import Record
from operate.simulation.demo.sink import Mail, Sink
from operate.view import View
from proto.public import AlertV1, WindowV1
from proto.types import WHOLE_SITE
from services.aggregate.settings import AggregateFile
from services.kernel.settings import load

_CLOSING_S = 20.0
"""How long after the films' end the last window may take to close."""
_MAIL_S = 6.0
_TICK_S = 0.1
_WIDTH = 108
_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


class Demo:
    """One run of the demo. The caller removes `folder`; the mails stay in `mails`."""

    def __init__(self, folder: Path, mails: Path, console: Console) -> None:
        self._folder, self._mails_folder, self._console = folder, mails, console
        self.mails: list[Mail] = []
        self.record = Record()
        self.said: list[str] = []
        self._ended = asyncio.Event()
        self._code: int | None = None
        """The exit code once the result was printed."""

    async def simulated(self, duration_s: float | None = None) -> int:
        """Run with simulated cameras; return 0 if every promise was kept, 1 if not, 2 if a service can't run."""
        drawn = plans()
        self.record.passages = {name: plan.passages(name) for name, plan in drawn.items()}
        longest = max(plan.scenario.length_s for plan in drawn.values())
        with _interruptible(self._ended):
            films = await make(self._folder, drawn, self._console)
            if self._ended.is_set():
                return self._reckon([])
            limit = min(duration_s or longest + _CLOSING_S, longest + _CLOSING_S)
            async with Sink(self._mails_folder, self._on_mail) as sink:
                file = site.write(site.simulated(films, sink.port), self._folder)
                stays = self._console.is_terminal and duration_s is None
                faults = await self._run(file, limit, stays=stays)
        return self._reckon(faults)

    async def real(self, camera: str, duration_s: float | None) -> int:
        """Run with a real camera until Ctrl-C or for `duration_s`; SettingsError if there is no such source.

        Without `duration_s` it also ends when the pipe that it prints to has no reader any more.
        """
        with _interruptible(self._ended):
            async with Sink(self._mails_folder, self._on_mail) as sink:
                faults = await self._run(site.write(site.real(camera, sink.port), self._folder), duration_s)
        return self._reckon(faults)

    def _on_mail(self, mail: Mail) -> None:
        self.mails.append(mail)
        self.record.mails = len(self.mails)
        if not self._console.is_terminal:
            self._console.print(f"mail     {mail.message['Subject']}", highlight=False, soft_wrap=True)

    async def _run(self, settings_file: Path, limit_s: float | None, *, stays: bool = False) -> list[str]:
        """Run the system until the films are counted and the mails sent, or up to the limit; return its faults.

        With `stays` the page stays there afterwards, beside the result, until Ctrl-C.
        """
        page = load(settings_file, AggregateFile).aggregate.page
        async with Box(self._folder, settings_file, on_line=self._on_line, page=page) as box:
            self._console.print(f"numbers in a browser: {box.page_url}", highlight=False, soft_wrap=True)
            bus = await listen(box, View(), self._on_message)
            try:
                failed = asyncio.create_task(box.failed())
                with self._showing():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(limit_s):
                            await self._until_done(failed, endless=limit_s is None)
                    await self._settle(failed)
                if stays and self.record.is_complete() and not self._ended.is_set():
                    await self._stay(str(box.page_url), failed)
                failed.cancel()
            finally:
                await bus.close()
            return box.faults()

    async def _until_done(self, failed: "asyncio.Task[None]", *, endless: bool) -> None:
        while not (self.record.is_complete() or failed.done() or self._ended.is_set()):
            if endless and not has_reader():
                return
            await asyncio.sleep(_TICK_S)

    async def _settle(self, failed: "asyncio.Task[None]") -> None:
        """Wait for the last mail."""
        if failed.done() or self._ended.is_set() or not self.record.is_complete():
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_MAIL_S):
                while not self.record.is_told():
                    await asyncio.sleep(_TICK_S)

    async def _stay(self, page: str, failed: "asyncio.Task[None]") -> None:
        self._code = self._compare()
        self._console.print(f"The page stays at {page} until Ctrl-C.", highlight=False, soft_wrap=True)
        ended = asyncio.create_task(self._ended.wait())
        await asyncio.wait([ended, failed], return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()

    def _on_line(self, name: str, line: str) -> None:
        self.said.append(f"{name}: {line}")

    def _on_message(self, _subject: str, message: Any) -> None:
        self.record.take(message)
        if self._console.is_terminal:
            return
        if isinstance(message, WindowV1) and message.zone == WHOLE_SITE:
            self._console.print(report.window_line(self.record, message), highlight=False, soft_wrap=True)
        elif isinstance(message, AlertV1):
            self._console.print(report.alert_text(message), highlight=False, soft_wrap=True)

    @contextmanager
    def _showing(self) -> Iterator[None]:
        if not self._console.is_terminal:
            yield
            return
        with Live(
            get_renderable=lambda: report.live(self.record),
            console=self._console,
            refresh_per_second=4,
            transient=True,
        ):
            yield

    def _reckon(self, faults: list[str]) -> int:
        if self._code is None and self._ended.is_set() and self.record.passages:
            self._console.print("stopped before the end: nothing to compare")
            return 1
        code = self._compare() if self._code is None else self._code
        if faults:
            self._console.print("\n".join(faults), style="red", highlight=False, soft_wrap=True)
        return 2 if faults else code

    def _compare(self) -> int:
        """Print the result; return 0 if every promise was kept, else 1."""
        self._console.print(report.reckoning(self.record, self.mails, self._mails_folder))
        missed = [check.name for check in self.record.checks() if not check.ok] if self.record.passages else []
        if not missed:
            return 0
        self._console.print(f"missed: {', '.join(missed)}", style="bold red")
        if self.said:
            self._console.print(
                "what the services said last:\n" + "\n".join(self.said[-8:]), highlight=False, soft_wrap=True
            )
        return 1


@contextmanager
def _interruptible(ended: asyncio.Event) -> Iterator[None]:
    """End in order on Ctrl-C, so that nothing is left running."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, ended.set)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def screenshot(demo: Demo, mails: Path, file: Path) -> None:
    """Save the demo's final output as an SVG picture."""
    console = Console(record=True, width=_WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print("[bold]$ moretta demo[/bold]")
    console.print(report.reckoning(demo.record, demo.mails, mails))
    drawn = console.export_svg(title="moretta demo")
    # rich's picture would fetch its font from a public server whenever somebody looks at it
    file.write_text(_FONT.sub("", drawn), encoding="utf-8")


async def demo(
    folder: Path,
    camera: str | None,
    duration_s: float | None,
    console: Console,
    *,
    mails: Path | None = None,
    picture: Path | None = None,
) -> int:
    """Run the demo and return its exit code; see `Demo`. Mails are kept in `mails`, else in a new temporary folder."""
    mails = mails or Path(tempfile.mkdtemp(prefix="moretta-mails-"))
    run = Demo(folder, mails, console)
    code = await (run.simulated(duration_s) if camera is None else run.real(camera, duration_s))
    if picture is not None:
        screenshot(run, mails, picture)
    return code
