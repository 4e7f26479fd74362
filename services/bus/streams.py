"""JetStream: streams of the one table, storing with acknowledgement, storing exactly once, reading back."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import nats.errors
from msgspec import Struct
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError, ServiceUnavailableError
from nats.nuid import NUID

from proto.codec import ContractError, decode_on, encode
from proto.permissions import JETSTREAM_API, stream_info
from proto.subjects import STREAM_OWNER, STREAMS, Stream, Subject, stream
from services.bus import follow, getting
from services.bus.connection import Connection, headers_of
from services.bus.follow import Stored, is_marker, nanoseconds
from services.bus.making import ensure
from services.bus.migration import Config
from services.bus.waiting import Waiting
from services.log import get_logger

log = get_logger()

WRONG_LAST_SEQUENCE = 10071
_CONTENDED = {10158, 10164}
"""A cluster's answers while another write of the same id (10158), or to the same subject (10164), is on its way."""
_NO_ROOM = {10002, 10023, 10026, 10028, 10047}
"""Limits of the account, of the cluster, of streams, of memory, of the disk."""
_ACK_TIMEOUT_S = 2.0
_RETRY_S = 0.25
_HELD_S = 0.1
_SECOND = 1_000_000_000


class _Missing(Exception):
    """A stream is not there, and others make it."""


class _Full(Exception):
    """The server has no room for a message at the moment."""


_TRANSIENT = (
    _Missing,
    _Full,
    nats.errors.TimeoutError,
    nats.errors.NoRespondersError,
    nats.errors.ConnectionClosedError,
    nats.errors.ConnectionReconnectingError,
    nats.errors.OutboundBufferLimitError,
    NoStreamResponseError,
    ServiceUnavailableError,
    OSError,
)


Held = Callable[[], bool]
"""Whether the caller may write at this moment: it holds a lease that has not run out."""


class Fenced(Exception):
    """Somebody else has written later than us on this subject: stop (design §4)."""


class Contended(Exception):
    """Somebody else writes the same at this moment: nothing is known yet, try again."""


class NoRoom(Exception):
    """The server refuses to make a stream; the text says which, why, and what all of them need."""


class Unavailable(Exception):
    """JetStream does not answer at the moment."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a stream keeps: times are the server's, in ns. A `max_age` or `max_bytes` of 0 is no limit."""

    max_age: int
    max_bytes: int
    first_sequence: int
    first: int
    """When the first message was stored; `now` if there is none."""
    now: int
    bytes: int = 0
    replicas_lacking: int = 0
    """Copies that the stream should have and that are not there, or behind."""


