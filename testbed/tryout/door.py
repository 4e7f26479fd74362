"""One port for the page and for NATS's websocket, so that one `kubectl port-forward` shows the numbers.

A real installation has an Ingress or a Gateway there. A connection goes to one of both by its first request; the page
is told to close it after the answer, so that no later request comes the wrong way.
"""

import asyncio
import re
from dataclasses import dataclass

from testbed.servers.server import close

_WEBSOCKET = re.compile(rb"^GET /nats[/? ]")
_CONNECTION = re.compile(rb"\r\nconnection:[^\r\n]*", re.IGNORECASE)
_FIRST_S = 15.0
"""How long a client may take to ask."""
_AWAY = (
    "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
    "The page is not there yet: `kubectl get pods` says which pod is not ready.\n"
)
_PART = 65_536


@dataclass(frozen=True)
class Backend:
    """Where a server is."""

    host: str
    port: int


@dataclass(frozen=True)
class Door:
    """Leads each connection to the page, or to NATS's websocket for the path /nats."""

    page: Backend
    websocket: Backend

    def to(self, head: bytes) -> tuple[Backend, bytes]:
        """Return where a connection goes that begins with this request, and the request as it goes there."""
        if _WEBSOCKET.match(head):
            return self.websocket, head
        return self.page, _CONNECTION.sub(b"", head).removesuffix(b"\r\n") + b"Connection: close\r\n\r\n"

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a client until one side has gone."""
        async with asyncio.timeout(_FIRST_S):
            place, head = self.to(await reader.readuntil(b"\r\n\r\n"))
        try:
            inner, outer = await asyncio.open_connection(place.host, place.port)
        except OSError:
            writer.write(_AWAY.encode())
            await writer.drain()
            await close(writer)
            return
        outer.write(head)
        both = [asyncio.create_task(_pass_on(reader, outer)), asyncio.create_task(_pass_on(inner, writer))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            outer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(_PART):
        writer.write(part)
        await writer.drain()
