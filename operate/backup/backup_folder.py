"""A backup's folder: written whole or not at all, and checked before it is used."""

import contextlib
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from operate.backup.contents import (
    FILES,
    FORMAT,
    LIST,
    Contents,
    StreamContent,
    StreamDescription,
    problems,
    with_digest,
)
from services.kernel.settings import SettingsError

_BLOCK = 1 << 20


@contextlib.contextmanager
def fresh(out: Path) -> Iterator[Path]:
    """Yield a folder to write into, which gets its name when all is written; SettingsError if that name is taken."""
    if out.exists():
        raise SettingsError("moretta backup", [("--out", f"{out} is there already; name a folder that is not")])
    partial = out.with_name(f"{out.name}.partial")
    try:
        partial.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        why = f"{partial} is there, of a backup that was broken off or still runs; remove it, or name another folder"
        raise SettingsError("moretta backup", [("--out", why)]) from None
    try:
        yield partial
        partial.rename(out)
    except BaseException:
        _remove(partial)
        raise


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


def finish(folder: Path, parts: list[StreamContent]) -> None:
    """Write the list. It comes last, since a folder without it is not whole."""
    contents = Contents(format=FORMAT, moretta=version("moretta"), taken=f"{datetime.now(UTC):%FT%TZ}", parts=parts)
    private(folder / LIST).write_bytes(msgspec.json.format(msgspec.json.encode(with_digest(contents))))


def private(path: Path) -> Path:
    """Create a file that only its owner can read, and return its path."""
    path.touch(mode=0o600, exist_ok=False)
    return path


def described(folder: Path, stream: str, messages: int, last_seq: int) -> StreamContent:
    """Return the list's entry for a stream's files."""
    found = {name: measured(folder / stream / name) for name in FILES}
    sizes = {name: size for name, (size, _) in found.items()}
    digests = {name: digest for name, (_, digest) in found.items()}
    return StreamContent(stream=stream, messages=messages, last_seq=last_seq, sizes=sizes, sha256=digests)


def measured(file: Path) -> tuple[int, str]:
    """Return a file's size and digest."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return file.stat().st_size, digest


def checked(folder: Path) -> Contents:
    """Return the list of a whole backup; SettingsError says what is wrong with it, file by file."""
    contents = _listed(folder)
    found = {}
    for part in contents.parts:
        for file in (f"{part.stream}/{name}" for name in FILES):
            if "/" not in part.stream and part.stream not in {"", ".", ".."} and (folder / file).is_file():
                found[file] = measured(folder / file)
    there = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir()}
    if wrong := problems(contents, found, there - {LIST, *found}):
        raise SettingsError(folder, wrong)
    for part in contents.parts:
        description_of(folder, part.stream)
    return contents


def description_of(folder: Path, stream: str) -> StreamDescription:
    """Return the server's description of a stream; SettingsError if the file holds something else."""
    file = f"{stream}/{FILES[0]}"
    try:
        return msgspec.json.decode((folder / file).read_bytes(), type=StreamDescription)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SettingsError(folder, [(file, f"is no answer of JetStream: {error}")]) from None


def _listed(folder: Path) -> Contents:
    try:
        return msgspec.json.decode((folder / LIST).read_bytes(), type=Contents)
    except OSError as error:
        why = f"cannot be read ({error.strerror}): this is no folder of moretta backup, or half of one"
        raise SettingsError(folder, [(LIST, why)]) from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SettingsError(folder, [(LIST, f"is damaged: {error}")]) from None


def parts_of(file: Path) -> Iterator[bytes]:
    """Yield a file's content in parts that fit into a message."""
    with file.open("rb") as content:
        while part := content.read(_BLOCK // 8):
            yield part
