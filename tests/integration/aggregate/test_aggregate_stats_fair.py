"""A reader who floods aggregate with questions, and others who ask: on a server with the box's own accounts."""

import asyncio
import contextlib
import json
import logging
import threading
from functools import partial
from pathlib import Path

import pytest
from msgspec import structs
from nats_process import NatsProcess
from on_bus import entered, settled
from patience import patient, until
from prometheus_client import REGISTRY
from windows import HOUR, window

from operate.identities import Identities, nats_config
from proto.codec import encode
from proto.permissions import ACCOUNTS, APART, user_of
from proto.stats import StatsRequestV1
from proto.subjects import STATS, STREAMS, WINDOWS
from services.aggregate import stats as stats_module
from services.aggregate.stats import Stats
from services.bus.nkey import Seed
from services.bus.service import micro
from services.bus.service.micro import asker_of
from services.kernel.settings import convert
from services.sites.settings import SiteSettings
from services.statistics.roll_ups import RollUp

DAY = 24 * HOUR
NOW = 1_795_474_800_000_000_000
SHORT = StatsRequestV1(site="cannes", zone="fish", since=NOW - DAY, until=NOW, step="total")
FLOOD = structs.replace(SHORT, step="hour")
"""What a flooder asks: quick to answer, but each answer waits until the test lets it go."""
SEEDS = {user_of(identity, account): Seed.new() for identity, accounts in ACCOUNTS.items() for account in accounts}
PEOPLE = Identities(Path("nowhere"), SEEDS)
connected = partial(entered, PEOPLE)


@pytest.fixture(name="locked", scope="module")
def _locked(tmp_path_factory):
    server = NatsProcess(
        tmp_path_factory.mktemp("locked"), whole=lambda port, store: nats_config(port, store, PEOPLE.public)
    ).start()
    yield server
    server.stop()


@pytest.fixture(name="aggregate")
async def _aggregate(locked):
    async with connected(locked, "aggregate") as bus:
        await bus.ensure_streams(stream.name for stream in STREAMS)
        await bus.store(WINDOWS, window(NOW - HOUR, zone="fish"))
        yield bus


class Turns:
    """The questions that were begun to be answered, in order. A flooder's is in hand until `end` is called."""

    def __init__(self):
        self.begun, self._ends, self._before = [], asyncio.Semaphore(0), turned_away()

    async def begin(self, asked):
        self.begun.append(asked)
        if asked == FLOOD:
            await self._ends.acquire()

    async def end(self):
        """End the flooder's answer in hand; return the question that is begun next."""
        before = len(self.begun)
        self._ends.release()
        await until(lambda: len(self.begun) > before, "the next question")
        return self.begun[before]

    def arrived(self, stats):
        """The number of questions so far, whatever became of them."""
        return len(self.begun) + waiting(stats) + turned_away() - self._before

    def end_all(self):
        for _ in range(micro.LIMITS[0]):
            self._ends.release()


@pytest.fixture(name="turns")
def _turns(monkeypatch):
    turns, answer = Turns(), Stats.answer

    async def in_turn(self, asked):
        await turns.begin(asked)
        return await answer(self, asked)

    monkeypatch.setattr(Stats, "answer", in_turn)
    for module, limit in ((micro, "PATIENCE_S"), (stats_module, "ANSWER_S")):  # a machine may be as slow as it likes
        monkeypatch.setattr(module, limit, 600.0)
    return turns


@pytest.fixture(name="stats")
async def _stats(aggregate, turns):
    stats = Stats(aggregate, lambda: NOW)
    site = {"id": "cannes", "timezone": "Europe/Paris", "profile": "alerting", "zones": [{"id": "fish"}]}
    await stats.apply([convert(site, SiteSettings)])
    await settled(aggregate)
    yield stats
    turns.end_all()
    await stats.stop()


async def flood(bus, number):
    """Ask so often, in one go."""
    client = bus.client
    inbox = client.new_inbox()
    answers = await client.subscribe(inbox)
    for _ in range(number):
        await client.publish(STATS.of(FLOOD), encode(STATS, FLOOD), reply=inbox)
    await client.flush()
    return answers


def waiting(stats):
    return len(stats._service._questions._waiting)


def turned_away():
    """The number of questions for which there was no room."""
    values = ({"row": "StatsRequestV1", "outcome": outcome} for outcome in ("refused", "dropped"))
    return sum(REGISTRY.get_sample_value("moretta_bus_questions_total", one) or 0 for one in values)


async def flooded(stats, turns, sent):
    """Wait until all of a flood has arrived: then each connection has as many questions waiting as it may."""
    await until(lambda: turns.arrived(stats) == sent, lambda: f"{turns.arrived(stats)} of {sent} arrived")


