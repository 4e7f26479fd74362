"""Reads back from JetStream: last messages, entries, histories, and what a stream keeps."""

import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import nats.errors
from msgspec import Struct
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NotFoundError

from proto.codec import ContractError, decode_on
from proto.permissions import stream_info
from proto.subjects import Subject
from services.bus.connection.connection import Connection
from services.bus.streams import ordered_consumer, polling
from services.bus.streams.errors import Unavailable
from services.bus.streams.ordered_consumer import Stored, is_marker, nanoseconds
from services.bus.streams.stream_keeper import Upkeep
from services.kernel.log import get_logger

log = get_logger()

TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class StreamUsage:
    """The limits and content of a stream; times are the server's, in ns. `max_age` or `max_bytes` of 0 is no limit."""

    max_age: int
    max_bytes: int
    first_sequence: int
    first: int
    """When the first message was stored; `now` if there is none."""
    now: int
    bytes: int = 0
    replicas_lacking: int = 0
    """Copies of the stream that are missing or behind."""


class Reading:
    """Reads stored messages back for a service."""

    def __init__(self, connection: Connection, js: JetStreamContext, upkeep: Upkeep, asked: frozenset[str]) -> None:
        """Prepare; streams in `asked` are read by single requests only, without a consumer."""
        self._client, self.js, self._upkeep, self.asked = connection.client, js, upkeep, asked

    async def end_of(self, row: Subject, subject: str) -> tuple[int, Stored | None]:
        """Return a subject's last sequence and message. None for one that can't be read: it must not stop what follows.

        Any client that may ask JetStream something can have the answer sent to a subject (ADR 20).
        """
        direct = row.stream not in self.asked
        raw = await self._found(partial(self.js.get_last_msg, str(row.stream), subject, direct=direct))
        return (0, None) if raw is None else (int(raw.seq), _readable(row, subject, raw))

    async def last_of(self, row: Subject, subject: str) -> Stored | None:
        """Return the last stored message of a concrete subject that can be read, or None."""
        sequence, last = await self.end_of(row, subject)
        return await self._under(row, subject) if last is None and sequence else last

    async def _under(self, row: Subject, subject: str) -> Stored | None:
        """Return the last readable message, below one that can't be read: that one must not undo it."""
        found = await self.history(str(row.stream), [subject], 1)
        return found[-1] if found else None

    async def first_of(self, row: Subject, subject: str) -> Stored | None:
        """Return the first message of a concrete subject that is still stored and can be read, or None."""
        direct, start = row.stream not in self.asked, 1
        get = partial(self.js.get_msg, str(row.stream), subject=subject, direct=direct, next=True)
        while (raw := await self._found(partial(get, seq=start))) is not None:
            if (found := _readable(row, subject, raw)) is not None:
                return found
            start = int(raw.seq) + 1
        return None

    async def _found(self, get: Callable[[], Any]) -> Any:
        try:
            return await self._upkeep.trying(get)
        except NotFoundError:
            return None

    async def entry(self, row: Subject, subject: str) -> tuple[int, Struct | None]:
        """Return an entry's revision and message. Removed: its marker's revision and None. No entry: (0, None).

        An entry that can't be read is nobody's, as if it were removed. The stream's leader is asked, not any copy: a
        failed `put` was checked against the leader.
        """
        try:
            raw = await self.js.get_last_msg(str(row.stream), subject)
        except NotFoundError:
            return 0, None
        try:
            message = None if is_marker(raw.headers) else decode_on(row, subject, raw.data or b"")
        except ContractError as error:
            log.error("undecodable entry", subject=subject, revision=raw.seq, reason=str(error))
            message = None
        return int(raw.seq or 0), message

    async def created(self, name: str) -> tuple[int, int]:
        """Return a stream's creation time in ns and its last sequence."""
        info = await self._upkeep.trying(lambda: self.js.stream_info(name))
        return nanoseconds(info.created), int(info.state.last_seq)

    async def kept(self, name: str) -> StreamUsage:
        """Return the limits of a stream, and what it holds now."""
        subject = stream_info(name)
        answer = await self._upkeep.trying(lambda: self._client.request(subject, b"", timeout=TIMEOUT_S))
        info = json.loads(answer.data)
        if "error" in info:
            APIError.from_error(info["error"])
        return _kept(info)

    async def history(self, name: str, filters: list[str], start: int = 1) -> list[Stored]:
        """Return what a stream holds of these subjects from a sequence on, in order, up to now."""
        found: list[Stored] = await self._upkeep.trying(
            lambda: self._reading(name).read_back(self.js, name, filters, start)
        )
        return found

    async def latest(self, name: str, filters: list[str]) -> list[Stored]:
        """Return the last message that a stream holds of each of these subjects, in order."""
        found: list[Stored] = await self._upkeep.trying(lambda: self._reading(name).read_latest(self.js, name, filters))
        return found

    async def read(self, name: str, filters: list[str], since: int) -> AsyncGenerator[Stored, None]:
        """Yield what a stream holds of these subjects, stored from `since` on (ns), in order, up to now.

        Unavailable where `history` would retry. For callers that must answer soon, or don't want to hold it all.
        """
        try:
            async with contextlib.aclosing(self._reading(name).read(self.js, name, filters, since)) as found:
                async for stored in found:
                    yield stored
        except (nats.errors.Error, OSError) as error:
            raise Unavailable(str(error) or type(error).__name__) from error

    def _reading(self, name: str) -> Any:
        return polling if name in self.asked else ordered_consumer


def _kept(info: dict[str, Any]) -> StreamUsage:
    """Read an answer about a stream (NATS ADR-1). nats-py leaves out the times of the stream's messages."""
    state, config = info["state"], info["config"]
    now = nanoseconds(datetime.fromisoformat(info["ts"]))
    first = nanoseconds(datetime.fromisoformat(state["first_ts"])) if state["messages"] else now
    limits = int(config.get("max_age", 0)), max(0, int(config["max_bytes"]))
    return StreamUsage(*limits, int(state["first_seq"]), first, now, int(state["bytes"]), _lacking(info))


def _lacking(info: dict[str, Any]) -> int:
    """Return how many copies a stream lacks; a single server reports no copies."""
    followers = (info.get("cluster") or {}).get("replicas") or []
    current = 1 + sum(bool(one.get("current")) and not one.get("offline") for one in followers)
    return max(0, int(info["config"].get("num_replicas", 1)) - current)


def _readable(row: Subject, subject: str, raw: api.RawStreamMsg) -> Stored | None:
    try:
        return _read(row, subject, raw)
    except ContractError as error:
        log.error("undecodable stored message", subject=subject, sequence=raw.seq, reason=str(error))
        return None


def _read(row: Subject, subject: str, raw: api.RawStreamMsg) -> Stored:
    # Direct gets carry the time in a header, not in the body.
    stamp = (raw.headers or {}).get("Nats-Time-Stamp")
    at = raw.time or (_parse_rfc3339(stamp) if stamp else None)
    return Stored(row, subject, decode_on(row, subject, raw.data or b""), int(raw.seq or 0), nanoseconds(at), 0)


def _parse_rfc3339(text: str) -> datetime:
    # The server sends nine digits of a second, more than datetime keeps.
    head, _, rest = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{head}.{rest[:6]:0<6}+00:00")
