"""Hands mails to the mail server with aiosmtplib: RFC 5321, STARTTLS (RFC 3207), AUTH (RFC 4954)."""

import asyncio
import contextlib
import os
import re
import socket
import ssl
from collections.abc import Coroutine
from dataclasses import dataclass
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self, TypeVar

import aiosmtplib
from prometheus_client import Gauge, Histogram

from services.kernel.tls import Tls, saw
from services.notify.channels.email.settings import SmtpSettings
from services.notify.outcome import Failure, Kind, Stage
from services.notify.texts.email_message import POLICY

UP = Gauge("moretta_notify_smtp_up", "1 unless the mail server could not be reached, or took no mail, when last tried")
SECONDS = Histogram(
    "moretta_notify_smtp_seconds",
    "Time to hand one mail over, or to fail",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")
_QUIT_S = 2.0
IDLE_S = 30.0
"""A connection unused for this long is closed: servers close idle ones after minutes, and count them."""
CONNECTIONS = 4
"""Maximum connections at a time. A hanging one does not block the rest, and servers limit them per client."""
_PROBE_S = 5.0
_CLOSING = 421
_Answer = TypeVar("_Answer")


class SmtpSession:
    """One connection, opened when the first mail needs it and reused for all that follow.

    If the server is unreachable, or refuses the client before any recipient is named, it is asked only once, not once
    for each recipient.
    """

    def __init__(self, settings: SmtpSettings, tls: Tls) -> None:
        self._settings, self._tls = settings, tls
        self._client: aiosmtplib.SMTP | None = None
        self._refused: Failure | None = None

    async def __aenter__(self) -> Self:
        """Return the session without connecting: a delivery with nothing left to send needs no connection."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Close the connection; after an error, without QUIT."""
        if error is None:
            await self.close()
        else:
            self.abandon()

    async def close(self) -> None:
        """Send QUIT with a short time limit, and close."""
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            if self._client is not None and self._client.is_connected:
                await self._client.quit(timeout=_QUIT_S)
        self.abandon()

    def abandon(self) -> None:
        """Close without QUIT."""
        if self._client is not None:
            self._client.close()

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as this side knows."""
        return self._client is not None and self._client.is_connected

    async def answers(self) -> bool:
        """Return whether the server still answers on an idle connection; if not, close the connection."""
        if self._client is None or not self._client.is_connected:
            return False
        try:
            await self._client.noop(timeout=_PROBE_S)
        except (aiosmtplib.SMTPException, OSError):
            self.abandon()
            return False
        return True

    async def open(self) -> Failure | None:
        """Connect, start TLS and log in unless done. Return None if the server will take mails, else the failure."""
        if self._client is not None and self._client.is_connected:
            return None
        self._client = self._new_client()
        try:
            failure = await self._prepare(self._client)
        except Exception as error:
            failure = failure_of(error, "connect")
        if failure is not None:
            self._client.close()
        self._refused = failure
        UP.set(int(failure is None))
        return failure

    async def send(self, message: EmailMessage, recipient: str) -> Failure | None:
        """Hand over a mail for one recipient. Return None once the server has accepted it, else the failure."""
        with SECONDS.time():
            failure = self._refused or await self.open()
            if failure is not None or self._client is None:
                return failure
            data = message.as_bytes(policy=POLICY)
            try:
                await self._client.sendmail(self._settings.envelope_sender(), [recipient], data)
            except Exception as error:
                return failure_of(error, "data")
        return None

    def _new_client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self._settings.host,
            port=self._settings.port_in_use(),
            timeout=self._settings.timeout_s,
            use_tls=self._settings.security == "tls",
            start_tls=False,  # done below, to tell a server without STARTTLS from a broken one
            tls_context=self._tls.context,
            # Not this machine's name: in a container it means nothing to anybody, and it is not the server's business.
            local_hostname=self._settings.sender.rpartition("@")[2],
        )

    async def _prepare(self, client: aiosmtplib.SMTP) -> Failure | None:
        await client.connect()
        await client.ehlo()
        if self._settings.security == "starttls":
            if not client.supports_extension("starttls"):
                return Failure("no-starttls", "connect")
            await client.starttls()
            await client.ehlo()
        saw("smtp", client.get_transport_info("ssl_object"))
        if self._settings.user is None or self._settings.password is None:
            return None
        return await _login(client, self._settings.user, self._settings.password.reveal())


@dataclass
class _Idle:
    session: SmtpSession
    timer: asyncio.TimerHandle


class Pool:
    """A few connections to the mail server, kept open between notifications and closed when idle.

    If the server proves unreachable, all mails that waited for a connection meanwhile get that failure.
    """

    def __init__(self, settings: SmtpSettings, tls: Tls, *, idle_s: float = IDLE_S, most: int = CONNECTIONS) -> None:
        self._settings, self._tls, self._idle_s = settings, tls, idle_s
        self._places = asyncio.Semaphore(most)
        self._idle: list[_Idle] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._refused: Failure | None = None
        self._refused_at = 0.0
        self._closed = False

    async def send(self, message: EmailMessage, address: str) -> Failure | None:
        """Hand over a mail for one recipient. Return None once the server has accepted it, else the failure."""
        asked = asyncio.get_running_loop().time()
        async with self._places:
            if self._refused is not None and self._refused_at >= asked:
                return self._refused
            session = await self._take()
            used = session.connected
            failure = await _whole(session, session.send(message, address))
            if used and failure is not None and failure.code == _CLOSING:  # no more mails on this connection
                await session.close()
                session = SmtpSession(self._settings, self._tls)
                failure = await _whole(session, session.send(message, address))
            await self._return(session, failure)
        return failure

    async def close(self) -> None:
        """Send QUIT on every idle connection, with a short time limit. A busy connection closes after its mail."""
        self._closed = True
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.timer.cancel()
        await asyncio.gather(*(connection.session.close() for connection in idle), *self._closing)

    async def _take(self) -> SmtpSession:
        """Return the latest used connection on which the server still answers, or a new one."""
        while self._idle:
            connection = self._idle.pop()
            connection.timer.cancel()
            if await _whole(connection.session, connection.session.answers()):
                return connection.session
        return SmtpSession(self._settings, self._tls)

    async def _return(self, session: SmtpSession, failure: Failure | None) -> None:
        loop = asyncio.get_running_loop()
        if failure is not None and failure.stage == "connect":
            self._refused, self._refused_at = failure, loop.time()
        is_good = failure is None or (failure.kind == "response" and failure.code != _CLOSING)
        if is_good and not self._closed:
            self._idle.append(_Idle(session, loop.call_later(self._idle_s, self._expire, session)))
        else:
            await session.close()

    def _expire(self, session: SmtpSession) -> None:
        self._idle = [connection for connection in self._idle if connection.session is not session]
        task = asyncio.get_running_loop().create_task(session.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _whole(session: SmtpSession, work: Coroutine[Any, Any, _Answer]) -> _Answer:
    """Return the result of `work`. If it is cancelled midway, the connection is unusable and is closed."""
    try:
        return await work
    except BaseException:
        session.abandon()
        raise


async def _login(client: aiosmtplib.SMTP, user: str, password: str) -> Failure | None:
    """Log in with one method, once: aiosmtplib's `login` tries all of them, which counts as three wrong passwords."""
    logins = {"plain": client.auth_plain, "login": client.auth_login, "cram-md5": client.auth_crammd5}
    for method, login in logins.items():
        if method in client.server_auth_methods:
            await login(user, password)
            return None
    return Failure("no-auth", "connect")


def failure_of(error: Exception, stage: Stage) -> Failure:
    """Return what went wrong, without the server's words: they may quote an address."""
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    match error:
        case aiosmtplib.SMTPRecipientsRefused(recipients=[first, *_]):
            return failure_of(first, "recipient")
        case aiosmtplib.SMTPResponseException():
            return _of_reply(error, stage)
    if (tls := _tls_error(error)) is not None:
        return Failure("tls", "connect", detail=str(getattr(tls, "verify_message", "") or tls.reason))
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return Failure("timeout", stage)
    if isinstance(error, (ConnectionError, OSError)):
        kind: Kind = "disconnected" if isinstance(error, aiosmtplib.SMTPServerDisconnected) else "connect"
        return Failure(kind, stage, detail=_words_of(cause))
    return Failure("other", stage, detail=type(error).__name__)


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """Return the TLS error behind aiosmtplib's error; None if there is none."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__
    return error


def _of_reply(error: aiosmtplib.SMTPResponseException, stage: Stage) -> Failure:
    stages: dict[type[Exception], Stage] = {
        aiosmtplib.SMTPSenderRefused: "sender",
        aiosmtplib.SMTPRecipientRefused: "recipient",
        aiosmtplib.SMTPDataError: "data",
    }
    kind: Kind = "auth" if isinstance(error, aiosmtplib.SMTPAuthenticationError) else "response"
    enhanced = _ENHANCED.match(str(error.message))
    return Failure(kind, stages.get(type(error), stage), error.code, enhanced.group(1) if enhanced else None)


def _words_of(error: Exception) -> str:
    """Return the operating system's words for a network error; empty for anything else."""
    if isinstance(error, socket.gaierror):
        return "the name cannot be resolved"
    # Not `strerror` of the error: asyncio puts the socket's address into it.
    return os.strerror(error.errno).lower() if isinstance(error, OSError) and error.errno else ""
