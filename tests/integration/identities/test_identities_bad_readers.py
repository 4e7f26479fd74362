"""Bad readers on a real server: what each is told, and that nobody else, and no window, waits for it."""

import asyncio
import contextlib
import re
from collections.abc import Iterator

import pytest
from identity_matrix import admin
from mirrored import WINDOW, has, owner, publish, reached, zones_of
from msgspec import structs
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import BadRequestError
from on_bus import settled
from patience import patient, until
from readers import ACME, CITY, Readers, coming

from proto.subjects import ALERTS, CAMERAS, WINDOWS

pytestmark = pytest.mark.filterwarnings("ignore:parameter .timeout. of type .float.:DeprecationWarning")
_CUT = re.compile(r"MORETTA_SUBSCRIBERS_acme.* Slow Consumer Detected")
_LARGE = bytes(256 << 10)
_MANY = 400
"""So many of these fill the system's buffers and what the server keeps for a connection (`max_pending`)."""


@contextlib.contextmanager
def unread(one: Client) -> Iterator[None]:
    """Nothing of a connection is read meanwhile, as by a program that hangs."""
    socket = one._transport._io_reader._transport
    socket.pause_reading()
    try:
        yield
    finally:
        socket.resume_reading()


async def test_a_slow_consumer_is_cut_off_and_nobody_waits_for_it(server: Readers):
    """aggregate publishes on, another reader hears each window live, and the slow one finds all of them stored."""
    place, zones = CAMERAS.subject(site="x", camera="gate"), list[str]()
    async with owner(server) as bus, admin(server) as inside, coming(server, CITY) as other:
        await other.client.subscribe("moretta.v1.windows.>", cb=other.take)
        await settled(other.client)
        async with coming(server, ACME) as slow:
            await slow.client.subscribe("moretta.>", cb=slow.take)
            await settled(slow.client)
            with unread(slow.client):
                async with asyncio.timeout(patient(30)):
                    while not any(_CUT.search(line) for line in server.output):
                        if len(zones) < _MANY:
                            await inside.publish(place, _LARGE)
                        zones.append(f"z{len(zones)}")
                        await bus.store(WINDOWS, structs.replace(WINDOW, zone=zones[-1]))
            await until(lambda: slow.lost, "it is told")
            assert "nats: unexpected EOF" in slow.errors
            assert len(zones_of([msg for msg in slow.heard if ".windows." in msg.subject])) < len(zones)
        await until(lambda: len(other.heard) == len(zones), "the other hears all")
        assert zones_of(other.heard) == zones
        async with coming(server, ACME) as back:
            await until(lambda: has(back.client.jetstream(), "WINDOWS", len(zones)), "all are in its mirror")


async def test_a_durable_left_behind_holds_nothing_back(server: Readers):
    """Neither in the original nor in its mirror, which fills and goes on; the durable stays, and begins where it is."""
    async with coming(server, ACME) as one, coming(server, CITY) as other, admin(server) as inside:
        js, others, original = (each.jetstream() for each in (one.client, other.client, inside))
        before = (await original.stream_info("ALERTS")).state.consumer_count
        left = await js.add_consumer("ALERTS", ConsumerConfig(durable_name="left", deliver_policy=DeliverPolicy.ALL))
        assert not left.config.inactive_threshold, "no time removes it"
        for _ in range(50):
            await original.publish(ALERTS.subject(site="x", zone="x", rule="x"), bytes(60_000))
        for each in (js, others):
            await until(lambda each=each: reached(each, "ALERTS", 50), "the last one")
        whole, mine, theirs = [(await each.stream_info("ALERTS")).state for each in (original, js, others)]
        assert (whole.messages, whole.consumer_count) == (50, before)
        assert mine.bytes == theirs.bytes <= 2 << 20
        assert (await js.consumer_info("ALERTS", "left")).num_pending == mine.messages < 50
        pull = await js.pull_subscribe_bind("left", "ALERTS")
        assert (await pull.fetch(1, timeout=patient(5)))[0].metadata.sequence.stream == mine.first_seq


async def test_a_bad_reader_is_told_and_stands_in_nobodys_way(server: Readers):
    """More consumers than it may have, more unacknowledged than it may, an ack wait of a nanosecond, a lost durable."""
    await publish(server, "one")
    async with coming(server, ACME) as one, coming(server, CITY) as other:
        js = one.client.jetstream()
        for number in range(32):
            await js.add_consumer("WINDOWS", ConsumerConfig(durable_name=f"d{number}", ack_wait=1e-9))
        with pytest.raises(BadRequestError, match="maximum consumers limit reached"):
            await js.add_consumer("WINDOWS", ConsumerConfig(durable_name="more"))
        with pytest.raises(BadRequestError, match="max ack pending"):
            await js.add_consumer("ALERTS", ConsumerConfig(durable_name="many", max_ack_pending=100_000))
        pull = await js.pull_subscribe_bind("d1", "WINDOWS")
        for _ in range(20):
            assert await pull.fetch(1, timeout=patient(5))
        others = other.client.jetstream()
        got = await others.subscribe(
            "moretta.v1.windows.>", stream="WINDOWS", ordered_consumer=True, deliver_policy=DeliverPolicy.ALL
        )
        assert zones_of([await got.next_msg(timeout=patient(5))]) == ["one"]
        async with asyncio.timeout(patient(5)):
            await publish(server, "two")
