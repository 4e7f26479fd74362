"""The bus on a real server."""

import asyncio
import signal

import nats.errors
import pytest
from nats.js.errors import APIError
from patience import patient, until

from proto.public import WindowV1
from proto.sightings import SiteConfigV1, TickV1
from proto.subjects import SIGHTINGS, SITE_CONFIG, TICKS, WINDOWS
from services.bus import Bus, Fenced, NatsSettings, StreamReset
from services.kernel.app import end_tasks

MS = 1_000_000


def window(start: int, persons: int = 1) -> WindowV1:
    return WindowV1(site="s", zone="_site", profile="lab", start=start * MS, end=(start + 10) * MS, persons=persons)


async def test_store_and_history(bus: Bus):
    """What was stored comes back in order with the server's times."""
    for start in (10, 20, 30):
        await bus.store(WINDOWS, window(start))
    back = await bus.history(WINDOWS, site="s")
    assert [s.message for s in back] == [window(10), window(20), window(30)]
    assert [s.sequence for s in back] == [1, 2, 3]
    assert back[0].time <= back[1].time <= back[2].time
    assert back[0].time > 1_700_000_000 * 10**9


async def test_history_of_an_empty_stream(bus: Bus):
    """Reading back nothing returns at once."""
    async with asyncio.timeout(patient(5)):
        assert await bus.history(WINDOWS, site="s") == []


async def test_last(bus: Bus):
    """The last message of a subject, or None."""
    assert await bus.last(WINDOWS, site="s", zone="_site") is None
    await bus.store(WINDOWS, window(10))
    await bus.store(WINDOWS, window(20))
    last = await bus.last(WINDOWS, site="s", zone="_site")
    assert last is not None
    assert (last.message, last.sequence) == (window(20), 2)
    assert last.time > 1_700_000_000 * 10**9


async def test_store_tries_on_while_its_own_earlier_try_is_on_its_way(bus: Bus, monkeypatch: pytest.MonkeyPatch):
    """A cluster's answer to the same id while it is being stored (10158) is no failure; the message is stored once."""
    real, tries = bus.streams.js.publish, []

    async def publish(subject, payload, **more):
        tries.append(more["headers"]["Nats-Msg-Id"])
        ack = await real(subject, payload, **more)
        if len(tries) == 1:
            raise nats.errors.TimeoutError
        if len(tries) == 2:
            raise APIError(code=409, err_code=10158)
        return ack

    monkeypatch.setattr(bus.streams.js, "publish", publish)
    assert await bus.store(WINDOWS, window(10)) == 1
    assert len(tries) == 3
    assert len(set(tries)) == 1
    assert [stored.message for stored in await bus.history(WINDOWS, site="s")] == [window(10)]


async def test_store_once_stores_once(bus: Bus):
    """The same message a second time is recognised."""
    assert await bus.store_once(WINDOWS, window(10), is_done=lambda last: last.start >= 10 * MS)
    assert not await bus.store_once(WINDOWS, window(10), is_done=lambda last: last.start >= 10 * MS)
    assert len(await bus.history(WINDOWS, site="s")) == 1


async def test_store_once_of_three_at_a_time(bus: Bus):
    """Three writers of the same bytes at once: one message."""
    calls = [bus.store_once(WINDOWS, window(10), is_done=lambda last: last.start >= 10 * MS) for _ in range(3)]
    assert sorted(await asyncio.gather(*calls)) == [False, False, True]
    assert len(await bus.history(WINDOWS, site="s")) == 1


async def test_storing_waits_for_a_valid_lease(bus: Bus, monkeypatch: pytest.MonkeyPatch):
    """Nothing goes out while the lease is not valid, also where it runs out between reading and writing."""
    valid, real = False, bus.streams.end_of

    async def read(row, subject):
        nonlocal valid
        found = await real(row, subject)
        if not reads:
            reads.append(await bus.store(WINDOWS, window(10)))
            valid = False
        return found

    reads: list[int] = []
    monkeypatch.setattr(bus.streams, "end_of", read)
    late = asyncio.create_task(bus.store(WINDOWS, window(30), held=lambda: valid))
    await asyncio.sleep(0.3)
    assert await bus.history(WINDOWS, site="s") == []
    await end_tasks([late])
    valid = True
    once = bus.store_once(WINDOWS, window(10), is_done=lambda last: last.start >= 10 * MS, held=lambda: valid)
    task = asyncio.create_task(once)
    await asyncio.sleep(0.3)
    assert not task.done()
    valid = True
    assert await task is False, "what it read before it was frozen is old"
    assert len(await bus.history(WINDOWS, site="s")) == 1


