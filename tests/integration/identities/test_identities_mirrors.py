"""A reader's own JetStream on a real server: what NATS's clients do with it, what it can't do, how it is kept up."""

import asyncio
import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from golden import BY_TYPE
from identity_matrix import MIRRORS, admin, make_streams, shape
from mirrored import WINDOW, has, make, owner, publish, state, zones_of
from msgspec import structs
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import BadRequestError, NotFoundError
from on_bus import settled
from patience import patient, until
from readers import ACME, CITY, KEYS, Ear, Readers, coming, make_mirrors

from proto.codec import encode
from proto.permissions import READERS_API
from proto.public import CameraV1
from proto.subjects import CAMERAS, WINDOWS
from services.aggregate.mirrors import lag
from services.aggregate.mirrors.keeper import Mirrors, State
from services.bus.streams.stream_config import ask
from services.kernel.app import end_tasks

LATEST: Any = {"ordered_consumer": True, "deliver_policy": DeliverPolicy.LAST_PER_SUBJECT}
pytestmark = pytest.mark.filterwarnings("ignore:parameter .timeout. of type .float.:DeprecationWarning")


async def names(one: Ear) -> set[str]:
    return set(json.loads((await one.client.request("$JS.API.STREAM.NAMES", b"", timeout=patient(5))).data)["streams"])


@pytest.mark.parametrize("user", ["subscriber", ACME])
async def test_what_nats_users_know_works(server: Readers, user: str):
    """A durable pull, an ordered subscription, the latest of each subject, a direct get, and live by a wildcard."""
    await publish(server, "one", "two")
    async with coming(server, user) as one:
        js = one.client.jetstream()
        assert await names(one) == set(MIRRORS)
        await one.client.subscribe("moretta.>", cb=one.take)
        await settled(one.client)
        await until(lambda: has(js, "WINDOWS", 2), "both are copied")
        pull = await js.pull_subscribe("moretta.v1.windows.>", durable="mine", stream="WINDOWS")
        found = await pull.fetch(2, timeout=patient(5))
        assert zones_of(found) == ["one", "two"]
        await found[0].ack()
        ordered = await js.subscribe("moretta.v1.windows.>", stream="WINDOWS", ordered_consumer=True)
        assert zones_of([await ordered.next_msg(timeout=patient(5)) for _ in range(2)]) == ["one", "two"]
        latest = await js.subscribe("moretta.v1.windows.>", stream="WINDOWS", **LATEST)
        assert zones_of([await latest.next_msg(timeout=patient(5)) for _ in range(2)]) == ["one", "two"]
        await publish(server, "three")
        assert zones_of([await latest.next_msg(timeout=patient(5))]) == ["three"]
        got = await js.get_last_msg("WINDOWS", WINDOWS.subject(site="cannes", zone="three"), direct=True)
        assert json.loads(got.data)["zone"] == "three"
        await until(lambda: one.heard, "live")
        assert zones_of(one.heard) == ["three"], "once"
        assert not one.errors


async def test_who_comes_back_gets_what_it_did_not_acknowledge(server: Readers):
    """A durable outlives the connection and the server; nothing is missed, nothing comes twice."""
    await publish(server, "one", "two")
    seen: list[str] = []
    for restart, wanted in ((False, ["one", "two"]), (True, ["three"]), (True, ["four"])):
        if restart:
            server.stop()
            server.start()
            await make(server)
            await publish(server, *wanted)
        async with coming(server, ACME) as one:
            pull = await one.client.jetstream().pull_subscribe("moretta.v1.windows.>", durable="mine", stream="WINDOWS")
            js = one.client.jetstream()
            copied = len(seen) + len(wanted)
            await until(lambda js=js, copied=copied: has(js, "WINDOWS", copied), "all are copied")
            found = await pull.fetch(len(wanted), timeout=patient(20))  # what is there, if that is less
            seen += zones_of(found)
            for msg in found:
                await msg.ack_sync()
    assert seen == ["one", "two", "three", "four"]


