"""A service as a process: its log lines as they come, its probes over HTTP, its end."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import secrecy

LIMIT_S = 20.0


class ServiceProcess:
    """Runs `python SCRIPT -c FILE`; `lines` are what it said, JSON where it was JSON."""

    def __init__(self, script: Path, file: Path) -> None:
        self.lines: list[dict[str, Any]] = []
        self.words: list[str] = []
        command = [sys.executable, str(script), "-c", str(file)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            secrecy.said(line)
            self.words.append(line.rstrip("\n"))
            with contextlib.suppress(ValueError):
                self.lines.append(json.loads(line))

    def said(self, event: str, **keys: Any) -> list[dict[str, Any]]:
        """Return the log lines of this event with these keys."""
        return [line for line in list(self.lines) if line.get("event") == event and keys.items() <= line.items()]

    def wait_for(self, event: str, count: int = 1, **keys: Any) -> dict[str, Any]:
        """Wait until it has logged an event so often; returns the last such line."""
        self.until(lambda: len(self.said(event, **keys)) >= count, event)
        return self.said(event, **keys)[count - 1]

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition; AssertionError past the limit."""
        end = time.monotonic() + LIMIT_S
        while not condition():
            assert self._reader.is_alive() or condition(), f"it ended before: {what}; it said {self.words[-10:]}"
            assert time.monotonic() < end, f"not within {LIMIT_S} s: {what}; it said {self.words[-10:]}"
            time.sleep(0.02)

    def get(self, path: str) -> tuple[int, str]:
        """Return status and text of one of its probes."""
        url = self.wait_for("running")["probes"] + path
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def exit_code(self) -> int:
        """Wait for its end; returns its exit code."""
        code = self._process.wait(LIMIT_S)
        self._reader.join(LIMIT_S)
        return code

    def close(self) -> None:
        """Kill it if it still runs, and let go of its pipe."""
        self._process.kill()
        self.exit_code()
        assert self._process.stderr
        self._process.stderr.close()
