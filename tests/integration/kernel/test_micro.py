"""A NATS micro service (ADR-32) on a real server: answers, errors in headers, discovery, reconnects, an orderly end."""

import asyncio
import contextlib
import json
from collections import Counter
from typing import get_args

import pytest
from golden import BY_TYPE
from msgspec import structs
from on_bus import connected, settled
from patience import patient, until
from prometheus_client import REGISTRY
from windows import window

from proto.codec import decode_as, encode
from proto.permissions import info_subject
from proto.stats import StatsReplyV1, StatsRequestV1
from proto.subjects import STATS, STATS_SERVICE, WINDOWS
from services.bus import Endpoint, Failed, NoWorkers, Refusal, Unavailable
from services.bus.service import micro as module

REPLY = structs.replace(BY_TYPE[StatsReplyV1], error=None, path=None, value=None)
QUESTION = BY_TYPE[StatsRequestV1]
MS = 1_000_000


def at(site, **metadata):
    return Endpoint(site, {"site": site}, {"site": site, **metadata})


@pytest.fixture(name="asker")
async def _asker(nats_server):
    async with connected(nats_server.url, "operator") as bus:
        yield bus


@pytest.fixture(name="offered")
async def _offered(bus):
    """A way to offer an answer for the site cannes."""
    made = []

    async def offer(answer, *endpoints):
        made.append(bus.micro_service(STATS, answer))
        await made[-1].offer(endpoints or [at("cannes")])
        await settled(bus)
        return made[-1]

    yield offer
    for service in made:
        await service.stop()


async def say(_question):
    return REPLY


def fates():
    """What became of questions so far."""
    labels = [{"row": "StatsRequestV1", "outcome": fate} for fate in get_args(module.Fate)]
    return Counter(
        {one["outcome"]: REGISTRY.get_sample_value(module.QUESTIONS._name + "_total", one) or 0 for one in labels}
    )


async def raw(asker, payload, site="cannes"):
    """Headers and body of the answer to any bytes."""
    answer = await asker.client.request(STATS.subject(site=site), payload, timeout=patient(5))
    return answer.headers, answer.data


async def test_a_question_is_answered(asker, offered):
    """The typed question reaches the answerer, the typed reply comes back, as JSON."""
    asked = []

    async def answer(question):
        asked.append(question)
        return REPLY

    await offered(answer)
    assert await asker.request(STATS, QUESTION, timeout=patient(5)) == REPLY
    assert asked == [QUESTION]
    headers, _ = await raw(asker, encode(STATS, QUESTION))
    assert headers == {"Content-Type": "application/json"}


async def test_who_looks_finds_it(asker, offered):
    """PING, INFO and STATS tell name, version, what is asked and answered, and where; `$SRV` without a name too."""
    await offered(say, at("cannes", timezone="Europe/Paris"), at("nice"))
    await offered(say, at("nice"))
    await asker.request(STATS, QUESTION, timeout=patient(5))
    told = [json.loads(data) for data in await asker.ask_all(info_subject(STATS_SERVICE), wait_s=1)]
    assert len({info["id"] for info in told}) == 2
    info = next(info for info in told if len(info["endpoints"]) == 2)
    assert (info["type"], info["name"], info["version"]) == ("io.nats.micro.v1.info_response", "moretta-stats", "1.0.0")
    assert info["metadata"] == {"request": "StatsRequestV1", "reply": "StatsReplyV1"}
    assert info["endpoints"][0] == {
        "name": "cannes",
        "subject": "moretta.v1.stats.cannes",
        "queue_group": "moretta-stats",
        "metadata": {"site": "cannes", "timezone": "Europe/Paris"},
    }
    for subject in ("$SRV.PING", f"$SRV.PING.{info['name']}.{info['id']}", "$SRV.STATS.moretta-stats"):
        answers = [json.loads(data) for data in await asker.ask_all(subject, wait_s=1)]
        assert info["id"] in {one["id"] for one in answers}
    counted = [e["num_requests"] for one in answers for e in one["endpoints"] if e["name"] == "cannes"]
    assert counted == [1]


