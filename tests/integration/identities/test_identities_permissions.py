"""The table's permissions on a real server with the box's own configuration."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import msgspec
import nats.errors
import pytest
from golden import BY_TYPE
from msgspec import Struct, structs
from nats.aio.client import Client
from nats.js import api
from nats.js.errors import NotFoundError
from nats_process import NatsProcess
from on_bus import entered, settled
from patience import patient, until

from operate.identities import Identities, nats_config
from proto.permissions import ACCOUNTS, SERVICES, inbox_name, user_of
from proto.subjects import (
    ALERTS,
    FRAMES,
    FRAMES_QUEUE,
    PAUSE,
    SIGHTINGS,
    STREAM_OWNER,
    STREAMS,
    TABLE,
    WINDOWS,
    Account,
    Identity,
    Subject,
)
from services.aggregate.mirrors.keeper import Mirrors
from services.bus import Bus, NoWorkers
from services.bus.nkey import Seed
from services.kernel.app import end_tasks

USERS = [(identity, account) for identity, accounts in ACCOUNTS.items() for account in accounts]
STORED = [row for row in TABLE if row.stream]
_DENIED = re.compile(
    r"permissions violation for (publish|subscription) to \"([^\"]+)\"( using queue \"[\w-]+\")?", re.IGNORECASE
)


SEEDS = {user_of(*user): Seed.new() for user in USERS}
PEOPLE = Identities(Path("nowhere"), SEEDS)
typed = partial(entered, PEOPLE)


@pytest.fixture(name="locked", scope="module")
def _locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsProcess]:
    """A server with one user per identity and account."""
    server = NatsProcess(
        tmp_path_factory.mktemp("locked"), whole=lambda port, store: nats_config(port, store, PEOPLE.public)
    )
    server.start()
    yield server
    server.stop()


class Raw:
    """A client of one user that remembers what it was denied."""

    def __init__(self) -> None:
        self.client = Client()
        self.denied: set[tuple[str, str]] = set()

    async def error(self, error: Exception) -> None:
        if found := _DENIED.search(str(error)):
            self.denied.add((found[1], found[2] + (found[3] or "")))


@contextlib.asynccontextmanager
async def raw(server: NatsProcess, identity: Identity, account: Account = "MORETTA") -> AsyncIterator[Raw]:
    user, one = user_of(identity, account), Raw()
    prefix = f"_INBOX_{inbox_name(identity, account)}".encode()
    one.client._public_nkey = SEEDS[user].public
    await one.client.connect(
        server.url, signature_cb=SEEDS[user].sign, inbox_prefix=prefix, error_cb=one.error, allow_reconnect=False
    )
    try:
        yield one
    finally:
        await one.client.close()


@contextlib.asynccontextmanager
async def following(bus: Bus, row: Subject) -> AsyncIterator[list[object]]:
    """What a follower of the row's stream has seen so far."""
    seen: list[object] = []

    async def read() -> None:
        async for item in bus.follow(str(row.stream), [row.wildcard()]):
            seen.append(item)  # noqa: PERF401 - seen as it comes

    task = asyncio.create_task(read())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(name="streams", scope="module")
def _streams(locked: NatsProcess) -> None:
    """Every stream, made by their owner; the others wait until they are there."""
    asyncio.run(_make_streams(locked))


async def _make_streams(locked: NatsProcess) -> None:
    waiting = [typed(locked, name) for name in SERVICES if name != STREAM_OWNER]
    async with asyncio.timeout(patient(20)), contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for one in waiting:
            bus = await stack.enter_async_context(one)
            group.create_task(bus.ensure_streams(_used(bus)))
        async with typed(locked, STREAM_OWNER) as owner:
            await owner.ensure_streams(stream.name for stream in STREAMS)
            assert await Mirrors(owner).turn() == ["MORETTA_SUBSCRIBERS"]


def _used(bus: Bus) -> set[str]:
    return {str(row.stream) for row in STORED if bus._name in (*row.publishers, *row.subscribers)}


