"""`moretta demo`: runs the whole system on simulated cameras, and prints its figures beside the truth."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from operate.box.box import Box
from operate.box.up import ended_by_signal, listen
from operate.live_state import LiveState
from operate.output import has_reader
from services.aggregate.settings import AggregateFile
from services.ingest.sources.address import SourceError, address_of
from services.ingest.sources.source import open_source
from services.kernel.settings import SettingsError, load
from services.sites.settings import CameraSettings
from testbed.demo.comparison import Comparison
from testbed.servers.mail import Mail, MailServer
from testbed.simulation import market

_CLOSING_S = 20.0
"""How long after the films' end the last window may take to close."""
_MAIL_S = 6.0
_TICK_S = 0.1
_LINES = 8
_MORE = "next: .venv/bin/moretta up --simulate keeps running, with numbers to subscribe to"


class Demo:
    """One run of the demo. The caller removes `folder`; the mails stay in `mails`."""

    def __init__(self, folder: Path, mails: Path, console: Console) -> None:
        self._folder, self._mails, self._console = folder, mails, console
        self.seen = Comparison()
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._ended = ended_by_signal()

    async def simulated(self, duration_s: float | None = None) -> int:
        """Run with the market's cameras; return 0 if every promise was kept, 1 if not, 2 if a service can't run."""
        drawn = market.plans()
        self.seen.passages = {name: plan.passages(name) for name, plan in drawn.items()}
        films = await market.films(self._folder, drawn, self._console)
        if self._ended.is_set():
            return self._judged()
        longest = max(plan.scenario.length_s for plan in drawn.values()) + _CLOSING_S
        stays = self._console.is_terminal and duration_s is None
        limit = min(duration_s or longest, longest)
        return await self._run(market.cameras(films), limit, ends=True, stays=stays)

    async def real(self, camera: str, duration_s: float | None) -> int:
        """Run with a real camera until Ctrl-C or for `duration_s`; SettingsError if there is no such source.

        Without `duration_s` it also ends when the pipe that it prints to has no reader any more.
        """
        return await self._run([_real(camera)], duration_s)

    async def _run(
        self, cameras: list[dict[str, Any]], limit_s: float | None, *, ends: bool = False, stays: bool = False
    ) -> int:
        """Run the system, print its result, and return the exit code.

        With `stays` the page stays there afterwards until Ctrl-C.
        """
        async with MailServer(self._mails, self._on_mail) as mails:
            file = market.write(market.settings(cameras, mails.port, ends=ends), self._folder)
            page = load(file, AggregateFile).aggregate.page
            async with Box(self._folder, file, on_line=self._on_line, page=page) as box:
                self._print(f"numbers in a browser: {box.page_url}")
                bus = await listen(box, LiveState(), self._on_message)
                try:
                    await self._watch(box, limit_s)
                    code = self._judged()
                    if stays and self.seen.is_complete():
                        self._print(f"The page stays at {box.page_url} until Ctrl-C.")
                        await self._until(box, lambda: False)
                finally:
                    await bus.close()
        for fault in box.faults():
            self._print(fault)
        return 2 if box.faults() else code

    async def _watch(self, box: Box, limit_s: float | None) -> None:
        """Wait until the films are counted and both mails have come, or up to the limit."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._until(box, self.seen.is_complete, endless=limit_s is None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_MAIL_S):
                await self._until(box, lambda: self.seen.is_mailed() or not self.seen.is_complete())

    async def _until(self, box: Box, condition: Callable[[], bool], *, endless: bool = False) -> None:
        """Wait for the condition, a signal, or a service that can't run; if `endless`, also until nobody reads."""
        while not (condition() or self._ended.is_set() or box.faults()):
            if endless and not has_reader():
                return
            await asyncio.sleep(_TICK_S)

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _on_line(self, name: str, line: str) -> None:
        self._lines.append(f"{name}: {line}")

    def _on_mail(self, mail: Mail) -> None:
        self.seen.mails += 1
        self._print(mail.shown())

    def _on_message(self, _subject: str, message: Any) -> None:
        if (line := self.seen.take(message)) is not None:
            self._print(line)

    def _judged(self) -> int:
        """Print the result; return 0 if every promise was kept, else 1."""
        if self.seen.passages and self._ended.is_set():
            self._print("stopped before the end: nothing to compare")
            return 1
        for line in self.seen.result():
            self._print(line)
        self._print(f"mails of this run, kept as .eml in {self._mails}: {self.seen.mails}; no picture was kept")
        if self.seen.passages:
            self._print(_MORE)
        if not (missed := self.seen.missed()):
            return 0
        self._print(f"missed: {', '.join(missed)}")
        if self._lines:
            self._print("\n".join(["what the services said last:", *self._lines]))
        return 1


def _real(url: str) -> dict[str, Any]:
    """Return the settings of one camera, looped if it is a file; SettingsError if no such source is allowed."""
    path = Path(url)
    try:
        address = address_of(CameraSettings(id="camera", url=url))
        if address.kind != "network" and (not url or not path.exists() or path.is_dir()):
            raise SettingsError("--camera", [(address.label, "no such file or device")])
        if address.kind == "file":  # a live camera may come later, but a file never becomes a film
            open_source(CameraSettings(id="camera", url=url)).close()
    except SourceError as error:
        raise SettingsError("--camera", [("", error.message)]) from None
    return {"id": "camera", "zone": "gate", "url": str(path.resolve()) if path.exists() else url, "loop": True}


async def demo(folder: Path, camera: str | None, duration_s: float | None, console: Console, mails: Path) -> int:
    """Run the demo and return its exit code; see `Demo`."""
    run = Demo(folder, mails, console)
    return await (run.simulated(duration_s) if camera is None else run.real(camera, duration_s))
