"""An ordered reader of a stream that never ends, and that notices when the stream has been replaced by another one.

An ordered consumer waits for ever if it resumes at a sequence that the new stream has not reached. So this reader
compares the creation time whenever it (re)starts. It restarts whenever a sequence is missing or the server is silent.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import nats.errors
from msgspec import Struct
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api

from proto.codec import ContractError, decode_on
from proto.subjects import Subject, row_of
from services.bus.connection.client import asked_by, client_of
from services.kernel.log import get_logger
from services.kernel.tracing import TRACEPARENT

log = get_logger()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEARTBEAT_S = 1.0
LOST_S = _SILENCE_S = 3.0
"""When the server has been silent for this long, a message may have been missed."""
_RESTART_S = 0.25
_TURN = 32
_TRACEPARENT_MOST = 64
"""Maximum number of characters; a traceparent has fewer."""
_BUCKETS = "$KV."
"""The prefix of the subjects of KV buckets (NATS ADR-8). Other streams never remove an entry."""


def nanoseconds(moment: datetime | None) -> int:
    """Return a server's timestamp in ns since the epoch, exact to the microsecond: nats-py keeps no more."""
    return 0 if moment is None else (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as the stream holds it. `time` and `stream_created` are the server's, in ns."""

    row: Subject
    subject: str
    message: Struct
    sequence: int
    time: int
    stream_created: int
    trace: str = field(default="", compare=False)
    """The traceparent of the writer; empty if the message is not traced."""


@dataclass(frozen=True, slots=True)
class StreamReset:
    """The stream has been replaced by another one: its content is lost. Sequences begin again."""

    created: int


@dataclass(frozen=True, slots=True)
class Removed:
    """An entry of a KV bucket was deleted, or expired."""

    row: Subject
    subject: str
    sequence: int


Asking = Callable[
    [JetStreamContext, str, list[str], int, int], AsyncGenerator[tuple[int, Stored | Removed | None], None]
]
"""A way to follow a stream without a consumer: `services.bus.streams.polling.session`."""


class Follower:
    """Reads `filters` of a stream in order from sequence `start`.

    With `rereads` it reads everything again after each interruption, and yields a `StreamReset` first. The marker of a
    removed KV entry may itself be gone by then.
    """

    def __init__(
        self,
        js: JetStreamContext,
        stream: str,
        filters: list[str],
        start: int = 1,
        *,
        rereads: bool = False,
        asking: Asking | None = None,
    ) -> None:
        self._js, self._stream, self._filters, self._rereads, self._asking = js, stream, filters, rereads, asking
        self._next, self._created = start, 0

    async def __aiter__(self) -> AsyncIterator[Stored | StreamReset | Removed]:
        """Yield stored messages in order, for ever; a `StreamReset` comes before the first message of a new stream."""
        while True:
            try:
                another = await self._is_another_stream()
                if self._rereads:
                    self._next = 1
                if another or self._rereads:
                    yield StreamReset(self._created)
                async with contextlib.aclosing(self._asked() if self._asking else self._session()) as session:
                    async for stored in session:
                        yield stored
            except Exception as error:
                log.warning("following again", stream=self._stream, error=str(error) or type(error).__name__)
            await asyncio.sleep(_RESTART_S)

    async def _is_another_stream(self) -> bool:
        info = await self._js.stream_info(self._stream)
        created = nanoseconds(info.created)
        known, self._created = self._created, created
        if known in (0, created) and info.state.last_seq >= self._next - 1:
            return False
        self._next = 1
        return known != 0

    async def _asked(self) -> AsyncGenerator[Stored | Removed, None]:
        assert self._asking is not None
        found = self._asking(self._js, self._stream, self._filters, self._next, self._created)
        async with contextlib.aclosing(found) as session:
            async for self._next, stored in session:
                if stored is not None:
                    yield stored

    async def _session(self) -> AsyncGenerator[Stored | Removed, None]:
        reader = _reader(self._filters, _from_sequence(self._next))
        async with _delivering(self._js, self._stream, reader) as (delivered, _):
            expected = 1
            while True:
                msg = await delivered.next()
                if _is_status(msg):
                    await _flow(msg)
                    continue
                meta = msg.metadata
                if meta.sequence.consumer != expected:
                    return  # a message is missing: read again from where we are
                expected += 1
                self._next = meta.sequence.stream + 1
                stored = _stored(msg, self._created)
                if stored is not None:
                    yield stored


class _Delivered:
    """The messages of a consumer. nats-py's own `next_msg` makes two tasks and a UUID per message; a replay has many.

    nats-py's limits do not apply here. The server's flow control applies, and is answered in the order of the messages.
    """

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Msg] = asyncio.Queue()
        self._count = 0

    async def put(self, msg: Msg) -> None:
        """Queue a message that came off the socket."""
        self._queue.put_nowait(msg)

    async def next(self) -> Msg:
        """Return the next message; nats.errors.TimeoutError if not even a heartbeat comes."""
        self._count += 1
        if self._count % _TURN == 0:
            await asyncio.sleep(0)  # a long replay must not keep the loop from everything else
        if not self._queue.empty():
            return self._queue.get_nowait()
        try:
            async with asyncio.timeout(_SILENCE_S):
                return await self._queue.get()
        except TimeoutError:
            raise nats.errors.TimeoutError from None