@pytest.mark.parametrize(("identity", "account"), USERS, ids=[user_of(*user) for user in USERS])
async def test_publish_and_subscribe_as_the_table_says(locked: NatsProcess, identity: Identity, account: Account):
    """Each identity may publish and subscribe its own rows, and is refused all others, the other account's too."""
    async with raw(locked, identity, account) as one:
        for row in TABLE:
            await one.client.publish(row.wildcard().replace("*", "x"), b"")
            await one.client.subscribe(row.wildcard(), queue=row.queue or "")
        await settled(one.client)
    mine = [row for row in TABLE if row.account == account]
    denied = {
        ("publish", row.wildcard().replace("*", "x"))
        for row in TABLE
        if row not in mine or identity not in row.publishers
    }
    denied |= {
        ("subscription", row.wildcard() + (f' using queue "{row.queue}"' if row.queue else ""))
        for row in TABLE
        if (row not in mine or identity not in row.subscribers)
        and not (identity == "subscriber" and row.pattern.startswith("moretta."))  # alone in its account
    }
    assert one.denied == {(kind, subject.lower()) for kind, subject in denied}


@pytest.mark.parametrize("queue", ["", "spies"])
async def test_a_tap_on_frames_is_refused(locked: NatsProcess, queue: str):
    """Not even inference may read frames beside its queue group."""
    async with raw(locked, "inference", "MORETTA_FRAMES") as one:
        await one.client.subscribe(FRAMES.wildcard(), queue=queue)
        await one.client.subscribe(">", queue=FRAMES_QUEUE)
        await settled(one.client)
    assert len(one.denied) == 2


@pytest.mark.parametrize("account", ["MORETTA", "MORETTA_FRAMES"])
@pytest.mark.parametrize("identity", ["operator", "page", "aggregate", "notify"])
async def test_nobody_else_has_a_user_in_frames(locked: NatsProcess, identity: Identity, account: Account):
    """The other identities' key opens nothing in MORETTA_FRAMES, and nobody comes in without one, nor by another's."""
    async with raw(locked, identity) as one:
        await one.client.subscribe(FRAMES.wildcard(), queue=FRAMES_QUEUE)
        await settled(one.client)
        assert one.denied
    public = SEEDS["ingest-frames" if account == "MORETTA_FRAMES" else identity].public
    assert "Authorization Violation" in await greeting(locked)
    assert "Authorization Violation" in await greeting(locked, public)
    assert "Authorization Violation" in await greeting(locked, public, SEEDS["inference-frames"])
    assert "PONG" in await greeting(locked, SEEDS[identity].public, SEEDS[identity])


