"""Starts, queries and kills a nats-server with its identities, and services as separate processes."""

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
from operate.box.programs import MALLOC, SERVER, nats_server
from operate.identities import Identities, server
from proto.subjects import STREAMS, Identity
from services.bus import Bus, NatsSettings

LIMIT_S = 300.0
_GIB = 1 << 30
Counts = dict[str, tuple[int, int, int]]
"""Each stream's last sequence, number of messages, and their bytes."""


class Stack:
    """A nats-server and the programs started beside it, in a folder with secrets and streams."""

    def __init__(self, folder: Path, settings: dict[str, Any], logs: Path | None = None) -> None:
        """Logs of services go to `logs`, a file for each; None: nowhere."""
        self._folder, self._settings, self._logs = folder, settings, logs
        self._identities = Identities.make(folder / "identities")
        self._ports: dict[str, int] = {}
        self._url = ""
        self._copying: dict[str, asyncio.Task[None]] = {}
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
        """Start a service. `name` is the replica's: a replica that starts again has its leases at once."""
        self._ports[name] = _free_port()
        more = MALLOC | self._identities.environment(identity)
        if identity != "inference":  # it has no leases
            more |= {f"MORETTA_{identity.upper()}__REPLICA": name}
        more |= {
            "ORT_DISABLE_TELEMETRY": "1",
            "MORETTA_NATS__URL": self._url,
            "MORETTA_PROBES__PORT": str(self._ports[name]),
        }
        command = (sys.executable, "-P", "-m", f"services.{identity}", "-c", str(self._folder / "settings.yaml"))
        errors = asyncio.subprocess.PIPE if self._logs else asyncio.subprocess.DEVNULL
        process = self.programs[name] = await start_program(*command, more=more, errors=errors)
        if self._logs and process.stderr:
            self._copying[name] = asyncio.create_task(_copy(process.stderr, self._logs / f"{name}.log"))

    def nats(self, identity: Identity) -> NatsSettings:
        """Return the connection settings of an identity."""
        return self._identities.settings(identity, self._url)

    async def end(self, name: str) -> int:
        """End a service by SIGTERM; return its exit code. TimeoutError if it takes too long."""
        process = self.programs.pop(name)
        process.terminate()
        try:
            async with asyncio.timeout(LIMIT_S):
                return await process.wait()
        except BaseException:
            process.kill()
            raise

    async def kill(self, name: str) -> None:
        """End a program without warning."""
        process = self.programs.pop(name)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def _kill_all(self) -> None:
        for name in reversed(list(self.programs)):
            await self.kill(name)
        await asyncio.gather(*self._copying.values())

    async def tell(self, load: Load) -> None:
        """Start the load generator."""
        folder, wanted = str(self._folder / "identities"), msgspec.json.encode(load).decode()
        command = (sys.executable, "-P", "-m", "bench.scale_load", folder, self._url, wanted)
        self.programs["teller"] = await start_program(*command, more=MALLOC)

    async def told(self, *, all_of_it: bool = False) -> dict[str, float]:
        """End the load generator, or wait until it has stored everything; return its figures."""
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
        """Wait until a service is ready; TimeoutError if it takes too long, Restarted if it ends."""
        process = self.programs[name]
        async with asyncio.timeout(LIMIT_S):
            while process.returncode is None:
                with contextlib.suppress(OSError):  # no answer yet, or 503
                    await asyncio.to_thread(_fetch, self._ports[name], "readyz")
                    return
                await asyncio.sleep(0.05)
        raise Restarted(f"{name} ended before it was ready")

    async def metrics(self, name: str) -> Samples:
        """Return a service's metrics."""
        return read(await self.page(name))

    async def page(self, name: str) -> str:
        """Return a service's metrics as it shows them; OSError if it doesn't answer."""
        return await asyncio.to_thread(_fetch, self._ports[name], "metrics")

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
        """Return the counts of all streams."""
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


async def _copy(errors: asyncio.StreamReader, file: Path) -> None:
    """Write what a program says into a file: its sandbox lets it write into none."""
    with file.open("wb") as log:
        while said := await errors.read(_GIB >> 14):
            log.write(said)


@contextlib.asynccontextmanager
async def stack(settings: dict[str, Any], logs: Path | None = None) -> AsyncIterator[Stack]:
    """Run a stack in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="moretta-bench-") as name:
        async with Stack(Path(name), settings, logs) as running:
            yield running
