"""`moretta up` as a user runs it: a process whose JSON lines are read."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import psutil
from command_line import MODULE
from message_times import in_ns
from patience import patient
from program import Program
from warm import COMMAND_LINE, warm

PROGRAMS = {
    "ingest": "services.ingest",
    "inference": "services.inference",
    "aggregate": "services.aggregate",
    "notify": "services.notify",
    "nats-server": "nats-server",
}
_ANY_PORT = {"MORETTA_AGGREGATE__PAGE__PORT": "0"}
"""The page's usual port is one, and tests run side by side."""


class UpProcess:
    """One run; `lines` are the objects it printed, `words` what it said on standard error.

    The command itself is a fork of a Python that has imported it, unless `cold`; what it starts is as real as ever.
    """

    def __init__(self, arguments: list[str], *, cold: bool = False, folder: Path | None = None, **environ: str) -> None:
        self.lines: list[dict[str, Any]] = []
        self.words: list[str] = []
        self._arguments, self._cold, self._folder = ["up", *map(str, arguments)], cold, folder
        self._environ = environ
        self._program: Program | None = None

    def start(self) -> Self:
        around = _ANY_PORT | os.environ | self._environ
        if self._cold:
            self._program = Program(
                [sys.executable, "-P", "-m", MODULE, *self._arguments], environment=around, folder=self._folder
            )
        else:
            self._program = Program(
                warm(COMMAND_LINE).start(MODULE, self._arguments, environment=around, folder=self._folder)
            )
        self.lines, self.words = self._program.objects, self._program.words
        return self

    def windows(self, zone: str = "_site") -> list[dict[str, Any]]:
        """The windows of a zone, in the order they were published."""
        return [m for m in self.messages("windows") if m["zone"] == zone]

    def messages(self, kind: str) -> list[dict[str, Any]]:
        """The messages of a kind, with their times as nanoseconds."""
        of_kind = f"moretta.v1.{kind}."
        return [in_ns(line["message"]) for line in list(self.lines) if line.get("subject", "").startswith(of_kind)]

    def pid(self, program: str) -> int:
        """The process of a program, as it runs now."""
        found = self.pid_or_none(program)
        assert found is not None, f"{program} is not running; said: {self.words[-10:]}"
        return found

    def pid_or_none(self, program: str) -> int | None:
        mark = PROGRAMS[program]
        for child in self._children():
            with contextlib.suppress(psutil.Error):
                if any(mark in part for part in child.cmdline()):
                    return child.pid
        return None

    def _children(self) -> list[psutil.Process]:
        assert self._program
        return [] if self._program.is_over else psutil.Process(self._program.pid).children(recursive=True)

    def wait_for(self, condition: Callable[[], Any], limit_s: float, what: str) -> None:
        """Wait for a condition; AssertionError past the limit, or once it has ended."""
        assert self._program
        self._program.until(condition, what, limit_s)

    def signal(self, number: int) -> None:
        """Send a signal to the command, and to nothing that it started."""
        assert self._program
        self._program.signal(number)

    def stop(self) -> int:
        """Ctrl-C; returns the exit code. Nothing of it may be left running."""
        assert self._program
        children = self._children()
        try:
            code = self._program.stop(signal.SIGINT, 60)
        finally:
            for child in children:
                with contextlib.suppress(psutil.Error):
                    child.send_signal(signal.SIGCONT)
            _, left = psutil.wait_procs(children, timeout=patient(5))
            for child in left:
                child.kill()
        assert not left, f"left running: {left}"
        return code
