"""The link that opens a box's page: with the page's key in its fragment, which browsers send to no server."""

import io
import socket
from pathlib import Path

import msgspec
import segno
from msgspec import Struct

from operate.box.page_key import KEY
from operate.box.ports import ANYWHERE
from operate.nats.nats_yaml import is_loopback
from services.bus.nkey import Seed
from services.ingest.web.self_signed import names_of
from services.kernel.settings import SettingsError

LINK = "page-link.json"
"""The file in the folder of identities that has a `PageLink`."""
_HERE = "127.0.0.1"
_ELSEWHERE = ("198.51.100.1", 9)
"""An address of documentation (RFC 5737) at which nobody is; connecting a datagram socket sends nothing."""


class PageLink(Struct, frozen=True):
    """Where a box serves its page, and whether it asks for a key. The box leaves it in its folder."""

    host: str
    """Where the page listens."""
    port: int
    asks_key: bool = False
    fingerprint: str = ""
    """SHA-256 of a certificate that browsers warn of; empty if they need not."""

    @property
    def is_shared(self) -> bool:
        """Whether other machines reach the page."""
        return not is_loopback(self.host)

    @property
    def url(self) -> str:
        """The page's address, by the name that this machine has now."""
        return f"http{'s' if self.is_shared else ''}://{in_url(name_at(self.host))}:{self.port}/"

    @property
    def text(self) -> str:
        """Return it as JSON, for the file `LINK`."""
        return msgspec.json.encode(self).decode()

    def with_key(self, seed: Seed) -> str:
        """Return the link that opens the page."""
        return f"{self.url}#key={seed.reveal()}" if self.asks_key else self.url

    def in_words(self, seed: Seed) -> str:
        """Return the link, drawn as a QR code, too, where other machines can open it; and what browsers warn of."""
        line = f"numbers in a browser: {self.with_key(seed)}"
        if not self.is_shared:
            return line
        return "\n".join(filter(None, (f"{drawn(self.with_key(seed))}{line}", warning(self.fingerprint))))


def name_at(host: str) -> str:
    """Return how browsers name this machine if a server listens at `host`: by its own address, if that is any."""
    if is_loopback(host):
        return _HERE
    return _own_address() if host in ANYWHERE else host


def in_url(host: str) -> str:
    """Return a host as a URL has it."""
    return f"[{host}]" if ":" in host else host


def _own_address() -> str:
    """Return this machine's address on its way to others; without such a way the first one that it has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError:
            return names_of([])[0]
        return str(probe.getsockname()[0])


def drawn(link: str) -> str:
    """Return a QR code of a link, as lines for a terminal."""
    lines = io.StringIO()
    segno.make(link, micro=False).terminal(lines, compact=True, border=2)
    return lines.getvalue()


def warning(fingerprint: str) -> str:
    """Return what people compare before they trust a certificate of our own; empty without one."""
    return fingerprint and f"a browser that warns must show this certificate (SHA-256): {fingerprint}"


def last_port(folder: Path) -> int:
    """Return the port of the page of the last `moretta up` in a folder, for bookmarks' sake; 0 if there was none."""
    try:
        return msgspec.json.decode((folder / "identities" / LINK).read_bytes(), type=PageLink).port
    except (OSError, ValueError):
        return 0


def found(folder: Path) -> tuple[PageLink, Seed]:
    """Return the link of the last `moretta up` in a folder, and its key; SettingsError if there is none."""
    identities = folder / "identities"
    why = f"{str(folder)!r} has no page of a `moretta up`; start that first, or name its folder"
    try:
        link = msgspec.json.decode((identities / LINK).read_bytes(), type=PageLink)
        return link, Seed((identities / KEY).read_text(encoding="utf-8"))
    except PermissionError:
        why = f"{str(folder)!r} may be read by the user alone who runs `moretta up` there; call this as that user"
    except (OSError, ValueError):
        pass
    raise SettingsError("moretta page", [("--data", why)]) from None
