"""Processes that start at once: forks of a Python that has imported Moretta, with everything else their own.

What is saved is the interpreter's start, 0.5 to 1.3 s of processor time each. Streams, environment, folder, signals and
exit code are a process's own. What happens before `main` is not tried this way, nor what a process's memory or command
line looks like: those tests start a Python of their own.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from patience import patient

SERVER = Path(__file__).with_name("warm_server.py")
COMMAND_LINE = (
    *(f"services.cli.{name}" for name in (
        "operating", "trials", "notify.command", "notify.status", "doctor.command", "doctor.run", "backup.command",
        "check_config", "transparency.command", "sizing.command", "stats_table", "count", "nats_config", "nats_streams",
        "simulate.command",
    )),
    *(f"rich.{name}" for name in ("live", "markdown", "progress", "table")),
)  # fmt: skip
"""What the commands import, but for what only a few of them need: onnxruntime, matplotlib."""
_warm: dict[tuple[str, ...], "Warm"] = {}
_running: set["WarmProcess"] = set()


class WarmProcess:
    """A forked process, with the part of subprocess.Popen's interface that tests use."""

    def __init__(self, answer: socket.socket, streams: dict[str, IO[str]], command: list[str]) -> None:
        self._answer, self.args = answer, command
        self.stdout, self.stderr = streams.get("stdout"), streams.get("stderr")
        self.pid = int(self._line())
        self.returncode: int | None = None
        self._guard = threading.Lock()
        _running.add(self)

    def _line(self) -> bytes:
        return self._answer.recv(64)

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code; subprocess.TimeoutExpired past the limit."""
        end = None if timeout is None else time.monotonic() + timeout
        while not self._guard.acquire(timeout=0.01):
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        try:
            if self.returncode is None:
                self._answer.settimeout(None if timeout is None else max(timeout, 0.001))
                self.returncode = os.waitstatus_to_exitcode(int(self._line()))
                self._answer.close()
                _running.discard(self)
        except TimeoutError:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0) from None
        finally:
            self._guard.release()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Return what it wrote, once it has ended; killed past the limit."""
        taken = {"stdout": "", "stderr": ""}

        def take(name: str, stream: IO[str]) -> None:
            with stream:
                taken[name] = stream.read()

        streams = {"stdout": self.stdout, "stderr": self.stderr}
        readers = [threading.Thread(target=take, args=one) for one in streams.items() if one[1] is not None]
        for reader in readers:
            reader.start()
        try:
            self.wait(timeout)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()
            raise
        finally:
            for reader in readers:
                reader.join()
        return taken["stdout"], taken["stderr"]


class Warm:
    """One Python that has imported some modules, and forks."""

    def __init__(self, modules: Sequence[str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        quiet = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # threads don't live on in a fork
        command = [sys.executable, "-P", str(SERVER), str(theirs.fileno()), *modules]
        with theirs:
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], env=os.environ | quiet, stdin=subprocess.DEVNULL
            )
        self._requests, self._guard, self.pid = ours, threading.Lock(), self._process.pid
        assert ours.recv(16) == b"ready\n", f"{modules} could not be imported"

    def start(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        strict: bool = False,
        group: bool = False,
    ) -> WarmProcess:
        """Run a module as `python -m` does; `strict` makes its warnings errors."""
        request = {
            "module": module, "arguments": list(arguments), "folder": str(folder or Path.cwd()), "strict": strict,
            "environment": dict(os.environ if environment is None else environment), "group": group,
        }  # fmt: skip
        pipes = {name: os.pipe() for name in ("stdout", "stderr")}
        answer, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # a packet, a word
        with Path(os.devnull).open() as nothing, theirs:
            files = [nothing.fileno(), *(write for _, write in pipes.values()), theirs.fileno()]
            with self._guard:
                socket.send_fds(self._requests, [json.dumps(request).encode()], files)
        for _, write in pipes.values():
            os.close(write)
        streams = {name: os.fdopen(read, encoding="utf-8") for name, (read, _) in pipes.items()}
        return WarmProcess(answer, streams, [module, *arguments])

    def close(self) -> None:
        """End it."""
        self._requests.close()
        self._process.wait(patient(10))


def warm(modules: tuple[str, ...] = COMMAND_LINE) -> Warm:
    """Return this worker's Python that has imported these modules; it is started once."""
    if modules not in _warm:
        _warm[modules] = Warm(modules)
        atexit.register(_warm[modules].close)
    return _warm[modules]


def servers() -> set[int]:
    """Return the process ids of those that fork: they stay until the worker ends."""
    return {one.pid for one in _warm.values()}


def running() -> set[WarmProcess]:
    """Return the forked processes whose end nobody has waited for."""
    return {one for one in list(_running) if one.poll() is None}
