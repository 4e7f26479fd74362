"""The listener of every HTTP server here. It limits the resources that clients of the port can hold.

Each connection takes a file descriptor, and cameras and the bus need some too. asyncio's own servers have no limits
against a stranger. It may connect without end, begin no TLS, send a head a byte at a time, or read no answer.
"""

import asyncio
import contextlib
import functools
import ipaddress
import logging
import os
import socket
import ssl
from typing import Protocol

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

MAX_CONNECTIONS = 100
"""Maximum number of open connections; any further one is closed at once."""
EACH = 40
"""Maximum number of open connections of one address: an IPv4 address, or an IPv6 network of 64 bits."""
HANDSHAKE_S = 5.0
"""How long the TLS handshake may take."""
IDLE_S = 15.0
"""How long a client may take to send a request's head, counted from connecting or from the last answer."""
BODY_S = 10.0
"""How long a client may take to send a body."""
UNREAD_S = 15.0
"""How long a client may leave its answers unread."""
_SHUTDOWN_S = 1.0
_LINGER_S = 1.0
"""How long the server reads the rest of a refused body, so that the answer arrives.

aiohttp does this on lost connections too.
"""
_BACKLOG = 128
_RETRY_S = 1.0
_log = logging.getLogger(__name__)


def runner_of(app: web.Application) -> web.AppRunner:
    """Return the runner of an application behind a `Listener`; call its `setup` first.

    There is no access log: paths and queries may hold secrets. Bodies stay compressed: a small one could become large.
    """
    return web.AppRunner(
        app, handle_signals=False, access_log=None, logger=_log, shutdown_timeout=_SHUTDOWN_S,
        keepalive_timeout=IDLE_S, lingering_time=_LINGER_S, auto_decompress=False,
    )  # fmt: skip


class Certified(Protocol):
    """An object with a certificate, which may be renewed meanwhile (services.kernel.tls, which needs this module)."""

    @property
    def context(self) -> ssl.SSLContext:
        """The TLS context for the next connection."""


class Listener:
    """Accepts connections for a server from `open` to `close`. With a certificate, they use TLS."""

    def __init__(self, server: web.Server | None, tls: Certified | None = None) -> None:
        assert server is not None, "set the runner up first"
        self._server, self._tls = server, tls
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._greeted: dict[asyncio.Task[None], web.RequestHandler] = {}
        self._peers: dict[web.RequestHandler, str] = {}

    async def open(self, host: str, port: int) -> int:
        """Listen on each address of the host; return the port of the first one. OSError if listening fails.

        `::` is all addresses of both families.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, address in dict.fromkeys((one[0], one[4]) for one in found):
                both = host == "::"
                server = socket.create_server(address, family=family, backlog=_BACKLOG, dualstack_ipv6=both)
                self._sockets.append(server)
                self._sockets[-1].setblocking(False)
        except OSError as error:
            await self.close()
            raise OSError(error.errno, os.strerror(error.errno or 0)) from None  # without the address: callers add it
        self._accepting = [asyncio.create_task(self._accept(one), name="accept connections") for one in self._sockets]
        return int(self._sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop accepting. The server keeps the connections that were accepted before."""
        tasks = [*self._accepting, *self._greeted]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one in self._sockets:
            one.close()

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, address = await asyncio.get_running_loop().sock_accept(listening)
            except OSError:  # no descriptor is left
                await asyncio.sleep(_RETRY_S)
                continue
            peer = _network(address[0])
            if not self._has_room(peer):
                connection.close()
                await asyncio.sleep(0)  # a client that connects without a pause must not block the event loop
                continue
            handler = self._server()
            self._peers[handler] = peer
            task = asyncio.create_task(self._greet(connection, handler), name="greet a connection")
            self._greeted[task] = handler
            task.add_done_callback(functools.partial(self._was_greeted, connection))

    def _was_greeted(self, connection: socket.socket, task: asyncio.Task[None]) -> None:
        del self._greeted[task]
        if task.cancelled():  # perhaps before it began: then nothing else closes the socket
            connection.close()

    def _has_room(self, peer: str) -> bool:
        there = {*self._server.connections, *self._greeted.values()}
        self._peers = {handler: who for handler, who in self._peers.items() if handler in there}
        return len(there) < MAX_CONNECTIONS and list(self._peers.values()).count(peer) < EACH

    async def _greet(self, connection: socket.socket, handler: web.RequestHandler) -> None:
        """Begin TLS. Close a connection on which that fails, silently, as asyncio's servers do."""
        with contextlib.suppress(OSError):
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # on Linux; aiohttp has no such limit
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(UNREAD_S * 1000))
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: handler,
                connection,
                ssl=self._tls.context if self._tls else None,
                ssl_handshake_timeout=HANDSHAKE_S if self._tls else None,
            )


def _network(address: str) -> str:
    found = ipaddress.ip_address(address.partition("%")[0])
    found = getattr(found, "ipv4_mapped", None) or found
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))


def _is_news(record: logging.LogRecord) -> bool:
    """Return whether to log aiohttp's line. A malformed HTTP request is not logged: its error quotes the request."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_log.addFilter(_is_news)
