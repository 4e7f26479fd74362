"""The page of a box: for browsers on this machine, or by HTTPS and with a key for those of its network (ADR 35)."""

import contextlib
import datetime as dt
import ipaddress
import json
import socket
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from msgspec import structs

from operate.box.machine import BoxError, NotYetError, free_port, is_free
from operate.box.page_key import KEY
from operate.box.page_link import PageLink, in_url, name_at
from operate.box.ports import ANYWHERE, Claim, Port
from operate.identities import WebSocket
from services.aggregate.settings import PageSettings
from services.ingest.settings import IngestFile, WebSettings
from services.ingest.web.self_signed import kept, names_of
from services.kernel.settings import SettingsError, load
from services.kernel.tls.files import Certificate

_HERE = "127.0.0.1"
_CERTIFICATE_DIR = "MORETTA_INGEST__WEB__CERTIFICATE_DIR"


USUAL_PORT = PageSettings().port
"""The port of a page whose settings name none."""


def usual_page(door: WebSocket | None) -> PageSettings:
    """Return the page of settings that have none.

    NATS has one listener for browsers: one that other pages need a key for stays so, and this page asks for it, too.
    """
    return PageSettings(port=0, ask_key=door is not None)


def placed(page: PageSettings, last: int, ports: Sequence[Port], usual: Claim) -> PageSettings:
    """Return the page at a port: its own; with 0 that of the last time, else the usual one, else any that is free.

    None of these that the settings want for something else. The usual one is taken, too, where another box has claimed
    it and does not listen yet.
    """
    if page.port:
        return page
    candidates = {last, USUAL_PORT if usual.is_ours else 0} - {0, *(port.number for port in ports)}
    free = (port for port in sorted(candidates, key=lambda port: port != last) if is_free(port, page.host))
    return structs.replace(page, port=next(free, None) or free_port())


def linked(page: PageSettings, web: WebSettings | None) -> PageSettings:
    """Return the page's settings with a link to the camera page, if that has a port of its own."""
    if page.cameras or web is None or not web.port:
        return page
    here = name_at(page.host) if web.host in ANYWHERE else web.host
    return structs.replace(page, cameras=f"https://{in_url(here)}:{web.port}/")


class Page:
    """The addresses of the page and of its NATS listener, which is for this machine alone (ADR 35).

    On loopback the page asks for no key, unless the settings say `ask_key`. Elsewhere it always does, is served by
    HTTPS, and passes browsers on to NATS, so that they need one port and trust one certificate.
    """

    def __init__(self, settings: PageSettings, folder: Path, web: WebSettings | None = None) -> None:
        """Make the certificate in the box's folder if need be; BoxError if this machine has no such address.

        `web` is the camera page, which shows the same certificate unless it has its own.
        """
        self._settings, self._identities, self._web = settings, folder / "identities", web
        self._certificates = folder / "certificate"
        self._port = settings.port or free_port()
        self.bus_port = -1
        self.link = PageLink(settings.host, self._port, settings.ask_key)
        if self.link.is_shared:
            _require_address(settings.host)
            self.link = structs.replace(self.link, asks_key=True, fingerprint=self._certified())

    def _certified(self) -> str:
        """Return the fingerprint of a certificate of our own; empty with one of the settings, which is trusted."""
        if self._settings.certificate is not None:
            return ""
        wanted = [] if self._settings.host in ANYWHERE else [self._settings.host]
        wanted += self._web.names if self._web else []
        try:
            self._certificates.mkdir(mode=0o700, exist_ok=True)
            certificate, key = kept(self._certificates, wanted, dt.datetime.now(dt.UTC))
        except OSError as error:
            raise BoxError(f"{self._certificates} can't be written: {error.strerror}") from None
        self._settings = structs.replace(self._settings, certificate=str(certificate), key=str(key))
        return Certificate.of(x509.load_pem_x509_certificate(certificate.read_bytes())).fingerprint

    @property
    def websocket(self) -> WebSocket:
        """Return NATS's listener for browsers that show this page."""
        origins = [f"http://{host}:{self._port}" for host in (_HERE, "localhost")]
        return WebSocket(f"{_HERE}:{self.bus_port}", origins, is_open=not self.link.asks_key)

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables for aggregate, in addition to the settings file."""
        bus, page = f"ws://{_HERE}:{self.bus_port}", self._settings
        own = {"PORT": str(self._port), "ASK_KEY": json.dumps(self.link.asks_key), "CAMERAS": json.dumps(page.cameras)}
        if self.link.is_shared:
            own |= {
                "HOST": json.dumps(page.host),
                "SERVER": "/nats",
                "UPSTREAM": bus,
                "SEED_FILE": str(self._identities / KEY),
            }
            own |= {"CERTIFICATE": str(page.certificate), "KEY": str(page.key)}
        else:
            own |= {"HOST": _HERE, "SERVER": bus, "UPSTREAM": "null", "CERTIFICATE": "null", "KEY": "null"}
        return {f"MORETTA_AGGREGATE__PAGE__{key}": value for key, value in own.items()}

    def ingest_environment(self, file: Path) -> dict[str, str]:
        """Return environment variables for ingest that starts with this file, so that both pages have one certificate.

        The variable alone would open a camera page: it is empty where the file has none by now, or one with a
        certificate of its own.
        """
        with contextlib.suppress(SettingsError):  # ingest says what is wrong
            web = load(file, IngestFile).ingest.web
            if self.link.fingerprint and web and web.certificate is None and web.certificate_dir is None:
                return {_CERTIFICATE_DIR: str(self._certificates)}
        return {}


def _require_address(host: str) -> None:
    """Raise NotYetError unless a server of this machine can listen there, for others to reach it."""
    own = ", ".join(name for name in names_of([]) if name not in {"localhost", _HERE})
    try:
        (family, _, _, _, address), *_ = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind(address)
    except (OSError, UnicodeError):
        why = f"{host!r} is no address of this machine, at least not yet; it has {own}, and 0.0.0.0 is all of them"
        raise NotYetError(f"aggregate.page.host: {why}") from None
    found = ipaddress.ip_address(str(address[0]).partition("%")[0])
    if found.is_loopback or found.is_link_local:
        why = f"others do not reach {host!r} ({found}); this machine has {own}, and 0.0.0.0 is all of them"
        raise BoxError(f"aggregate.page.host: {why}")