async def test_store_once_fences_a_zombie(bus: Bus, monkeypatch: pytest.MonkeyPatch):
    """Who finds other bytes written since it read stops."""
    real = bus.streams.end_of
    reads = 0

    async def stale_read(row, subject):
        nonlocal reads
        reads += 1
        if reads == 1:
            before = await real(row, subject)
            await bus.store(WINDOWS, window(10, persons=7))
            return before
        return await real(row, subject)

    monkeypatch.setattr(bus.streams, "end_of", stale_read)
    with pytest.raises(Fenced):
        await bus.store_once(WINDOWS, window(10, persons=9), is_done=lambda _: False)


async def test_follow_goes_on_over_a_new_stream(bus: Bus, nats_server):
    """A killed server loses its memory stream: the follower says so and reads the new one from its start."""
    seen: list[object] = []

    async def read() -> None:
        async for item in bus.follow("SIGHTINGS", [SITE_CONFIG.wildcard(site="s"), TICKS.wildcard(site="s")]):
            seen.append(item if isinstance(item, StreamReset) else item.message)  # noqa: PERF401 - as it comes

    task = asyncio.create_task(read())
    for _ in range(3):
        await bus.store(TICKS, TickV1(site="s"))
    await until(lambda: len(seen) == 3)
    nats_server.kill()
    nats_server.start()
    await bus.store(SITE_CONFIG, SiteConfigV1(site="s", sha256="0" * 64, config="{}"))
    await until(lambda: len(seen) == 5)
    await end_tasks([task])
    assert isinstance(seen[3], StreamReset)
    assert isinstance(seen[4], SiteConfigV1)


async def test_follow_survives_a_frozen_server(bus: Bus, nats_server):
    """SIGSTOP for longer than the heartbeat's patience loses nothing and doubles nothing."""
    seen: list[int] = []

    async def read() -> None:
        async for item in bus.follow("SIGHTINGS", [TICKS.wildcard(site="s")]):
            seen.append(item.sequence)  # noqa: PERF401 - as it comes

    task = asyncio.create_task(read())
    await bus.store(TICKS, TickV1(site="s"))
    await until(lambda: seen == [1])
    nats_server.signal(signal.SIGSTOP)
    await asyncio.sleep(6)
    nats_server.signal(signal.SIGCONT)
    await bus.store(TICKS, TickV1(site="s"))
    await until(lambda: seen == [1, 2])
    await end_tasks([task])


@pytest.mark.alone
@pytest.mark.parametrize("backlog", [0, 30])
async def test_close_on_a_frozen_server_is_bounded(nats_server, backlog):
    """A frozen server can't keep a service from stopping, nor a connection open: also behind much that waits.

    The steps' limits are 5 s together; nats-py alone would wait for 10.
    """
    bus = await Bus.connect(NatsSettings(url=nats_server.url), "notify")
    client = bus.client
    await client.subscribe("anything")
    nats_server.signal(signal.SIGSTOP)
    sending = [asyncio.create_task(client.publish("backlog", bytes(700_000))) for _ in range(backlog)]
    async with asyncio.timeout(9):
        await bus.close()
    assert client._transport._io_writer.transport.is_closing()
    await end_tasks(sending)
    nats_server.signal(signal.SIGCONT)


async def test_sightings_row_belongs_to_its_stream(bus: Bus):
    """The table's stream takes the table's subjects."""
    info = await bus.streams.js.stream_info(str(SIGHTINGS.stream))
    assert SIGHTINGS.wildcard() in (info.config.subjects or [])
