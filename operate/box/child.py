"""One supervised process: started, watched, restarted with backoff, stopped."""

import asyncio
import contextlib
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from operate.box.tied import tied

FIRST_WAIT_S, LONGEST_WAIT_S, HEALTHY_S = 0.2, 10.0, 30.0
CHECK_S, CHECK_LIMIT_S, FROZEN_AFTER = 1.0, 2.0, 3
STOP_LIMIT_S = 12.0
USAGE = 2
"""The exit code for a user's mistake: another start would not help."""
TOO_LONG = "wrote a line that is too long; a part of it was dropped"


@dataclass(frozen=True)
class Program:
    """A program to run. `command` is called for every start, since ports may change."""

    name: str
    command: Callable[[], list[str]]
    environment: Mapping[str, str]
    alive: Callable[[], Awaitable[bool]]
    """Returns whether the program answers; called once a second."""
    stderr: Callable[[str], None]
    """Takes each line of the program's standard error."""
    usage: int | None = USAGE
    """The exit code which means that another start would not help; None if the program has no such code."""


@dataclass(slots=True)
class Child:
    """A program's current process and its history."""

    program: Program
    process: asyncio.subprocess.Process | None = None
    last_words: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    starts: int = 0
    """How often the program was started."""
    stopping: bool = False
    ran_well: bool = False
    failed: str | None = None
    """Set when the program reported that another start would not help."""

    async def run(self, on_exit: Callable[[str], None]) -> None:
        """Keep the program running until cancelled, or until it reports that another start would not help."""
        wait, refused = FIRST_WAIT_S, 0
        while True:
            started = time.monotonic()
            code = await self._once()
            if self.stopping:
                return
            # One such exit may be chance (the port was taken in between). After a good run, any number of them may be.
            refused = refused + 1 if code == self.program.usage else 0
            if refused == 2 and not self.ran_well:
                self.failed = "\n".join(self.last_words) or f"{self.program.name} could not start"
                _write_line(on_exit, f"{self.program.name}: cannot start")
                return
            if time.monotonic() - started > HEALTHY_S:
                wait, self.ran_well = FIRST_WAIT_S, True
            _write_line(on_exit, f"{self.program.name} ended ({_reason(code)}); starting it again in {wait:.1f} s")
            if not await self._is_wanted_after(wait):
                return
            wait = min(LONGEST_WAIT_S, wait * 2)

    async def _is_wanted_after(self, wait: float) -> bool:
        await asyncio.sleep(wait)
        return not self.stopping

    async def _once(self) -> int:
        self.last_words.clear()
        self.starts += 1
        self.process = process = await asyncio.create_subprocess_exec(
            *tied(self.program.command()),
            env=dict(self.program.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # we pass on Ctrl-C ourselves, in order
        )
        reading = asyncio.create_task(self._read(process))
        watching = asyncio.create_task(self._watch(process))
        try:
            code = await process.wait()
            await asyncio.wait([reading], timeout=1.0)
            return code
        finally:
            if process.returncode is None:  # cancelled, and nobody is left to stop it
                process.kill()
                await process.wait()
            for task in (reading, watching):
                task.cancel()
            await asyncio.gather(reading, watching, return_exceptions=True)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while True:
            try:
                line = await process.stderr.readline()
            except ValueError:  # a line beyond the reader's limit; the rest of it follows
                _write_line(self.program.stderr, f"{self.program.name} {TOO_LONG}")
                continue
            if not line:
                return
            text = line.decode(errors="backslashreplace").rstrip()
            self.last_words.append(text)
            _write_line(self.program.stderr, text)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Kill a process that runs but does not answer: a frozen process would never end by itself."""
        silent = 0
        while silent < FROZEN_AFTER:
            await asyncio.sleep(CHECK_S)
            silent = 0 if await self._answers() else silent + 1
        _write_line(self.program.stderr, f"{self.program.name} does not answer; killing it")
        process.kill()

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(CHECK_LIMIT_S):
                return await self.program.alive()
        except (OSError, TimeoutError):
            return False

    async def stop(self) -> None:
        """Ask the process to end, wait, kill it if it does not; it is not started again."""
        self.stopping = True
        process = self.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), STOP_LIMIT_S)
            except TimeoutError:
                process.kill()
                await process.wait()


def _write_line(take: Callable[[str], None], text: str) -> None:
    """Pass a line on; where our own standard error is gone or full, the program is watched and read all the same."""
    with contextlib.suppress(OSError):
        take(text)


def _reason(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
