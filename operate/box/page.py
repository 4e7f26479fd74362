"""The page of a box: where it and its NATS listener are, for browsers on this machine (ADR 35)."""

import json
from collections.abc import Sequence

from msgspec import structs

from operate.box.machine import BoxError, free_port, is_free
from operate.box.ports import ANYWHERE, Claim, Port
from operate.identities import WebSocket
from operate.nats.nats_yaml import is_loopback
from services.aggregate.settings import PageSettings
from services.ingest.settings import WebSettings


def usual_page(ports: Sequence[Port], door: WebSocket | None, usual_port: Claim) -> PageSettings:
    """Return the page of settings that name none: at its usual port, or a free one if that is taken or wanted.

    It is taken, too, where another box has claimed it and does not listen yet.
    NATS has one listener for browsers: one that other pages need a key for stays so, and this page asks for it, too.
    """
    usual = PageSettings(ask_key=door is not None)
    is_wanted = usual.port in {port.number for port in ports}
    is_ours = usual_port.is_ours and is_free(usual.port) and not is_wanted
    return usual if is_ours else structs.replace(usual, port=0)


def linked(page: PageSettings, web: WebSettings | None) -> PageSettings:
    """Return the page's settings with a link to the camera page, if that has a port of its own."""
    if page.cameras or web is None or not web.port:
        return page
    here = "127.0.0.1" if web.host in ANYWHERE else web.host
    return structs.replace(page, cameras=f"https://{f'[{here}]' if ':' in here else here}:{web.port}/")


class Page:
    """The addresses of the page and of its NATS listener, both for browsers on this machine (ADR 35).

    The page asks for no key, unless the settings say `ask_key`.
    """

    def __init__(self, settings: PageSettings) -> None:
        """Raise BoxError if other machines could reach the page."""
        if not is_loopback(settings.host):
            why = f"{settings.host} is not this machine alone; take 127.0.0.1, and a web server with TLS before it"
            raise BoxError(f"aggregate.page.host: {why}")
        self._port = settings.port or free_port()
        self.url = f"http://127.0.0.1:{self._port}/"
        self.bus_port = -1
        self.asks_key, self._cameras = settings.ask_key, settings.cameras

    @property
    def websocket(self) -> WebSocket:
        """Return NATS's listener for browsers that show this page."""
        origins = [f"http://{host}:{self._port}" for host in ("127.0.0.1", "localhost")]
        return WebSocket(f"127.0.0.1:{self.bus_port}", origins, is_open=not self.asks_key)

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables for aggregate, in addition to the settings file."""
        bus = f"ws://127.0.0.1:{self.bus_port}"
        own = {"HOST": "127.0.0.1", "PORT": str(self._port), "SERVER": bus, "ASK_KEY": json.dumps(self.asks_key)}
        own |= {"CERTIFICATE": "null", "KEY": "null", "CAMERAS": json.dumps(self._cameras)}
        return {f"MORETTA_AGGREGATE__PAGE__{key}": value for key, value in own.items()}
