"""Takes a backup and restores one: all that can be wrong is found before anything is changed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

from nats.aio.client import Client

from operate.backup.backup_folder import checked, finish, fresh
from operate.backup.contents import FILES, Contents, StreamContent, order
from operate.backup.snapshots import BackupError, OnBytes, remove, restore_stream, state_of, take
from operate.output import Advance
from proto.subjects import STREAMS, Stream
from services.bus import Connection, NatsSettings
from services.kernel.log import redact
from services.kernel.settings import SettingsError
from services.kernel.tls import CertificateError

_CONNECT_S = 5.0
_QUIET_S = 12.0
"""A lease goes three seconds after its holder has stopped, and its marker five seconds later."""


@contextlib.asynccontextmanager
async def connected(settings: NatsSettings, file: Path) -> AsyncIterator[Client]:
    """Yield a connection as `backup`; SettingsError if there is none within 5 s."""
    heard: list[str] = []
    try:
        async with asyncio.timeout(_CONNECT_S):
            connection = await Connection.connect(settings, settings.user or "backup", on_error=heard.append)
    except TimeoutError:
        answer = redact(heard[-1]) if heard else "no answer"
        where = f"no connection to {redact(settings.url)}: {answer}"
        why = f"{where}; is NATS there, and is the seed that of the identity backup?"
        raise SettingsError(file, [("nats.url", why)]) from None
    except CertificateError as error:
        raise SettingsError(file, [(error.field, error.why)]) from None
    try:
        yield connection.client
    finally:
        await connection.close()


async def backup(settings: NatsSettings, file: Path, out: Path, advance: Advance) -> list[str]:
    """Write a backup; return a line for each stream. BackupError if the server does not give one.

    All services may keep running meanwhile.
    """
    with fresh(out) as folder:
        async with connected(settings, file) as client:
            parts = await _taken(client, order(), folder, advance)
        finish(folder, parts)
    return [f"{part.stream}: {part.messages} messages, {part.sizes[FILES[1]]} bytes" for part in parts]


async def _taken(client: Client, streams: list[Stream], folder: Path, advance: Advance) -> list[StreamContent]:
    states = {stream: await state_of(client, stream.name) for stream in streams}
    if missing := [stream.name for stream, state in states.items() if state is None]:
        raise BackupError(f"there is no stream {', '.join(missing)}: aggregate makes them when it starts")
    total, parts, before = sum(int(state["bytes"]) for state in states.values() if state), [], 0
    for stream, state in states.items():
        size = int(state["bytes"]) if state else 0
        parts.append(await take(client, stream, folder, _within(advance, before, size, total)))
        before += size
        advance(before, total)
    return parts


def _within(advance: Advance, before: int, size: int, total: int) -> OnBytes:
    """Return a function that reports progress within one stream. Its snapshot is compressed, so smaller than `size`."""
    passed = 0

    def on_bytes(more: int) -> None:
        nonlocal passed
        passed = min(size, passed + more)
        advance(before + passed, total)

    return on_bytes


async def restore(settings: NatsSettings, file: Path, folder: Path, *, replace: bool, advance: Advance) -> list[str]:
    """Restore a backup; return a line for each stream, and the folder with what it replaced.

    SettingsError, with nothing changed, if the folder is not whole, services run, or streams hold messages without
    `replace`. BackupError if the server does not take the backup.
    """
    contents = await asyncio.to_thread(checked, folder)
    async with connected(settings, file) as client:
        await _nobody_works(client)
        named = {part.stream for part in contents.parts}
        there = {stream: await state_of(client, stream.name) for stream in order() if stream.name in named}
        kept = await _put_aside(client, folder, there, replace=replace)
        try:
            await _make_room(client, there)
            await _put_all(client, folder, contents, settings.replicas, advance)
        except BackupError as error:
            raise BackupError(f"{error}; what was there before is in {kept}" if kept else str(error)) from None
    lines = [f"{part.stream}: {part.messages} messages" for part in contents.parts]
    lines.append(f"as it was on {contents.taken}, with Moretta {contents.moretta}")
    return [*lines, *([f"what was there before is in {kept}"] if kept else [])]


async def _nobody_works(client: Client) -> None:
    """Raise SettingsError if a service that writes still holds a lease: it would write beside the restored messages."""
    end = asyncio.get_running_loop().time() + _QUIET_S
    while running := [name for name in _leases() if ((await state_of(client, name)) or {}).get("messages")]:
        if asyncio.get_running_loop().time() > end:
            names = ", ".join(name.rpartition("_")[2].lower() for name in running)
            why = f"still at work: {names}; stop ingest, aggregate and notify, and start them when all is back"
            raise SettingsError("moretta restore", [("", why)])
        await asyncio.sleep(0.5)


def _leases() -> list[str]:
    return [stream.name for stream in STREAMS if stream.expires]


async def _put_aside(
    client: Client, folder: Path, there: dict[Stream, dict[str, object] | None], *, replace: bool
) -> Path | None:
    """Copy the streams that are in the way; return the copy's folder, None if all were empty.

    Empty streams are in the copy too: restoring it must bring back exactly what was there.
    """
    full = [stream for stream, state in there.items() if state and state["messages"]]
    if not full:
        return None
    if not replace:
        names = ", ".join(stream.name for stream in full)
        why = f"{names} hold messages already; with --replace a copy of them is made first, and then they are replaced"
        raise SettingsError("moretta restore", [("", why)])
    kept = folder.with_name(f"{folder.name}-before-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    with fresh(kept) as before:
        finish(before, [await take(client, stream, before, _silent) for stream, state in there.items() if state])
    return kept


async def _make_room(client: Client, there: dict[Stream, dict[str, object] | None]) -> None:
    for stream, state in there.items():
        if state is not None:
            await remove(client, stream.name)


def _silent(_more: int) -> None:
    return None


async def _put_all(client: Client, folder: Path, contents: Contents, replicas: int, advance: Advance) -> None:
    streams = {stream.name: stream for stream in order()}
    total, passed = sum(part.sizes[FILES[1]] for part in contents.parts), 0
    done: list[str] = []

    def on_bytes(more: int) -> None:
        nonlocal passed
        passed += more
        advance(passed, total)

    for part in contents.parts:
        try:
            await restore_stream(client, streams[part.stream], folder, replicas, on_bytes)
        except BackupError as error:
            back = ", ".join(done) or "none"
            raise BackupError(f"{error}; put back so far: {back}. Mend it and restore again, with --replace") from None
        done.append(part.stream)
