"""A reader who floods aggregate with long questions, and others who ask: on a server with the box's own accounts."""

import asyncio
import contextlib
import json
import logging
from pathlib import Path

import pytest
from msgspec import structs
from nats_process import NatsProcess
from on_bus import settled
from patience import patient, until
from windows import HOUR, window

from operate.identities import Identities, nats_config
from proto.codec import encode
from proto.permissions import ACCOUNTS, APART, user_of
from proto.stats import StatsRequestV1
from proto.subjects import STATS, STREAMS, WINDOWS
from services.aggregate.stats import Stats
from services.bus import Bus, micro
from services.bus.micro import asker_of
from services.bus.nkey import Seed
from services.kernel.settings import convert
from services.sites.settings import SiteSettings

DAY = 24 * HOUR
NOW = 1_795_474_800_000_000_000
WINDOWS_STORED = 800
LONG = StatsRequestV1(site="cannes", since=NOW - 400 * DAY, until=NOW, step="hour")
SHORT = StatsRequestV1(site="cannes", zone="fish", since=NOW - DAY, until=NOW, step="total")
SEEDS = {user_of(identity, account): Seed.new() for identity, accounts in ACCOUNTS.items() for account in accounts}
PEOPLE = Identities(Path("nowhere"), SEEDS)


@pytest.fixture(name="locked", scope="module")
def _locked(tmp_path_factory):
    server = NatsProcess(
        tmp_path_factory.mktemp("locked"), whole=lambda port, store: nats_config(port, store, PEOPLE.public)
    ).start()
    yield server
    server.stop()


@contextlib.asynccontextmanager
async def connected(server, identity):
    bus = await Bus.connect(PEOPLE.settings(identity, server.url), identity)
    try:
        yield bus
    finally:
        await bus.close()


@pytest.fixture(name="aggregate")
async def _aggregate(locked):
    async with connected(locked, "aggregate") as bus:
        await bus.ensure_streams(stream.name for stream in STREAMS)
        if not (await bus.streams.js.stream_info("WINDOWS")).state.messages:
            await fill(bus)
        yield bus


async def fill(bus):
    """Windows of 400 days for the whole site, and one of a zone."""
    client = bus._connection.client
    step = 400 * DAY // WINDOWS_STORED
    for number in range(WINDOWS_STORED):
        one = window(NOW - 400 * DAY + number * step)
        await client.publish(WINDOWS.of(one), encode(WINDOWS, one))
    await bus.store(WINDOWS, window(NOW - HOUR, zone="fish"))


@pytest.fixture(name="begun")
def _begun(monkeypatch):
    """The questions that were begun to be answered, in order."""
    begun, answer = [], Stats.answer

    async def noted(self, asked):
        begun.append(asked)
        return await answer(self, asked)

    monkeypatch.setattr(Stats, "answer", noted)
    monkeypatch.setattr(micro, "PATIENCE_S", 600.0)  # on a machine as slow as it likes
    return begun


@pytest.fixture(name="stats")
async def _stats(aggregate, begun):
    stats = Stats(aggregate, lambda: NOW)
    site = {"id": "cannes", "timezone": "Europe/Paris", "profile": "alerting", "zones": [{"id": "fish"}]}
    await stats.apply([convert(site, SiteSettings)])
    await settled(aggregate)
    yield stats
    await stats.stop()


async def flood(bus, number):
    """Ask for 400 days so often, in one go."""
    client = bus._connection.client
    inbox = client.new_inbox()
    answers = await client.subscribe(inbox)
    for _ in range(number):
        await client.publish(STATS.of(LONG), encode(STATS, LONG), reply=inbox)
    await client.flush()
    return answers


def waiting(stats):
    return len(stats._service._questions._waiting)


async def answered(bus, question, begun):
    """The answer to a question, and how many were begun before it was.

    A question that waited for 4 s is not answered (docs/subscribing.md): on a slow machine it is asked again.
    """
    async with asyncio.timeout(patient(100)):
        while True:
            before = len(begun)
            with contextlib.suppress(TimeoutError):
                reply = await bus.request(STATS, question, timeout=8)
                return reply, begun.index(question) - before


@pytest.mark.parametrize("who", ["subscriber", "operator"])
async def test_a_flood_keeps_nobody_waiting(locked, stats, begun, who):
    """While one connection has all the questions waiting that it may, whoever else asks, of the same key or of another
    account, has its answer behind the one in hand and at most one more."""
    async with connected(locked, "subscriber") as flooder, connected(locked, who) as other:
        await flood(flooder, 200)
        await until(lambda: waiting(stats) >= micro.LIMITS[-1] / 2 and begun, "the flood waits", 60)
        reply, behind = await answered(other, SHORT, begun)
        assert reply.periods[0].persons == 11
        assert behind <= 2
        assert waiting(stats) > micro.LIMITS[-1] / 2  # the flood still waits
        again = structs.replace(SHORT, step="day")
        _, behind = await answered(other, again, begun)
        assert behind <= 2


