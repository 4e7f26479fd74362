"""The link that opens a box's page: with the page's key in its fragment, which browsers send to no server.

The key is kept over restarts, so that bookmarks and printed QR codes hold, until `moretta page --new-link`.
"""

import asyncio
import io
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import segno
from msgspec import Struct

from operate.orders import connect_as
from services.bus.nkey import Seed
from services.kernel.settings import SettingsError

KEY = "page.nk"
"""The file of the page's seed in the folder of identities."""
LINK = "page-link.json"
"""The file beside it that has a `PageLink`."""
_CLIENT = "page.yaml"
_LOOK_S = 0.5
_TRIES = 5
_UNCONFIRMED = "the new key is in {file}, and NATS does not take it yet: stop `moretta up` and start it again"


class PageLink(Struct, frozen=True):
    """Where a box serves its page, and whether it asks for a key. The box leaves it in its folder."""

    url: str
    asks_key: bool = False
    fingerprint: str = ""
    """SHA-256 of a certificate that browsers warn of; empty if they need not."""

    @property
    def port(self) -> int:
        """The port of `url`; 0 if it has none."""
        return urlsplit(self.url).port or 0

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
        if not self.url.startswith("https:"):
            return line
        return "\n".join(filter(None, (f"{drawn(self.with_key(seed))}{line}", warning(self.fingerprint))))


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
    try:
        link = msgspec.json.decode((identities / LINK).read_bytes(), type=PageLink)
        return link, Seed((identities / KEY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        why = f"{str(folder)!r} has no page of a `moretta up`; start that first, or name its folder"
        raise SettingsError("moretta page", [("--data", why)]) from None


def make_key(folder: Path) -> Seed:
    """Put a new key of the page in the place of the old one, for who owns the folder; return it."""
    identities, seed = folder / "identities", Seed.new()
    owner, new = identities.stat(), identities / f".{KEY}.new"
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    if os.geteuid() == 0:  # by sudo, of a box that another user runs
        os.chown(new, owner.st_uid, owner.st_gid)
    new.write_text(seed.reveal(), encoding="utf-8")
    new.replace(identities / KEY)
    return seed


async def confirm(folder: Path) -> None:
    """Wait until the box has the page's present key in force; SettingsError if that takes too long."""
    for _ in range(_TRIES):
        try:
            await (await connect_as("page", folder / "identities" / _CLIENT)).close()
        except SettingsError:
            await asyncio.sleep(_LOOK_S)
        else:
            return
    raise SettingsError("moretta page", [("--new-link", _UNCONFIRMED.format(file=folder / "identities" / KEY))])


async def follow(identities: Path, present: Seed, changed: Callable[[Seed], None]) -> None:
    """Call `changed` with each new key of the page that somebody puts into the folder, until cancelled."""
    while True:
        await asyncio.sleep(_LOOK_S)
        if (seed := kept_key(identities)) is not None and seed != present:
            present = seed
            changed(seed)


def kept_key(identities: Path) -> Seed | None:
    """Return the key of the page in the folder; None if there is none that can be used."""
    try:
        return Seed((identities / KEY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
