"""Readers on a real server: who comes with which seed by which door, what each hears, and a flood from one of them."""

import asyncio
import contextlib
import json
import re
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from identity_matrix import MIRRORS, SEEDS, with_admin
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats_process import NatsProcess
from on_bus import settled
from patience import until

from operate.identities import Identities, WebSocket, nats_config
from proto.permissions import rights_of
from services.aggregate.mirrors.keeper import Mirrors
from services.bus import Bus
from services.bus.nkey import Seed

ACME, CITY = "subscriber-acme", "subscriber-city"
KEYS = SEEDS | {CITY: Seed.new()}
ORIGIN = "https://numbers.example.org"
_MONITOR = re.compile(r"Starting http monitor on 127\.0\.0\.1:(\d+)")
_DOOR = re.compile(r"websocket clients on (ws://127\.0\.0\.1:\d+)")


class Readers(NatsProcess):
    """A server with the box's own configuration, an open door for the page, and readers of these users."""

    def __init__(self, folder: Path, *, monitored: bool = False) -> None:
        super().__init__(folder, whole=self.text)
        self.users: tuple[str, ...] = (ACME, CITY)
        self.streams: dict[str, tuple[str, ...]] = {"acme": MIRRORS, "city": MIRRORS}
        self.monitored = monitored

    def text(self, port: int, store: str) -> str:
        named = {ACME, CITY} - set(self.users)
        keys = {user: [seed.public] for user, seed in KEYS.items() if user not in named}
        door = WebSocket(self.door.removeprefix("ws://"), [ORIGIN], is_open=True)
        text = with_admin(nats_config(port, store, keys, websocket=door, readers=self.streams))
        return json.dumps(json.loads(text) | {"http": "127.0.0.1:-1"}) if self.monitored else text

    @property
    def door(self) -> str:
        """Where browsers come in."""
        found = [match[1] for line in self.output if (match := _DOOR.search(line))]
        return found[-1] if found else "ws://127.0.0.1:-1"

    @property
    def monitor(self) -> str:
        """Where the server tells of itself."""
        found = [match[1] for line in self.output if (match := _MONITOR.search(line))]
        return f"http://127.0.0.1:{found[-1]}"

    def rewrite(self, users: tuple[str, ...]) -> None:
        """Write the configuration with these readers, as `moretta nats apply` would."""
        self.users = users
        (self.folder / "nats.conf").write_text(self.text(self.port, f"{self.folder}/js"))

    @property
    def reloads(self) -> int:
        """How often it has read its configuration again."""
        return sum("Reloaded server configuration" in line for line in self.output)

    async def reload(self, times: int) -> None:
        """Have it read its configuration so often: after the first time it answers a new account nothing."""
        for _ in range(times):
            wanted = self.reloads + 1
            self.signal(signal.SIGHUP)
            await until(lambda wanted=wanted: self.reloads == wanted, "a reload")

    @property
    def memory(self) -> int:
        """Resident memory in bytes."""
        assert self._process
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) << 10


@dataclass
class Ear:
    """One connection: what it hears, and what the server said to it."""

    user: str
    client: Client = field(default_factory=Client)
    heard: list[Msg] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    async def take(self, msg: Msg) -> None:
        self.heard.append(msg)

    async def error(self, error: Exception) -> None:
        self.errors.append(str(error))

    async def gone(self) -> None:
        self.lost.append(self.user)


@contextlib.asynccontextmanager
async def coming(server: Readers, user: str, door: str = "tcp") -> AsyncIterator[Ear]:
    """A reader by a door: `tcp`, `ws`, or `open`, which is the websocket without a key."""
    one, seed = Ear(user), KEYS[user]
    if door != "open":
        one.client._public_nkey = seed.public
    await one.client.connect(
        server.url if door == "tcp" else server.door,
        signature_cb=None if door == "open" else seed.sign,
        inbox_prefix=b"_INBOX_subscriber",
        error_cb=one.error,
        disconnected_cb=one.gone,
        allow_reconnect=False,
    )
    try:
        yield one
    finally:
        await one.client.close()


async def make_mirrors(server: NatsProcess) -> None:
    """Make all readers' streams, as aggregate does; MORETTA's have to be there."""
    people = Identities(Path("nowhere"), SEEDS)
    bus = await Bus.connect(people.settings("aggregate", server.url), "aggregate")
    try:
        await Mirrors(bus).turn()
    finally:
        await bus.close()


async def listen(one: Ear) -> None:
    """Subscribe to all that a reader may, its inboxes too; each message comes once."""
    for subject in rights_of("page" if one.user == "page" else "subscriber", "MORETTA").subscribe:
        await one.client.subscribe(subject, cb=one.take)
    await settled(one.client)


class Raw:
    """A connection that waits for nothing: what a flood is made of."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def said_to(cls, server: NatsProcess, seed: Seed) -> str:
        """Return what the server says to whoever comes with a seed, `PONG` for a welcome."""
        one, said = await cls.open(server, seed)
        await one.close()
        return said

    @classmethod
    async def open(cls, server: NatsProcess, seed: Seed) -> tuple["Raw", str]:
        """Connect; returns what the server says to it, too."""
        one = cls(*await asyncio.open_connection("127.0.0.1", server.port))
        nonce = json.loads((await one.reader.readline()).removeprefix(b"INFO "))["nonce"]
        shown = {"nkey": seed.public, "sig": seed.sign(nonce).decode(), "verbose": False}
        one.writer.write(b"CONNECT " + json.dumps(shown).encode() + b"\r\nPING\r\n")
        return one, (await one.reader.readline()).decode().strip()

    async def subscribe(self, many: int, inbox: str = "_INBOX_subscriber") -> list[str]:
        """Subscribe so many inboxes; returns the server's refusals."""
        reading = asyncio.create_task(self._until_pong())
        for first in range(0, many, 1_000):
            numbers = range(first, min(first + 1_000, many))
            self.writer.write(b"".join(b"SUB %s.%d %d\r\n" % (inbox.encode(), one, one) for one in numbers))
            await self.writer.drain()
        self.writer.write(b"PING\r\n")
        return await reading

    async def _until_pong(self) -> list[str]:
        said: list[str] = []
        while (line := (await self.reader.readline()).decode().strip()) != "PONG":
            assert line, "the server closed the connection"
            said.append(line)
        return said

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()