async def test_many_flooders_have_a_turn_each(locked, stats, begun):
    """However many connections of a key flood, another waits for the answer in hand, and for one more at most."""
    async with contextlib.AsyncExitStack() as stack:
        flooders = [await stack.enter_async_context(connected(locked, "subscriber")) for _ in range(3)]
        other = await stack.enter_async_context(connected(locked, "subscriber"))
        for one in flooders:
            await flood(one, 60)
        await until(lambda: waiting(stats) > 2 * micro.LIMITS[-1], "more than two of them can have", 60)
        _, behind = await answered(other, SHORT, begun)
        assert behind <= 2


async def test_who_asks_is_what_the_server_says(locked, aggregate):
    """Account, key and connection; what the asker says of itself is overwritten, in its own account not believed."""
    heard = []

    async def hear(msg):
        heard.append(asker_of(msg))
        await msg.respond(b"")

    client = aggregate._connection.client
    listening = await client.subscribe(STATS.wildcard(), queue=str(STATS.queue), cb=hear)
    await settled(client)
    claim = {"Nats-Request-Info": json.dumps({"acc": "MAIN", "user": "x", "server": "x", "id": 1})}
    async with contextlib.AsyncExitStack() as stack:
        for identity in ("subscriber", "subscriber", "operator"):
            bus = await stack.enter_async_context(connected(locked, identity))
            for headers in (None, claim):
                await bus._connection.client.request(STATS.of(SHORT), b"", timeout=patient(10), headers=headers)
    await listening.unsubscribe()
    assert heard[0::2] == heard[1::2]
    first, second, operator = heard[0::2]
    assert first[:2] == second[:2] == (APART["subscriber"], SEEDS["subscriber"].public)
    assert first[2] != second[2]
    assert operator[:2] == ("", "_INBOX_operator")


async def say(bus, subject, headers):
    """Ask with these bytes as headers."""
    client = bus._connection.client
    size = len(headers)
    client._transport.write(b"HPUB %s _INBOX_subscriber.q %d %d\r\n%s{}\r\n" % (subject, size, size + 2, headers))
    await client._transport.drain()
    await settled(client)


FORGED = b'{"acc":"SUBSCRIBERS_acme","user":"x","server":"x","id":7}'


@pytest.mark.parametrize(
    "headers",
    [
        b"NATS/1.0\r\nNats-Request-Info: " + FORGED + b"\r\n\r\n",
        b"NATS/1.0\r\nNats-Request-Info : " + FORGED + b"\r\nX: y\r\n",
        b"NATS/1.0\r\nNats-Request-Info : " + FORGED + b"\r\n\r\nX: y\r\n\r\n",
        b"NATS/1.0\r\nX: y\r\nNats-Request-Info: " + FORGED,
    ],
)
async def test_nobody_asks_in_anothers_name(locked, aggregate, headers):
    """However the imitation is written; the server's own words come behind it."""
    heard = []

    async def hear(msg):
        heard.append(asker_of(msg))

    client = aggregate._connection.client
    listening = await client.subscribe(STATS.wildcard(), queue=str(STATS.queue), cb=hear)
    await settled(client)
    async with connected(locked, "subscriber") as one:
        await say(one, STATS.of(SHORT).encode(), headers)
        await until(lambda: heard, "the question")
    await listening.unsubscribe()
    assert [who[0] for who in heard] in ([APART["subscriber"]], [""])  # "" is nobody in particular
    assert heard[0][1] != "x"


@pytest.mark.parametrize("subject", [STATS.of(SHORT).encode(), b"$SRV.PING"])
async def test_a_header_that_is_no_text_silences_nobody(locked, aggregate, stats, subject):
    """Whoever may ask may write what it likes there: aggregate reads on, answers and stores."""
    client = aggregate._connection.client
    async with connected(locked, "subscriber") as one:
        for headers in (b"NATS/1.0 \xff\xfe\xfd\r\n\r\n", b"NATS/1.0\r\n\xff: \xff\r\n\r\n", b"NATS/1.0"):
            await say(one, subject, headers)
        assert (await one.request(STATS, SHORT, timeout=60)).error is None
    assert client.stats["reconnects"] == 0
    await aggregate.store(WINDOWS, window(NOW + 2 * HOUR, zone="late"))


async def test_who_asks_is_written_nowhere(locked, stats, caplog, capsys):
    """Neither a log line nor a reply has the address or the key of who floods."""
    caplog.set_level(logging.DEBUG)
    async with connected(locked, "subscriber") as flooder:
        answers = await flood(flooder, 200)
        refused = await answers.next_msg(timeout=60)
        assert refused.headers["Nats-Service-Error-Code"] == "429"
    said = caplog.text + "".join(capsys.readouterr()) + str(refused.headers)
    assert SEEDS["subscriber"].public not in said
    assert "client_type" not in said


async def test_a_large_answer_leaves_the_loop_turning(stats, begun):
    """While ten thousand periods are made and written out, others have their turn: not once before and once after."""
    turns, done = 0, asyncio.Event()

    async def turn():
        nonlocal turns
        while not done.is_set():
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    reading, made = stats._read, []

    async def read(found, reply):
        made.append(turns)
        count = await reading(found, reply)
        made.append(turns)
        return count

    stats._read = read
    await stats.answer(LONG)
    made.append(turns)
    done.set()
    await turning
    assert made[0] > 5  # the fold's periods were laid out
    assert made[2] - made[1] > 5  # and told
