"""A listener with each identity's rights: hears all that it may, and tries everything else."""

import contextlib
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from operate.box.box import Box
from proto.permissions import ACCOUNTS, rights_of, user_of
from proto.subjects import FRAMES, Account, Identity
from services.bus import Connection, NatsSettings

Hear = Callable[[str, str, bytes, bytes], None]
"""Called with the user, the subject, the headers, and the payload."""


def users() -> Iterator[tuple[Identity, Account]]:
    """Every identity in each account that it has."""
    for identity, accounts in ACCOUNTS.items():
        for account in accounts:
            yield identity, account


class Tap:
    """One connection as an identity. `refused` are the subscriptions that the server denied."""

    def __init__(self, identity: Identity, account: Account, hear: Hear) -> None:
        self.identity, self.account, self._hear = identity, account, hear
        self.user = user_of(identity, account)
        self.asked = 0
        self.refused: set[str] = set()
        self._connection: Connection | None = None

    async def open(self, settings: NatsSettings) -> Self:
        """Connect, subscribe to everything that this identity may, and try to subscribe to everything there is."""
        self._connection = await Connection.open(settings, self.user, self.account)
        client = self._connection.client
        self._connection.asks_again = False
        # The connection would log what is meant to be refused.
        self._connection._trouble.tell = self._denied  # noqa: SLF001
        allowed = [one.partition(" ") for one in rights_of(self.identity, self.account).subscribe]
        for subject, _, queue in allowed:
            # Who joins the workers' queue group takes frames from the worker: see `join`.
            await self._subscribe(subject, "" if self._is_frames(subject) else queue)
        await self._subscribe(">")
        await client.flush()
        return self

    async def join(self) -> None:
        """Take part in the workers' queue group, where this identity may: frames are heard, and not answered."""
        for one in rights_of(self.identity, self.account).subscribe:
            subject, _, queue = one.partition(" ")
            if self._is_frames(subject):
                await self._subscribe(subject, queue)

    def _is_frames(self, subject: str) -> bool:
        return self.account == "FRAMES" and subject == FRAMES.wildcard()

    async def _subscribe(self, subject: str, queue: str = "") -> None:
        assert self._connection is not None
        self.asked += 1
        await self._connection.client.subscribe(
            subject, queue=queue, cb=self._take, pending_msgs_limit=-1, pending_bytes_limit=-1
        )

    async def publish(self, subject: str, data: bytes) -> None:
        """Publish, as this identity may."""
        assert self._connection is not None
        await self._connection.client.publish(subject, data)
        await self._connection.client.flush()

    async def _take(self, msg: Any) -> None:
        headers = "".join(f"{name}: {value}\n" for name, value in (msg.headers or {}).items())
        self._hear(self.user, msg.subject, headers.encode(errors="surrogateescape"), bytes(msg.data))

    def _denied(self, trouble: str) -> None:
        if "permissions violation" in trouble.lower():
            self.refused.add(trouble)

    async def close(self) -> None:
        """Leave."""
        if self._connection is not None:
            await self._connection.close()


class Taps:
    """A tap for each identity and account, while its block runs."""

    def __init__(self, box: Box, hear: Hear) -> None:
        self._box = box
        self.all = [Tap(identity, account, hear) for identity, account in users()]

    async def __aenter__(self) -> Self:
        """Open all of them."""
        for tap in self.all:
            await tap.open(self._box.nats(tap.identity))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all of them."""
        for tap in self.all:
            with contextlib.suppress(Exception):
                await tap.close()

    def of(self, user: str) -> Tap:
        """Return one of them."""
        return next(tap for tap in self.all if tap.user == user)
