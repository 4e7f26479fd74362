"""`moretta up` as a user runs it: a process whose JSON lines are read."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import psutil
import secrecy

PROGRAMS = {
    "ingest": "services.ingest",
    "inference": "services.inference",
    "aggregate": "services.aggregate",
    "notify": "services.notify",
    "nats-server": "nats-server",
}


@dataclass
class UpProcess:
    """One run; `lines` are the objects it printed, `words` what it said on standard error."""

    arguments: list[str]
    lines: list[dict[str, Any]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> "UpProcess":
        command = [sys.executable, "-P", "-m", "services.cli", "up", *self.arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for stream, take in ((self._process.stdout, self._line), (self._process.stderr, self.words.append)):
            thread = threading.Thread(target=_read, args=(stream, take))
            thread.start()
            self._threads.append(thread)
        return self

    def _line(self, text: str) -> None:
        self.lines.append(json.loads(text))

    def windows(self, zone: str = "_site") -> list[dict[str, Any]]:
        """The windows of a zone, in the order they were published."""
        return [m for m in self.messages("windows") if m["zone"] == zone]

    def messages(self, kind: str) -> list[dict[str, Any]]:
        return [
            line["message"] for line in list(self.lines) if line.get("subject", "").startswith(f"moretta.v1.{kind}.")
        ]

    def pid(self, program: str) -> int:
        """The process of a program, as it runs now."""
        found = self.pid_or_none(program)
        assert found is not None, f"{program} is not running; said: {self.words[-10:]}"
        return found

    def pid_or_none(self, program: str) -> int | None:
        assert self._process
        mark = PROGRAMS[program]
        for child in psutil.Process(self._process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if any(mark in part for part in child.cmdline()):
                    return child.pid
        return None

    def wait_for(self, condition, limit_s: float, what: str) -> None:
        end = time.monotonic() + limit_s
        while not condition():
            assert self._process
            assert self._process.poll() is None, f"moretta up ended: {self.words[-10:]}"
            assert time.monotonic() < end, f"not within {limit_s} s: {what}; said: {self.words[-10:]}"
            time.sleep(0.05)

    def stop(self) -> int:
        """Ctrl-C; returns the exit code. Nothing of it may be left running."""
        assert self._process
        children = psutil.Process(self._process.pid).children(recursive=True) if self._process.poll() is None else []
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(60)
        finally:
            for child in children:
                with contextlib.suppress(psutil.Error):
                    child.send_signal(signal.SIGCONT)
            _, left = psutil.wait_procs(children, timeout=5)
            for child in left:
                child.kill()
            for thread in self._threads:
                thread.join(5)
            for stream in (self._process.stdout, self._process.stderr):
                stream.close()
        assert not left, f"left running: {left}"
        return code


def _read(stream, take) -> None:
    for line in stream:
        secrecy.said(line)
        take(line.rstrip("\n"))