async def test_no_message_is_stored_twice(server: Readers):
    """The mirror copies it, and the import of live messages brings it: one of them is stored."""
    await publish(server, "one", "two")
    async with coming(server, ACME) as one:
        js = one.client.jetstream()
        await until(lambda: has(js, "WINDOWS", 2), "both")
        await publish(server, "two")
        await until(lambda: has(js, "WINDOWS", 3), "the third")


ORDERS = ("$JS.API.STREAM.CREATE.X", "$JS.API.STREAM.UPDATE.WINDOWS", "_ORIGIN.CONSUMER.CREATE.WINDOWS")


async def test_what_it_has_delivered_elsewhere_reaches_nobody(server: Readers):
    """ADR 20's trick with consumers and direct gets: into MORETTA's orders, others' inboxes, live subjects, the API.

    To MORETTA's questions, which it may ask, comes what it could have asked, and there is nobody to answer to.
    """
    await publish(server, "one")
    before = await shape(server)
    places = [
        *ORDERS,
        "moretta.v1.control.cannes.pause",
        "moretta.v1.stats.x",
        "_MIRROR.MORETTA_SUBSCRIBERS.x",
        "_MIRROR.MORETTA_SUBSCRIBERS_city.x",
    ]
    async with coming(server, ACME) as one, coming(server, CITY) as other, admin(server) as inside:
        main, asked = Ear("MORETTA", inside), Ear("MORETTA", inside)
        await inside.subscribe("moretta.v1.control.>", cb=main.take)
        await inside.subscribe("moretta.v1.stats.>", cb=asked.take)
        await other.client.subscribe("moretta.>", cb=other.take)
        for ear in (other, main):
            await settled(ear.client)
        js = one.client.jetstream()
        await until(lambda: has(js, "WINDOWS", 1), "a window")
        for number, place in enumerate(places):
            with contextlib.suppress(BadRequestError):  # what the server itself refuses
                await js.add_consumer("WINDOWS", ConsumerConfig(durable_name=f"c{number}", deliver_subject=place))
            await one.client.publish("$JS.API.DIRECT.GET.WINDOWS", b'{"seq": 1}', reply=place)
            await one.client.publish("$JS.API.STREAM.INFO.WINDOWS", b"", reply=place)
        await settled(one.client)
        await publish(server, "two")
        await until(lambda: other.heard, "the next window")
        assert zones_of(other.heard) == ["two"]
        assert main.heard == []
        assert {(msg.subject, msg.reply) for msg in asked.heard} == {("moretta.v1.stats.x", "")}
        told = json.loads((await inside.request("$JS.API.CONSUMER.NAMES.WINDOWS", b"", timeout=patient(5))).data)
        assert told["consumers"] == [], "those of mirrors are the server's own"
        assert await names(other) == set(MIRRORS)
    assert await shape(server) == before


async def test_who_deletes_its_mirror_hurts_itself(server: Readers):
    """By an empty answer sent there. MORETTA and other readers go on, and it is made again with all there is."""
    await publish(server, "one", "two")
    async with coming(server, ACME) as one, coming(server, CITY) as other:
        js, others = one.client.jetstream(), other.client.jetstream()
        for each in (js, others):
            await until(lambda each=each: has(each, "WINDOWS", 2), "the windows")
        for order in ("PURGE", "DELETE"):
            await one.client.publish(
                "$JS.API.DIRECT.GET.WINDOWS", b'{"last_by_subj": "none"}', reply=f"$JS.API.STREAM.{order}.WINDOWS"
            )
            await settled(one.client)
            if order == "PURGE":
                assert await state(js) == 2, "the stream denies it"

        async def gone() -> bool:  # a flush does not wait for what the server orders itself
            with contextlib.suppress(NotFoundError):
                return not await js.stream_info("WINDOWS")
            return True

        await until(gone, "deleted")
        assert await state(others) == 2
        assert (await names(other), len(await shape(server))) == (set(MIRRORS), 16)
        async with owner(server) as bus:
            await Mirrors(bus).turn()
            await until(lambda: has(js, "WINDOWS", 2), "all of it again")


