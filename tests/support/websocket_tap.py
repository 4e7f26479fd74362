"""What passes between a page and NATS, held back, altered or added to, as a bad network or another reader might."""

import json
from collections.abc import Callable

from patience import until
from playwright.async_api import Page, WebSocketRoute

Alter = Callable[[bytes], bytes | None]


class Tap:
    """Between a page and its websocket; `down` alters what the server sends, or gives None for nothing."""

    def __init__(self) -> None:
        self.down: Alter = lambda frame: frame
        self.is_open = True
        self.tries = 0
        self._route: WebSocketRoute | None = None
        self._rest = b""
        """What came last from the server of a message that is not whole yet: NATS cuts what is long into frames."""

    async def attach(self, page: Page) -> None:
        """Before the page is opened."""
        await page.route_web_socket("**", self._connected)

    async def _connected(self, route: WebSocketRoute) -> None:
        self.tries += 1
        self._route, self._rest = route, b""
        if not self.is_open:
            await route.close()
            return
        server = route.connect_to_server()
        server.on_message(lambda frame: self._pass(route, frame))

    def _pass(self, route: WebSocketRoute, frame: bytes | str) -> None:
        frame = frame if isinstance(frame, bytes) else frame.encode()
        if route is self._route:
            self._rest = _unfinished(self._rest + frame)
        found = self.down(frame)
        if found is not None:
            route.send(found)

    async def cut(self) -> None:
        """End the connection."""
        assert self._route is not None
        await self._route.close()

    async def tell(self, text: str) -> None:
        """Send a line as if the server had."""
        await self._add(f"{text}\r\n".encode())

    async def _add(self, message: bytes) -> None:
        """Send between two messages of the server: within one it would be read as a part of that one."""
        await until(lambda: not self._rest, "the end of a message")
        assert self._route is not None
        self._route.send(message)

    async def deliver(self, subject: str, message: dict, headers: str = "", sid: int = 1) -> None:
        """Send a message on a subject as if somebody had published it."""
        body = json.dumps(message).encode()
        if headers:
            head = f"NATS/1.0{headers}\r\n\r\n".encode()
            line = f"HMSG {subject} {sid} {len(head)} {len(head) + len(body)}\r\n".encode() + head
        else:
            line = f"MSG {subject} {sid} {len(body)}\r\n".encode()
        await self._add(line + body + b"\r\n")


def _unfinished(stream: bytes) -> bytes:
    """What of a server's words is no whole message yet (NATS client protocol: a line, or one and so many bytes)."""
    while (cut := stream.partition(b"\r\n"))[1]:
        line, _, rest = cut
        size = int(line.split()[-1]) + len(b"\r\n") if line.startswith((b"MSG ", b"HMSG ")) else 0
        if len(rest) < size:
            return stream
        stream = rest[size:]
    return stream


def stored_at(when: str, but: str = "") -> Alter:
    """Say of every camera's stored state but one's that it was stored at another moment, YYYY-MM-DDTHH:MM:SS."""

    def alter(frame: bytes) -> bytes:
        head, found, rest = frame.partition(b'"subject":"moretta.v1.cameras.')
        if not found:
            return frame
        subject, quote, told = rest.partition(b'"')
        before, key, time = told.partition(b'"time":"')
        changed = time if but and subject.endswith(f".{but}".encode()) else when.encode() + time[len(when) :]
        return head + found + subject + quote + before + key + alter(changed)

    return alter
