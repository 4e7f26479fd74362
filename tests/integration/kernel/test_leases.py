"""Leases in a real bucket: services.leases, on one server and on a cluster of three."""

import asyncio
import contextlib
import time

import pytest
from nats_cluster import NatsCluster
from on_bus import connected
from patience import patient, until

from proto.control import PauseStateV1
from proto.subjects import CAMERA_LEASES, PAUSE_STATE, REPLICAS
from services.kernel.app import end_tasks
from services.leases import Leases, Taking

GATE = ("cannes", "gate")
LIMIT_S = 30
NOISE_S = 10


@contextlib.asynccontextmanager
async def replica(url, name, replicas=1):
    """A replica that keeps its leases and its view."""
    async with connected(url, "ingest", replicas=replicas) as bus:
        await bus.ensure_streams(["KV_LEASES_INGEST"])
        leases = Leases(bus, CAMERA_LEASES, REPLICAS, name)
        await leases.announce()
        tasks = [asyncio.create_task(leases.watch()), asyncio.create_task(leases.keep())]
        try:
            yield leases
        finally:
            await end_tasks(tasks)


@pytest.fixture(name="url")
def _url(nats_server):
    return nats_server.url


def _holder(replica):
    entry = replica.view.leases.get(GATE)
    return entry and entry.holder


async def test_one_holds(url):
    """Of two at once one gets it; what it gives back the other has at once; numbers rise."""
    async with replica(url, "a") as a, replica(url, "b") as b:
        assert sorted(await asyncio.gather(a.take(GATE), b.take(GATE))) == [False, True]
        first, second = (a, b) if GATE in a.held else (b, a)
        number = first.held[GATE].number
        await asyncio.sleep(4)  # longer than an entry lives: it is kept alive
        assert not await second.take(GATE)
        await first.release(GATE)
        assert await second.take(GATE)
        assert second.held[GATE].number > number
        assert not first.held
        assert await second.renumber(GATE) > number
        await until(lambda: _holder(first) == second.me, limit_s=LIMIT_S)
        await second.leave()
        await until(lambda: second.me not in first.view.replicas, limit_s=LIMIT_S)


async def test_what_is_given_back_is_not_taken_back(url):
    """A replica knows its own release before the bucket tells; else the lease would look like an earlier life's."""
    async with connected(url, "ingest") as bus:
        await bus.ensure_streams(["KV_LEASES_INGEST"])
        leases = Leases(bus, CAMERA_LEASES, REPLICAS, "a")
        leases.view.replica("b", False)
        await leases.announce()
        await Taking(leases).turn([GATE, ("cannes", "hall")])
        (mine,) = leases.held
        await leases.release(mine)
        assert (leases.held, leases.view.leases) == ({}, {})
        assert await leases.take(mine), "it is nobody's"


async def test_a_silent_holder_loses_it(url):
    """Its entry expires; it hears so when it comes back, and holds on until then."""
    async with replica(url, "b") as b:
        async with replica(url, "a") as a:
            assert await a.take(GATE)
            await until(lambda: GATE in b.view.leases, limit_s=LIMIT_S)
            await until(lambda: a.is_valid(GATE), "a holder that is late is valid again")
            began = time.monotonic()
        assert a.held, "whoever can't write doesn't give up"
        await until(lambda: GATE not in b.view.leases, limit_s=LIMIT_S)
        assert 1 < time.monotonic() - began < patient(6 + NOISE_S)
        assert not a.is_valid(GATE), "by its own clock, before anybody else could take it"
        assert await b.take(GATE)


async def test_what_only_keeps_a_lease_alive_wakes_nobody(url):
    """Each lease is written every second: with some hundred a turn for each of these would cost a core."""
    async with replica(url, "a") as a, connected(url, "ingest") as bus:
        b = Leases(bus, CAMERA_LEASES, REPLICAS, "b")
        watching = asyncio.create_task(b.watch())
        assert await a.take(GATE)
        await until(lambda: GATE in b.view.leases and "a" in b.view.replicas, limit_s=LIMIT_S)
        b.changed.clear()
        revision = b.view.leases[GATE].revision
        await until(lambda: b.view.leases[GATE].revision > revision + 3, limit_s=LIMIT_S)
        assert not b.changed.is_set()
        a.set_live(GATE, live=True)
        await until(b.changed.is_set, limit_s=LIMIT_S)
        assert b.view.leases[GATE].live
        await end_tasks([watching])