async def test_a_refusal_is_an_answer(asker, offered):
    """The headers of ADR-32 say that it is an error, and the body says what is wrong."""
    refused = structs.replace(REPLY, periods=[], error="unknown-zone", path="zone", value="_site")

    async def refuse(_question):
        raise Refusal(404, "unknown-zone", refused)

    await offered(refuse)
    assert await asker.request(STATS, QUESTION, timeout=patient(5)) == refused
    headers, data = await raw(asker, encode(STATS, QUESTION))
    assert (headers["Nats-Service-Error-Code"], headers["Nats-Service-Error"]) == ("404", "unknown-zone")
    assert decode_as(StatsReplyV1, "json", data) == refused


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"{}", "Object missing required field `site`"),
        (b'{"site":"cannes","since":-1}', "$.since"),
        (b'{"site":"cannes","step":"a\\nb"}', "$.step"),
        (b"\xff", "StatsRequestV1: "),
        (b'{"site":"nice"}', "it belongs on moretta.v1.stats.nice"),
    ],
)
async def test_what_is_no_question(asker, offered, payload, told):
    """Code 400 says what is wrong and where; the answerer is not troubled, and goes on."""

    async def answer(question):
        assert question == QUESTION
        return REPLY

    await offered(answer)
    headers, data = await raw(asker, payload)
    assert (headers["Nats-Service-Error-Code"], data) == ("400", b"")
    assert told in headers["Nats-Service-Error"]
    assert await asker.request(STATS, QUESTION, timeout=patient(5)) == REPLY


async def test_a_fault_is_told_and_counted(asker, offered):
    """Code 500, without the error's words; STATS counts it."""

    async def fail(_question):
        raise ZeroDivisionError("nine people")

    await offered(fail)
    with pytest.raises(Failed) as failed:
        await asker.request(STATS, QUESTION, timeout=patient(5))
    assert (failed.value.code, "nine people" in failed.value.why) == ("500", False)
    (stats,) = [json.loads(data) for data in await asker.ask_all("$SRV.STATS.moretta-stats", wait_s=1)]
    assert [e["num_errors"] for e in stats["endpoints"]] == [1]
    assert "nine people" not in json.dumps(stats)


async def test_answers_go_to_inboxes_only(asker, bus, offered):
    """What wants its answer in a stream, or nowhere, gets none: whoever may ask could have windows written."""
    asked = []

    async def answer(question):
        asked.append(question)
        return REPLY

    await offered(answer)
    window_of = WINDOWS.subject(site="cannes", zone="_site")
    for subject in (STATS.subject(site="cannes"), "$SRV.PING", info_subject(STATS_SERVICE), "$SRV.STATS.moretta-stats"):
        await asker.client.publish(subject, encode(STATS, QUESTION), reply=window_of)
    await asker.publish(STATS, QUESTION)
    assert await asker.request(STATS, QUESTION, timeout=patient(5)) == REPLY
    await settled(bus)
    assert len(asked) == 1
    assert (await bus.streams.js.stream_info("WINDOWS")).state.messages == 0


class Held:
    """An answerer that waits until it may go on; `asked` is whose questions it began to answer."""

    def __init__(self):
        self.asked, self.go_on = [], asyncio.Event()

    async def __call__(self, question):
        self.asked.append(question)
        await self.go_on.wait()
        return REPLY


async def flood(asker, bus, number, *others):
    """So many questions at once and others behind them, of one connection; returns where what is answered comes."""
    client = asker.client
    inbox = f"{client.new_inbox()}.1"
    answers = await client.subscribe(inbox)
    for payload in [encode(STATS, QUESTION)] * number + list(others):
        await client.publish(STATS.subject(site="cannes"), payload, reply=inbox)
    for one in (asker, bus, asker):
        await settled(one)
    return answers


