"""A site for tests: a real nats-server with the box's own permissions, and services as real processes."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import secrecy
import yaml
from nats_process import NatsProcess
from patience import patient
from program import Program
from warm import SERVICES, warm

from operate.identities import Identities, nats_config
from proto.subjects import STREAMS, Account, Identity
from services.bus import Bus


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
    """Settings, identities, a server and services below `folder`.

    Services are forks of a Python that has imported them (warm.py); with `cold` each has an interpreter of its own, for
    tests that look at a process from outside: its memory, its sandbox, its files, its command line.
    """

    makes_streams = True
    """Whether streams are made here for services that wait for them, and not by a running aggregate alone."""

    def __init__(self, folder: Path, *, extend: Callable[[str], str] = str, cold: bool = False) -> None:
        self.folder, self.cold = folder, cold
        self.identities = Identities.make(folder / "identities")
        for seed in self.identities.seeds.values():
            secrecy.keep(seed.reveal())
        self.file = folder / "settings.yaml"
        self.services: list[Program] = []
        self.server = _Server(
            folder, whole=lambda port, store: extend(nats_config(port, store, self.identities.public))
        )
        self.server.made = self._make_streams

    def write(self, settings: dict[str, Any]) -> None:
        """Put settings in force for whoever starts, and for whoever watches the file."""
        new = self.file.with_suffix(".new")
        new.write_text(yaml.safe_dump(settings), encoding="utf-8")
        new.rename(self.file)

    def start(self, name: Identity, *, script: Path | None = None, **environment: str | None) -> Program:
        """Start a service, or a script in its place, as its own identity; what is None in `environment` is left out.

        The others wait for streams that aggregate makes: they are made here, and again when the server comes back.
        """
        if name != "aggregate" and self.makes_streams:
            self.server.make()
        env = {k: v for k, v in os.environ.items() if not k.startswith("MORETTA_")}
        own = self.identities.environment(name) | {"MORETTA_NATS__URL": self.server.url} | environment
        env |= {k: v for k, v in own.items() if v is not None}
        module, file = f"services.{name}", ["-c", str(self.file)]
        if script is not None:
            service = Program([sys.executable, "-P", script, name, *file], environment=env)
        elif self.cold:
            service = Program([sys.executable, "-m", module, *file], environment=env)
        else:
            service = Program(warm(SERVICES).start(module, file, environment=env))
        self.services.append(service)
        return service

    def _make_streams(self) -> None:
        async def make() -> None:
            async with asyncio.timeout(patient()), self.bus("aggregate") as bus:
                await bus.ensure_streams(stream.name for stream in STREAMS)

        thread = threading.Thread(target=asyncio.run, args=(make(),))
        thread.start()
        thread.join()

    @contextlib.asynccontextmanager
    async def bus(self, identity: Identity, account: Account = "MORETTA") -> AsyncIterator[Bus]:
        """A connection as an identity."""
        bus = await Bus.connect(self.identities.settings(identity, self.server.url), identity, account)
        try:
            yield bus
        finally:
            await bus.close()

    def close(self) -> None:
        """End what is left, the services first."""
        for service in self.services:
            service.signal(signal.SIGCONT)
            service.signal(signal.SIGTERM)
        try:
            for service in self.services:
                service.ended()
        except subprocess.TimeoutExpired:
            for service in self.services:
                service.close()
            raise
        finally:
            self.server.stop()
