"""Sites and a hub, on real servers with the configuration of `moretta nats apply`; and a thief with a leaf's seed."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import secrecy
from free_ports import LASTING, in_a_row
from msgspec import structs
from nats.aio.client import Client
from nats_process import NatsProcess

from operate.identities import Hub, IdentityFolder, KeptHub, Leaf, ServerEntry, ServerTls
from operate.identities.leafnodes import LEAF_USER
from operate.nats import streams as nats_streams
from proto.subjects import STREAMS
from services.bus import NatsSettings
from services.bus.nkey import Seed

ADMIN = {"user": "admin", "password": "admin"}


class Place:
    """A server that reads a folder's `nats.conf`, with one more user in some accounts, who may anything there."""

    def __init__(self, folder: Path, conf: Path, *, admins: tuple[str, ...] = ()) -> None:
        self.conf, self.admins = conf, admins
        self.leaf_port = in_a_row(1, LASTING)
        """Where leaves come in, if the folder has any come; it stays the same."""
        folder.mkdir()
        self.server = NatsProcess(folder, whole=self._whole)

    def _whole(self, port: int, store: str) -> str:
        config = json.loads(self.conf.read_text())
        config.pop("tls", None)  # for leaves alone
        config["listen"], config["jetstream"]["store_dir"] = f"127.0.0.1:{port}", store
        if "listen" in config["leafnodes"]:
            config["leafnodes"]["listen"] = f"127.0.0.1:{self.leaf_port}"
        for account in self.admins:
            config["accounts"][account]["users"].append({"user": f"admin-{account}", "password": "admin"})
        return json.dumps(config)

    def start(self) -> None:
        self.server.start()

    def reload(self) -> None:
        """Have the running server read the folder's configuration as it is now; nobody is told when it is through."""
        folder = self.server.folder
        (folder / "nats.conf").write_text(self._whole(self.server.port, f"{folder}/js"))
        self.server.signal(signal.SIGHUP)

    @contextlib.asynccontextmanager
    async def admin(self, account: str) -> AsyncIterator[Client]:
        one = Client()
        await one.connect(self.server.url, user=f"admin-{account}", password="admin", reconnect_time_wait=0.1)
        try:
            yield one
        finally:
            await one.close()


class Site(Place):
    """A site whose NATS is a leaf; `stolen` is its seed."""

    def __init__(self, folder: Path, name: str, hub: str, tls: ServerTls | None = None) -> None:
        self.name = name
        where = ServerEntry(listen="127.0.0.1:-1", store="js", url="nats://127.0.0.1:4222")
        self.kept = IdentityFolder.make(folder / f"{name}-keys", where)
        self.kept.update(structs.replace(where, leaf=Leaf(hubs=[hub], sites=[name], tls=tls)))
        self.stolen = Seed((self.kept.folder / "leaf.nk").read_text())
        secrecy.keep(self.stolen.reveal())
        super().__init__(folder / name, self.kept.folder / "nats.conf", admins=("MORETTA", "MORETTA_PUBLIC"))

    @property
    def public(self) -> str:
        return self.kept.server.keys[LEAF_USER][0]

    async def make(self) -> None:
        """Make the streams of the table, and the copies of `moretta nats streams`."""
        async with self.admin("MORETTA") as one:
            there = {info.config.name for info in await one.jetstream().streams_info()}
            for stream in (stream for stream in STREAMS if stream.name not in there):
                await one.jetstream().add_stream(
                    name=stream.name, subjects=list(stream.subjects), storage=stream.storage, allow_direct=True
                )
        await nats_streams.make(self.kept.folder, NatsSettings(url=self.server.url), nats_streams.How())


class HubPlace(Place):
    """A hub without leaves; `join` makes them known."""

    def __init__(self, folder: Path, tls: ServerTls | None = None) -> None:
        where = Hub(listen="127.0.0.1:-1", leaf_listen="127.0.0.1:-1", store="js", url="nats://127.0.0.1:4222", tls=tls)
        self.kept = KeptHub.make(folder / "hub-keys", where)
        super().__init__(folder / "hub", self.kept.folder / "nats.conf", admins=("MORETTA_HUB",))

    def join(self, leaves: dict[str, str]) -> None:
        self.kept.update(structs.replace(self.kept.hub, leaves={sites: [key] for sites, key in leaves.items()}))
        self.admins = ("MORETTA_HUB", *(link.account for link in self.kept.hub.links))

    async def make(self) -> None:
        await nats_streams.make(self.kept.folder, NatsSettings(url=self.server.url), nats_streams.How())


class Thief:
    """A stolen leaf credential: the bytes of a leaf connection, without a NATS server behind it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.heard: list[tuple[str, str, bytes]] = []
        """What came: subject, reply, payload."""
        self.interests: list[str] = []
        self.errors: list[str] = []
        self.over = self.greeted = False
        self._task = asyncio.create_task(self._read())

    @classmethod
    @contextlib.asynccontextmanager
    async def come(cls, port: int, seed: Seed, name: str) -> AsyncIterator["Thief"]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        info = json.loads((await reader.readline()).removeprefix(b"INFO "))
        who = {"nkey": seed.public, "sig": seed.sign(info["nonce"]).decode(), "server_id": "T" * 56, "name": name}
        options = {"version": info["version"], "headers": True, "domain": name, "cluster": name}
        writer.write(b"CONNECT " + json.dumps(who | options).encode() + b"\r\nPING\r\n")
        thief = cls(reader, writer)
        try:
            yield thief
        finally:
            await thief._end()

    async def _end(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                await self._take(line.decode().split())
        except ConnectionError:
            pass
        self.over = True

    async def _take(self, words: list[str]) -> None:
        if words[0] == "PING":
            self._writer.write(b"PONG\r\n")
        elif words[0] == "PONG":
            self.greeted = True
        elif words[0] == "LS+":
            self.interests.append(words[1])
        elif words[0] == "-ERR":
            self.errors.append(" ".join(words))
        elif words[0] in {"LMSG", "HMSG"}:
            payload = await self._reader.readexactly(int(words[-1]) + 2)
            if words[0] == "HMSG":
                payload = payload[int(words[-2]) :]
            # with a reply the line has one word more
            reply = words[2] if len(words) == (5 if words[0] == "HMSG" else 4) else ""
            self.heard.append((words[1], reply, payload[:-2]))

    def ping(self) -> None:
        """Ask for a sign that all before it was judged: `greeted` becomes true."""
        self._writer.write(b"PING\r\n")

    def want(self, subject: str) -> None:
        self._writer.write(f"LS+ {subject}\r\n".encode())

    def send(self, subject: str, payload: bytes, *, reply: str = "", headers: bytes = b"") -> None:
        """Send as a leaf does: `reply` may have a message's own subject behind an `@`."""
        kind, sizes = ("HMSG", f"{len(headers)} {len(headers) + len(payload)}") if headers else ("LMSG", len(payload))
        words = [kind, subject, *([reply] if reply else []), str(sizes)]
        self._writer.write(" ".join(words).encode() + b"\r\n" + headers + payload + b"\r\n")