async def taken(answers):
    """What has come."""
    return [await answers.next_msg(timeout=1) for _ in range(answers.pending_msgs)]


async def test_what_there_is_no_room_for_is_told_at_once(asker, bus, offered):
    """Of a flood as many wait as a connection may have; of the others some are told with code 429, before anything is
    answered, and the rest is dropped and counted: telling a flooder is no flood."""
    answer, before = Held(), fates()
    await offered(answer)
    answers = await flood(asker, bus, 500)
    room, most = module.LIMITS[-1], int(module.REFUSALS_PER_S)
    refused = await taken(answers)
    assert most <= len(refused) <= 500 - room
    assert {(m.headers["Nats-Service-Error-Code"], m.headers["Nats-Service-Error"]) for m in refused} == {
        ("429", "too many questions waiting; ask one after another")
    }
    assert {m.data for m in refused} == {b""}
    answer.go_on.set()
    await until(lambda: (fates() - before).total() >= 500, "the fate of all")
    found = fates() - before
    assert len(answer.asked) == found["answered"] in (room, room + 1)  # one may have been in hand already
    assert (found["refused"], found["outdated"]) == (len(refused), 0)
    assert found["dropped"] > 500 / 2


async def test_one_asker_cannot_keep_another_waiting(asker, bus, offered, nats_server):
    """Whoever else asks during a flood is next."""
    answer = Held()
    service = await offered(answer)
    await flood(asker, bus, 100)
    before = len(service._questions._waiting)
    async with connected(nats_server.url, "notify") as other:
        mine = structs.replace(QUESTION, zone="mine")
        asking = asyncio.create_task(other.request(STATS, mine, timeout=20))
        await until(lambda: len(service._questions._waiting) > before, "the other's question")
        answer.go_on.set()
        assert await asking == REPLY
        assert answer.asked.index(mine) == 1  # behind the one in hand


async def test_who_waited_too_long_is_left_out(asker, bus, offered, monkeypatch):
    """A question for whose answer nobody waits any more costs nothing; whoever asks then is answered."""
    answer, before = Held(), fates()
    await offered(answer)
    await flood(asker, bus, 20)
    await until(lambda: answer.asked, "a first question")
    begun = len(answer.asked)
    monkeypatch.setattr(module, "PATIENCE_S", 0.4)
    await asyncio.sleep(0.5)  # longer than anybody's patience
    answer.go_on.set()
    await until(lambda: (fates() - before).total() >= 20, "the fate of all")
    assert (fates() - before) == {"answered": begun, "outdated": 20 - begun}
    monkeypatch.undo()
    assert await asker.request(STATS, QUESTION, timeout=patient(5)) == REPLY


async def test_who_answers_is_told_during_a_flood(asker, bus, offered):
    """Discovery does not wait for answers."""
    await offered(Held())
    await flood(asker, bus, 100)
    assert len(await asker.ask_all("$SRV.PING.moretta-stats", wait_s=1)) == 1


async def test_what_is_longer_than_any_question_is_refused(asker, bus, offered):
    """Code 413, unread, room or not: so many wait that each must be short."""
    await offered(Held())
    answers = await flood(asker, bus, 1, b"x" * (module.LONGEST + 1))
    assert [msg.headers["Nats-Service-Error-Code"] for msg in await taken(answers)] == ["413"]


async def test_an_answer_too_large_says_so(asker, offered):
    """Code 413, and what to set."""
    period = REPLY.periods[0]

    async def much(_question):
        return structs.replace(REPLY, periods=[structs.replace(period, models=["m" * 60] * 200)] * 1_000)

    await offered(much)
    with pytest.raises(Failed) as failed:
        await asker.request(STATS, QUESTION, timeout=20)
    assert failed.value.code == "413"
    assert "8MB" in failed.value.why