async def test_what_was_in_memory_is_made_again(server: Readers):
    """A server that starts again has no memory stream: aggregate makes it; what is on the disk stays."""
    await publish(server, "one")
    async with contextlib.AsyncExitStack() as stack:
        bus = await stack.enter_async_context(owner(server))
        mirrors = Mirrors(bus)
        keeping = asyncio.create_task(mirrors.run(_uncounted))  # which looks after them whenever its connection is back
        stack.push_async_callback(end_tasks, [keeping])
        server.stop()
        server.start()
        async with coming(server, ACME) as one:

            async def there() -> bool:
                return await names(one) == set(MIRRORS)

            await until(there, "all streams")
            js = one.client.jetstream()
            await until(lambda: has(js, "WINDOWS", 1), "the window")
        assert await mirrors.turn() == ["MORETTA_SUBSCRIBERS", "MORETTA_SUBSCRIBERS_acme", "MORETTA_SUBSCRIBERS_city"]


def _uncounted(_states: Mapping[State, int]) -> None:
    return None


async def test_it_is_told_how_many_readers_are_served(server: Readers):
    """One in whose account there is another WINDOWS is not; nobody is while the server does not say who they are."""
    await publish(server, "one")
    async with owner(server) as bus, contextlib.AsyncExitStack() as stack:
        mirrors, told = Mirrors(bus), list[Mapping[State, int]]()
        assert mirrors.states == {"served": 0, "failed": 0}
        client, api = bus.client, f"{READERS_API}MORETTA_SUBSCRIBERS_acme.STREAM"
        await ask(client, f"{api}.DELETE.WINDOWS")
        await ask(client, f"{api}.CREATE.WINDOWS", {"name": "WINDOWS", "storage": "memory", "max_bytes": 1})
        await mirrors.turn()
        assert mirrors.states == {"served": 2, "failed": 1}
        await ask(client, f"{api}.DELETE.WINDOWS")
        keeping = asyncio.create_task(mirrors.run(told.append))
        stack.push_async_callback(end_tasks, [keeping])
        await until(lambda: told[-1:] == [{"served": 3, "failed": 0}], lambda: str(told))
        server.stop()
        mirrors._wake.set()
        await until(lambda: told[-1:] == [{"served": 0, "failed": 3}], lambda: str(told))
        server.start()
        await until(lambda: told[-1:] == [{"served": 3, "failed": 0}], lambda: str(told))


async def test_five_thousand_at_once(server: Readers):
    """More than the flow control of a mirror lets through at a time: all of them come, in order."""
    async with owner(server) as bus, coming(server, ACME) as one, coming(server, CITY) as other:
        client, payload = bus.client, encode(WINDOWS, WINDOW)
        for _ in range(5_000):
            await client.publish(WINDOWS.of(WINDOW), payload)
        await client.flush(timeout=patient(10))
        for reader in (one, other):
            js = reader.client.jetstream()
            await until(lambda js=js: has(js, "WINDOWS", 5_000), "all of them")
            assert (await js.stream_info("WINDOWS")).state.last_seq == 5_000


async def test_what_was_stored_under_a_condition_is_copied(server: Readers):
    """Each window names the sequence before it (`Nats-Expected-Last-Subject-Sequence`): a mirror must not check it."""
    async with owner(server) as bus, coming(server, ACME) as one:
        for number in range(3):
            later = structs.replace(WINDOW, end=WINDOW.end + number * 1_000_000_000)
            assert await bus.store_once(WINDOWS, later, is_done=lambda _last: False)
        await publish(server, "elsewhere")
        js = one.client.jetstream()
        await until(lambda: has(js, "WINDOWS", 4), "all of them")
        got = [await js.get_msg("WINDOWS", seq=number, direct=True) for number in (1, 2, 3, 4)]
    assert [json.loads(one.data or b"")["zone"] for one in got] == [WINDOW.zone] * 3 + ["elsewhere"]
    assert len({one.data for one in got}) == 4