class Streams:
    """What a service stores in JetStream and reads back."""

    def __init__(
        self,
        connection: Connection,
        replicas: int,
        *,
        makes: bool = True,
        asked: frozenset[str] = frozenset(),
        api: str = JETSTREAM_API,
    ) -> None:
        self._connection, self._replicas, self._makes, self.asked = connection, replicas, makes, asked
        self.js: JetStreamContext = connection.client.jetstream(prefix=api.removesuffix("."), timeout=_ACK_TIMEOUT_S)
        self._wanted: set[str] = set()
        self._told: set[str] = set()
        self._nuid = NUID()
        self.waiting = Waiting()
        # A memory stream does not survive its server: make it again as soon as there is one.
        connection.reconnected.append(self._again)

    async def ensure(self, names: Iterable[str]) -> None:
        """Make the streams of these names as the table says, or bring them up to it, now and whenever one is lost.

        Who may not make any waits until they are there.
        """
        self._wanted |= set(names)
        for name in sorted(self._wanted):
            await self._retrying(lambda name=name: self._ensure_one(name))  # type: ignore[misc]

    async def _again(self) -> None:
        for name in sorted(self._wanted if self._makes else ()):
            try:
                await self._ensure_one(name)
            except Exception as error:
                log.warning("could not make the stream again", stream=name, error=str(error))

    async def _ensure_one(self, name: str) -> None:
        if not self._makes:
            try:
                await self.js.stream_info(name)
            except NotFoundError:
                raise _Missing(f"there is no stream {name} yet; {STREAM_OWNER} makes it") from None
            return
        try:
            made = await ensure(self._connection.client, config_of(stream(name), self._replicas))
        except ServiceUnavailableError:  # a leader is elected
            raise
        except APIError as error:
            todo = f"; {_needed()}" if error.err_code in _NO_ROOM else ""
            raise NoRoom(f"the server makes no stream {name} as it should be: {error.description}{todo}") from None
        for one in made.found:
            if (text := str(one)) not in self._told:
                log.info("a stream differs from this version's table", outcome=one.outcome, what=text)
            self._told.add(text)

    async def store(
        self, row: Subject, message: Struct, *, message_id: str | None = None, held: Held | None = None
    ) -> int:
        """Return the stream sequence of the stored message; tries until the server acknowledges or we are cancelled.

        Whoever shares work by leases says with `held` whether its own is valid; each attempt waits until it is.
        """
        headers = {"Nats-Msg-Id": message_id or self._nuid.next().decode()}
        payload, subject = encode(row, message), row.of(message)

        async def once() -> int:
            await _until(held)
            try:
                return await self._swap(row, subject, payload, headers)
            except _TRANSIENT:
                self.waiting.failed(str(row.stream))
                raise

        try:
            while True:
                try:
                    stored: int = await self._retrying(once)
                    return stored
                except Contended:  # an earlier try of ours is on its way, of which we didn't hear
                    await asyncio.sleep(_RETRY_S)
        finally:
            self.waiting.done(str(row.stream))

    async def store_once(
        self, row: Subject, message: Struct, *, is_done: Callable[[Any], bool], held: Held | None = None
    ) -> bool:
        """Store unless the subject's last message says that it is done; True if this call stored it.

        Beyond the de-duplication window of message ids (facts.md): the write expects the last sequence that we read.
        Error 10071 means that somebody wrote since: our own bytes or something later is done, else we are `Fenced`.
        Each attempt waits until `held` (see `store`).
        """
        try:
            return await self._store_once(row, message, is_done, held)
        finally:
            self.waiting.done(str(row.stream))

    async def _store_once(
        self, row: Subject, message: Struct, is_done: Callable[[Any], bool], held: Held | None
    ) -> bool:
        payload, subject = encode(row, message), row.of(message)
        while True:
            await _until(held)
            sequence, last = await self.end_of(row, subject)
            if last is not None and (is_done(last.message) or encode(row, last.message) == payload):
                return False
            if held is not None and not held():  # frozen while it read: what it read is old
                continue
            headers = headers_of(row, {"Nats-Expected-Last-Subject-Sequence": str(sequence)})
            try:
                await self._publish(subject, payload, headers)
                return True
            except APIError as error:
                if error.err_code in _CONTENDED:
                    await asyncio.sleep(_RETRY_S)
                    continue
                if error.err_code != WRONG_LAST_SEQUENCE:
                    raise
                if not await self._ours_or_later(row, subject, payload, is_done):
                    raise Fenced(subject) from None
                return False
            except _TRANSIENT as error:  # perhaps stored, perhaps not: the next round reads and knows
                self.waiting.failed(str(row.stream))
                log.warning("could not store, trying on", subject=subject, error=str(error) or type(error).__name__)
                await asyncio.sleep(_RETRY_S)

    async def _ours_or_later(self, row: Subject, subject: str, payload: bytes, is_done: Callable[[Any], bool]) -> bool:
        _, last = await self.end_of(row, subject)
        return last is not None and (encode(row, last.message) == payload or is_done(last.message))

    async def end_of(self, row: Subject, subject: str) -> tuple[int, Stored | None]:
        """Return a subject's last sequence and message; None for one that can't be read: it must not stop what follows.

        Whoever may ask JetStream anything can have the answer sent to a subject (ADR 20).
        """
        direct = row.stream not in self.asked
        raw = await self._found(partial(self.js.get_last_msg, str(row.stream), subject, direct=direct))
        return (0, None) if raw is None else (int(raw.seq), _readable(row, subject, raw))

    async def put(self, row: Subject, message: Struct, *, expected: int, ttl_s: int) -> int:
        """Store an entry that expires after `ttl_s` if nobody has written its subject since `expected`; once, no retry.

        Returns its revision. `Fenced` if somebody has (error 10071); whatever else goes wrong says nothing of whether
        it was stored. `expected` 0 is for a subject that has no entry. (NATS ADR-48: the TTL is a header.)
        """
        headers = {"Nats-TTL": f"{ttl_s}s", "Nats-Expected-Last-Subject-Sequence": str(expected)}
        return await self._swap(row, row.of(message), encode(row, message), headers)

    async def amend(
        self, row: Subject, subject: str, change: Callable[[Struct | None], Struct], *, message_id: str | None
    ) -> tuple[int, Struct]:
        """Store what `change` makes of a subject's last message (None: there is none), by compare-and-swap.

        Returns sequence and message. Whoever calls with a `message_id` that is stored already has stored nothing more.
        """
        name = {"Nats-Msg-Id": message_id} if message_id else {}
        while True:
            sequence, last = await self.end_of(row, subject)
            if last is None and sequence:
                last = await self._under(row, subject)
            message = change(last.message if last else None)
            headers = {"Nats-Expected-Last-Subject-Sequence": str(sequence)} | name
            payload = encode(row, message)
            try:
                return await self._retrying(lambda h=headers, p=payload: self._swap(row, subject, p, h)), message  # type: ignore[misc]
            except (Fenced, Contended):  # somebody was faster; or we were, and did not hear of it
                await asyncio.sleep(_RETRY_S / 10)

    async def remove(self, row: Subject, subject: str, *, expected: int) -> None:
        """Delete an entry as `put` writes it, leaving a marker that says so (NATS ADR-8)."""
        headers = {"KV-Operation": "DEL", "Nats-Expected-Last-Subject-Sequence": str(expected), "Nats-TTL": "5s"}
        await self._swap(row, subject, b"", headers)

    async def _swap(self, row: Subject, subject: str, payload: bytes, headers: dict[str, str]) -> int:
        try:
            ack = await self._publish(subject, payload, headers_of(row, headers))
        except APIError as error:
            if error.err_code == WRONG_LAST_SEQUENCE:
                raise Fenced(subject) from None
            if error.err_code in _CONTENDED:
                raise Contended(subject) from None
            raise
        return int(ack.seq)

    async def _publish(self, subject: str, payload: bytes, headers: dict[str, str]) -> api.PubAck:
        try:
            return await self.js.publish(subject, payload, headers=headers)
        except APIError as error:
            if error.err_code in _NO_ROOM:
                raise _Full(error.description) from None
            raise

    async def last_of(self, row: Subject, subject: str) -> Stored | None:
        """Return the last stored message of a concrete subject that can be read, or None."""
        sequence, last = await self.end_of(row, subject)
        return await self._under(row, subject) if last is None and sequence else last

    async def _under(self, row: Subject, subject: str) -> Stored | None:
        """Return what lies under a last message that can't be read: it must not undo what was said before."""
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
            return await self._retrying(get)
        except NotFoundError:
            return None

    async def entry(self, row: Subject, subject: str) -> tuple[int, Struct | None]:
        """Return an entry's revision and message; a removed one has its marker's revision and None, no one (0, None).

        One that can't be read is nobody's, as if it were removed. Asked of the stream's leader and not of any copy of
        it: it answers what a failed `put` was measured against.
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
        info = await self._retrying(lambda: self.js.stream_info(name))
        return nanoseconds(info.created), int(info.state.last_seq)

    async def kept(self, name: str) -> Kept:
        """Return what a stream keeps at most, and what it keeps now."""
        client, subject = self._connection.client, stream_info(name)
        answer = await self._retrying(lambda: client.request(subject, b"", timeout=_ACK_TIMEOUT_S))
        info = json.loads(answer.data)
        if "error" in info:
            APIError.from_error(info["error"])
        return _kept(info)

    async def history(self, name: str, filters: list[str], start: int = 1) -> list[Stored]:
        """Return what a stream holds of these subjects from a sequence on, in order, up to now."""
        found: list[Stored] = await self._retrying(lambda: self._reading(name).read_back(self.js, name, filters, start))
        return found

    async def latest(self, name: str, filters: list[str]) -> list[Stored]:
        """Return the last message that a stream holds of each of these subjects, in order."""
        found: list[Stored] = await self._retrying(lambda: self._reading(name).read_latest(self.js, name, filters))
        return found

    async def read(self, name: str, filters: list[str], since: int) -> AsyncGenerator[Stored, None]:
        """Yield what a stream holds of these subjects and stored from `since` on (ns), in order, up to now.

        Unavailable where `history` would go on trying; for who must answer soon, or would rather not hold it all.
        """
        try:
            async with contextlib.aclosing(self._reading(name).read(self.js, name, filters, since)) as found:
                async for stored in found:
                    yield stored
        except (nats.errors.Error, OSError) as error:
            raise Unavailable(str(error) or type(error).__name__) from error

    def _reading(self, name: str) -> Any:
        return getting if name in self.asked else follow

    async def _retrying(self, call: Callable[[], Any]) -> Any:
        """Return what the call returns, trying on through what passes by itself."""
        told = False
        while True:
            try:
                return await call()
            except _TRANSIENT as error:
                if not told:
                    log.warning("JetStream does not answer, trying on", error=str(error) or type(error).__name__)
                told = True
                await asyncio.sleep(_RETRY_S)
                if isinstance(error, NoStreamResponseError):
                    await self._again()  # the stream is gone, or could not be made when the server came back


async def _until(held: Held | None) -> None:
    """Wait until a lease is valid; whoever sees that it is lost cancels us."""
    while held is not None and not held():
        await asyncio.sleep(_HELD_S)


def _needed() -> str:
    """Return what JetStream's limits must hold for all streams."""
    file, memory = (sum(one.max_bytes for one in STREAMS if one.storage == kind) >> 20 for kind in ("file", "memory"))
    return (
        f"all streams together need max_file_store {file} MB and max_memory_store {memory} MB, or the account as much"
    )