@contextlib.asynccontextmanager
async def _delivering(
    js: JetStreamContext, stream: str, reader: api.ConsumerConfig
) -> AsyncIterator[tuple[_Delivered, api.ConsumerInfo]]:
    """Make a consumer, yield its messages and its info, and delete it at the end."""
    client = client_of(js)
    inbox, delivered = client.new_inbox(), _Delivered()
    made: list[api.ConsumerInfo] = []
    subscription = await client.subscribe(inbox, cb=delivered.put)
    try:
        made.append(await js.add_consumer(stream, reader, deliver_subject=inbox))
        yield delivered, made[0]
    finally:
        with contextlib.suppress(Exception):
            await subscription.unsubscribe()
            for consumer in made:
                await js.delete_consumer(stream, consumer.name)


def _from_sequence(start: int) -> dict[str, Any]:
    return {"deliver_policy": api.DeliverPolicy.BY_START_SEQUENCE, "opt_start_seq": max(1, start)}


def _from_time(since: int) -> dict[str, Any]:
    moment = _EPOCH + timedelta(microseconds=since // 1_000)
    return {"deliver_policy": api.DeliverPolicy.BY_START_TIME, "opt_start_time": moment}


_LAST_OF_EACH: dict[str, Any] = {"deliver_policy": api.DeliverPolicy.LAST_PER_SUBJECT}


def _reader(filters: list[str], begin: dict[str, Any]) -> api.ConsumerConfig:
    return api.ConsumerConfig(
        **begin,
        filter_subjects=filters,
        ack_policy=api.AckPolicy.NONE,
        max_deliver=1,
        idle_heartbeat=_HEARTBEAT_S,
        flow_control=True,
        inactive_threshold=30.0,
        mem_storage=True,
        num_replicas=1,
    )


def read(js: JetStreamContext, stream: str, filters: list[str], since: int = 0) -> AsyncGenerator[Stored, None]:
    """Yield what the stream holds of these subjects up to now, in order; ConnectionError if a message went missing.

    With `since` (ns), yield only what was stored from then on, by the server's clock.
    """
    return _read(js, stream, filters, _from_time(since) if since else _from_sequence(1))


async def _read(
    js: JetStreamContext, stream: str, filters: list[str], begin: dict[str, Any]
) -> AsyncGenerator[Stored, None]:
    created = nanoseconds((await js.stream_info(stream)).created)
    async with _delivering(js, stream, _reader(filters, begin)) as (delivered, consumer):
        pending, expected, idle = consumer.num_pending or 0, 1, 0
        while pending and idle < 2:  # idle: what was still to come has gone from the stream, by age or by room
            msg = await delivered.next()
            if _is_status(msg):
                await _flow(msg)
                idle += _is_idle(msg, after=expected - 1)
                continue
            idle = 0
            if msg.metadata.sequence.consumer != expected:
                raise ConnectionError(f"a message of {stream} went missing on the way")
            pending, expected = msg.metadata.num_pending, expected + 1
            stored = _stored(msg, created)
            if isinstance(stored, Stored):
                yield stored


async def read_back(js: JetStreamContext, stream: str, filters: list[str], start: int = 1) -> list[Stored]:
    """Return what the stream holds of these subjects from a sequence on, up to now, in order."""
    return [stored async for stored in _read(js, stream, filters, _from_sequence(start))]


async def read_latest(js: JetStreamContext, stream: str, filters: list[str]) -> list[Stored]:
    """Return the last message that the stream holds of each of these subjects, in order."""
    return [stored async for stored in _read(js, stream, filters, _LAST_OF_EACH)]


def _is_status(msg: Msg) -> bool:
    return bool(msg.headers) and "Status" in (msg.headers or {})


def _is_idle(msg: Msg, *, after: int) -> bool:
    """Return whether the server says that after this message of the consumer it has nothing more to send.

    It says so after a second without a message (NATS ADR-9). While it waits for flow control it says that, too. Between
    two such words it has looked for a message; before a single one perhaps not, if it had just been let go on.
    """
    headers = msg.headers or {}
    return "Nats-Consumer-Stalled" not in headers and headers.get("Nats-Last-Consumer") == str(after)


async def _flow(msg: Msg) -> None:
    """Answer flow control, so that the server goes on: without it a long replay would overrun the connection."""
    if msg.reply:
        await msg.respond(b"")
    elif stalled := (msg.headers or {}).get("Nats-Consumer-Stalled"):
        await asked_by(msg).publish(stalled)


def is_marker(headers: dict[str, str] | None) -> bool:
    """Return whether a stored message only says that the entry before it is gone (NATS ADR-8, ADR-43)."""
    return "Nats-Marker-Reason" in (headers or {}) or "KV-Operation" in (headers or {})


@lru_cache(maxsize=1_024)
def _row(subject: str) -> Subject | None:
    """Return the row of a subject. The result is cached: a stream holds many messages of few subjects."""
    found = row_of(subject)
    return None if found is None else found[0]


def _stored(msg: Msg, created: int) -> Stored | Removed | None:
    meta = msg.metadata
    return stored_of(msg.subject, msg.data, msg.headers, meta.sequence.stream, nanoseconds(meta.timestamp), created)


def stored_of(
    subject: str, data: bytes, headers: dict[str, str] | None, sequence: int, at: int, created: int
) -> Stored | Removed | None:
    """Return the message, or None if it cannot be read: an unreadable one must not stop all that follow."""
    row = _row(subject)
    if row is None:
        log.error("stored message of unknown subject", subject=subject)
        return None
    if subject.startswith(_BUCKETS) and is_marker(headers):  # elsewhere the writer chooses the headers
        return Removed(row, subject, sequence)
    try:
        message = decode_on(row, subject, data)
    except ContractError as error:
        log.error("undecodable stored message", subject=subject, sequence=sequence, reason=str(error))
        return None
    return Stored(
        row, subject, message, sequence, at, created, (headers or {}).get(TRACEPARENT, "")[:_TRACEPARENT_MOST]
    )