async def test_a_mirror_that_stands_still_is_told(server: Readers, monkeypatch: pytest.MonkeyPatch):
    """It is there, and gets nothing: its account counts as failed a turn later, and as served once it keeps up."""
    async with owner(server) as bus, coming(server, CITY) as other:
        await publish(server, "one")
        mirrors, client = Mirrors(bus), bus.client
        await mirrors.turn()
        api = f"{READERS_API}MORETTA_SUBSCRIBERS_acme.STREAM"
        info = await ask(client, f"{api}.INFO.WINDOWS")
        deaf = info["config"]["mirror"] | {"external": {"api": "_ORIGIN", "deliver": "_MIRROR.nobody"}}
        await ask(client, f"{api}.DELETE.WINDOWS")
        await ask(client, f"{api}.CREATE.WINDOWS", info["config"] | {"mirror": deaf})
        await publish(server, "two")
        monkeypatch.setattr(lag, "AFTER_S", 0.0)
        await until(lambda: has(other.client.jetstream(), "WINDOWS", 2), "another reader has it")

        async def told() -> bool:
            await mirrors.turn()
            return mirrors._problems == {"MORETTA_SUBSCRIBERS_acme": "WINDOWS is behind its original"}

        await until(told, "that it stands still")
        assert mirrors.states == {"served": 2, "failed": 1}
        await ask(client, f"{api}.DELETE.WINDOWS")
        await mirrors.turn()

        async def served() -> bool:
            await mirrors.turn()
            return mirrors.states == {"served": 3, "failed": 0}

        await until(served, "that it keeps up")


async def test_an_original_that_is_made_anew_is_noticed(server: Readers):
    """Also while the connection stays, and when it has more messages than the one before: the mirror begins anew."""
    async with owner(server) as bus, coming(server, ACME) as one:
        await publish(server, "one", "two")
        mirrors, js = Mirrors(bus), one.client.jetstream()
        await mirrors.turn()
        await until(lambda: has(js, "WINDOWS", 2), "both")
        async with admin(server) as inside:
            made = (await ask(inside, "$JS.API.STREAM.INFO.WINDOWS"))["config"]
            await ask(inside, "$JS.API.STREAM.DELETE.WINDOWS")
            await ask(inside, "$JS.API.STREAM.CREATE.WINDOWS", made)
        await publish(server, "three", "four", "five")
        await mirrors.turn()
        await until(lambda: has(js, "WINDOWS", 3), "the new ones")
        got = [await js.get_msg("WINDOWS", seq=number, direct=True) for number in (1, 2, 3)]
    assert [json.loads(each.data or b"")["zone"] for each in got] == ["three", "four", "five"]


async def test_a_mirror_is_made_anew_with_its_original_alone(server: Readers):
    """Each start of aggregate compares: a durable consumer stays, also in a mirror of the version before.

    An original that was made anew meanwhile is another one, though it has more messages than the mirror.
    """
    await publish(server, "one")
    async with coming(server, ACME) as one, admin(server) as inside:
        js = one.client.jetstream()
        await until(lambda: has(js, "WINDOWS", 1), "the window")
        await js.add_consumer("WINDOWS", ConsumerConfig(durable_name="mine"))
        created = (await ask(inside, "$JS.API.STREAM.INFO.WINDOWS"))["created"]
        async with owner(server) as bus:
            api = f"{READERS_API}MORETTA_SUBSCRIBERS_acme.STREAM"
            config = (await ask(bus.client, f"{api}.INFO.WINDOWS"))["config"]
            assert config["metadata"]["moretta.original"] == created
            await ask(bus.client, f"{api}.UPDATE.WINDOWS", config | {"metadata": {}})
        for _ in range(2):
            await make(server)
            assert (await js.consumer_info("WINDOWS", "mine")).name == "mine"
            assert (await js.stream_info("WINDOWS")).config.metadata["moretta.original"] == created
        original = (await ask(inside, "$JS.API.STREAM.INFO.WINDOWS"))["config"]
        await inside.jetstream().delete_stream("WINDOWS")
        await ask(inside, "$JS.API.STREAM.CREATE.WINDOWS", original)
        await publish(server, "two", "three")
        await make(server)

        async def anew() -> bool:
            with contextlib.suppress(NotFoundError):
                return await state(js) == 2
            return False

        await until(anew, "the two that there are")
        assert await js.consumers_info("WINDOWS") == []


