"""A site for tests: a real nats-server with the box's own permissions, and services as real processes."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import secrecy
import yaml
from nats_process import NatsProcess

from proto.subjects import STREAMS, Account, Identity
from services.bus import Bus
from services.identities import Identities, nats_config


@dataclass
class Service:
    """One service's process; `lines` is all that it said, a parsed log line each (a plain one as `text`)."""

    process: subprocess.Popen[str]
    lines: list[dict[str, Any]] = field(default_factory=list)
    _reader: threading.Thread | None = None

    def read(self) -> None:
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            secrecy.said(line)
            try:
                parsed = json.loads(line)
            except ValueError:
                parsed = {"text": line.rstrip("\n")}
            self.lines.append(parsed)

    def said(self, event: str) -> list[dict[str, Any]]:
        """The log lines of this event."""
        return [line for line in self.lines if line.get("event") == event]

    @property
    def running(self) -> bool:
        """Whether it is up, as it says itself."""
        return bool(self.said("running"))

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a probe."""
        url = self.said("running")[-1]["probes"] + path
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name that have these labels; 0 if there is none."""
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.partition("{")[0] == name and all(f'{k}="{v}"' in sample for k, v in labels.items()):
                total += float(value)
        return total

    def stop(self, number: int = signal.SIGTERM, limit_s: float = 20.0) -> int:
        """Send a signal, wait for the end; returns the exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        try:
            return self.ended(limit_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.ended(5)
            raise

    def ended(self, limit_s: float = 20.0) -> int:
        """Wait for the end; returns the exit code."""
        code = self.process.wait(limit_s)
        if self._reader is not None:
            self._reader.join(5)
            assert self.process.stderr
            self.process.stderr.close()
        return code


class _Server(NatsProcess):
    """A server whose streams are made by `made`, once they were asked for."""

    made: Callable[[], None]
    _wanted = False

    def start(self) -> "NatsProcess":
        super().start()
        if self._wanted:
            self.made()
        return self

    def make(self) -> None:
        """Make the streams, now if it runs and whenever it starts."""
        self._wanted = True
        if self._process is not None:
            self.made()


class Site:
    """Settings, identities, a server and services below `folder`."""

    makes_streams = True
    """Whether streams are made here for services that wait for them, and not by a running aggregate alone."""

    def __init__(self, folder: Path, *, extend: Callable[[str], str] = str) -> None:
        self.folder = folder
        self.identities = Identities.make(folder / "identities")
        for seed in self.identities.seeds.values():
            secrecy.keep(seed.reveal())
        self.file = folder / "settings.yaml"
        self.services: list[Service] = []
        self.server = _Server(
            folder, whole=lambda port, store: extend(nats_config(port, store, self.identities.public))
        )
        self.server.made = self._make_streams

    def write(self, settings: dict[str, Any]) -> None:
        """Put settings in force for whoever starts, and for whoever watches the file."""
        new = self.file.with_suffix(".new")
        new.write_text(yaml.safe_dump(settings), encoding="utf-8")
        new.rename(self.file)

    def start(self, name: Identity, *, script: Path | None = None, **environment: str | None) -> Service:
        """Start a service, or a script in its place, as its own identity; what is None in `environment` is left out.

        The others wait for streams that aggregate makes: they are made here, and again when the server comes back.
        """
        if name != "aggregate" and self.makes_streams:
            self.server.make()
        env = {k: v for k, v in os.environ.items() if not k.startswith("MORETTA_")}
        own = self.identities.environment(name) | {"MORETTA_NATS__URL": self.server.url} | environment
        env |= {k: v for k, v in own.items() if v is not None}
        program = ["-m", f"services.{name}"] if script is None else ["-P", str(script), name]
        command = [sys.executable, *program, "-c", str(self.file)]
        quiet = subprocess.DEVNULL  # pytest's own output is a regular file, and no place for a sandboxed service
        process = subprocess.Popen(command, env=env, stdin=quiet, stdout=quiet, stderr=subprocess.PIPE, text=True)
        service = Service(process)
        service.read()
        self.services.append(service)
        return service

    def _make_streams(self) -> None:
        async def make() -> None:
            async with asyncio.timeout(20), self.bus("aggregate") as bus:
                await bus.ensure_streams(stream.name for stream in STREAMS)

        thread = threading.Thread(target=asyncio.run, args=(make(),))
        thread.start()
        thread.join()

    @contextlib.asynccontextmanager
    async def bus(self, identity: Identity, account: Account = "MAIN") -> AsyncIterator[Bus]:
        """A connection as an identity."""
        bus = await Bus.connect(self.identities.settings(identity, self.server.url), identity, account)
        try:
            yield bus
        finally:
            await bus.close()

    def close(self) -> None:
        """End what is left, the services first."""
        for service in self.services:
            if service.process.poll() is None:
                service.process.send_signal(signal.SIGCONT)
                service.process.terminate()
        for service in self.services:
            if service.process.returncode is None:
                service.stop()
            elif service.process.stderr and not service.process.stderr.closed:
                service.ended()
        self.server.stop()
