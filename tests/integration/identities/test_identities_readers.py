"""Readers on a real server: what one asks reaches nobody else, one goes without the others, none fills the server."""

import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from identity_matrix import admin, make_streams
from nats.aio.msg import Msg
from on_bus import settled
from patience import patient, until
from readers import ACME, CITY, KEYS, Ear, Raw, Readers, coming, listen, make_mirrors

from proto.subjects import TABLE, WINDOWS

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.filterwarnings("ignore:parameter .timeout. of type .float.:DeprecationWarning")
DOORS = [("page", "open"), ("page", "tcp"), *((user, door) for user in ("subscriber", ACME) for door in ("tcp", "ws"))]
QUESTIONS = {
    "$JS.API.STREAM.INFO.WINDOWS": b"",
    "$JS.API.STREAM.MSG.GET.WINDOWS": b'{"last_by_subj": "moretta.v1.windows.x.x"}',
    "moretta.v1.stats.x": b"{}",
    "$SRV.PING": b"",
}
PUBLIC = [row.wildcard().replace("*", "x") for row in TABLE if row.public and row.reply is None]
PLACES = [*PUBLIC, "_INBOX_subscriber.x", "_INBOX_operator.x", "_INBOX_page.x", "_R_.x", "$JS.API.STREAM.DELETE.DEAD"]
"""Where somebody would have an answer sent: where others listen, live, or their inboxes, or JetStream itself."""


@pytest.fixture(name="server")
def _server(tmp_path: Path) -> Iterator[Readers]:
    server = Readers(tmp_path)
    server.start()
    yield server
    server.stop()


@contextlib.asynccontextmanager
async def answering(server: Readers) -> AsyncIterator[list[Msg]]:
    """Statistics' place in MORETTA, held by an admin; yields the questions that came."""
    asked: list[Msg] = []
    async with admin(server) as one:

        async def answer(msg: Msg) -> None:
            asked.append(msg)
            await msg.respond(b"an answer")

        for subject in ("moretta.v1.stats.*", "$SRV.PING"):
            await one.subscribe(subject, cb=answer)
        await one.flush()
        await one.flush()
        yield asked


async def ask_everything(one: Ear) -> None:
    """Ask each question once for each place of its answer; returns when the server has answered all of them."""
    before = len(one.heard)
    for subject, question in QUESTIONS.items():
        for place in PLACES:
            await one.client.publish(subject, question, reply=place)
    await settled(one.client)
    mine = [place for place in PLACES if place in PUBLIC or place == "_INBOX_subscriber.x"]
    if one.user == "page":
        mine = [place for place in mine if place.split(".")[2:3] not in (["rules"], ["deliveries"], ["notifications"])]
    # in its own account an answer comes wherever it was told to: it was sent
    await until(lambda: len(one.heard) >= before + len(mine) * len(QUESTIONS), "every answer")


@pytest.mark.parametrize(("user", "door"), DOORS)
async def test_an_answer_reaches_nobody_but_who_asked(server: Readers, user: str, door: str):
    """Wherever it is sent: the other readers, by each door, and everybody in MORETTA hear nothing of it."""
    await make_streams(server)
    await make_mirrors(server)
    others = [(one, by) for one, by in [*DOORS, (CITY, "tcp"), (CITY, "ws")] if one != user]
    async with contextlib.AsyncExitStack() as stack:
        asked = await stack.enter_async_context(answering(server))
        inside = await stack.enter_async_context(admin(server))
        ears = [await stack.enter_async_context(coming(server, *other)) for other in others]
        for ear in ears:
            await listen(ear)
        stored = Ear("MORETTA", inside)
        for place in PLACES[:-1]:
            await inside.subscribe(place, cb=stored.take)
        await settled(stored.client)
        asker = await stack.enter_async_context(coming(server, user, door))
        await listen(asker)
        await ask_everything(asker)
        await inside.publish(WINDOWS.subject(site="x", zone="x"), b"{}")
        for ear in (*ears, stored):
            await until(lambda ear=ear: ear.heard, f"{ear.user} hears the window")
            assert [msg.data for msg in ear.heard] == [b"{}"], f"{ear.user} heard of it"
        assert asked
        assert all("with reply of" in error.lower() and "_r_.x" in error.lower() for error in asker.errors)


async def test_who_answers_statistics_is_told_who_asks(server: Readers):
    """NATS's header has account, connection and address there; on other questions the account alone."""
    found: dict[str, str] = {}
    async with answering(server) as asked:
        for user, door in (("page", "open"), ("subscriber", "tcp"), (ACME, "ws")):
            async with coming(server, user, door) as one:
                await one.client.request("moretta.v1.stats.x", b"{}", timeout=patient(10))
                await one.client.request("$SRV.PING", b"", timeout=patient(10))
            statistics, ping = asked[-2:]
            assert statistics.headers is not None
            told = json.loads(statistics.headers["Nats-Request-Info"])
            found[user] = told["acc"]
            assert {"acc", "id", "host"} <= told.keys()
            assert ping.headers is not None
            assert json.loads(ping.headers["Nats-Request-Info"]).keys() == {"acc", "rtt"}
    assert found == {"page": "MORETTA_PAGE", "subscriber": "MORETTA_SUBSCRIBERS", ACME: "MORETTA_SUBSCRIBERS_acme"}


