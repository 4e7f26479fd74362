"""An RTSP server that lies: each path has a lie of its own, and what is no lie works (RFC 2326, RFC 6184)."""

import asyncio
import base64
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Self

CLOCK_HZ, PICTURES_S = 90_000, 25
_PIECE = 1200
_FULL = 64 << 10

Answer = tuple[str, list[str], bytes]
"""Status, header lines, body."""


def described(sprop: Iterable[bytes] = ()) -> bytes:
    """Return a description of one H.264 stream."""
    sets = ",".join(base64.b64encode(unit).decode() for unit in sprop)
    more = f";sprop-parameter-sets={sets}" if sets else ""
    lines = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=-", "t=0 0", "m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000"]
    return "\r\n".join([*lines, f"a=fmtp:96 packetization-mode=1{more}", "a=control:track1", ""]).encode()


class Packets:
    """Makes one stream's RTP packets, interleaved in the connection (RFC 2326, 10.12)."""

    def __init__(self, channel: int = 0) -> None:
        self._channel, self._sequence = channel, itertools.count()

    def picture(self, units: list[bytes], index: int) -> bytes:
        """Return a picture's packets; the last one has the marker."""
        payloads = [payload for unit in units for payload in _payloads(unit)]
        stamp = index * CLOCK_HZ // PICTURES_S
        return b"".join(self.packet(one, stamp, is_last=one is payloads[-1]) for one in payloads)

    def packet(self, payload: bytes, stamp: int, *, is_last: bool) -> bytes:
        """Return one packet."""
        head = bytes([0x80, 96 | is_last << 7]) + (next(self._sequence) & 0xFFFF).to_bytes(2, "big")
        rtp = head + (stamp & 0xFFFFFFFF).to_bytes(4, "big") + b"\0\0\0\1" + payload
        return b"$" + bytes([self._channel]) + len(rtp).to_bytes(2, "big") + rtp


def _payloads(unit: bytes) -> list[bytes]:
    """A unit alone, or in fragments (RFC 6184, 5.8)."""
    if len(unit) <= _PIECE:
        return [unit]
    pieces = [unit[at : at + _PIECE] for at in range(1, len(unit), _PIECE)]
    heads = [unit[0] & 0x1F | 0x80 * (i == 0) | 0x40 * (i == len(pieces) - 1) for i in range(len(pieces))]
    return [bytes([unit[0] & 0xE0 | 28, head]) + piece for head, piece in zip(heads, pieces, strict=True)]


def units_of(annex_b: bytes) -> list[list[bytes]]:
    """Return an H.264 stream's pictures, each with the parameter sets before it, as units; one slice a picture."""
    pictures: list[list[bytes]] = [[]]
    for unit in annex_b.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]:
        pictures[-1].append(unit)
        if unit[0] & 0x1F in {1, 5}:
            pictures.append([])
    return pictures[:-1]


Stream = Callable[[], AsyncIterator[bytes]]


@dataclass
class Lie:
    """What a path says in place of the truth: the answer to one method, and what follows without end."""

    stream: Stream | None = None
    """What is sent after PLAY; None: nothing comes."""
    method: str = ""
    head: list[str] = field(default_factory=list)
    status: str = "200 OK"
    forever: bytes = b""
    """What follows the head of the answer to this method, for ever."""


class LyingRtsp:
    """Serves each path of `lies`; `asked` counts the connections by path."""

    def __init__(self, lies: dict[str, Lie]) -> None:
        self.lies, self.asked = lies, dict.fromkeys(lies, 0)
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def url(self, path: str) -> str:
        return f"rtsp://127.0.0.1:{self.port}/{path}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                while True:
                    await self._answer(await reader.readuntil(b"\r\n\r\n"), writer)
        except asyncio.CancelledError:
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _answer(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        method, url, *_ = request.decode("latin-1").split(" ", 2)
        number = request.lower().partition(b"cseq:")[2].split(b"\r\n")[0].strip().decode()
        path = url.split("/", 3)[-1].split("/")[0]
        lie = self.lies[path]
        self.asked[path] += method == "OPTIONS"
        status, lines, body = _honest(method)
        if method == lie.method:
            status, lines, body = lie.status, lie.head, b""
        elif body:
            lines = [*lines, f"Content-Length: {len(body)}"]
        text = "\r\n".join([f"RTSP/1.0 {status}", f"CSeq: {number}", *lines])
        is_endless = method == lie.method and bool(lie.forever)
        writer.write(text.encode() + (b"\r\n" if is_endless else b"\r\n\r\n") + body)
        await writer.drain()
        while is_endless:
            writer.write(lie.forever * (_FULL // len(lie.forever)))
            await writer.drain()
        if method == "PLAY" and lie.stream is not None:
            async for data in lie.stream():
                writer.write(data)
                await writer.drain()


def _honest(method: str) -> Answer:
    if method == "DESCRIBE":
        return "200 OK", ["Content-Type: application/sdp"], described()
    if method == "SETUP":
        return "200 OK", ["Session: 7", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"], b""
    if method == "PLAY":
        return "200 OK", ["Session: 7"], b""
    return "200 OK", ["Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"], b""


async def at_pace(pictures: Iterable[list[bytes]], pictures_s: float = PICTURES_S) -> AsyncIterator[bytes]:
    """Yield pictures as packets, so many a second."""
    packets, loop = Packets(), asyncio.get_running_loop()
    began = loop.time()
    for index, units in enumerate(pictures):
        yield packets.picture(units, index)
        await asyncio.sleep(max(0.0, began + (index + 1) / pictures_s - loop.time()))


async def without_end(channel: int = 0) -> AsyncIterator[bytes]:
    """Yield fragments of one unit that never ends, as fast as they are taken."""
    packets, fragment = Packets(channel), b"\x7c\x05" + bytes(range(1, 201)) * 6
    yield packets.packet(b"\x7c\x85" + fragment[2:], 0, is_last=False)
    while True:
        yield b"".join(packets.packet(fragment, 0, is_last=False) for _ in range(50))
