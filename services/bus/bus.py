"""`Bus`: the interface of a service to NATS."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from typing import Any, cast

import nats.errors
from msgspec import Struct

from proto.control import DeadV1, ServiceName
from proto.permissions import asked_streams
from proto.subjects import DEAD, STREAM_OWNER, Account, Subject
from services.bus import clock
from services.bus.clock import Offset
from services.bus.connection.connection import Connection
from services.bus.service.micro import Answer, MicroService
from services.bus.settings import NatsSettings
from services.bus.streams.ordered_consumer import Asking, Follower, Removed, Stored, StreamReset
from services.bus.streams.polling import session
from services.bus.streams.storing import LeaseCheck, Streams

_KEEP_DEAD_BYTES = 65_536


class Bus(Connection):
    """One identity's connection to NATS, in one account, with the streams that it may use there."""

    def __init__(self, settings: NatsSettings, name: str, account: Account = "MORETTA") -> None:
        super().__init__(settings, name, account)
        self.on_undecodable = self._store_dead_letter
        # On a server without Moretta's identities every service may create the streams; the first one does.
        who = settings.user or name
        makes = who == STREAM_OWNER or settings.seed is None
        self.streams = Streams(self, settings.replicas, makes=makes, sizes=settings.sizes, asked=asked_streams(who))
        self.dead_letters: Bus | None = None
        """The bus that stores dead letters. The account MORETTA_FRAMES has no stream, so its bus needs another one."""

    @property
    def not_stored(self) -> str:
        """The streams that have taken no message for a while, in words; empty if no message waits."""
        return self.streams.waiting.in_words

    def micro_service(self, row: Subject, answer: Answer) -> MicroService:
        """Return a micro service (NATS ADR-32); it answers a row's requests once `offer` has been called."""
        return MicroService(self.client, row, answer)

    async def ask(self, subject: str, *, timeout: float) -> bytes:
        """Return the answer to a request without a body, such as to JetStream's API; nats.errors.Error without one."""
        return bytes((await self.client.request(subject, b"", timeout=timeout)).data)

    async def ensure_streams(self, names: Iterable[str]) -> None:
        """Make sure that the streams of these names exist; see `Streams.ensure`."""
        await self.streams.ensure(names)

    async def store(
        self, row: Subject, message: Struct, *, message_id: str | None = None, held: LeaseCheck | None = None
    ) -> int:
        """Store with acknowledgement; return the stream sequence. See `Streams.store`."""
        return await self.streams.store(row, message, message_id=message_id, held=held)

    async def store_once(
        self, row: Subject, message: Struct, *, is_done: Callable[[Any], bool], held: LeaseCheck | None = None
    ) -> bool:
        """Store unless done; see `Streams.store_once`."""
        return await self.streams.store_once(row, message, is_done=is_done, held=held)

    async def last(self, row: Subject, **tokens: str) -> Stored | None:
        """Return the last stored message of the concrete subject, or None."""
        return await self.streams.last_of(row, row.subject(**tokens))

    async def first(self, row: Subject, **tokens: str) -> Stored | None:
        """Return the oldest message of the concrete subject that is still stored, or None."""
        return await self.streams.first_of(row, row.subject(**tokens))

    async def history(self, row: Subject, **tokens: str) -> list[Stored]:
        """Return all stored messages of a row, in order, up to now."""
        return await self.history_from(1, row, **tokens)

    async def history_from(self, start: int, row: Subject, **tokens: str) -> list[Stored]:
        """Return the stored messages of a row from a sequence of its stream on, in order, up to now."""
        return await self.streams.history(cast("str", row.stream), [row.wildcard(**tokens)], start)

    async def latest(self, row: Subject, **tokens: str) -> list[Stored]:
        """Return the last stored message of each of a row's subjects, in order."""
        return await self.streams.latest(cast("str", row.stream), [row.wildcard(**tokens)])

    def read(self, row: Subject, *, since: int = 0, **tokens: str) -> AsyncGenerator[Stored, None]:
        """Yield the stored messages of a row, in order, up to now; see `Streams.read`."""
        return self.streams.read(cast("str", row.stream), [row.wildcard(**tokens)], since)

    def follow(self, stream: str, filters: list[str], *, start: int = 1) -> AsyncIterator[Stored | StreamReset]:
        """Yield stored messages in order, for ever; see `Follower`. No message of such a stream is ever removed."""
        follower = aiter(Follower(self.streams.js, stream, filters, start, asking=self._asking(stream)))
        return cast("AsyncIterator[Stored | StreamReset]", follower)

    def watch(self, stream: str, filters: list[str]) -> AsyncIterator[Stored | StreamReset | Removed]:
        """Yield a `StreamReset`, then a KV bucket's entries, then their changes, for ever; see `Follower`."""
        return aiter(Follower(self.streams.js, stream, filters, rereads=True, asking=self._asking(stream)))

    def _asking(self, stream: str) -> Asking | None:
        return session if stream in self.streams.asked else None

    async def clock_offset(self, stream: str, utc: Callable[[], int] = time.time_ns) -> Offset | None:
        """Return how far our clock is from the server's, from a request about a stream; None without an answer."""
        try:
            return await clock.ask(self.client, stream, utc)
        except (nats.errors.Error, OSError, KeyError, ValueError):
            return None

    async def _store_dead_letter(self, row: Subject, subject: str, data: bytes, reason: str) -> None:
        """Store a dead letter. It holds no byte of a message from the account MORETTA_FRAMES (docs/privacy.md)."""
        keep = data[:_KEEP_DEAD_BYTES] if row.account == "MORETTA" else None
        dead = DeadV1(
            service=cast("ServiceName", self._name),
            subject=subject,
            reason=reason,
            size=len(data),
            at=time.time_ns(),
            payload=keep,
        )
        await (self.dead_letters or self).store(DEAD, dead)
