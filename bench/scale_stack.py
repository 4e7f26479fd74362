"""nats-server with its identities, and services as processes of their own: what is started, asked and killed."""

import asyncio
import contextlib
import json
import socket
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import psutil
import yaml

from bench.bus_cost import server_url, start_program
from bench.histogram import Samples, read
from bench.scale_load import Load
from bench.system import Restarted
from operate.box.box import MALLOC, SERVER, nats_server
from operate.identities import Identities, server
from proto.subjects import STREAMS, Identity
from services.bus import Bus

LIMIT_S = 300.0
_GIB = 1 << 30
Counts = dict[str, tuple[int, int, int]]
"""Of each stream its last sequence, how many messages it holds, and their bytes."""


class Stack:
    """A nats-server and what is started beside it, in a folder that has secrets and streams."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self._folder, self._settings = folder, settings
        self._identities = Identities.make(folder / "identities")
        self._ports: dict[str, int] = {}
        self._url = ""
        self.programs: dict[str, asyncio.subprocess.Process] = {}
        self.bus: Bus

    async def __aenter__(self) -> Self:
        """Start nats-server and make the streams; services are started by `start`."""
        (self._folder / "settings.yaml").write_text(yaml.safe_dump(self._settings), encoding="utf-8")
        self.programs["nats-server"] = await start_program(nats_server(), "-c", str(self._config()), more=SERVER)
        try:
            self._url = await server_url(self._folder)
            self.bus = await Bus.connect(self._identities.settings("aggregate", self._url), "aggregate")
            await self.bus.ensure_streams(stream.name for stream in STREAMS)
        except BaseException:
            await self._kill_all()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill everything, the bus last."""
        await self.bus.close()
        await self._kill_all()

    def _config(self) -> Path:
        config: dict[str, Any] = server("127.0.0.1:-1", str(self._folder / "jetstream"), self._identities.public)
        config["ports_file_dir"] = str(self._folder)
        config["jetstream"]["max_memory_store"] = 2 * _GIB
        file = self._folder / "nats.conf"
        file.write_text(json.dumps(config), encoding="utf-8")
        return file

    async def start(self, name: str, identity: Identity) -> None:
        """Start a service. `name` is its replica's: one that is started again has its leases at once."""
        self._ports[name] = _free_port()
        more = MALLOC | self._identities.environment(identity) | {f"MORETTA_{identity.upper()}__REPLICA": name}
        more |= {"MORETTA_NATS__URL": self._url, "MORETTA_PROBES__PORT": str(self._ports[name])}
        command = (sys.executable, "-P", "-m", f"services.{identity}", "-c", str(self._folder / "settings.yaml"))
        self.programs[name] = await start_program(*command, more=more)

    async def kill(self, name: str) -> None:
        """End a program without warning."""
        process = self.programs.pop(name)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def _kill_all(self) -> None:
        for name in reversed(list(self.programs)):
            await self.kill(name)

    async def tell(self, load: Load) -> None:
        """Start to tell what cameras see."""
        folder, wanted = str(self._folder / "identities"), msgspec.json.encode(load).decode()
        command = (sys.executable, "-P", "-m", "bench.scale_load", folder, self._url, wanted)
        self.programs["teller"] = await start_program(*command, more=MALLOC)

    async def told(self, *, all_of_it: bool = False) -> dict[str, float]:
        """End the telling, or wait until all of it is told; returns what the teller says of it."""
        teller = self.programs.pop("teller")
        assert teller.stdin is not None
        assert teller.stdout is not None
        if not all_of_it:
            teller.stdin.close()
        async with asyncio.timeout(LIMIT_S):
            text = await teller.stdout.read()
            await teller.wait()
        if teller.returncode:
            raise Restarted("who tells the sightings ended")
        return dict(json.loads(text))

    async def until_ready(self, name: str) -> None:
        """Wait until a service is ready; TimeoutError if it takes too long."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                with contextlib.suppress(OSError):  # no answer yet, or 503
                    await asyncio.to_thread(_fetch, self._ports[name], "readyz")
                    return
                await asyncio.sleep(0.05)

    async def metrics(self, name: str) -> Samples:
        """Return what a service says of itself."""
        return read(await asyncio.to_thread(_fetch, self._ports[name], "metrics"))

    def cpu_s(self) -> dict[str, float]:
        """Return the processor time of each program so far; Restarted if one has ended."""
        gone = [name for name, process in self.programs.items() if process.returncode is not None]
        if gone:
            raise Restarted(f"{' and '.join(gone)} ended while it was measured")
        times = {name: psutil.Process(process.pid).cpu_times() for name, process in self.programs.items()}
        return {name: spent.user + spent.system for name, spent in times.items()}

    def rss(self) -> dict[str, int]:
        """Return the memory of each program, bytes."""
        return {name: psutil.Process(process.pid).memory_info().rss for name, process in self.programs.items()}

    async def counts(self) -> Counts:
        """Return what the streams hold."""
        found = {}
        for stream in STREAMS:
            state = (await self.bus.streams.js.stream_info(stream.name)).state
            found[stream.name] = (int(state.last_seq), int(state.messages), int(state.bytes))
        return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _fetch(port: int, what: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{what}", timeout=10) as answer:
        text: bytes = answer.read()
    return text.decode()


@contextlib.asynccontextmanager
async def stack(settings: dict[str, Any]) -> AsyncIterator[Stack]:
    """Run a stack in a folder that goes with it."""
    with tempfile.TemporaryDirectory(prefix="moretta-bench-") as name:
        async with Stack(Path(name), settings) as running:
            yield running
