"""Messages come whole and in order, however their bytes are cut on the way: services.bus.wire, without a socket."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.bus import wire
from services.bus.wire import LargeParser

LARGE, SCRATCH = 128, 64
SIZES = st.one_of(st.integers(0, 20), st.integers(LARGE - 2, LARGE + 2), st.integers(0, 4 * LARGE))
CUTS = st.lists(st.one_of(st.integers(1, 9), st.integers(1, 300)), min_size=1, max_size=30)


@pytest.fixture(autouse=True, scope="module")
def _small():
    """Large is not much here, so that all that can happen does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "LARGE", LARGE)
        patch.setattr(wire, "_SCRATCH", SCRATCH)
        yield


class Transport:
    """Says whether it may read; nothing behind it."""

    reads, closing = True, False

    def is_closing(self) -> bool:
        return self.closing

    def get_extra_info(self, _name: str) -> None:
        return None  # no TLS

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


class Behind:
    """The protocol that was there before, which hears what isn't data."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def __getattr__(self, name: str):
        return lambda *_: self.heard.append(name)


class Client:
    """What the parser needs of nats-py's client: it keeps what it is handed."""

    max_payload = 8 << 20

    def __init__(self, first: bytes = b"") -> None:
        self.got: list[tuple[bytes, bytes, bytes | None]] = []
        self.transport, self.behind = Transport(), Behind()
        self._transport = wire.Wire()
        self._transport._intake = wire._Intake(self.transport, self.behind, first)  # type: ignore[arg-type]
        self._ps = LargeParser(self)

    async def _process_msg(self, _sid, subject, _reply, data, headers) -> None:
        self.got.append((subject, bytes(data), headers or None))

    async def _process_ping(self) -> None:
        self.got.append((b"PING", b"", None))

    @property
    def intake(self):
        """What receives."""
        return self._transport._intake

    async def read_on(self) -> None:
        """As nats-py's own loop does."""
        while not self._transport.at_eof():
            await self._ps.parse(await self._transport.read(1))

    async def feed(self, data: bytes, cuts: list[int]) -> None:
        """Bring these bytes, in pieces of these lengths; never more at once than there is room for."""
        at, turn = 0, 0
        while at < len(data):
            while not self.transport.reads:
                await asyncio.sleep(0)
            room = self.intake.get_buffer(-1)
            some = data[at : at + min(len(room), cuts[turn % len(cuts)])]
            room[: len(some)] = some
            self.intake.buffer_updated(len(some))
            at, turn = at + len(some), turn + 1
            if turn % 3 == 0:
                await asyncio.sleep(0)


def message(number: int, size: int, *, headers: bool) -> tuple[bytes, tuple[bytes, bytes, bytes | None]]:
    """Bytes as the server sends them, and what is to come of them."""
    payload, subject = bytes([number]) * size, b"a.%d" % number
    if not headers:
        return b"MSG %b 1 %d\r\n%b\r\n" % (subject, size, payload), (subject, payload, None)
    head = b"NATS/1.0\r\nNumber: %d\r\n\r\n" % number
    line = b"HMSG %b 1 inbox %d %d\r\n" % (subject, len(head), len(head) + size)
    return line + head + payload + b"\r\n", (subject, payload, head)


@given(st.lists(st.tuples(SIZES, st.booleans()), min_size=1, max_size=6), CUTS, st.integers(0, 500))
def test_messages_come_whole_and_in_order(messages, cuts, ahead):
    """Small and large ones in turn, with headers and without; `ahead` bytes were read before by the stream reader."""

    async def run() -> None:
        made = [message(number, size, headers=headers) for number, (size, headers) in enumerate(messages)]
        data = b"PING\r\n".join(part for part, _ in made)
        client = Client(data[:ahead])
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            group.create_task(client.read_on())
            await client.feed(data[ahead:], cuts)
            client.intake.eof_received()
        expected = [one for _, told in made for one in (told, (b"PING", b"", None))][:-1]
        assert client.got == expected

    asyncio.run(run())


@pytest.mark.parametrize("headers", [False, True])
async def test_an_end_in_the_middle_hands_nothing_on(headers: bool):
    """What had come is forgotten; the reader learns of the end by an empty read, and the one behind hears of it."""
    client = Client()
    whole, _ = message(1, 5 * LARGE, headers=headers)
    reading = asyncio.create_task(client.read_on())
    await client.feed(whole[:LARGE], [50])
    client.intake.connection_lost(None)
    async with asyncio.timeout(20):
        await reading
    assert client.got == []
    assert client.behind.heard == ["connection_lost"]
    assert await client._transport.read(1) == b""


async def test_what_is_too_large_to_be_true_takes_no_memory():
    """nats-py's own parser gathers it, as it comes, until the connection ends."""
    client = Client()
    reading = asyncio.create_task(client.read_on())
    await client.feed(b"MSG a 1 %d\r\n" % (1 << 50), [100])
    for _ in range(10):
        await asyncio.sleep(0)
    client.intake.connection_lost(None)
    await reading
    assert client.got == []


def test_who_writes_hears_when_to_wait():
    """nats-py waits in `drain`, which the stream's protocol ends."""
    client = Client()
    client.intake.pause_writing()
    client.intake.resume_writing()
    assert client.behind.heard == ["pause_writing", "resume_writing"]
