"""JetStream: stores with acknowledgement, stores exactly once, stores entries that expire; reads back (`Reading`).

It reports which streams take no message, and since when: a publisher sees only silence when a disk is full.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct
from nats.js import api
from nats.js.errors import APIError
from nats.nuid import NUID
from prometheus_client import Gauge

from proto.codec import encode
from proto.subjects import Subject
from services.bus.connection.connection import Connection, headers_of
from services.bus.stream_sizes import Sizes
from services.bus.streams.errors import CONTENDED, NO_ROOM, TRANSIENT, WRONG_LAST_SEQUENCE, Contended, Fenced, Full
from services.bus.streams.reading import TIMEOUT_S, Reading
from services.bus.streams.stream_keeper import RETRY_S, Upkeep
from services.kernel.log import get_logger

UNSTORED = Gauge(
    "moretta_bus_unstored_seconds", "How long a message has waited for its stream to take it; 0 when it did", ["stream"]
)
LONG_S = 10.0
"""Electing a leader, or restarting a server, takes no longer than this."""


class Waiting:
    """The streams for which a message waits at the moment, and since when. Each stream has `copies`."""

    def __init__(self, copies: int = 1) -> None:
        self._copies = copies
        self._since: dict[str, float] = {}

    def failed(self, stream: str) -> None:
        """Note that a stream did not take a message, or did not answer in time."""
        since = self._since.setdefault(stream, time.monotonic())
        UNSTORED.labels(stream).set(time.monotonic() - since)

    def done(self, stream: str) -> None:
        """Note that the stream took a message, or that no caller waits any more."""
        if self._since.pop(stream, None) is not None:
            UNSTORED.labels(stream).set(0)

    @property
    def long(self) -> dict[str, float]:
        """Return for how many seconds each stream has taken nothing, if at least `LONG_S`."""
        now = time.monotonic()
        return {name: now - since for name, since in sorted(self._since.items()) if now - since >= LONG_S}

    @property
    def in_words(self) -> str:
        """Return what is wrong and what to do; empty if nothing is wrong."""
        streams = ", ".join(f"{name} for {seconds:.0f} s" for name, seconds in self.long.items())
        why = "is its disk full?"
        if self._copies > 1:
            why = f"no majority of {self._copies} copies: start every server that is away; are their disks full?"
        return f"NATS takes no message for {streams}; {why} See docs/operations.md" if streams else ""


log = get_logger()

_HELD_S = 0.1

LeaseCheck = Callable[[], bool]
"""Returns whether the caller may write at this moment: it holds a lease that has not run out."""


class Streams(Reading):
    """Stores a service's messages in JetStream, and reads them back."""

    def __init__(
        self,
        connection: Connection,
        replicas: int,
        *,
        makes: bool = True,
        sizes: Sizes | None = None,
        asked: frozenset[str] = frozenset(),
    ) -> None:
        js = connection.client.jetstream(timeout=TIMEOUT_S)
        super().__init__(connection, js, Upkeep(connection, js, replicas, sizes or {}, makes=makes), asked)
        self._nuid = NUID()
        self.replicas = replicas
        self.waiting = Waiting(replicas)

    async def ensure(self, names: Iterable[str]) -> None:
        """Make the streams of these names as the table says, or bring them up to it, now and whenever one is lost.

        A service that may not make streams waits until they exist.
        """
        await self._upkeep.ensure(names)

    async def store(
        self, row: Subject, message: Struct, *, message_id: str | None = None, held: LeaseCheck | None = None
    ) -> int:
        """Return the stream sequence of the stored message; retry until the server acknowledges or we are cancelled.

        A caller that shares work by leases passes `held`: whether its lease is valid. Each attempt waits until it is.
        """
        headers = {"Nats-Msg-Id": message_id or self._nuid.next().decode()}
        payload, subject = encode(row, message), row.of(message)

        async def once() -> int:
            await _until(held)
            try:
                return await self._swap(row, subject, payload, headers)
            except TRANSIENT:
                self.waiting.failed(str(row.stream))
                raise

        try:
            while True:
                try:
                    stored: int = await self._upkeep.trying(once)
                    return stored
                except Contended:  # an earlier attempt of ours is in progress; we got no answer
                    await asyncio.sleep(RETRY_S)
        finally:
            self.waiting.done(str(row.stream))

    async def store_once(
        self, row: Subject, message: Struct, *, is_done: Callable[[Any], bool], held: LeaseCheck | None = None
    ) -> bool:
        """Store unless the subject's last message says that it is done; return True if this call stored it.

        This works beyond the de-duplication window of message ids: the write expects the last sequence that we read.
        Error 10071 means that another writer wrote since. If the last message is then our own bytes, or is done, this
        returns False; else it raises `Fenced`. Each attempt waits until `held` (see `store`).
        """
        try:
            return await self._store_once(row, message, is_done, held)
        finally:
            self.waiting.done(str(row.stream))

    async def _store_once(
        self, row: Subject, message: Struct, is_done: Callable[[Any], bool], held: LeaseCheck | None
    ) -> bool:
        payload, subject = encode(row, message), row.of(message)
        while True:
            await _until(held)
            sequence, last = await self.end_of(row, subject)
            if last is not None and (is_done(last.message) or encode(row, last.message) == payload):
                return False
            if held is not None and not held():  # the process was frozen while it read: what it read is old
                continue
            headers = headers_of(row, {"Nats-Expected-Last-Subject-Sequence": str(sequence)})
            try:
                await self._publish(subject, payload, headers)
                return True
            except APIError as error:
                if error.err_code in CONTENDED:
                    await asyncio.sleep(RETRY_S)
                    continue
                if error.err_code != WRONG_LAST_SEQUENCE:
                    raise
                if not await self._ours_or_later(row, subject, payload, is_done):
                    raise Fenced(subject) from None
                return False
            except TRANSIENT as error:  # perhaps stored, perhaps not: the next round reads it
                self.waiting.failed(str(row.stream))
                log.warning("message not stored yet", subject=subject, error=str(error) or type(error).__name__)
                await asyncio.sleep(RETRY_S)

    async def _ours_or_later(self, row: Subject, subject: str, payload: bytes, is_done: Callable[[Any], bool]) -> bool:
        _, last = await self.end_of(row, subject)
        return last is not None and (encode(row, last.message) == payload or is_done(last.message))

    async def put(self, row: Subject, message: Struct, *, expected: int, ttl_s: int) -> int:
        """Store an entry that expires after `ttl_s` if nobody has written its subject since `expected`; never retry.

        Return its revision. `Fenced` if somebody has written since (error 10071). After any other error, the entry may
        or may not be stored. `expected` 0 is for a subject that has no entry. (NATS ADR-48: the TTL is a header.)
        """
        headers = {"Nats-TTL": f"{ttl_s}s", "Nats-Expected-Last-Subject-Sequence": str(expected)}
        return await self._swap(row, row.of(message), encode(row, message), headers)

    async def store_after(self, row: Subject, message: Struct, *, expected: int, message_id: str | None) -> int | None:
        """Return the sequence of the stored message; None if its subject's last one is not, or may not be, `expected`.

        Retry until the server answers. JetStream's API is asked nothing, so this works while it is busy. `expected` 0
        is for a subject that has no message. The return value is None also if a message with this id is stored already.
        `waiting` has each failure; the caller says there when it is done, since it may try again after a refusal.
        """
        name = {"Nats-Msg-Id": message_id} if message_id else {}
        headers = headers_of(row, {"Nats-Expected-Last-Subject-Sequence": str(expected)} | name)
        payload, subject, stream = encode(row, message), row.of(message), str(row.stream)

        async def once() -> api.PubAck:
            try:
                return await self._publish(subject, payload, headers)
            except TRANSIENT:
                self.waiting.failed(stream)
                raise

        try:
            ack = await self._upkeep.trying(once)
        except APIError as error:
            if error.err_code in {WRONG_LAST_SEQUENCE, *CONTENDED}:
                return None
            raise
        return None if ack.duplicate else int(ack.seq)

    async def amend(
        self, row: Subject, subject: str, change: Callable[[Struct | None], Struct], *, message_id: str | None
    ) -> tuple[int, Struct]:
        """Store what `change` makes of a subject's last message (None: there is none), by compare-and-swap.

        Return sequence and message. A call with a `message_id` that is stored already stores nothing more.
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
                return await self._upkeep.trying(lambda h=headers, p=payload: self._swap(row, subject, p, h)), message  # type: ignore[misc]
            except (Fenced, Contended):  # another writer was faster; or our write was stored, and we got no answer
                await asyncio.sleep(RETRY_S / 10)

    async def remove(self, row: Subject, subject: str, *, expected: int) -> int:
        """Delete an entry that `put` writes; return the revision of the marker that says so (NATS ADR-8)."""
        headers = {"KV-Operation": "DEL", "Nats-Expected-Last-Subject-Sequence": str(expected), "Nats-TTL": "5s"}
        return await self._swap(row, subject, b"", headers)

    async def _swap(self, row: Subject, subject: str, payload: bytes, headers: dict[str, str]) -> int:
        try:
            ack = await self._publish(subject, payload, headers_of(row, headers))
        except APIError as error:
            if error.err_code == WRONG_LAST_SEQUENCE:
                raise Fenced(subject) from None
            if error.err_code in CONTENDED:
                raise Contended(subject) from None
            raise
        return int(ack.seq)

    async def _publish(self, subject: str, payload: bytes, headers: dict[str, str]) -> api.PubAck:
        try:
            return await self.js.publish(subject, payload, headers=headers)
        except APIError as error:
            if error.err_code in NO_ROOM:
                raise Full(error.description) from None
            raise


async def _until(held: LeaseCheck | None) -> None:
    """Wait until a lease is valid. The task that sees the lease lost cancels us."""
    while held is not None and not held():
        await asyncio.sleep(_HELD_S)
