"""One box: keeps an embedded nats-server and the four services running, each a process (docs/architecture.md)."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from operate.box.child import Child, Program
from operate.box.machine import BoxError, PortError, free_port, has_room, kept_limits, kept_port, roomy
from operate.box.page import Page
from operate.box.page_key import follow, kept_key
from operate.box.page_link import LINK
from operate.box.programs import MALLOC, SERVER, LivenessProbe, nats_server
from operate.identities import CLIENT_IDENTITIES, Identities, WebSocket, context, nats_config, settings_file
from proto.permissions import SERVICES, user_of
from proto.subjects import Identity
from services.aggregate.settings import PageSettings
from services.bus import NatsSettings
from services.bus.nkey import Seed
from services.bus.stream_sizes import Sizes
from services.ingest.settings import WebSettings
from services.kernel.app import end_tasks

_LISTENING = re.compile(r"Listening for client connections on [^ ]+:(\d+)")
_LISTENING_WEB = re.compile(r"Listening for websocket clients on ws://[^ ]+:(\d+)")
_NO_TLS = "Websocket not configured with TLS"
"""A warning of nats-server at each start with a WebSocket listener. A box accepts such listeners on loopback only."""
_VISITOR = " - wid:"
"""What nats-server's lines about a browser have. Of a shared page they are left out: strangers would fill the log."""
_START_LIMIT_S = 20.0
_PAGE = user_of("page", "MORETTA")
_SPEAKERS: tuple[Identity, ...] = ("operator", "subscriber", "page", "backup", "ingest", "inference")
"""Identities of other programs: operator, readers, backup; ingest and inference, as `moretta simulate` needs them."""
_FULL = "no space left on device"


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
        web: WebSettings | None = None,
        door: WebSocket | None = None,
        sizes: Sizes | None = None,
    ) -> None:
        """`under` returns a command to start a program under, such as strace's; its pid must be the program's.

        The services' probes listen on `probes_port` and the next three ports, in the order of SERVICES; 0 takes free
        ports. BoxError if this machine has no such address as `page` is to listen at. `web` is the camera page, `door`
        the WebSocket listener for browsers on other pages. `sizes` gives the streams that the settings make larger than
        the table.
        """
        self._door, self._sizes = door, sizes
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
        self.page = Page(page, folder, web) if page is not None else None
        key = kept_key(folder / "identities")
        self._identities = Identities.make(folder / "identities", {_PAGE: key} if key else {})
        if self.page is not None:
            self._identities.write(LINK, self.page.link.text)
        self._nats_ready = asyncio.Event()
        self._was_full = False
        self._failed = asyncio.Event()
        self.children: dict[str, Child] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._following: asyncio.Task[None] | None = None

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
            whole = settings_file(self.url, identity, user=user_of(identity, "MORETTA"))
            self._identities.write(f"{identity}.yaml", whole)
        for identity in CLIENT_IDENTITIES:
            self._identities.write(f"{identity}.json", context(self.url, identity, self._identities.folder))
        if self.page is not None and self.page.link.asks_key:
            failed = partial(self._on_line, "moretta")
            following = follow(self._identities.folder, self.page_key, self._change_page_key, failed)
            self._following = asyncio.create_task(following, name="follow the page's key")
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
        return self.page.link.url if self.page else None

    @property
    def page_key(self) -> Seed:
        """The seed that opens the page, if that asks for one."""
        return self._identities.seeds[_PAGE]

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
        self._hang_up(*SERVICES)

    def _hang_up(self, *names: str) -> None:
        for name in names:
            with contextlib.suppress(ProcessLookupError):
                if pid := self.pids().get(name):
                    os.kill(pid, signal.SIGHUP)

    def _change_page_key(self, seed: Seed) -> None:
        """Have NATS end connections of the page with the old key, and take the new one, as aggregate does."""
        self._identities = self._identities.replaced(_PAGE, seed)
        self._write_nats_conf()
        self._hang_up("nats-server", "aggregate")
        self._on_line("moretta", "the page has a new key: links of before no longer open it")

    def probe_url(self, name: str) -> str:
        """Return the base URL of a service's /livez, /readyz and /metrics."""
        return f"http://127.0.0.1:{self.children[name].program.environment['MORETTA_PROBES__PORT']}"

    async def close(self) -> None:
        """Stop in order: ingest, inference, aggregate, notify, nats-server."""
        await end_tasks([self._following] if self._following else [])
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
        page = self.page.websocket if self.page else None
        if self._door is None or page is None:
            return page or self._door
        return WebSocket(self._door.listen, [*page.origins, *self._door.origins], is_open=page.is_open)

    def _nats_logged(self, line: str) -> None:
        if self.page and (match := _LISTENING_WEB.search(line)):
            self.page.bus_port = int(match.group(1))
        if match := _LISTENING.search(line):
            self._port = int(match.group(1))
        self._was_full = self._was_full or _FULL in line
        if "Server is ready" in line:
            self._nats_ready.set()
        is_visitor = self.page is not None and self.page.link.is_shared and _VISITOR in line
        if any(mark in line for mark in ("[ERR]", "[FTL]", "[WRN]")) and _NO_TLS not in line and not is_visitor:
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
        probe = LivenessProbe()

        def command() -> list[str]:
            probe.port = self._probes_port + SERVICES.index(name) if self._probes_port else free_port()
            own = self.page.ingest_environment(self._settings_file) if name == "ingest" and self.page else {}
            environment.clear()
            environment.update(base | own | {"MORETTA_PROBES__PORT": str(probe.port)})
            service = [sys.executable, "-P", "-m", f"services.{name}", "-c", str(self._settings_file)]
            return [*self._under(name), *service]

        environment: dict[str, str] = {}
        base = {**os.environ, **MALLOC, **self._identities.environment(name)}
        base |= {"MORETTA_NATS__URL": self.url, "PYTHONUNBUFFERED": "1", "ORT_DISABLE_TELEMETRY": "1"}
        # The box's own server is on loopback without TLS; TLS settings in the file are for another server.
        base |= dict.fromkeys([f"MORETTA_NATS__{key}_FILE" for key in ("CA", "CLIENT_CERT", "CLIENT_KEY")], "null")
        base["MORETTA_PROBES__HOST"] = "127.0.0.1"
        if name in {"ingest", "aggregate"}:  # the only replica: after a restart it has its leases at once
            base[f"MORETTA_{name.upper()}__REPLICA"] = "box"
        if name == "aggregate":  # a trial beside a running box must not claim that box's port
            base |= self.page.environment if self.page else {"MORETTA_AGGREGATE__PAGE": "null"}
        return Program(name, command, environment, probe.alive, lambda line: self._on_line(name, line))
