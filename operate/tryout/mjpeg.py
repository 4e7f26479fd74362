"""A camera that sends JPEGs one after another over HTTP (`multipart/x-mixed-replace`), as many network cameras do."""

import asyncio
import itertools
import time

from operate.tryout.films import Film

_BOUNDARY = "picture"
_HEAD = (
    f"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary={_BOUNDARY}\r\n"
    "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
)


class MjpegCamera:
    """Shows a film to each client from its beginning, again and again, whatever path it asks for."""

    def __init__(self, film: Film) -> None:
        self._film = film

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a client until it goes."""
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_HEAD.encode())
        began = time.monotonic()
        for index, [jpeg] in enumerate(itertools.cycle(self._film.pictures)):
            await asyncio.sleep(max(0.0, began + index / self._film.fps - time.monotonic()))
            writer.write(f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode())
            writer.write(jpeg + b"\r\n")
            await writer.drain()