async def test_who_goes_leaves_the_others_as_they_are(server: Readers):
    """A reload without its key ends its connections; nobody else's, not even for a moment."""
    async with contextlib.AsyncExitStack() as stack:
        inside = await stack.enter_async_context(admin(server))
        gone = [await stack.enter_async_context(coming(server, ACME, door)) for door in ("tcp", "ws")]
        others = [("page", "open"), ("subscriber", "tcp"), (CITY, "ws"), (CITY, "tcp")]
        stay = [await stack.enter_async_context(coming(server, *one)) for one in others]
        for ear in stay:
            await listen(ear)
        server.rewrite((CITY,))
        server.signal(signal.SIGHUP)
        await until(lambda: all(ear.lost for ear in gone), "they are gone")
        await inside.publish(WINDOWS.subject(site="x", zone="_site"), b"{}")
        await until(lambda: all(ear.heard for ear in stay), "the others hear")
        assert not [ear.user for ear in stay if ear.lost]
        assert await Raw.said_to(server, KEYS[ACME]) == "-ERR 'Authorization Violation'"


@contextlib.contextmanager
def watching(server: Readers, folder: Path) -> Iterator[None]:
    """The chart's own script beside the server, which looks at its configuration every second."""
    folder.mkdir()
    (folder / "nats.conf").symlink_to(server.folder / "nats.conf")
    assert server._process
    (pid := folder.with_name("nats.pid")).write_text(str(server._process.pid))
    script = ROOT / "k8s/moretta/files/nats-reload.sh"
    command = ["sh", str(script), str(pid), "1", "0", str(folder), str(folder)]  # it has no monitor here
    with subprocess.Popen(command, start_new_session=True) as watching:
        try:
            yield
        finally:
            os.killpg(watching.pid, signal.SIGKILL)


async def test_who_comes_by_two_reloads_may_ask(tmp_path: Path):
    """With the same contents: after the first one nobody answers a new account. The script does it by itself."""
    server = Readers(tmp_path)
    server.users = (CITY,)
    server.start()
    try:
        await make_streams(server)
        with watching(server, tmp_path / "mounted"):
            await until(lambda: server.reloads == 2, "the script's first looks")
            server.rewrite((ACME, CITY))
            await until(lambda: server.reloads == 4, "the new reader, twice")
        async with answering(server), coming(server, ACME) as one:
            for subject, question in QUESTIONS.items():
                await one.client.request(subject, question, timeout=patient(10))
    finally:
        server.stop()


async def test_who_asks_most_is_found(tmp_path: Path):
    """By the question of docs/operations.md: the account says which reader, the key and the address who."""
    [question] = re.findall(r"/connz\?[^']+", (ROOT / "docs/operations.md").read_text(encoding="utf-8"))
    server = Readers(tmp_path, monitored=True)
    server.start()
    try:
        async with coming(server, "subscriber"), coming(server, ACME, "ws") as busy, coming(server, "page", "open"):
            for _ in range(50):
                await busy.client.publish("moretta.v1.stats.x", b"{}")
            await settled(busy.client)
            async with aiohttp.ClientSession() as session, session.get(f"{server.monitor}{question}") as answer:
                first = (await answer.json())["connections"][0]
    finally:
        server.stop()
    found = {name: first[name] for name in ("account", "authorized_user", "ip", "in_msgs")}
    assert found == {
        "account": "MORETTA_SUBSCRIBERS_acme", "authorized_user": KEYS[ACME].public, "ip": "127.0.0.1", "in_msgs": 50,
    }  # fmt: skip


LIMITS = {"subscriber": (20, 100), ACME: (20, 100), "page": (200, 6)}


@pytest.mark.parametrize("user", LIMITS)
async def test_a_reader_at_its_limit_is_told_and_stands_in_nobodys_way(server: Readers, user: str):
    """All that it may take is little memory; the next one of it is refused in words, and everybody else comes."""
    connections, subscriptions = LIMITS[user]
    before = server.memory
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(connections):
            one, said = await Raw.open(server, KEYS[user])
            stack.push_async_callback(one.close)
            assert said == "PONG"
            refused = await one.subscribe(subscriptions + 2)
            assert refused == ["-ERR 'maximum subscriptions exceeded'"] * 2
        assert await Raw.said_to(server, KEYS[user]) == "-ERR 'maximum account active connections exceeded'"
        assert server.memory - before < 160 << 20
        async with answering(server):
            for other in {*LIMITS, CITY} - {user}:
                ear = await stack.enter_async_context(coming(server, other))
                await listen(ear)
                assert (await ear.client.request("moretta.v1.stats.x", b"{}", timeout=patient(10))).data == b"an answer"
        assert {await Raw.said_to(server, KEYS[one]) for one in ("ingest", "aggregate", "operator")} == {"PONG"}


@pytest.mark.parametrize(("user", "most"), [("subscriber", 4 << 10), ("page", 16 << 10)])
async def test_a_question_is_short(server: Readers, user: str, most: int):
    """A reader fills the server with no messages either; what a service sends may be as long as a picture."""
    one, _ = await Raw.open(server, KEYS[user])
    one.writer.write(b"PUB moretta.v1.stats.x %d\r\n%s\r\nPING\r\n" % (most, b"x" * most))
    assert await one.reader.readline() == b"PONG\r\n"
    one.writer.write(b"PUB moretta.v1.stats.x %d\r\n" % (most + 1))
    assert await one.reader.readline() == b"-ERR 'Maximum Payload Violation'\r\n"
    await one.close()


@pytest.mark.parametrize("user", ["ingest", "ingest-frames", "aggregate"])
async def test_a_service_has_room(server: Readers, user: str):
    """For an inbox of each frame on its way, and what each site wants; whose subscriptions never end is told."""
    one, said = await Raw.open(server, KEYS[user])
    assert said == "PONG"
    assert await one.subscribe(10_001, f"_INBOX_{user}") == ["-ERR 'maximum subscriptions exceeded'"]
    await one.close()
