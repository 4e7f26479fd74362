"""A program as a process of its own: what it says as it says it, its probes over HTTP, its end."""

import contextlib
import json
import os
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any, Self

import secrecy
from patience import LIMIT_S, Said, patient, until, wait_until
from warm import WarmProcess


class Program:
    """Runs a command, or takes over a warm process that was just started (warm.py).

    `words` are the lines of its standard error, `printed` those of its standard output.

    `lines` are the objects in `words` that are JSON, as a service logs; `objects` those in `printed`.
    With `group` it leads a process group, and signals go to all that it started.
    """

    def __init__(
        self,
        command: Sequence[str | Path] | WarmProcess,
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        group: bool = False,
    ) -> None:
        self.words: list[str] = []
        self.printed: list[str] = []
        self.lines: list[dict[str, Any]] = []
        self.objects: list[dict[str, Any]] = []
        self._group = group
        self.process: subprocess.Popen[str] | WarmProcess
        if isinstance(command, WarmProcess):
            self.process = command
        else:
            self.process = subprocess.Popen(
                list(map(str, command)), env=environment, cwd=folder, text=True, start_new_session=group,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        takes = ((self.process.stdout, self.printed, self.objects), (self.process.stderr, self.words, self.lines))
        self._readers = [threading.Thread(target=_read, args=one) for one in takes]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    async def heard(self, event: str, **keys: Any) -> list[dict[str, Any]]:
        """Return the log lines of this event, once there is one: what it publishes may be known before what it logs."""
        found: list[dict[str, Any]] = await until(lambda: self.said(event, **keys), event)
        return found

    def said(self, event: str, **keys: Any) -> list[dict[str, Any]]:
        """Return the log lines of this event with these keys."""
        return [line for line in list(self.lines) if line.get("event") == event and keys.items() <= line.items()]

    @property
    def running(self) -> bool:
        """Whether it is up, as a service says itself."""
        return bool(self.said("running"))

    def until(self, condition: Callable[[], Any], what: Said = "a condition", limit_s: float = LIMIT_S) -> Any:
        """Wait for a condition and return what it says; AssertionError past the limit, or once it has ended."""

        def holds() -> Any:
            was_over = self.is_over and not any(reader.is_alive() for reader in self._readers)
            found = condition()
            assert found or not was_over, f"it ended with {self.process.returncode}: {self.last_words()}"
            return found

        return wait_until(holds, lambda: f"{what if isinstance(what, str) else what()}; {self.last_words()}", limit_s)

    def wait_for(self, event: str, count: int = 1, limit_s: float = LIMIT_S, **keys: Any) -> dict[str, Any]:
        """Wait until it has logged an event so often; return that line."""
        self.until(lambda: len(self.said(event, **keys)) >= count, event, limit_s)
        return self.said(event, **keys)[count - 1]

    def last_words(self) -> str:
        """Return the end of what it said, for a failure's text."""
        return f"it printed {self.printed[-5:]} and said {self.words[-10:]}"

    def get(self, path: str) -> tuple[int, str]:
        """Return status and text of one of its probes; of a service that logs JSON."""
        url = self.wait_for("running")["probes"] + path
        try:
            with urllib.request.urlopen(url, timeout=patient(5)) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of this name that have these labels; 0 if there is none."""
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.partition("{")[0] == name and all(f'{k}="{v}"' in sample for k, v in labels.items()):
                total += float(value)
        return total

    def signal(self, number: int) -> None:
        """Send a signal, to its whole group if it leads one; harmless once it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number) if self._group else self.process.send_signal(number)

    def stop(self, number: int = SIGTERM, limit_s: float = LIMIT_S) -> int:
        """Send a signal and wait for the end; return the exit code."""
        self.signal(number)
        try:
            return self.ended(limit_s)
        except subprocess.TimeoutExpired:
            self.close()
            raise

    def ended(self, limit_s: float = LIMIT_S) -> int:
        """Wait for the end and for the last word; return the exit code."""
        code = self.process.wait(patient(limit_s))
        for reader in self._readers:
            reader.join(patient(5))
        for stream in (self.process.stdout, self.process.stderr):
            assert stream
            stream.close()
        return code

    def close(self) -> None:
        """Kill it if it still runs, a stopped one too, and let go of its pipes."""
        if not self.is_over:
            self.signal(SIGKILL)
        self.ended()


def _read(stream: Iterable[str], words: list[str], objects: list[dict[str, Any]]) -> None:
    for line in stream:
        secrecy.said(line)
        with contextlib.suppress(ValueError):
            if isinstance(found := json.loads(line), dict):
                objects.append(found)
        words.append(line.rstrip("\n"))
