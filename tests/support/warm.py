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
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, ClassVar

from patience import patient

SERVER = Path(__file__).with_name("warm_server.py")
_SERVICES = tuple(f"services.{name}" for name in (
    "aggregate.service", "notify.service", "ingest.service", "ingest.web.certificate", "inference.keys",
    "inference.publisher", "inference.settings", "sandbox",
))  # fmt: skip
_COMMANDS = (
    *(f"operate.{name}" for name in (
        "cameras.adding", "cameras.asking", "cameras.search", "cameras.output", "notify.status", "notify.test_message",
        "check_config.check_config", "stats.stats", "stats.stats_table", "aim", "orders", "doctor.doctor",
        "backup.backup", "transparency.write", "nats.apply", "nats.nats_yaml", "nats.next_steps", "nats.output",
        "nats.streams", "box.count", "box.up", "box.data_folder",
    )),
    *(f"moretta.{name}" for name in (
        "backup", "doctor", "notify", "operating", "size", "trials", "up",
    )),
    "testbed.simulation.publishing", "testbed.simulation.simulate",
    *(f"rich.{name}" for name in ("live", "markdown", "progress", "table")), "typer._adapters",
)  # fmt: skip
COMMAND_LINE = SERVICES = (*_SERVICES, *_COMMANDS)
"""What the services and the commands import, in one Python for both.

Not onnxruntime, which inference imports in its sandbox, nor matplotlib, which only a few need.
"""
_warm: dict[tuple[str, ...], "Warm"] = {}
_running: set["WarmProcess"] = set()


class WarmError(AssertionError):
    """The Python that forks is gone, and says why."""


class WarmProcess:
    """A forked process, with the part of subprocess.Popen's interface that tests use."""

    def __init__(self, warm: "Warm", answer: socket.socket, streams: dict[str, IO[str]], command: list[str]) -> None:
        self._warm, self._answer, self.args = warm, answer, command
        self.stdout, self.stderr = streams["stdout"], streams["stderr"]
        self.returncode: int | None = None
        self._guard = threading.Lock()
        self.pid = int(self._word())
        _running.add(self)

    def _word(self) -> bytes:
        """Return what the server says next; WarmError if it is gone."""
        if word := self._answer.recv(64):
            return word
        _running.discard(self)
        for stream in (self._answer, self.stdout, self.stderr):
            stream.close()
        raise self._warm.gone(f"before {self.args} had ended")

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
                status, used_s = self._word().split()
                self.returncode = os.waitstatus_to_exitcode(int(status))
                Warm.used_s += float(used_s)
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
        readers = [threading.Thread(target=take, args=one) for one in streams.items() if not one[1].closed]
        for reader in readers:
            reader.start()
        try:
            self.wait(timeout)
        except subprocess.TimeoutExpired as late:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()
            for reader in readers:
                reader.join()
            late.output, late.stderr = taken["stdout"], taken["stderr"]
            raise
        finally:
            for reader in readers:
                reader.join()
        return taken["stdout"], taken["stderr"]


class Warm:
    """One Python that has imported some modules, and forks."""

    used_s: ClassVar[float] = 0.0
    """Processor seconds of all of them until they were ready, and of what they have forked and has ended."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules, self._guard = modules, threading.Lock()
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._words = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - as long as the server lives
        quiet = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # threads don't live on in a fork
        command = [sys.executable, "-P", str(SERVER), str(theirs.fileno()), *modules]
        with theirs:
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], env=os.environ | quiet, stdin=subprocess.DEVNULL,
                stdout=self._words, stderr=self._words,
            )  # fmt: skip
        self.pid = self._process.pid
        if not (word := self._requests.recv(64)):
            error = self.gone("before it was ready")
            self.close()
            raise error
        Warm.used_s += float(word)

    @property
    def is_gone(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    @property
    def files(self) -> set[int]:
        """The files that are open for it as long as it lives."""
        return {self._requests.fileno(), self._words.fileno()}

    def gone(self, when: str) -> WarmError:
        """Return the error that says how it ended; it has, or is about to."""
        try:
            code: object = self._process.wait(patient(10))
        except subprocess.TimeoutExpired:
            code = "it still runs"
        self._words.seek(0)
        said = self._words.read()[-2_000:]
        return WarmError(f"the Python that forks for {self._modules} (pid {self.pid}) is gone {when}: {code}; {said!r}")

    def start(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        strict: bool = False,
        group: bool = False,
        unread: str = "",
    ) -> WarmProcess:
        """Run a module as `python -m` does, or a script by its path; `strict` makes its warnings errors.

        `unread` is the stream, stdout or stderr, whose reader has gone before it starts.
        """
        request = {
            "module": module, "arguments": list(arguments), "folder": str(folder or Path.cwd()), "strict": strict,
            "environment": dict(os.environ if environment is None else environment), "group": group,
        }  # fmt: skip
        pipes = {name: os.pipe() for name in ("stdout", "stderr")}
        answer, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # a packet, a word
        streams = {name: os.fdopen(read, encoding="utf-8") for name, (read, _) in pipes.items()}
        if unread:
            streams[unread].close()
        try:
            with Path(os.devnull).open() as nothing, theirs, self._guard:
                files = [nothing.fileno(), *(write for _, write in pipes.values()), theirs.fileno()]
                socket.send_fds(self._requests, [json.dumps(request).encode()], files)
        except (BrokenPipeError, ConnectionResetError):
            for stream in (answer, *streams.values()):
                stream.close()
            raise self.gone(f"before it was asked for {[module, *arguments]}") from None
        finally:
            for _, write in pipes.values():
                os.close(write)
        return WarmProcess(self, answer, streams, [module, *arguments])

    def close(self) -> None:
        """End it, and with it what it has forked."""
        self._requests.close()
        self._process.wait(patient(10))
        self._words.close()


def warm(modules: tuple[str, ...] = COMMAND_LINE) -> Warm:
    """Return this worker's Python that has imported these modules; it is started once, and anew if it has died."""
    if modules in _warm and _warm[modules].is_gone:
        _warm.pop(modules).close()
    if modules not in _warm:
        _warm[modules] = Warm(modules)
    return _warm[modules]


@atexit.register
def _close_all() -> None:
    for one in _warm.values():
        one.close()


def servers() -> set[int]:
    """Return the process ids of those that fork: they stay until the worker ends."""
    return {one.pid for one in _warm.values()}


def files() -> set[int]:
    """Return the files that are open for them."""
    return set().union(*(one.files for one in _warm.values()))


def running() -> set[WarmProcess]:
    """Return the forked processes whose end nobody has waited for."""
    return {one for one in list(_running) if one.poll() is None}
