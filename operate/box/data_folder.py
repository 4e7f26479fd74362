"""The folder in which `moretta up` keeps its numbers: where it is, who has it, what is said of it."""

import fcntl
import hashlib
import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from operate.output import program
from services.kernel.settings import SettingsError

_COMMAND = "moretta up"
_SETTINGS, _LOCK = Path("settings/last-up.yaml"), "lock"


def usual_folder(home: Path | None = None) -> Path | None:
    """Return where `up` keeps its numbers without `--data`: the user's data folder (XDG base directories 0.8).

    None if this user has no home. With `home` it is that of another user.
    """
    below = Path(".local/share")
    base = xdg_folder("XDG_DATA_HOME", below) if home is None else home / below
    return base and base / "moretta"


def xdg_folder(variable: str, below_home: Path) -> Path | None:
    """Return the user's folder that a variable of the specification names; None without it and without a home."""
    named = Path(os.environ.get(variable, ""))
    if named.is_absolute():  # another one is to be ignored, says the specification
        return named
    try:
        return Path.home() / below_home
    except RuntimeError:
        return None


def chosen_folder(data: Path | None, *, keeps: bool) -> Path | None:
    """Return where a run keeps its numbers: in `data`, else, if it `keeps` them, in the user's folder; None: nowhere.

    SettingsError if the user has no home.
    """
    if data is not None or not keeps:
        return data
    if (usual := usual_folder()) is None:
        why = "is needed: this user has no home to keep numbers in; or they are forgotten at the end, with --temporary"
        raise SettingsError(_COMMAND, [("--data", why)])
    return usual


def kept_words(chosen: Path | None, data: Path | None) -> str:
    """Return what `up` says first of what it keeps: where that is, and the command that deletes all of it."""
    if chosen is None:
        return "numbers are forgotten when this ends"
    deleted = "" if data is not None else f"; to delete both, once this has ended: rm -r {shlex.quote(str(chosen))}"
    return f"numbers and settings are kept in {chosen.absolute()}{deleted}"


@contextmanager
def held(folder: Path) -> Iterator[Path]:
    """Make the folder and lock it; SettingsError if that fails or another `moretta up` uses it.

    Two servers on one JetStream store would damage it, and the second would overwrite the seeds of the first.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / _LOCK).open("a", encoding="utf-8")
    except OSError as error:
        why = f"{str(folder)!r} cannot be used: {error.strerror}; name a folder that may be written to"
        raise SettingsError(_COMMAND, [("--data", why)]) from None
    with lock:
        if not _locked(lock):
            why = f"{str(folder)!r} is in use by another `moretta up`; stop that one, or name another folder"
            raise SettingsError(_COMMAND, [("--data", why)])
        yield folder


def is_held(folder: Path) -> bool:
    """Return whether a `moretta up` uses the folder at this moment."""
    try:
        lock = (folder / _LOCK).open("r", encoding="utf-8")
    except OSError:
        return False
    with lock:
        return not _locked(lock)


def require_running(command: str, folder: Path) -> None:
    """Raise SettingsError of this command unless a `moretta up` uses the folder: it says how to start it again."""
    if is_held(folder):
        return
    again = f"{program()} up -c {shlex.quote(str(folder / _SETTINGS))}"
    why = (
        f"the box that keeps its numbers in {folder} does not run; start it again, and ask once more: {again} "
        "(to count nobody meanwhile, with a copy of that file that has `cameras: []`)"
    )
    raise SettingsError(command, [("", why)])


def _locked(lock: TextIO) -> bool:
    """Return whether the lock is ours now, until the file is closed."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def rename_accounts(folder: Path) -> None:
    """Give streams of an earlier version their accounts' present names, by which NATS finds them.

    Copies for readers are removed: aggregate makes them again.
    """
    store = folder / "jetstream" / "jetstream"
    if not (store / "MAIN").is_dir() or (store / "MORETTA").exists():
        return
    for readers in store.glob("SUBSCRIBERS*"):
        shutil.rmtree(readers)
    (store / "MAIN").rename(store / "MORETTA")  # last: cut off before it, the next start does both


def remember(folder: Path, settings: Path, *, is_made: bool) -> Path:
    """Leave the settings in the folder, where `moretta doctor` finds them; return the file to run with.

    A link leads to the user's own file, or to a copy of a made one, which this user alone may read: addresses of
    cameras may hold a password. A copy is named after what is in it, and stays: a service may run with it.
    """
    link = folder / _SETTINGS
    link.parent.mkdir(mode=0o700, exist_ok=True)
    target = _copied(settings.read_bytes(), link.parent) if is_made else settings.resolve()
    new = link.with_suffix(".new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)
    return target


def _copied(text: bytes, folder: Path) -> Path:
    copy = (folder / f"{hashlib.sha256(text).hexdigest()[:12]}.yaml").resolve()
    new = copy.with_suffix(".new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_bytes(text)
    new.replace(copy)
    return copy


def settings_of(folder: Path) -> Path:
    """Return the settings file of the last `up` in a folder."""
    return (folder / _SETTINGS).resolve()


def operator_file(folder: Path) -> Path:
    """Return the file by which operators' commands reach the box of a folder."""
    return folder / "identities" / "operator.yaml"


def usual_box(command: str) -> Path:
    """Return the folder of the last `up` without `--data`; SettingsError of this command if there was none."""
    usual = usual_folder()
    if usual is not None and operator_file(usual).exists():
        return usual
    where = f" ({usual})" if usual else ""
    why = f"is needed: no `moretta up` keeps numbers in this user's data folder{where}; name the file of another one"
    raise SettingsError(command, [("-c", why)])
