"""The listening sockets of the HTTPS server, which let in a bounded number of connections.

Whoever reaches the port may connect, with or without a token, and each connection takes a file descriptor, of which
cameras need some too. asyncio's own servers count none that has not yet begun with TLS.
"""

import asyncio
import contextlib
import socket
import ssl

from aiohttp import web

MOST = 100
"""Connections at a time; those beyond are closed as they come."""
HANDSHAKE_S = 5.0
"""How long TLS may take to begin."""
UNREAD_S = 15.0
"""How long a client may read nothing of its answers."""
_BACKLOG = 128
_AGAIN_S = 1.0


class Listener:
    """Accepts connections for a server from `open` to `close`."""

    def __init__(self, server: web.Server, context: ssl.SSLContext) -> None:
        self._server, self._context = server, context
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._greeted: dict[asyncio.Task[None], web.RequestHandler] = {}

    async def open(self, host: str, port: int) -> int:
        """Listen on each address of the host; returns the port, of the first one. OSError if that can't be done."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, address in dict.fromkeys((one[0], one[4]) for one in found):
                self._sockets.append(socket.create_server(address, family=family, backlog=_BACKLOG))
                self._sockets[-1].setblocking(False)
        except OSError:
            await self.close()
            raise
        self._accepting = [asyncio.create_task(self._accept(one), name="accept connections") for one in self._sockets]
        return int(self._sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Accept no more; connections that TLS has begun on stay the server's."""
        tasks = [*self._accepting, *self._greeted]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one in self._sockets:
            one.close()

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = await asyncio.get_running_loop().sock_accept(listening)
            except OSError:  # no descriptor is left
                await asyncio.sleep(_AGAIN_S)
                continue
            if len({*self._server.connections, *self._greeted.values()}) >= MOST:
                connection.close()
                await asyncio.sleep(0)  # whoever connects without a pause must not stop the loop
                continue
            handler = self._server()
            task = asyncio.create_task(self._greet(connection, handler), name="begin TLS")
            self._greeted[task] = handler
            task.add_done_callback(self._greeted.pop)

    async def _greet(self, connection: socket.socket, handler: web.RequestHandler) -> None:
        """Begin with TLS; a connection on which it fails is closed, as asyncio's servers do it: without a word."""
        with contextlib.suppress(OSError):
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # on Linux; aiohttp has no such limit
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(UNREAD_S * 1000))
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: handler, connection, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_S
            )
