"""What passes between a page and NATS, held back, altered or added to, as a bad network or another reader might."""

import json
from collections.abc import Callable

from playwright.async_api import Page, WebSocketRoute

Alter = Callable[[bytes], bytes | None]


class Tap:
    """Between a page and its websocket; `down` alters what the server sends, or gives None for nothing."""

    def __init__(self) -> None:
        self.down: Alter = lambda frame: frame
        self.is_open = True
        self.tries = 0
        self._route: WebSocketRoute | None = None

    async def attach(self, page: Page) -> None:
        """Before the page is opened."""
        await page.route_web_socket("**", self._connected)

    async def _connected(self, route: WebSocketRoute) -> None:
        self.tries += 1
        self._route = route
        if not self.is_open:
            await route.close()
            return
        server = route.connect_to_server()
        server.on_message(lambda frame: self._pass(route, frame))

    def _pass(self, route: WebSocketRoute, frame: bytes | str) -> None:
        found = self.down(frame if isinstance(frame, bytes) else frame.encode())
        if found is not None:
            route.send(found)

    async def cut(self) -> None:
        """End the connection."""
        assert self._route is not None
        await self._route.close()

    def tell(self, text: str) -> None:
        """Send a line as if the server had."""
        assert self._route is not None
        self._route.send(f"{text}\r\n".encode())

    def deliver(self, subject: str, message: dict, headers: str = "", sid: int = 1) -> None:
        """Send a message on a subject as if somebody had published it."""
        body = json.dumps(message).encode()
        if headers:
            head = f"NATS/1.0{headers}\r\n\r\n".encode()
            line = f"HMSG {subject} {sid} {len(head)} {len(head) + len(body)}\r\n".encode() + head
        else:
            line = f"MSG {subject} {sid} {len(body)}\r\n".encode()
        assert self._route is not None
        self._route.send(line + body + b"\r\n")


def stored_at(when: str) -> Alter:
    """Say of every stored camera state that it was stored at another moment, YYYY-MM-DDTHH:MM:SS."""

    def alter(frame: bytes) -> bytes:
        head, found, rest = frame.partition(b'"subject":"moretta.v1.cameras.')
        if not found:
            return frame
        before, key, time = rest.partition(b'"time":"')
        changed = before + key + when.encode() + time[len(when) :]
        return head + found + alter(changed)

    return alter