async def test_a_new_reader_is_found(tmp_path: Path):
    """After the server's reload: aggregate asks for its own rights."""
    server = Readers(tmp_path)
    server.users = (CITY,)
    server.start()
    try:
        await make_streams(server)
        async with owner(server) as bus:
            mirrors = Mirrors(bus)
            assert await mirrors.turn() == ["MORETTA_SUBSCRIBERS", "MORETTA_SUBSCRIBERS_city"]
            server.rewrite((ACME, CITY))
            await server.reload(2)

            async def made() -> bool:
                await mirrors.turn()
                async with coming(server, ACME) as one:
                    with contextlib.suppress(nats.errors.TimeoutError):
                        return await names(one) == set(MIRRORS)
                return False

            await until(made, "its streams")
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("given", "heard"),
    [
        (("WINDOWS", "ALERTS"), {"WindowV1"}),
        (("CAMERAS",), {"CameraV1"}),
        (("WINDOWS", "DELIVERIES", "CAMERAS"), {"WindowV1", "CameraV1"}),
    ],
)
async def test_a_reader_is_given_fewer_streams(server: Readers, given: tuple[str, ...], heard: set[str]):
    """It has these alone, and no live message of others. Another reader's are as they were."""
    await publish(server, "one")
    server.streams |= {"acme": given}
    server.rewrite(server.users)
    await server.reload(2)
    async with owner(server) as bus, coming(server, ACME) as one, coming(server, CITY) as other:
        await Mirrors(bus).turn()
        assert await names(one) == {*given}
        assert await names(other) == set(MIRRORS)
        await one.client.subscribe("moretta.>", cb=one.take)
        await settled(one.client)
        await bus.store(WINDOWS, structs.replace(WINDOW, zone="one"))
        async with owner(server, "ingest") as ingest:
            await ingest.store(CAMERAS, structs.replace(BY_TYPE[CameraV1], site="cannes", camera="gate"))
        await until(lambda: heard <= {json.loads(msg.data)["type"] for msg in one.heard}, "live ones")
        assert {json.loads(msg.data)["type"] for msg in one.heard} == heard


async def test_a_readers_streams_change_while_it_reads(server: Readers):
    """It stays connected, with a durable consumer, through one reload each; what it is given comes and goes."""
    cameras = structs.replace(BY_TYPE[CameraV1], site="cannes")
    async with owner(server) as bus, owner(server, "ingest") as ingest, coming(server, ACME) as one:
        mirrors, js = Mirrors(bus), one.client.jetstream()
        await one.client.subscribe("moretta.>", cb=one.take)
        pull = await js.pull_subscribe("moretta.v1.windows.>", durable="mine", stream="WINDOWS")
        for given in (("WINDOWS",), ("WINDOWS", "CAMERAS"), ("CAMERAS",)):
            server.streams |= {"acme": given}
            server.rewrite(server.users)
            await server.reload(1)
            await mirrors.turn()
            assert await names(one) == {*given}
            one.heard.clear()
            await bus.store(WINDOWS, structs.replace(WINDOW, zone="gate", start=WINDOW.start + len(given)))
            await ingest.store(CAMERAS, structs.replace(cameras, camera="gate", at=cameras.at + len(given)))
            await until(lambda given=given: len(one.heard) >= len(given), "live ones")
            assert {json.loads(msg.data)["type"] for msg in one.heard} == {KINDS[name] for name in given}
            if "WINDOWS" in given:
                [msg] = await pull.fetch(1, timeout=patient(5))
                await msg.ack_sync()
        assert not one.lost


