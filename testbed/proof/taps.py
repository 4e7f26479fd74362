"""Taps that listen while the box runs: on NATS as each identity, on log lines, on mails, on the SMS gateway.

On NATS a tap subscribes to everything that its identity may read, and tries to subscribe to everything else.
"""

import contextlib
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from operate.box.box import Box
from operate.box.child import TOO_LONG
from proto.codec import decode
from proto.permissions import ACCOUNTS, rights_of, user_of
from proto.subjects import ALERTS, CAMERAS, FRAMES, Account, Identity
from services.bus import Connection, NatsSettings
from testbed.proof.search import Search
from testbed.servers.mail import Mail

Hear = Callable[[str, str, bytes, bytes], None]
"""Called with the user, the subject, the headers, and the payload."""


def users() -> Iterator[tuple[Identity, Account]]:
    """Yield every identity with each of its accounts."""
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
        """Connect, subscribe to everything that this identity may read, and try to subscribe to all subjects."""
        self._connection = await Connection.connect(settings, self.user, self.account)
        client = self._connection.client
        self._connection.asks_again = False
        # The connection would log the refusals, which are expected here.
        self._connection.errors.on_error = self._denied
        allowed = [one.partition(" ") for one in rights_of(self.identity, self.account).subscribe]
        for subject, _, queue in allowed:
            # A member of the workers' queue group takes frames away from the worker: see `join`.
            await self._subscribe(subject, "" if self._is_frames(subject) else queue)
        await self._subscribe(">")
        await client.flush()
        return self

    async def join(self) -> None:
        """Join the workers' queue group, if this identity may: the tap receives frames and does not answer them."""
        for one in rights_of(self.identity, self.account).subscribe:
            subject, _, queue = one.partition(" ")
            if self._is_frames(subject):
                await self._subscribe(subject, queue)

    def _is_frames(self, subject: str) -> bool:
        return self.account == "MORETTA_FRAMES" and subject == FRAMES.wildcard()

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
        """Close the connection."""
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
        """Return the tap of a user."""
        return next(tap for tap in self.all if tap.user == user)


PLANTER = "planter@market.example"
"""The sender of the planted mail; the planted SMS names it, too."""


class TapSearch:
    """Searches everything that comes. `public` gets each decoded message about cameras and alerts."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self.public: Callable[[Any], None] = lambda _message: None
        self.mails = self.sms = self.frames = 0
        """Numbers of those that were not planted."""

    def mail(self, mail: Mail) -> None:
        """Search a mail, both as received and with each of its parts decoded."""
        data = mail.file.read_bytes()
        self.mails += PLANTER.encode() not in data
        where = f"{mail.file.name}: {mail.message['Subject']}"
        self._search.text("mails", where, data)
        for part in mail.message.walk():
            if isinstance(content := part.get_payload(decode=True), bytes):
                self._search.part("mails", where, content)

    def request(self, request: bytes) -> None:
        """Search a request to the SMS gateway."""
        self.sms += PLANTER.encode() not in request
        self._search.text("sms", "an SMS", request)

    def line(self, name: str, line: str) -> None:
        """Search a program's log line."""
        if line.endswith(TOO_LONG):
            self._search["logs"].miss(line)
        self._search.text("logs", name, line.encode(errors="surrogateescape"))

    def message(self, user: str, subject: str, headers: bytes, data: bytes) -> None:
        """Search a message that a user received on the bus."""
        where = f"{user} heard {subject}"
        if user == "subscriber" and (row := next((r for r in (CAMERAS, ALERTS) if r.parse(subject)), None)):
            self.public(decode(row, data))
        if FRAMES.parse(subject) is not None:  # sealed: it has to look like noise
            self.frames += 1
            self._search.raw("bus", where, headers + data)
        else:
            self._search.text("bus", where, headers + data)
