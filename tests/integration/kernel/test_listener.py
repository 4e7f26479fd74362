"""What a stranger may do to any of our HTTP servers, over real sockets: services.kernel.listener."""

import asyncio
import contextlib
import gc
import gzip
import socket
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from patience import patient, until

from services.kernel import listener as sut
from services.kernel.listener import Listener, runner_of

LIMIT_S = 30
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(name="idle_s")
def _idle_s() -> float:
    return 2.0


@pytest.fixture(name="host")
def _host() -> str:
    return "127.0.0.1"


@pytest.fixture(name="port")
async def _port(monkeypatch: pytest.MonkeyPatch, idle_s: float, host: str) -> AsyncIterator[int]:
    """A server behind a listener whose limits are those of a test; it answers with the size of the body."""
    for name, value in {"MAX_CONNECTIONS": 10, "EACH": 4, "IDLE_S": idle_s, "UNREAD_S": 2.0}.items():
        monkeypatch.setattr(sut, name, value)

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    app = web.Application(client_max_size=1000)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = runner_of(app)
    await runner.setup()
    door = Listener(runner.server)
    yield await door.open(host, 0)
    await door.close()
    await runner.cleanup()


async def connect(port: int, source: str = "127.0.0.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect from another of the loopback's addresses."""
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))


async def status(port: int, request: bytes = REQUEST, source: str = "127.0.0.1") -> bytes:
    """The first line of the answer; empty if the connection was closed without a word."""
    async with asyncio.timeout(patient(LIMIT_S)):
        reader, writer = await connect(port, source)
        with contextlib.suppress(ConnectionError):
            writer.write(request)
            await writer.drain()
        try:
            return await reader.readline()
        except ConnectionError:
            return b""
        finally:
            writer.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::"])  # of the latter IPv4 addresses are seen as IPv6 ones
@pytest.mark.parametrize("idle_s", [patient(2.0)], ids=["patient"])  # none may be let go before all are there
async def test_one_address_cannot_take_all_connections(port: int):
    """Beyond its share it is refused and others are served; beyond the bound of all nobody is; idle ones are let go."""
    held = [await connect(port) for _ in range(4)]
    held += [await connect(port, source) for source in ("127.0.0.2", "127.0.0.5") for _ in range(2)]
    assert await status(port) == b""
    held += [await connect(port, "127.0.0.3") for _ in range(2)]
    held[-1][1].write(REQUEST)
    assert await asyncio.wait_for(held[-1][0].readuntil(b"\r\n\r\n0"), patient(LIMIT_S))
    assert await status(port, source="127.0.0.4") == b""
    async with asyncio.timeout(patient(LIMIT_S)):
        assert [await reader.read() for reader, _ in held] == [b""] * 10
        for _, writer in held:
            writer.close()
        await until(lambda: status(port), "the server forgets them a moment later", LIMIT_S)


@pytest.mark.parametrize("request_", [b"GET / HTTP/1.1\r\nHost: ", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9"])
async def test_a_head_that_drips_is_not_waited_for(port: int, request_: bytes):
    """A byte now and then is no sign of life: a head has its time, and no longer."""
    reader, writer = await connect(port)
    writer.write(request_)
    began, over = time.monotonic(), asyncio.ensure_future(reader.read())
    while not over.done():
        assert time.monotonic() - began < patient(LIMIT_S)
        with contextlib.suppress(ConnectionError):
            writer.write(b"0")
        await asyncio.wait([over], timeout=0.2)
    with contextlib.suppress(ConnectionError):
        assert over.result() == b""
    assert time.monotonic() - began > 1
    writer.close()


async def test_who_reads_no_answer_is_let_go(port: int):
    """Answers that nobody reads keep no connection, and nothing is kept for it."""
    held = [await connect(port) for _ in range(4)]
    for _, writer in held:
        writer.transport.pause_reading()
        writer.write(REQUEST * 20_000)
    await until(lambda: status(port), "there is room", LIMIT_S, every_s=0.1)
    for _, writer in held:
        writer.transport.abort()


@pytest.mark.parametrize(
    ("request_", "answered"),
    [
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 9_000 + b"\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(200)) + b"\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n" + b"a" * 1_001, b"413"),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1f4\r\n%b\r\n" % (b"a" * 500) * 9,
            b"413",
        ),
    ],
    ids=["address", "header", "headers", "body", "chunks"],
)
async def test_what_is_too_large_is_refused(port: int, request_: bytes, answered: bytes, caplog):
    """Address, header, number of headers, body; and what was sent is not in the log."""
    assert (await status(port, request_)).split(b" ")[1] == answered
    assert caplog.text == ""


async def test_a_body_is_not_unpacked(port: int):
    """What a gzip bomb would become is never made: the body has the size that was sent."""
    bomb = gzip.compress(bytes(900_000))
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    assert len(bomb) < 1_000
    async with asyncio.timeout(patient(LIMIT_S)):
        reader, writer = await connect(port)
        writer.write(head.encode() + bomb)
        assert await reader.readuntil(b"\r\n\r\n") != b""
        assert await reader.readexactly(3) == str(len(bomb)).encode()
        writer.close()


@pytest.mark.parametrize(
    ("address", "who"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_who_shares_a_network_of_ipv6_is_one(address: str, who: str):
    """A subscriber has 2**64 addresses of IPv6 and one of IPv4."""
    assert sut._network(address) == who


async def test_who_came_just_before_the_end_is_closed(recwarn: pytest.WarningsRecorder):
    """Its greeting is cancelled before it began: nobody but the listener has the socket."""
    runner = runner_of(web.Application())
    await runner.setup()
    door = Listener(runner.server)
    port = await door.open("127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", port)):  # by the kernel alone: the loop doesn't turn meanwhile
        async with asyncio.timeout(patient(LIMIT_S)):
            while not door._greeted:
                await asyncio.sleep(0)
        await door.close()
    await runner.cleanup()
    gc.collect()
    assert not [str(one.message) for one in recwarn if one.category is ResourceWarning]
