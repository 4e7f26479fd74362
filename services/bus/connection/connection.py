"""Core NATS for typed messages: publish, request, serve. A connection reconnects for ever and always gets closed."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

from msgspec import Struct
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import MaxPayloadError, NoRespondersError
from nats.micro.request import ERROR_CODE_HEADER, ERROR_HEADER
from prometheus_client import Counter

from proto.codec import ContractError, decode, decode_as, encode, encode_as
from proto.subjects import Account, Subject
from services.bus.connection.client import SecureClient, come_as
from services.bus.connection.error_log import CONNECTED, ErrorLog, OnError
from services.bus.connection.resubscribe import RefusedSubjects
from services.bus.connection.shutdown import end_client
from services.bus.nkey import Seed
from services.bus.settings import NatsSettings
from services.kernel.clock import boottime_ns
from services.kernel.log import get_logger
from services.kernel.settings import Secret
from services.kernel.tracing import headers as trace_headers

log = get_logger()

UNDECODABLE = Counter("moretta_bus_undecodable_total", "Messages that broke their contract", ["row"])
DROPPED = Counter("moretta_bus_dropped_total", "Messages dropped, oldest first, because a handler was behind", ["row"])
HANDLER_ERRORS = Counter("moretta_bus_handler_errors_total", "Handlers that raised", ["row"])

_CONTENT_TYPE = {"json": "application/json", "msgpack": "application/msgpack"}
_DEAD_LETTERS = 8
"""Maximum number of dead letters that wait to be stored; any more are only logged and counted."""
INBOX = "_INBOX"
"""The prefix of every inbox; an identity's own inboxes have more behind it."""
IMPORTED = "_R_."
"""The prefix of the server's own names for inboxes of another account (ADR 20)."""
INBOXES = (INBOX, IMPORTED)
_DRAIN_S = 0.5
"""How many seconds messages that were sent already may take to arrive and be handled when the intake ends."""
_CLOSE_S = 1.5
"""How many seconds each step of closing may take."""
_PING_S, _PINGS_OUT = 2, 2
"""Notice a frozen server within about 4 s."""


class NoWorkers(Exception):
    """Nobody serves this subject: NATS answered "no responders"."""


class Failed(Exception):
    """A micro service could not answer; the text comes from that service (NATS ADR-32)."""

    def __init__(self, subject: str, code: str, why: str) -> None:
        self.subject, self.code, self.why = subject, code, why
        super().__init__(f"{subject}: {code}: {why}")


class TooLarge(Exception):
    """A message is larger than the server accepts; the text says what to set."""

    def __init__(self, subject: str, size: int, limit: int) -> None:
        self.subject, self.size, self.limit = subject, size, limit
        super().__init__(f"{subject}: {size} bytes, but NATS takes {limit}; set its max_payload to 8MB")


@dataclass(frozen=True, slots=True)
class Request:
    """What a handler knows about a received message besides the message itself."""

    row: Subject
    subject: str
    headers: dict[str, str]
    size: int
    received: int
    """`boottime_ns` when the message came off the socket."""
    _msg: Msg

    @property
    def id(self) -> str | None:
        """The unique name of this request; None if the sender wants no answer."""
        return self._msg.reply or None

    async def reply(self, message: Struct) -> None:
        """Answer a request. Do nothing if the sender wants no answer, or wants it anywhere but in an inbox.

        An open server lets an answering service publish to any subject that a request names.
        """
        if self._msg.reply.startswith(INBOXES):
            await self._msg.respond(encode_as(self.row.encoding, message))


Handler = Callable[[Any, Request], Awaitable[None]]
OnUndecodable = Callable[[Subject, str, bytes, str], Awaitable[None]]
"""Called with row, subject, bytes and reason."""


def headers_of(row: Subject, extra: dict[str, str] | None = None) -> dict[str, str]:
    """Return the metadata headers of a message on this row."""
    return {"Content-Type": _CONTENT_TYPE[row.encoding], **(extra or {}), **trace_headers()}


