"""Cameras that send over HTTP: JPEGs one after another, or an MPEG transport stream."""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from testbed.servers.server import close, send_paced

_BOUNDARY = "picture"
_CHUNK_S = 0.05


class SimulatedHttpCamera:
    """Sends the same parts, each at its second, to each client from the first on, whatever path it asks for."""

    def __init__(self, content_type: str, parts: Callable[[], Iterable[tuple[float, bytes]]]) -> None:
        lines = ["HTTP/1.1 200 OK", f"Content-Type: {content_type}", "Cache-Control: no-store", "Connection: close"]
        self._head, self._parts = "".join(f"{line}\r\n" for line in [*lines, ""]).encode(), parts
        self.requests = 0
        """Number of requests so far."""

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a client until it goes, or the last part is sent."""
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        writer.write(self._head)
        await send_paced(writer, self._parts())
        await close(writer)


def jpeg_camera(pictures: list[bytes], fps: float) -> SimulatedHttpCamera:
    """Return a camera that shows JPEGs again and again (`multipart/x-mixed-replace`), as many network cameras do."""

    def parts() -> Iterator[tuple[float, bytes]]:
        for index, jpeg in enumerate(itertools.cycle(pictures)):
            head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            yield index / fps, head.encode() + jpeg + b"\r\n"

    return SimulatedHttpCamera(f"multipart/x-mixed-replace; boundary={_BOUNDARY}", parts)


def stream_camera(file: Path, rate: float) -> SimulatedHttpCamera:
    """Return a camera that sends an MPEG transport stream once, `rate` bytes a second."""
    size = round(rate * _CHUNK_S)

    def parts() -> Iterator[tuple[float, bytes]]:
        with file.open("rb") as stream:
            for index, part in enumerate(iter(partial(stream.read, size), b"")):
                yield index * size / rate, part

    return SimulatedHttpCamera("video/mp2t", parts)