KINDS = {"WINDOWS": "WindowV1", "CAMERAS": "CameraV1"}


@pytest.fixture(name="open_server")
def _open_server(tmp_path: Path) -> Iterator[Readers]:
    server = Readers(tmp_path)
    server.start()
    yield server
    server.stop()


async def test_readers_wait_for_the_streams(open_server: Readers):
    """Mirrors may be made before what they copy; they fill once it is there."""
    await make_mirrors(open_server)
    async with coming(open_server, ACME) as one:
        assert await names(one) == set(MIRRORS)
        await make_streams(open_server)
        await publish(open_server, "one")
        js = one.client.jetstream()
        await until(lambda: has(js, "WINDOWS", 1), "the first window")


async def test_an_original_that_begins_anew_is_copied_anew(server: Readers):
    """As after a restore into new streams: its sequences begin at 1, and a mirror that is ahead would wait for ever."""
    await publish(server, "one", "two")
    async with coming(server, ACME) as one, admin(server) as inside:
        js = one.client.jetstream()
        await until(lambda: has(js, "WINDOWS", 2), "the windows")
        await inside.jetstream().delete_stream("WINDOWS")
        await make(server)
        await publish(server, "three")

        async def anew() -> bool:
            with contextlib.suppress(NotFoundError):
                return await state(js) == 1
            return False

        async with owner(server) as bus:  # which looks at it when it starts
            await Mirrors(bus).turn()
        await until(anew, "the only window")


async def test_two_replicas_make_it_anew_once(server: Readers, monkeypatch: pytest.MonkeyPatch):
    """The slower one compares once more, and leaves alone what the other has made: a durable of it stays."""
    await publish(server, "one", "two")
    async with contextlib.AsyncExitStack() as stack:
        one, inside = [await stack.enter_async_context(each) for each in (coming(server, ACME), admin(server))]
        fast, slow = [await stack.enter_async_context(owner(server)) for _ in range(2)]
        js = one.client.jetstream()
        await until(lambda: has(js, "WINDOWS", 2), "the windows")
        await inside.jetstream().delete_stream("WINDOWS")
        await fast.ensure_streams(["WINDOWS"])
        client, before = slow.client, f"{READERS_API}MORETTA_SUBSCRIBERS_acme.STREAM.INFO.{MIRRORS[-1]}"
        request = client.request

        async def overtaken(subject: str, *args: Any, **kwargs: Any) -> Msg:
            if subject == before and client.request is overtaken:  # it has seen what is old, and deleted nothing
                monkeypatch.undo()
                await Mirrors(fast).turn()
                await js.add_consumer("WINDOWS", ConsumerConfig(durable_name="mine"))
            return await request(subject, *args, **kwargs)

        monkeypatch.setattr(client, "request", overtaken)
        await Mirrors(slow).turn()
        assert (await js.consumer_info("WINDOWS", "mine")).name == "mine"
        assert await names(one) == set(MIRRORS)


async def tell(server: Readers, camera: str, times: int = 1) -> None:
    """Have ingest tell a camera's state."""
    async with owner(server, "ingest") as bus:
        for _ in range(times):
            await bus.store(CAMERAS, structs.replace(BY_TYPE[CameraV1], camera=camera))


@pytest.mark.timeout(180)
@pytest.mark.first
async def test_who_watches_goes_on_after_the_server_began_anew(server: Readers):
    """Cameras' states, which were in memory, go on behind the sequence of before."""
    await tell(server, "before", times=20)
    seen: set[str] = set()
    one = await watching(server, seen)
    try:
        await until(lambda: seen == {"before"}, lambda: str(seen))
        server.stop()
        server.start()
        await make(server)
        await tell(server, "after")
        await until(lambda: "after" in seen, lambda: str(seen), 60)
    finally:
        await one.close()


