"""Keys are renewed while everything runs: a real server, both accounts, and not one message lost."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import secrecy
from golden import BY_TYPE
from msgspec import structs
from nats_folder import NatsFolder, lines_of
from nats_process import NatsProcess
from on_bus import settled
from patience import patient, until

from operate.identities import IdentityFolder, ServerEntry, WebSocket
from proto.permissions import ACCOUNTS, user_of
from proto.subjects import FRAMES, SIGHTINGS, STREAMS, Account, Identity
from services.bus import Bus, NatsSettings, NoWorkers
from services.bus.nkey import Seed

EVERY = [user_of(identity, account) for identity, accounts in ACCOUNTS.items() for account in accounts]


class Place:
    """A folder of identities and the server that reads its configuration."""

    def __init__(self, folder: Path, websocket: WebSocket | None = None) -> None:
        url = "nats://127.0.0.1:4222"
        where = ServerEntry(listen="127.0.0.1:-1", store=str(folder / "js"), url=url, websocket=websocket)
        self.kept = IdentityFolder.make(folder / "identities", where)
        config = self.kept.folder / "nats.conf"
        self.server = NatsProcess(self.kept.folder, whole=lambda *_: config.read_text())
        self.server.start()

    def reload(self) -> None:
        """What `nats-server --signal reload` does; nobody is told when it is through."""
        self.server.signal(signal.SIGHUP)

    def reloads(self) -> int:
        return sum("Reloaded: accounts" in line for line in self.server.output)

    def settings(self, identity: Identity) -> NatsSettings:
        """By the seeds that are in the folder now."""
        seeds = {user: Seed((self.kept.folder / f"{user}.nk").read_text()) for user in EVERY}
        for seed in seeds.values():
            secrecy.keep(seed.reveal())
        main, frames = user_of(identity, "MORETTA"), user_of(identity, "MORETTA_FRAMES")
        own = NatsSettings(url=self.server.url, user=main, seed=seeds[main])
        return structs.replace(own, frames_user=frames, frames_seed=seeds[frames]) if frames in seeds else own

    @contextlib.asynccontextmanager
    async def bus(self, identity: Identity, account: Account = "MORETTA") -> AsyncIterator[Bus]:
        bus = await Bus.connect(self.settings(identity), identity, account)
        try:
            yield bus
        finally:
            await bus.close()


@pytest.fixture(name="place")
def _place(tmp_path: Path):
    place = Place(tmp_path)
    yield place
    place.server.stop()


@pytest.fixture(name="open_place")
def _open_place(tmp_path: Path):
    """Browsers come in without a key."""
    place = Place(tmp_path, WebSocket("127.0.0.1:-1", ["https://a.example"], is_open=True))
    yield place
    place.server.stop()


class Load:
    """Sightings that are stored and followed, and frames that are answered, one after another, on given connections."""

    def __init__(self) -> None:
        self.stored, self.seen, self.answered, self.unanswered = 0, [], 0, 0
        self.over = False
        self.inference: Bus | None = None
        self.ingest: Bus | None = None

    async def store(self) -> None:
        while not self.over:
            message = structs.replace(BY_TYPE[SIGHTINGS.message], sequence=self.stored + 1)
            await self.inference.store(SIGHTINGS, message)
            self.stored += 1

    async def ask(self) -> None:
        frame = structs.replace(BY_TYPE[FRAMES.message], sealed=b"x" * 400)
        while not self.over:
            try:
                await self.ingest.request(FRAMES, frame, timeout=10)
                self.answered += 1
            except (NoWorkers, TimeoutError):
                self.unanswered += 1

    async def follow(self, bus: Bus) -> None:
        async for stored in bus.follow("SIGHTINGS", [SIGHTINGS.wildcard()]):
            self.seen.append(stored.message.sequence)


async def answer(_message, request) -> None:
    await request.reply(BY_TYPE[FRAMES.reply])


async def more(load: Load, count: int = 100) -> None:
    """Wait until so many more have passed in both accounts."""
    seen, answered = len(load.seen) + count, load.answered + count
    await until(lambda: len(load.seen) >= seen and load.answered >= answered, "more of both", 60)


@contextlib.asynccontextmanager
async def bare(place: Place, seed: Seed) -> AsyncIterator[asyncio.StreamReader]:
    """What the server says to whoever comes with a key; nats-py would leave a refused connection's socket open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", place.server.port)
    nonce = json.loads((await reader.readline()).removeprefix(b"INFO "))["nonce"]
    who = {"nkey": seed.public, "sig": seed.sign(nonce).decode(), "verbose": False}
    writer.write(b"CONNECT " + json.dumps(who).encode() + b"\r\nPING\r\n")
    try:
        yield reader
    finally:
        writer.close()
        await writer.wait_closed()


