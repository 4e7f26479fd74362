"""A camera that speaks RTSP 1.0 (RFC 2326): one film again and again, from its beginning for each client.

RTP comes on the RTSP connection itself (section 10.12), without a password. GStreamer's server would add 40 MB to the
image.
"""

import asyncio
import itertools
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
from aiortc.codecs.h264 import H264Encoder
from aiortc.rtp import RtpPacket
from av.bitstream import BitStreamFilterContext

from testbed.servers.server import send_paced

_CLOCK, _TYPE = 90_000, 96
_DATA = b"$"
"""What begins a part that is no request: what a client tells by RTCP, which is of no use here."""
_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"
_SDP = (
    "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=Moretta\r\nt=0 0\r\na=control:*\r\n"
    f"m=video 0 RTP/AVP {_TYPE}\r\na=rtpmap:{_TYPE} H264/{_CLOCK}\r\n"
    f"a=fmtp:{_TYPE} packetization-mode=1\r\na=control:track\r\n"
)
_REQUEST = re.compile(r"([A-Z_]+) (\S+) RTSP/1\.0\r\n")
_HEADER = re.compile(r"^([A-Za-z-]+): *(.*?)\r$", re.MULTILINE)
_SESSION = {"Session": "1;timeout=60"}
Headers = dict[str, str]


@dataclass(frozen=True)
class RtspRequest:
    """A client's request; names of headers are in small letters."""

    method: str
    url: str
    headers: Headers


@dataclass(frozen=True)
class RtspAnswer:
    """What it gets: status, headers, and a description of the session."""

    status: str
    headers: Headers
    body: str = ""

    def written(self, number: str) -> bytes:
        """Return its bytes; `number` is the request's `CSeq`."""
        size = {"Content-Length": str(len(self.body))} if self.body else {}
        lines = [f"{name}: {value}\r\n" for name, value in ({"CSeq": number} | self.headers | size).items()]
        return f"RTSP/1.0 {self.status}\r\n{''.join(lines)}\r\n{self.body}".encode()


def parsed(head: str) -> RtspRequest | None:
    """Return the request of a head; None if it is none."""
    line = _REQUEST.match(head)
    headers = {name.lower(): value for name, value in _HEADER.findall(head)}
    return RtspRequest(line[1], line[2], headers) if line else None


def answer(request: RtspRequest) -> RtspAnswer:
    """Return the answer to a request."""
    match request.method:
        case "OPTIONS":
            return RtspAnswer("200 OK", {"Public": _METHODS})
        case "DESCRIBE":
            return RtspAnswer("200 OK", {"Content-Type": "application/sdp", "Content-Base": f"{request.url}/"}, _SDP)
        case "SETUP" if "RTP/AVP/TCP" not in request.headers.get("transport", ""):
            return RtspAnswer("461 Unsupported Transport", {})
        case "SETUP":
            return RtspAnswer("200 OK", {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1", **_SESSION})
        case "PLAY" | "GET_PARAMETER" | "TEARDOWN":
            return RtspAnswer("200 OK", _SESSION)
    return RtspAnswer("501 Not Implemented", {"Public": _METHODS})


def payloads(film: Path) -> list[list[bytes]]:
    """Return RTP's payloads (RFC 6184) for each picture of an H.264 film."""
    encoder = H264Encoder()
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        bytewise = BitStreamFilterContext("h264_mp4toannexb", stream)  # parameter sets before each key picture
        wholes = (whole for whole in container.demux(stream) if whole.size)
        return [encoder.pack(packet)[0] for whole in wholes for packet in bytewise.filter(whole)]


class RtspCamera:
    """Shows pictures, each as its RTP payloads, to each client from the first on, again and again."""

    def __init__(self, pictures: list[list[bytes]], fps: float) -> None:
        self._pictures, self._fps = pictures, fps

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a client until it goes."""
        sending: asyncio.Task[None] | None = None
        try:
            while (request := await _next(reader)) is not None:
                writer.write(answer(request).written(request.headers.get("cseq", "0")))
                await writer.drain()
                if request.method == "PLAY" and sending is None:
                    sending = asyncio.create_task(send_paced(writer, self._packets()))
                if request.method == "TEARDOWN":
                    return
        finally:
            if sending is not None:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    def _packets(self) -> Iterator[tuple[float, bytes]]:
        """Yield the second and the packets of each picture, as interleaved RTP (RFC 3550)."""
        source, numbers = random.getrandbits(32), itertools.count(random.getrandbits(16))
        for index, picture in enumerate(itertools.cycle(self._pictures)):
            at, packets = index / self._fps, list[bytes]()
            for payload in picture:
                is_last = payload is picture[-1]
                number, ticks = next(numbers) & 0xFFFF, round(at * _CLOCK) & 0xFFFFFFFF
                packet = RtpPacket(_TYPE, int(is_last), number, ticks, source, payload).serialize()
                packets.append(_DATA + b"\0" + len(packet).to_bytes(2, "big") + packet)
            yield at, b"".join(packets)


async def _next(reader: asyncio.StreamReader) -> RtspRequest | None:
    """Return the next request; None for what is none, and when the client has gone."""
    while (first := await reader.read(1)) == _DATA:
        size = int.from_bytes((await reader.readexactly(3))[1:], "big")
        await reader.readexactly(size)
    if not first:
        return None
    return parsed((first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