async def answered(bus, question, stats, turns):
    """The answer to a question, and how many of a flooder's were begun before it, behind the one in hand.

    An answer that takes more than 5 s has no way back (ADR 35): on a slow machine it is asked again.
    """
    async with asyncio.timeout(patient(100)):
        while True:
            await until(lambda: turns.begun[-1:] == [FLOOD], "one in hand")  # else one more leaves the queue
            there, behind = waiting(stats), 0
            asking = asyncio.create_task(bus.request(STATS, question, timeout=8))
            await until(lambda there=there: waiting(stats) > there, "the question waits")
            while await turns.end() != question:
                behind += 1
            with contextlib.suppress(TimeoutError):
                return await asking, behind


@pytest.mark.parametrize("who", ["subscriber", "operator"])
async def test_a_flood_keeps_nobody_waiting(locked, stats, turns, who):
    """While one connection has all the questions waiting that it may, whoever else asks, of the same key or of another
    account, has its answer behind the one in hand and at most one more."""
    async with connected(locked, "subscriber") as flooder, connected(locked, who) as other:
        await flood(flooder, 200)
        await flooded(stats, turns, 200)
        reply, behind = await answered(other, SHORT, stats, turns)
        assert reply.periods[0].persons == 11
        assert behind <= 1
        _, behind = await answered(other, structs.replace(SHORT, step="day"), stats, turns)
        assert behind <= 1
        assert waiting(stats) > micro.LIMITS[-1] / 2  # the flood still waits


async def test_many_flooders_have_a_turn_each(locked, stats, turns):
    """However many connections of a key flood, another waits for the answer in hand, and for one more at most."""
    async with contextlib.AsyncExitStack() as stack:
        flooders = [await stack.enter_async_context(connected(locked, "subscriber")) for _ in range(3)]
        other = await stack.enter_async_context(connected(locked, "subscriber"))
        for one in flooders:
            await flood(one, 60)
        await flooded(stats, turns, 60 * len(flooders))
        assert waiting(stats) >= len(flooders) * micro.LIMITS[-1] - 1  # one may have waited, and is in hand
        for _ in flooders:  # none of them is new any more
            assert await turns.end() == FLOOD
        _, behind = await answered(other, SHORT, stats, turns)
        assert behind <= 1
        assert waiting(stats) > 2 * micro.LIMITS[-1]  # more than two of them can have


async def test_who_asks_is_what_the_server_says(locked, aggregate):
    """Account, key and connection; what the asker says of itself is overwritten, in its own account not believed."""
    heard = []

    async def hear(msg):
        heard.append(asker_of(msg))
        await msg.respond(b"")

    client = aggregate.client
    listening = await client.subscribe(STATS.wildcard(), queue=str(STATS.queue), cb=hear)
    await settled(client)
    claim = {"Nats-Request-Info": json.dumps({"acc": "MORETTA", "user": "x", "server": "x", "id": 1})}
    async with contextlib.AsyncExitStack() as stack:
        for identity in ("subscriber", "subscriber", "operator"):
            bus = await stack.enter_async_context(connected(locked, identity))
            for headers in (None, claim):
                await bus.client.request(STATS.of(SHORT), b"", timeout=patient(10), headers=headers)
    await listening.unsubscribe()
    assert heard[0::2] == heard[1::2]
    first, second, operator = heard[0::2]
    assert first[:2] == second[:2] == (APART["subscriber"], SEEDS["subscriber"].public)
    assert first[2] != second[2]
    assert operator[:2] == ("", "_INBOX_operator")


async def say(bus, subject, headers):
    """Ask with these bytes as headers."""
    client = bus.client
    size = len(headers)
    client._transport.write(b"HPUB %s _INBOX_subscriber.q %d %d\r\n%s{}\r\n" % (subject, size, size + 2, headers))
    await client._transport.drain()
    await settled(client)


FORGED = b'{"acc":"MORETTA_SUBSCRIBERS_acme","user":"x","server":"x","id":7}'


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

    client = aggregate.client
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
    client = aggregate.client
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


async def test_an_answer_leaves_the_loop_turning(locked, stats, monkeypatch):
    """Others have their turn while periods are laid out, summed and encoded: here each of the three waits for that."""
    loop, turned = asyncio.get_running_loop(), {}

    def beside(name, call):
        def once_the_loop_turned(*args):
            turn = threading.Event()
            loop.call_soon_threadsafe(turn.set)
            turned[name] = turn.wait(patient(10))
            return call(*args)

        return once_the_loop_turned

    for owner, name in ((RollUp, "__init__"), (RollUp, "periods"), (micro, "encode_as")):
        monkeypatch.setattr(owner, name, beside(name, getattr(owner, name)))
    async with connected(locked, "operator") as one:
        reply = await until(lambda: one.request(STATS, SHORT, timeout=8), "an answer", 60, ignoring=(TimeoutError,))
    assert reply.periods[0].persons == 11
    assert turned == {"__init__": True, "periods": True, "encode_as": True}