MOVED: list[tuple[Identity, Account]] = [
    *(("aggregate", "MORETTA"), ("inference", "MORETTA"), ("ingest", "MORETTA_FRAMES"), ("inference", "MORETTA_FRAMES"))
]


async def open_all(place: Place, stack: contextlib.AsyncExitStack, load: Load, running: list) -> Bus:
    """Connect by the seeds of now, and carry the load there; returns who answers frames."""
    buses = [await stack.enter_async_context(place.bus(*user)) for user in MOVED]
    aggregate, inference, ingest, worker = buses
    await aggregate.ensure_streams(stream.name for stream in STREAMS)
    await worker.serve(FRAMES, answer)
    await settled(worker)
    running.append(asyncio.create_task(load.follow(aggregate)))
    load.inference, load.ingest = inference, ingest
    return worker


async def test_a_rotation_under_load_loses_nothing(place: Place):
    """Old keys, both keys, new keys: sightings are stored and read once and in order, and every frame is answered."""
    load, before, after = Load(), contextlib.AsyncExitStack(), contextlib.AsyncExitStack()
    reading: list[asyncio.Task] = []
    old = place.settings("inference").seed
    async with after, before:
        worker = await open_all(place, before, load, reading)
        sending = [asyncio.create_task(one) for one in (load.store(), load.ask())]
        await more(load)

        place.kept.rotate(EVERY)
        place.reload()
        await until(lambda: place.reloads() == 1, "the server reads both keys")
        await more(load)
        assert not worker.client.stats["reconnects"], "who has the old key stays"

        await open_all(place, after, load, reading)
        await more(load)
        await worker._subscriptions[0].drain()
        await settled(worker)
        await more(load, 10)
        reading[0].cancel()
        await asyncio.gather(reading.pop(0), return_exceptions=True)
        await before.aclose()  # as a service does that is started anew

        assert place.kept.retire(EVERY) == EVERY
        place.reload()
        await until(lambda: place.reloads() == 2, "the server reads the new keys")
        async with bare(place, old) as refused, asyncio.timeout(patient(20)):
            assert b"Authorization Violation" in await refused.readline()
        await more(load)
        await end(load, sending, reading)
    assert load.unanswered == 0
    assert set(load.seen) == set(range(1, load.stored + 1)), "none is missing"


async def end(load: Load, sending: list, reading: list) -> None:
    """Stop sending, and wait until all that was stored is read."""
    load.over = True
    await asyncio.gather(*sending)
    await until(lambda: load.seen[-1] >= load.stored, "everything is read")
    reading[0].cancel()
    await asyncio.gather(*reading, return_exceptions=True)


@pytest.mark.parametrize("who", ["page", "all", "operator"])
async def test_a_stolen_key_is_out_after_the_first_step(open_place: Place, who: str):
    """Where the page's key changes and its door is open, nats-server refuses a reload; the step says what it logs."""
    stolen = [open_place.settings(identity).seed for identity in (("page", "operator") if who == "all" else (who,))]
    first = lines_of(NatsFolder(open_place.kept.folder).replace(who), "next: ")[0]
    open_place.reload()
    if who == "operator":
        assert first.startswith("nats-server --signal reload")
        await logged(open_place, first, "Reloaded server configuration")
    else:
        await until(lambda: any("Failed to reload" in line for line in open_place.server.output), "it is refused")
        assert first.startswith("restart nats-server")
        open_place.server.stop()
        open_place.server.start()
        await logged(open_place, first, "Server is ready")
    for seed in stolen:
        async with bare(open_place, seed) as refused, asyncio.timeout(patient(20)):
            assert b"Authorization Violation" in await refused.readline()


async def logged(place: Place, step: str, words: str) -> None:
    """Wait until the server has logged the words that a step names."""
    assert f"its log then says `{words}`" in step
    await until(lambda: any(words in line for line in place.server.output), words)