def _kept(info: dict[str, Any]) -> Kept:
    """Read an answer about a stream (NATS ADR-1); nats-py leaves the times of its messages out."""
    state, config = info["state"], info["config"]
    now = nanoseconds(datetime.fromisoformat(info["ts"]))
    first = nanoseconds(datetime.fromisoformat(state["first_ts"])) if state["messages"] else now
    limits = int(config.get("max_age", 0)), max(0, int(config["max_bytes"]))
    return Kept(*limits, int(state["first_seq"]), first, now, int(state["bytes"]), _lacking(info))


def _lacking(info: dict[str, Any]) -> int:
    """Return how many copies a stream lacks; a single server does not speak of any."""
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
    # Nine digits of a second are more than datetime keeps.
    head, _, rest = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{head}.{rest[:6]:0<6}+00:00")


def config_of(stream: Stream, replicas: int) -> Config:
    """Return a stream's configuration, as JetStream's API has it (NATS ADR-1): times in ns."""
    age = round((stream.max_age_s or 0) * _SECOND)
    return {
        "name": stream.name,
        "description": stream.purpose,
        "subjects": list(stream.subjects),
        "storage": stream.storage,
        "retention": "limits",
        "discard": "old",
        "max_age": age,
        "max_bytes": stream.max_bytes,
        "max_msgs_per_subject": stream.per_subject,
        "num_replicas": replicas,
        "allow_direct": True,
        "duplicate_window": min(120 * _SECOND, age or 120 * _SECOND),
        **(_expiring() if stream.expires else {}),
    }


def _expiring() -> Config:
    """What makes a stream a KV bucket of leases. Revisions go on rising when a memory bucket is made anew."""
    return {
        "allow_msg_ttl": True,
        "subject_delete_marker_ttl": 5 * _SECOND,
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        "first_seq": time.time_ns() // 1_000,
    }
