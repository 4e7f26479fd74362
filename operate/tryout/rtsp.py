"""A camera that speaks RTSP 1.0 (RFC 2326): one film again and again, from its beginning for each client.

RTP comes on the RTSP connection itself (section 10.12), without a password. GStreamer's server would add 40 MB to the
image.
"""

import asyncio
import itertools
import random
import re
import time
from dataclasses import dataclass

from aiortc.rtp import RtpPacket

from operate.tryout.films import Film

_CLOCK, _TYPE = 90_000, 96
_DATA = b"$"
"""What begins a part that is no request: what a client tells by RTCP, which is of no use here."""
_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"
_SDP = (
    "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=Moretta's try-out\r\nt=0 0\r\na=control:*\r\n"
    f"m=video 0 RTP/AVP {_TYPE}\r\na=rtpmap:{_TYPE} H264/{_CLOCK}\r\n"
    f"a=fmtp:{_TYPE} packetization-mode=1\r\na=control:track\r\n"
)
_REQUEST = re.compile(r"([A-Z_]+) (\S+) RTSP/1\.0\r\n")
_HEADER = re.compile(r"^([A-Za-z-]+): *(.*?)\r$", re.MULTILINE)
_SESSION = {"Session": "1;timeout=60"}
Headers = dict[str, str]


@dataclass(frozen=True)
class Request:
    """A client's request; names of headers are in small letters."""

    method: str
    url: str
    headers: Headers


@dataclass(frozen=True)
class Answer:
    """What it gets: status, headers, and a description of the session."""

    status: str
    headers: Headers
    body: str = ""

    def written(self, number: str) -> bytes:
        """Return its bytes; `number` is the request's `CSeq`."""
        size = {"Content-Length": str(len(self.body))} if self.body else {}
        lines = [f"{name}: {value}\r\n" for name, value in ({"CSeq": number} | self.headers | size).items()]
        return f"RTSP/1.0 {self.status}\r\n{''.join(lines)}\r\n{self.body}".encode()


def parsed(head: str) -> Request | None:
    """Return the request of a head; None if it is none."""
    line = _REQUEST.match(head)
    headers = {name.lower(): value for name, value in _HEADER.findall(head)}
    return Request(line[1], line[2], headers) if line else None


def answer(request: Request) -> Answer:
    """Return the answer to a request."""
    match request.method:
        case "OPTIONS":
            return Answer("200 OK", {"Public": _METHODS})
        case "DESCRIBE":
            return Answer("200 OK", {"Content-Type": "application/sdp", "Content-Base": f"{request.url}/"}, _SDP)
        case "SETUP" if "RTP/AVP/TCP" not in request.headers.get("transport", ""):
            return Answer("461 Unsupported Transport", {})
        case "SETUP":
            return Answer("200 OK", {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1", **_SESSION})
        case "PLAY" | "GET_PARAMETER" | "TEARDOWN":
            return Answer("200 OK", _SESSION)
    return Answer("501 Not Implemented", {"Public": _METHODS})


class RtspCamera:
    """Shows a film to each client from its beginning, again and again."""

    def __init__(self, film: Film) -> None:
        self._film = film

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a client until it goes."""
        sending: asyncio.Task[None] | None = None
        try:
            while (request := await _next(reader)) is not None:
                writer.write(answer(request).written(request.headers.get("cseq", "0")))
                await writer.drain()
                if request.method == "PLAY" and sending is None:
                    sending = asyncio.create_task(self._send(writer))
                if request.method == "TEARDOWN":
                    return
        finally:
            if sending is not None:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        """Send the film's pictures, each when its time has come, as interleaved RTP (RFC 3550)."""
        source, numbers, began = random.getrandbits(32), itertools.count(random.getrandbits(16)), time.monotonic()
        for index, payloads in enumerate(itertools.cycle(self._film.pictures)):
            at = index / self._film.fps
            await asyncio.sleep(max(0.0, began + at - time.monotonic()))
            for payload in payloads:
                is_last = payload is payloads[-1]
                number, ticks = next(numbers) & 0xFFFF, round(at * _CLOCK) & 0xFFFFFFFF
                packet = RtpPacket(_TYPE, int(is_last), number, ticks, source, payload).serialize()
                writer.write(_DATA + b"\0" + len(packet).to_bytes(2, "big") + packet)
            await writer.drain()


async def _next(reader: asyncio.StreamReader) -> Request | None:
    """Return the next request; None for what is none, and when the client has gone."""
    while (first := await reader.read(1)) == _DATA:
        size = int.from_bytes((await reader.readexactly(3))[1:], "big")
        await reader.readexactly(size)
    if not first:
        return None
    return parsed((first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