async def test_what_is_offered_is_handed_over(url):
    """The holder goes on until another has taken it, and knows that it was its own offer; so is what has no effect."""
    async with replica(url, "a") as a, replica(url, "b") as b:
        assert await a.take(GATE)
        a.offer([GATE])
        await until(lambda: b.view.leases.get(GATE) and b.view.leases[GATE].offered, limit_s=LIMIT_S)
        assert await b.take(GATE)
        await until(lambda: _holder(a) == "b", limit_s=LIMIT_S)
        a.offer([])  # what the next turn would do: it is not its own any more
        await until(lambda: a.handed_over == {GATE}, limit_s=LIMIT_S)
        assert b.taken_over == {GATE}
        assert not a.held
        assert await a.take(GATE, idle_too=True), "b has no pictures yet"
        await until(lambda: not b.held, limit_s=LIMIT_S)
        assert not b.handed_over, "it offered nothing"
        a.set_live(GATE, live=True)
        await until(lambda: GATE in b.view.leases and b.view.leases[GATE].live, limit_s=LIMIT_S)
        assert not await b.take(GATE, idle_too=True)


async def test_a_write_that_was_not_heard_of(url):
    """Its own entry with a later revision is the holder's still: it goes on from there, under the same number."""
    async with replica(url, "a") as a:
        assert await a.take(GATE)
        number, revision = a.held[GATE].number, a.held[GATE].revision
        a.held[GATE].revision -= 1  # as if the acknowledgement of the last write had been lost
        await until(lambda: a.held[GATE].revision > revision, limit_s=LIMIT_S)
        assert a.held[GATE].number == number


async def test_a_number_rises_whatever_the_bucket_says(url):
    """An entry that is gone may have had another holder meanwhile: its old one goes on above whatever that one had."""
    async with replica(url, "a") as a:
        assert await a.take(GATE)
        number = a.held[GATE].number
        await a._bus.streams.js.purge_stream("KV_LEASES_INGEST")
        await until(lambda: a.held[GATE].number > number, limit_s=LIMIT_S)


async def test_a_bucket_that_is_gone_is_made_again(url):
    """Also without a lost connection."""
    async with replica(url, "a") as a:
        assert await a.take(GATE)
        await a._bus.streams.js.delete_stream("KV_LEASES_INGEST")
        number = a.held[GATE].number
        await until(lambda: a.held[GATE].number > number, limit_s=LIMIT_S)


@pytest.fixture(name="cluster")
def _cluster(tmp_path):
    cluster = NatsCluster(tmp_path).start()
    yield cluster
    cluster.stop()


async def test_two_record_the_same_order_on_a_cluster(cluster):
    """A cluster tells copies of one write at the same time apart in its own words: one is stored, none fails."""
    async with contextlib.AsyncExitStack() as stack:
        buses = [await stack.enter_async_context(connected(cluster.url, "ingest", replicas=3)) for _ in range(2)]
        await buses[0].ensure_streams(["CONTROL"])

        def state(last):
            return PauseStateV1(site="cannes", paused=True, operator="ana", at=last.at + 1 if last else 0)

        subject = PAUSE_STATE.subject(site="cannes")
        for number in range(20):
            name = f"order-{number}"
            await asyncio.gather(*(bus.streams.amend(PAUSE_STATE, subject, state, message_id=name) for bus in buses))
        assert [stored.message.at for stored in await buses[0].history(PAUSE_STATE, site="cannes")] == list(range(20))


@pytest.mark.alone
async def test_a_node_of_three_dies(cluster):
    """With the bucket's leader killed the holder holds on; then a dead holder's lease is free within 15 s."""
    async with replica(cluster.url, "b", 3) as b:
        async with replica(cluster.url, "a", 3) as a:
            assert await a.take(GATE)
            await until(lambda: GATE in b.view.leases, limit_s=LIMIT_S)
            info = await b._bus.streams.js.stream_info("KV_LEASES_INGEST")
            began, revision = time.monotonic(), a.held[GATE].revision
            cluster.servers[int(info.cluster.leader[1:])].kill()
            await until(lambda: a.held[GATE].revision > revision, limit_s=LIMIT_S)
            renewed = time.monotonic() - began
            assert not b.held
        began = time.monotonic()
        await until(lambda: b.take(GATE), "it is free", LIMIT_S, every_s=0.1)
        assert (renewed < patient(15), time.monotonic() - began < patient(15)) == (True, True)