class Connection:
    """One connection to NATS, in one account."""

    def __init__(self, settings: NatsSettings, name: str, account: Account = "MORETTA") -> None:
        """Prepare to connect; `name` is what the server calls this client in its lists."""
        self.client, self.account = SecureClient(settings.tls()), account
        self.on_undecodable: OnUndecodable | None = None
        self.reconnected: list[Callable[[], Awaitable[None]]] = []
        self.errors = ErrorLog(settings.url, account)
        self.errors.secure = settings.ca_file is not None
        self._settings, self._name = settings, name
        self._refused = RefusedSubjects(self.client)
        self.asks_again = True
        """Whether to ask again for refused subscriptions; off for a caller that looks for refusals."""
        self._tasks: list[asyncio.Task[None]] = []
        self._subscriptions: list[Subscription] = []
        self._inboxes: list[asyncio.Queue[tuple[int, Msg]]] = []
        self._dead_letters: set[asyncio.Task[None]] = set()

    @classmethod
    async def connect(
        cls, settings: NatsSettings, name: str, account: Account = "MORETTA", on_error: OnError | None = None
    ) -> Self:
        """Connect, and retry for ever. Every new error is one log line that says where and what.

        Until it is connected, `on_error` gets the errors instead.
        """
        connection = cls(settings, name, account)
        connection.errors.on_error = on_error
        if settings.is_open():
            log.warning("NATS connection not encrypted", url=settings.url, advice="set nats.ca_file to require TLS")
        try:
            await connection._connect()
        except BaseException:  # cancelled, or `on_error` raised: nobody else could close it
            connection.errors.closing = True
            await end_client(connection.client, _CLOSE_S)
            raise
        connection.errors.on_error = None
        CONNECTED.labels(account).set(1)
        return connection

    async def _connect(self) -> None:
        user, password, seed = _identity(self._settings, self.account)
        if seed is not None:  # without PyPI's nkeys (ADR 20)
            come_as(self.client, seed.public)
        await self.client.connect(
            self._settings.url.split(","),
            name=self._name,
            user=user,
            password=password.reveal() if password else None,
            signature_cb=seed.sign if seed else None,
            inbox_prefix=f"{INBOX}_{user or self._name}".encode(),
            connect_timeout=self._settings.connect_timeout_s,  # type: ignore[arg-type]
            reconnect_time_wait=0.5,  # type: ignore[arg-type]
            max_reconnect_attempts=-1,
            ping_interval=_PING_S,
            max_outstanding_pings=_PINGS_OUT,
            error_cb=self._error,
            disconnected_cb=self.errors.lost,
            reconnected_cb=self._back,
        )
        log.info("connected to NATS", url=self._settings.url, account=self.account, user=user)

    async def _error(self, error: Exception) -> None:
        await self.errors.error(error)
        if self.asks_again:
            self._refused.heard(str(error))

    async def _back(self) -> None:
        CONNECTED.labels(self.account).set(1)
        log.info("NATS is back", account=self.account)
        for step in self.reconnected:
            await step()

    @property
    def connected(self) -> bool:
        """Whether messages pass at the moment."""
        return bool(self.client.is_connected)

    @property
    def refused(self) -> frozenset[str]:
        """The subjects that we want to subscribe and the server refuses: its rights are not those of this version."""
        return self._refused.subjects

    async def publish(self, row: Subject, message: Struct, *, headers: dict[str, str] | None = None) -> None:
        """Publish a message on its own subject, at most once (core NATS)."""
        payload = encode(row, message)  # first: a message of another type may lack the subject's tokens
        await self.client.publish(row.of(message), payload, headers=headers_of(row, headers))

    async def request(self, row: Subject, message: Struct, *, timeout: float) -> Any:
        """Return the typed answer. NoWorkers if nobody serves the subject, TimeoutError after `timeout` seconds.

        `Failed` if a micro service could not answer. A refusal that holds a reply is returned as the answer.
        """
        data = encode(row, message)
        try:
            answer = await self.client.request(row.of(message), data, timeout=timeout, headers=trace_headers() or None)
        except NoRespondersError:
            raise NoWorkers(row.of(message)) from None
        except MaxPayloadError:
            raise TooLarge(row.of(message), len(data), self.client.max_payload) from None
        assert row.reply is not None
        headers = answer.headers or {}
        if ERROR_CODE_HEADER in headers and not answer.data:
            raise Failed(row.of(message), headers[ERROR_CODE_HEADER], headers.get(ERROR_HEADER, ""))
        return decode_as(row.reply, row.encoding, answer.data)

    async def ask_all(self, subject: str, *, wait_s: float) -> list[bytes]:
        """Return all answers to a request without a body, until none came for `wait_s`; empty if nobody listens."""
        inbox = self.client.new_inbox()
        subscription = await self.client.subscribe(inbox)
        found: list[bytes] = []
        try:
            await self.client.publish(subject, b"", reply=inbox)
            with contextlib.suppress(TimeoutError):
                while (answer := await subscription.next_msg(timeout=wait_s)).data:
                    found.append(answer.data)
        finally:
            await subscription.unsubscribe()
        return found

    async def serve(self, row: Subject, handler: Handler, *, pending: int = 64, **tokens: str) -> None:
        """Call `handler(message, request)` for each message on `row`, one at a time, in a task of its own.

        When the handler is behind, the **oldest** of more than `pending` waiting messages is dropped and counted.
        nats-py's own limits would drop the newest message and keep stale ones.
        """
        for counter in (UNDECODABLE, DROPPED, HANDLER_ERRORS):
            counter.labels(row.message.__name__)  # from 0 on: a counter that appears at 1 hides its first event
        inbox: asyncio.Queue[tuple[int, Msg]] = asyncio.Queue(pending)

        async def receive(msg: Msg) -> None:
            if inbox.full():
                inbox.get_nowait()
                inbox.task_done()
                DROPPED.labels(row.message.__name__).inc()
            inbox.put_nowait((boottime_ns(), msg))

        subscription = await self.client.subscribe(row.wildcard(**tokens), queue=row.queue or "", cb=receive)
        self._subscriptions.append(subscription)
        self._inboxes.append(inbox)
        self._tasks.append(asyncio.create_task(self._work(row, inbox, handler), name=f"serve {subscription.subject}"))

    async def _work(self, row: Subject, inbox: asyncio.Queue[tuple[int, Msg]], handler: Handler) -> None:
        while True:
            received, msg = await inbox.get()
            try:
                await self._handle(row, received, msg, handler)
            finally:
                inbox.task_done()

    async def _handle(self, row: Subject, received: int, msg: Msg, handler: Handler) -> None:
        try:
            message = decode(row, msg.data)
        except ContractError as error:
            self._undecodable(row, msg, str(error))
            return
        request = Request(row, msg.subject, dict(msg.headers or {}), len(msg.data), received, msg)
        try:
            await handler(message, request)
        except Exception:
            HANDLER_ERRORS.labels(row.message.__name__).inc()
            log.exception("a handler failed", subject=msg.subject)

    def _undecodable(self, row: Subject, msg: Msg, reason: str) -> None:
        UNDECODABLE.labels(row.message.__name__).inc()
        log.error("undecodable message", subject=msg.subject, reason=reason, size=len(msg.data))
        if self.on_undecodable is not None and len(self._dead_letters) < _DEAD_LETTERS:
            # In a task of its own: storing waits for JetStream, and the next message may be a frame.
            task = asyncio.create_task(self._bury(row, msg, reason))
            self._dead_letters.add(task)
            task.add_done_callback(self._dead_letters.discard)

    async def _bury(self, row: Subject, msg: Msg, reason: str) -> None:
        assert self.on_undecodable is not None
        try:
            await self.on_undecodable(row, msg.subject, msg.data, reason)
        except Exception:
            log.exception("dead letter not stored", subject=msg.subject)

    async def stop_serving(self, limit_s: float = _DRAIN_S) -> None:
        """Take no more messages, and handle those that the server has sent already, within a limit.

        Of a queue group nobody else gets those. Replies and publications still go out.
        """
        with contextlib.suppress(TimeoutError):  # the server may be away, or a handler may wait
            async with asyncio.timeout(limit_s):
                drained = [one.drain() for one in self._subscriptions]  # type: ignore[no-untyped-call]
                await asyncio.gather(*drained, return_exceptions=True)
                await asyncio.gather(*(inbox.join() for inbox in self._inboxes))
        for subscription in self._subscriptions:
            with contextlib.suppress(Exception):  # it is drained
                await subscription.unsubscribe()
        self._subscriptions.clear()
        self._inboxes.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def close(self, limit_s: float = _CLOSE_S) -> None:
        """Stop the handlers, flush published messages and close. No step takes longer than the limit, none raises."""
        await self.stop_serving()
        await self._refused.close()
        if self._dead_letters:
            await asyncio.wait(self._dead_letters, timeout=limit_s)
        for task in self._dead_letters:
            task.cancel()
        self.errors.closing = True
        if (why := await end_client(self.client, limit_s)) is not None:
            log.warning("could not drain NATS", error=why, account=self.account)
        CONNECTED.labels(self.account).set(0)


def _identity(settings: NatsSettings, account: Account) -> tuple[str | None, Secret | None, Seed | None]:
    if account == "MORETTA_FRAMES" and settings.frames_user is not None:
        return settings.frames_user, settings.frames_password, settings.frames_seed
    return settings.user, settings.password, settings.seed
