"""JetStream's snapshots: a stream's files as one compressed archive, in parts that are acknowledged (NATS ADR-1)."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from operate.backup.backup_folder import described, description_of, parts_of, private
from operate.backup.contents import FILES, StreamContent, configuration
from proto.permissions import JETSTREAM_API, stream_info
from proto.subjects import Stream

_ANSWER_S = 10.0
_TIMEOUT_S, _TIMES = 2.0, 10
"""Timeout and number of tries of a question that changes nothing. Servers that elect a leader never answer it, even
later."""
_UNHEARD_S = 0.2
_PART_BYTES = 1 << 17
_NOT_FOUND = 10059
OnBytes = Callable[[int], None]
"""Called with the number of further bytes that have passed."""


class BackupError(Exception):
    """The server did not back up or restore; the text says what failed, and what state that leaves."""


async def asked(client: Client, subject: str, body: dict[str, Any], timeout: float = _ANSWER_S) -> dict[str, Any]:
    """Return JetStream's answer, which may be an error; BackupError if there is no answer."""
    try:
        answer = await client.request(subject, json.dumps(body).encode() if body else b"", timeout=timeout)
    except nats.errors.NoRespondersError:
        why = "no answer: JetStream is off; is NATS's volume full? See docs/how-to/full-volume.md"
        raise BackupError(f"{subject}: {why}") from None
    except nats.errors.Error as error:
        why = "do most of NATS's servers run, with room on their volumes, and has this key the right to it?"
        raise BackupError(f"{subject}: no answer ({error or type(error).__name__}); {why}") from None
    found: dict[str, Any] = json.loads(answer.data)
    return found


async def state_of(client: Client, name: str) -> dict[str, Any] | None:
    """Return a stream's state; None if there is no such stream."""
    found = await _asked_again(client, stream_info(name))
    if found.get("error", {}).get("err_code") == _NOT_FOUND:
        return None
    state: dict[str, Any] = good(found, name)["state"]
    return state


async def _asked_again(client: Client, subject: str) -> dict[str, Any]:
    for _ in range(_TIMES - 1):
        with contextlib.suppress(BackupError):
            return await asked(client, subject, {}, _TIMEOUT_S)
    return await asked(client, subject, {}, _TIMEOUT_S)


def good(answer: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the answer; BackupError, with the stream's name, if it is an error."""
    if "error" in answer:
        raise BackupError(f"{name}: {answer['error'].get('description', 'refused')}")
    return answer


async def take(client: Client, stream: Stream, folder: Path, on_bytes: OnBytes) -> StreamContent:
    """Write a stream's two files below `folder`; messages that come later are not in them."""
    place = folder / stream.name
    place.mkdir(mode=0o700)
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox)
    try:
        body = {"deliver_subject": inbox, "no_consumers": True, "chunk_size": _PART_BYTES}
        answer = good(await asked(client, f"{JETSTREAM_API}STREAM.SNAPSHOT.{stream.name}", body), stream.name)
        with private(place / FILES[1]).open("wb") as archive:
            while True:
                part = await subscription.next_msg(timeout=_ANSWER_S)
                if not part.data:
                    break
                archive.write(part.data)
                if part.reply:
                    await client.publish(part.reply, b"")
                on_bytes(len(part.data))
    except nats.errors.Error as error:
        raise BackupError(f"{stream.name}: the snapshot broke off ({error or type(error).__name__})") from None
    finally:
        await subscription.unsubscribe()
    _ended(stream, part.headers)
    private(place / FILES[0]).write_text(json.dumps(answer), encoding="utf-8")
    return described(folder, stream.name, answer["state"]["messages"], answer["state"]["last_seq"])


def _ended(stream: Stream, headers: dict[str, str] | None) -> None:
    """Raise BackupError unless the server says that the snapshot is whole."""
    status = (headers or {}).get("Status", "204")
    if status != "204":
        why = (headers or {}).get("Description", status)
        raise BackupError(f"{stream.name}: the snapshot broke off ({why})")


async def restore_stream(client: Client, stream: Stream, folder: Path, replicas: int, on_bytes: OnBytes) -> None:
    """Restore a stream from its two files; no stream of its name may exist."""
    description = description_of(folder, stream.name)
    body = {"config": configuration(stream, description.config, replicas), "state": description.state}
    begun = good(await asked(client, f"{JETSTREAM_API}STREAM.RESTORE.{stream.name}", body), stream.name)
    try:
        for part in parts_of(folder / stream.name / FILES[1]):
            answer = await _handed(client, begun["deliver_subject"], part, _ANSWER_S)
            if answer.data:
                good(json.loads(answer.data), stream.name)
            on_bytes(len(part))
        end = await _handed(client, begun["deliver_subject"], b"", 6 * _ANSWER_S)
    except nats.errors.Error as error:
        raise BackupError(f"{stream.name}: restoring broke off ({error or type(error).__name__})") from None
    good(json.loads(end.data), stream.name)


async def _handed(client: Client, subject: str, part: bytes, timeout: float) -> Msg:
    """Return the server's answer to a part. In a cluster, our server only knows after a moment who takes the parts."""
    for _ in range(_TIMES - 1):
        with contextlib.suppress(nats.errors.NoRespondersError):  # nobody took it
            return await client.request(subject, part, timeout=timeout)
        await asyncio.sleep(_UNHEARD_S)
    return await client.request(subject, part, timeout=timeout)


async def remove(client: Client, name: str) -> None:
    """Remove a stream with all that is in it."""
    good(await asked(client, f"{JETSTREAM_API}STREAM.DELETE.{name}", {}), name)
