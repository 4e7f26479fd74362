"""The key that opens a box's page for other machines.

It is kept over restarts, so that bookmarks and printed QR codes hold, until `moretta page --new-link`.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from operate.orders import connect_as
from services.bus.nkey import Seed
from services.kernel.settings import SettingsError

KEY = "page.nk"
"""The file of the page's seed in the folder of identities."""
_CLIENT = "page.yaml"
_LOOK_S = 0.5
_TRIES = 5
_UNCONFIRMED = "the new key is in {file}, and NATS does not take it yet: stop `moretta up` and start it again"


def make_key(folder: Path) -> Seed:
    """Put a new key of the page in the place of the old one, for who owns the folder; return it.

    Root may do so in another user's folder, who may put links there meanwhile: so nothing is opened by its path twice.
    """
    seed, new = Seed.new(), f".{KEY}.new"
    identities = os.open(folder / "identities", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new, dir_fd=identities)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(new, flags, 0o600, dir_fd=identities), "w", encoding="utf-8") as file:
            if os.geteuid() == 0:  # by sudo, of a box that another user runs
                owner = os.fstat(identities)
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.write(seed.reveal())
        os.replace(new, KEY, src_dir_fd=identities, dst_dir_fd=identities)
    finally:
        os.close(identities)
    return seed


async def confirm(folder: Path) -> None:
    """Wait until the box has the page's present key in force; SettingsError if that takes too long."""
    for _ in range(_TRIES):
        await asyncio.sleep(2 * _LOOK_S)  # the box looks so often, and NATS logs each key that it does not know
        try:
            await (await connect_as("page", folder / "identities" / _CLIENT)).close()
        except SettingsError:
            continue
        return
    raise SettingsError("moretta page", [("--new-link", _UNCONFIRMED.format(file=folder / "identities" / KEY))])


async def follow(
    identities: Path, present: Seed, changed: Callable[[Seed], None], failed: Callable[[str], None]
) -> None:
    """Call `changed` with each new key of the page that somebody puts into the folder, until cancelled.

    A file that `changed` can't write is told to `failed`, and tried again.
    """
    while True:
        await asyncio.sleep(_LOOK_S)
        if (seed := kept_key(identities)) is None or seed == present:
            continue
        try:
            changed(seed)
        except OSError as error:
            failed(f"the page's new key is not in force: {error.filename}: {error.strerror}")
        else:
            present = seed


def kept_key(identities: Path) -> Seed | None:
    """Return the key of the page in the folder; None if there is none that can be used."""
    try:
        return Seed((identities / KEY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
