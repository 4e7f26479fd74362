"""Asking for one message after another reads what a consumer reads: the same messages, in the same order."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from golden import BY_TYPE
from msgspec import structs
from on_bus import connected
from patience import patient, until

from proto.codec import encode
from proto.subjects import DEAD, DELIVERIES, NOTIFICATIONS, WINDOWS
from services.bus import Bus, Stored, StreamReset

FILTERS = [DELIVERIES.wildcard(site="s0"), NOTIFICATIONS.wildcard(site="s1")]


@pytest.fixture(name="buses")
async def _buses(nats_server) -> AsyncIterator[tuple[Bus, Bus]]:
    """Who has consumers, and who asks."""
    async with connected(nats_server.url, "aggregate") as owner, connected(nats_server.url, "notify") as asking:
        await owner.ensure_streams(["DELIVERIES", "WINDOWS"])
        assert "DELIVERIES" in asking.streams.asked
        assert not owner.streams.asked
        yield owner, asking


async def tell(bus: Bus, numbers: range) -> None:
    """Store deliveries and notifications of two sites, in turn."""
    for number in numbers:
        row = (DELIVERIES, NOTIFICATIONS)[number % 2]
        await bus.store(row, structs.replace(BY_TYPE[row.message], site=f"s{number // 2 % 2}"))


def told(found: list[Stored]) -> list[Stored]:
    """Without the time, which nats-py reads from a consumer's messages as a float: up to 1 µs off."""
    return [replace(one, time=0) for one in found]


async def test_both_read_the_same(buses: tuple[Bus, Bus]):
    """All, from a sequence on, the last of each subject, and from a moment on, however it falls."""
    owner, asking = buses
    await tell(owner, range(20))
    for row, tokens in ((DELIVERIES, {}), (NOTIFICATIONS, {"site": "s1"})):
        all_ = await owner.history(row, **tokens)
        assert told(await asking.history(row, **tokens)) == told(all_)
        assert len(all_) in {5, 10}
        for start in (1, 7, 20, 21):
            found = [told(await bus.history_from(start, row, **tokens)) for bus in buses]
            assert found[1] == found[0]
        assert told(await asking.latest(row, **tokens)) == told(await owner.latest(row, **tokens))
        for number, since in enumerate([*(one.time - 5_000 for one in all_), all_[-1].time + 60_000_000_000]):
            read = [told([one async for one in bus.read(row, since=since, **tokens)]) for bus in buses]
            assert read[1] == read[0] == told(all_[number:])
    both = [told(await bus.streams.history("DELIVERIES", FILTERS)) for bus in buses]
    assert both[1] == both[0]
    assert len(both[0]) == 10
    assert await asking.last(DELIVERIES, site="none", receiver="x") is None
    assert (await asking.first(DELIVERIES, **_tokens(all_[0]))) is None


def _tokens(stored: Stored) -> dict[str, str]:
    return {**dict.fromkeys(DELIVERIES.fields, "nobody"), "site": stored.message.site}


async def test_both_follow_the_same(buses: tuple[Bus, Bus]):
    """What was there and what comes, once and in order; a stream made anew is told and read from its start."""
    seen: list[list[object]] = [[], []]

    async def follow(bus: Bus, into: list[object]) -> None:
        async for one in bus.follow("DELIVERIES", FILTERS):
            into.append("reset" if isinstance(one, StreamReset) else one.sequence)  # noqa: PERF401 - as it comes

    await tell(buses[0], range(8))
    following = [asyncio.create_task(follow(*pair)) for pair in zip(buses, seen, strict=True)]
    await until(lambda: len(seen[0]) == len(seen[1]) == 4)
    await tell(buses[0], range(8))
    await until(lambda: len(seen[0]) == len(seen[1]) == 8)
    await buses[0].streams.js.delete_stream("DELIVERIES")
    await buses[0].ensure_streams(["DELIVERIES"])
    await tell(buses[0], range(4))
    await until(lambda: len(seen[0]) == len(seen[1]) == 11, limit_s=30)
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
    assert seen[1] == seen[0]
    assert seen[0] == [1, 4, 5, 8, 9, 12, 13, 16, "reset", 1, 4]


async def test_all_of_a_stream_is_asked_for_once(buses: tuple[Bus, Bus], monkeypatch):
    """Filters that leave out nothing cost one request a message, however many they are: leases are read so."""
    owner, asking = buses
    await tell(owner, range(12))
    filters, asked = [DELIVERIES.wildcard(), NOTIFICATIONS.wildcard()], []
    get_msg = asking.streams.js.get_msg

    async def get(*arguments, **options):
        asked.append(options["subject"])
        return await get_msg(*arguments, **options)

    monkeypatch.setattr(asking.streams.js, "get_msg", get)
    found = [told(await bus.streams.history("DELIVERIES", filters)) for bus in buses]
    assert found[1] == found[0]
    assert asked == [">"] * 12
    asked.clear()
    assert len(await asking.history(DELIVERIES)) == 6
    assert set(asked) == {DELIVERIES.wildcard()}, "what it leaves out is not read"


async def test_what_cannot_be_read_is_left_out(buses: tuple[Bus, Bus]):
    """Bytes that are no message stop neither who reads them nor who stores behind them."""
    owner, asking = buses
    window = BY_TYPE[WINDOWS.message]
    await owner.streams.js.publish(WINDOWS.of(window), b'{"type":"io.nats.jetstream.api.v1.stream_info_response"}')
    assert await owner.store_once(WINDOWS, window, is_done=lambda _: False)
    assert not await owner.store_once(WINDOWS, window, is_done=lambda _: False)
    for bus in (owner, asking):
        assert [one.message for one in await bus.history(WINDOWS)] == [window]
        assert [one.message for one in await bus.latest(WINDOWS)] == [window]


async def test_what_goes_while_it_is_read_is_not_waited_for(buses):
    """The stream is emptied after the first message was read, as when it is full: the reading ends all the same."""
    owner, _ = buses
    await owner.ensure_streams(["DEAD"])
    big = structs.replace(BY_TYPE[DEAD.message], payload=bytes(100_000))
    for _ in range(400):  # more than the server sends before it waits
        await owner.streams.js.publish(DEAD.of(big), encode(DEAD, big))
    found = owner.streams.read("DEAD", [DEAD.wildcard()], 0)
    await anext(found)
    await owner.streams.js.purge_stream("DEAD")
    async with asyncio.timeout(patient(60)):
        left = [stored async for stored in found]
    assert len(left) < 399