async def greeting(server: NatsProcess, public: str | None = None, seed: Seed | None = None) -> str:
    """What the server says to a CONNECT; nats-py would leave a refused connection's socket open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        info = (await reader.readline()).removeprefix(b"INFO ")
        who = {"nkey": public} if public else {}
        who |= {"sig": seed.sign(msgspec.json.decode(info)["nonce"]).decode()} if seed else {}
        writer.write(b"CONNECT " + msgspec.json.encode({**who, "verbose": False}) + b"\r\nPING\r\n")
        return (await reader.readline()).decode()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_frame_is_answered(locked: NatsProcess):
    """Request and reply pass in MORETTA_FRAMES; a frame nobody takes is NoWorkers at once."""
    frame = structs.replace(BY_TYPE[FRAMES.message], sealed=b"x" * 400)
    async with (
        typed(locked, "ingest", "MORETTA_FRAMES") as ingest,
        typed(locked, "inference", "MORETTA_FRAMES") as inference,
    ):
        with pytest.raises(NoWorkers):
            await ingest.request(FRAMES, frame, timeout=2)

        async def handler(message: Struct, request) -> None:
            await request.reply(BY_TYPE[FRAMES.reply])

        await inference.serve(FRAMES, handler)
        await settled(inference)
        assert await ingest.request(FRAMES, frame, timeout=patient(2)) == BY_TYPE[FRAMES.reply]


async def test_an_operator_pauses(locked: NatsProcess):
    """An order reaches ingest and its answer the operator."""
    async with typed(locked, "ingest") as ingest, typed(locked, "operator") as operator:

        async def handler(message: Struct, request) -> None:
            await request.reply(BY_TYPE[PAUSE.reply])

        await ingest.serve(PAUSE, handler)
        await settled(ingest)
        assert await operator.request(PAUSE, BY_TYPE[PAUSE.message], timeout=patient(2)) == BY_TYPE[PAUSE.reply]


async def has(bus: Bus, row: Subject, tokens: dict[str, str], sequence: int) -> bool:
    """Whether the last message of a subject is the one of that sequence."""
    last = await bus.last(row, **tokens)
    return last is not None and last.sequence == sequence


@pytest.mark.usefixtures("streams")
@pytest.mark.parametrize("row", STORED, ids=lambda row: row.message.__name__)
async def test_rows_are_stored_and_read(locked: NatsProcess, row: Subject):
    """Each publisher stores its row; each subscriber reads it by last, history, follow."""
    message = BY_TYPE[row.message]
    tokens = {name: getattr(message, name) for name in row.fields}
    for identity in row.publishers:
        async with asyncio.timeout(patient(20)), typed(locked, identity) as bus:
            sequence = await bus.store(row, message)
    for identity in row.subscribers:
        async with asyncio.timeout(patient(20)), typed(locked, identity) as bus, following(bus, row) as seen:
            await until(lambda bus=bus: has(bus, row, tokens, sequence), "a reader's mirror has it, too")
            last = await bus.last(row, **tokens)
            assert last is not None
            assert last.message == message
            assert (await bus.history(row, **tokens))[-1].sequence == sequence
            await until(lambda seen=seen: seen and seen[-1].sequence == sequence)


ONCE = [(i, row) for row in STORED for i in row.publishers if i in row.subscribers]


@pytest.mark.usefixtures("streams")
@pytest.mark.parametrize(("identity", "row"), ONCE, ids=[f"{i}-{row.message.__name__}" for i, row in ONCE])
async def test_rows_are_stored_once(locked: NatsProcess, identity: Identity, row: Subject):
    """Who publishes and reads a row can store it idempotently."""
    fresh = {name: f"once-{identity}" for name in ("site", "replica") if name in row.fields}
    fresh |= {"silence": "0badcafe"} if "silence" in row.fields else {}
    message = structs.replace(BY_TYPE[row.message], **fresh)
    async with asyncio.timeout(patient(20)), typed(locked, identity) as bus:
        assert await bus.store_once(row, message, is_done=lambda _: False)
        assert not await bus.store_once(row, message, is_done=lambda _: False)


async def refused(one: Raw, call) -> bool:
    """Whether a JetStream call is denied: the server says so, and no answer comes."""
    before, asking = len(one.denied), asyncio.ensure_future(call)
    await until(lambda: asking.done() or len(one.denied) > before, "a refusal or an answer")
    await end_tasks([asking])
    with contextlib.suppress(nats.errors.TimeoutError, asyncio.CancelledError):
        asking.result()
    return len(one.denied) > before


@pytest.mark.usefixtures("streams")
async def test_a_subscriber_cannot_reach_sightings(locked: NatsProcess):
    """What is finer than a window stays inside, whatever way is tried: there is no such stream in its account."""
    async with raw(locked, "subscriber") as one:
        js = one.client.jetstream(timeout=patient(5))
        push = api.ConsumerConfig(deliver_subject=one.client.new_inbox(), ack_policy=api.AckPolicy.NONE)
        with pytest.raises(NotFoundError):
            await js.add_consumer("SIGHTINGS", push)
        with pytest.raises(NotFoundError):
            await js.stream_info("SIGHTINGS")
        with pytest.raises(nats.errors.NoRespondersError):
            await js.get_last_msg("SIGHTINGS", SIGHTINGS.subject(site="x", camera="x"), direct=True)
        assert await refused(one, js.add_stream(name="COPY", sources=[api.StreamSource(name="SIGHTINGS")]))


@pytest.mark.usefixtures("streams")
@pytest.mark.parametrize("identity", ["subscriber", "operator", "notify", "aggregate"])
async def test_nobody_destroys_windows(locked: NatsProcess, identity: Identity):
    """Neither purged nor deleted nor thinned out; nobody but aggregate adds one."""
    async with raw(locked, identity) as one:
        js = one.client.jetstream(timeout=0.2)
        assert await refused(one, js.purge_stream("WINDOWS"))
        assert await refused(one, js.delete_stream("WINDOWS"))
        assert await refused(one, js.delete_msg("WINDOWS", 1))
        if identity != "aggregate":
            assert await refused(one, js.publish(WINDOWS.subject(site="x", zone="x"), b"{}"))


def test_the_servers_limits_hold_every_stream():
    """JetStream may hold what the table's streams reserve."""
    import json

    config = json.loads(nats_config(-1, "/store", PEOPLE.public))
    limits = config["jetstream"]
    for storage, name in (("memory", "max_memory_store"), ("file", "max_file_store")):
        assert limits[name] > sum(s.max_bytes for s in STREAMS if s.storage == storage)
    assert ALERTS.stream in {s.name for s in STREAMS}