async def watching(server: Readers, seen: set[str]) -> Client:
    """A connection that comes back, with an ordered consumer; `seen` is what it got."""
    one, key = Client(), KEYS[ACME]
    one._public_nkey = key.public
    await one.connect(server.url, signature_cb=key.sign, error_cb=_nothing, max_reconnect_attempts=-1)

    async def take(msg: Msg) -> None:
        seen.add(json.loads(msg.data)["camera"])

    await one.jetstream().subscribe("moretta.v1.cameras.>", stream="CAMERAS", ordered_consumer=True, cb=take)
    return one


async def _nothing(_error: Exception) -> None:
    return None


async def test_what_was_removed_goes_from_the_mirrors_too(server: Readers):
    """As `moretta repair` removes windows of the future: aggregate sees it when it starts."""
    await publish(server, "one", "wrong", "three")
    async with coming(server, ACME) as one, admin(server) as inside:
        js = one.client.jetstream()
        await until(lambda: has(js, "WINDOWS", 3), "all of it")
        await inside.jetstream().delete_msg("WINDOWS", 2)
        async with owner(server) as bus:
            await Mirrors(bus).turn()

        async def two() -> bool:
            with contextlib.suppress(NotFoundError):
                return await state(js) == 2
            return False

        await until(two, "the two that are left", 60)


async def test_a_reader_that_was_removed_leaves_nothing(server: Readers):
    """Its copies are gone from the disk, too. A new reader of that name begins empty, and reads after the reloads."""
    await publish(server, "one")
    async with owner(server) as bus, coming(server, ACME) as one:
        mirrors, js = Mirrors(bus), one.client.jetstream()
        await js.pull_subscribe("moretta.v1.windows.>", durable="mine", stream="WINDOWS")
        await until(lambda: has(js, "WINDOWS", 1), "its copy")
        server.streams |= {"acme": ()}
        server.rewrite((CITY,))
        await server.reload(2)
        await until(lambda: one.lost, "that it is shut out")
        await mirrors.turn()
        assert mirrors.states == {"served": 2, "failed": 0}
    assert copies_of(server, "MORETTA_SUBSCRIBERS_acme") == []
    assert len(copies_of(server, "MORETTA_SUBSCRIBERS_city")) == 1
    server.streams |= {"acme": ("WINDOWS",)}
    server.rewrite((ACME, CITY))
    await server.reload(2)
    async with coming(server, ACME) as one:
        js = one.client.jetstream()
        assert json.loads((await one.client.request("$JS.API.STREAM.NAMES", b"", timeout=5)).data)["streams"] is None
        await make_mirrors(server)
        await until(lambda: has(js, "WINDOWS", 1), "its copy")
        assert await js.consumers_info("WINDOWS") == []
        got = await js.get_msg("WINDOWS", seq=1, direct=True)
        assert json.loads(got.data or b"")["zone"] == "one"


def copies_of(server: Readers, account: str) -> list[Path]:
    """The files with windows in an account's part of the server's store."""
    return [*(server.folder / "js/jetstream" / account).glob("streams/WINDOWS/msgs/*.blk")]


@pytest.mark.parametrize("restarts", [False, True])
async def test_copies_of_a_removed_reader_go_whenever_they_are_looked_at(server: Readers, *, restarts: bool):
    """Also after the server was started anew meanwhile, with the account that has no limits any more."""
    await publish(server, "one")
    await until(lambda: copies_of(server, "MORETTA_SUBSCRIBERS_acme"), "its copy")
    server.streams |= {"acme": ()}
    server.rewrite((CITY,))
    if restarts:
        server.stop()
        server.start()
    else:
        await server.reload(1)
    await make_mirrors(server)
    assert copies_of(server, "MORETTA_SUBSCRIBERS_acme") == []
