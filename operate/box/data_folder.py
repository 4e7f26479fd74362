"""The folder of `moretta up --data`: one process at a time has it."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.kernel.settings import SettingsError

_COMMAND = "moretta up"


@contextmanager
def held(folder: Path) -> Iterator[Path]:
    """Make the folder and hold it; SettingsError if it can't be one, or another `moretta up` has it.

    Two servers on one JetStream store would damage it, and the second would overwrite the passwords of the first.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a", encoding="utf-8")
    except OSError as error:
        why = f"{str(folder)!r} cannot be used: {error.strerror}; name a folder that may be written to"
        raise SettingsError(_COMMAND, [("--data", why)]) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            why = f"{str(folder)!r} is in use by another `moretta up`; stop that one, or name another folder"
            raise SettingsError(_COMMAND, [("--data", why)]) from None
        yield folder
