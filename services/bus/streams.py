"""JetStream: storing with acknowledgement, storing exactly once, storing what expires; and reading back (`Reading`)."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct
from nats.js import api
from nats.js.errors import APIError
from nats.nuid import NUID

from proto.codec import encode
from proto.permissions import JETSTREAM_API
from proto.subjects import Subject
from services.bus.connection import Connection, headers_of
from services.bus.errors import CONTENDED, NO_ROOM, TRANSIENT, WRONG_LAST_SEQUENCE, Contended, Fenced, Full
from services.bus.reading import TIMEOUT_S, Reading
from services.bus.sizes import Sizes
from services.bus.upkeep import RETRY_S, Upkeep
from services.bus.waiting import Waiting
from services.kernel.log import get_logger

log = get_logger()

_HELD_S = 0.1

LeaseCheck = Callable[[], bool]
"""Whether the caller may write at this moment: it holds a lease that has not run out."""


class Streams(Reading):
    """What a service stores in JetStream and reads back."""

    def __init__(
        self,
        connection: Connection,
        replicas: int,
        *,
        makes: bool = True,
        sizes: Sizes | None = None,
        asked: frozenset[str] = frozenset(),
        api: str = JETSTREAM_API,
    ) -> None:
        js = connection.client.jetstream(prefix=api.removesuffix("."), timeout=TIMEOUT_S)
        super().__init__(connection, js, Upkeep(connection, js, replicas, sizes or {}, makes=makes), asked)
        self._nuid = NUID()
        self.waiting = Waiting()

    async def ensure(self, names: Iterable[str]) -> None:
        """Make the streams of these names as the table says, or bring them up to it, now and whenever one is lost.

        Who may not make any waits until they are there.
        """
        await self._upkeep.ensure(names)

    async def store(
        self, row: Subject, message: Struct, *, message_id: str | None = None, held: LeaseCheck | None = None
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
            except TRANSIENT:
                self.waiting.failed(str(row.stream))
                raise

        try:
            while True:
                try:
                    stored: int = await self._upkeep.trying(once)
                    return stored
                except Contended:  # an earlier try of ours is on its way, of which we didn't hear
                    await asyncio.sleep(RETRY_S)
        finally:
            self.waiting.done(str(row.stream))

    async def store_once(
        self, row: Subject, message: Struct, *, is_done: Callable[[Any], bool], held: LeaseCheck | None = None
    ) -> bool:
        """Store unless the subject's last message says that it is done; True if this call stored it.

        Beyond the de-duplication window of message ids: the write expects the last sequence that we read.
        Error 10071 means that somebody wrote since: our own bytes or something later is done, else we are `Fenced`.
        Each attempt waits until `held` (see `store`).
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
            if held is not None and not held():  # frozen while it read: what it read is old
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
            except TRANSIENT as error:  # perhaps stored, perhaps not: the next round reads and knows
                self.waiting.failed(str(row.stream))
                log.warning("could not store, trying on", subject=subject, error=str(error) or type(error).__name__)
                await asyncio.sleep(RETRY_S)

    async def _ours_or_later(self, row: Subject, subject: str, payload: bytes, is_done: Callable[[Any], bool]) -> bool:
        _, last = await self.end_of(row, subject)
        return last is not None and (encode(row, last.message) == payload or is_done(last.message))

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
                return await self._upkeep.trying(lambda h=headers, p=payload: self._swap(row, subject, p, h)), message  # type: ignore[misc]
            except (Fenced, Contended):  # somebody was faster; or we were, and did not hear of it
                await asyncio.sleep(RETRY_S / 10)

    async def remove(self, row: Subject, subject: str, *, expected: int) -> int:
        """Delete an entry as `put` writes it; returns the revision of the marker that says so (NATS ADR-8)."""
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
    """Wait until a lease is valid; whoever sees that it is lost cancels us."""
    while held is not None and not held():
        await asyncio.sleep(_HELD_S)