async def test_sites_come_and_go(asker, bus, offered):
    """What is offered now is answered, what isn't has no responders; the instance stays the same."""
    service = await offered(say, at("cannes"), at("nice"))
    before = [json.loads(data)["id"] for data in await asker.ask_all("$SRV.PING.moretta-stats", wait_s=1)]
    await service.offer([at("nice", timezone="Asia/Tokyo"), at("lyon")])
    await settled(bus)
    with pytest.raises(NoWorkers):
        await asker.request(STATS, QUESTION, timeout=5)
    for site in ("nice", "lyon"):
        question, reply = (structs.replace(one, site=site) for one in (QUESTION, REPLY))
        assert await asker.request(STATS, question, timeout=patient(5)) == structs.replace(reply, site="cannes")
    (info,) = [json.loads(data) for data in await asker.ask_all(info_subject(STATS_SERVICE), wait_s=1)]
    assert [info["id"]] == before
    assert [e["metadata"].get("timezone") for e in info["endpoints"]] == ["Asia/Tokyo", None]


async def test_it_is_back_with_the_server(asker, bus, offered, nats_server):
    """A server that dies and comes back is answered again, by the same instance, endpoints and discovery alike."""
    await offered(say)
    nats_server.kill()
    await until(lambda: not bus.connected and not asker.connected)
    nats_server.start()
    answered = await until(
        lambda: asker.request(STATS, QUESTION, timeout=1), "an answer", 30,
        ignoring=(NoWorkers, TimeoutError, ConnectionError),
    )  # fmt: skip
    assert answered == REPLY
    assert len(await asker.ask_all("$SRV.PING.moretta-stats", wait_s=1)) == 1


async def test_it_stops_in_order(asker, offered):
    """The answer in hand goes out, a later question finds nobody, and stopping again does nothing."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_question):
        begun.set()
        await go_on.wait()
        return REPLY

    service = await offered(slow)
    asking = asyncio.create_task(asker.request(STATS, QUESTION, timeout=patient(10)))
    await begun.wait()
    stopping = asyncio.create_task(service.stop(5))
    with contextlib.suppress(NoWorkers):
        while True:
            with contextlib.suppress(TimeoutError):  # it came before the end of the subscription did
                await asker.request(STATS, QUESTION, timeout=0.2)
    go_on.set()
    await stopping
    assert await asking == REPLY
    await service.stop()


async def test_stopping_has_a_limit(asker, offered):
    """An answer that does not come is given up."""

    begun = asyncio.Event()

    async def never(_question):
        begun.set()
        await asyncio.Event().wait()

    service = await offered(never)
    asking = asyncio.create_task(asker.request(STATS, QUESTION, timeout=1))
    await begun.wait()
    async with asyncio.timeout(patient(20)):
        await service.stop(0.1)
    with pytest.raises(TimeoutError):
        await asking


async def test_reading_from_a_time_on(bus):
    """Only what was stored from then on is read, in order and by subject; nothing is left of the consumer."""
    for number in range(6):
        zone = "fish" if number % 2 else "_site"
        await bus.store(WINDOWS, window(number * MS, zone=zone))
        await asyncio.sleep(0.02)
    everything = [one async for one in bus.read(WINDOWS, site="cannes", zone="_site")]
    assert [one.message.start // MS for one in everything] == [0, 2, 4]
    since = everything[1].time - 5_000_000  # the times that nats-py tells are rounded
    assert [one.message.start // MS async for one in bus.read(WINDOWS, since=since, site="cannes")] == [2, 3, 4, 5]
    assert [
        one async for one in bus.read(WINDOWS, since=everything[2].time + 10**10, site="cannes", zone="_site")
    ] == []
    assert (await bus.streams.js.stream_info("WINDOWS")).state.consumer_count == 0


async def test_reading_what_is_not_there(bus, nats_server):
    """Where `history` waits, `read` says that JetStream does not answer."""
    nats_server.kill()
    await until(lambda: not bus.connected)
    with pytest.raises(Unavailable):
        _ = [one async for one in bus.read(WINDOWS, site="cannes")]
    nats_server.start()
    await until(lambda: bus.connected)
