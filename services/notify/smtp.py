"""Mails to the mail server with aiosmtplib: RFC 5321, STARTTLS of RFC 3207, AUTH of RFC 4954."""

import asyncio
import contextlib
import os
import re
import socket
import ssl
from email.message import EmailMessage
from types import TracebackType
from typing import Self

import aiosmtplib
from prometheus_client import Gauge, Histogram

from services.notify.core.message import POLICY
from services.notify.core.outcome import Failure, Kind, Stage
from services.notify.settings import SmtpSettings

UP = Gauge("moretta_notify_smtp_up", "1 while the mail server takes our mails, 0 after it could not be reached")
SECONDS = Histogram(
    "moretta_notify_smtp_seconds",
    "Time to hand one mail over, or to fail",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")
_QUIT_S = 2.0


def tls_context(settings: SmtpSettings) -> ssl.SSLContext:
    """Return the context for this server: TLS 1.2 or later. OSError if `ca_file` cannot be used."""
    context = ssl.create_default_context()
    if settings.ca_file is not None:
        context.load_verify_locations(cafile=settings.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class Session:
    """One connection, made when the first mail needs it, used for all mails of one delivery, closed at the end.

    A server that cannot be reached, or refuses us before any recipient was named, is asked once, not once a recipient.
    """

    def __init__(self, settings: SmtpSettings, context: ssl.SSLContext) -> None:
        self._settings, self._context = settings, context
        self._client: aiosmtplib.SMTP | None = None
        self._refused: Failure | None = None

    async def __aenter__(self) -> Self:
        """Nothing yet: a delivery with nothing left to send needs no connection."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Say goodbye, briefly, and close."""
        if self._client is None:
            return
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            if error is None and self._client.is_connected:
                await self._client.quit(timeout=_QUIT_S)
        self._client.close()

    async def open(self) -> Failure | None:
        """Connect, secure and log in unless done; None when the server will take mails."""
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
        """Hand a mail over for one recipient; None once the server has accepted it."""
        with SECONDS.time():
            failure = self._refused or await self.open()
            if failure is not None or self._client is None:
                return failure
            data = message.as_bytes(policy=POLICY)
            try:
                await self._client.sendmail(self._settings.sender, [recipient], data)
            except Exception as error:
                return failure_of(error, "data")
        return None

    def _new_client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self._settings.host,
            port=self._settings.port_in_use(),
            timeout=self._settings.timeout_s,
            use_tls=self._settings.security == "tls",
            start_tls=False,  # done below, where a server without it can be told from a broken one
            tls_context=self._context,
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
        if self._settings.user is None or self._settings.password is None:
            return None
        return await _login(client, self._settings.user, self._settings.password.reveal())


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
    if isinstance(cause, ssl.SSLError) or isinstance(error, ssl.SSLError):
        tls = cause if isinstance(cause, ssl.SSLError) else error
        return Failure("tls", "connect", detail=str(getattr(tls, "verify_message", "") or getattr(tls, "reason", "")))
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return Failure("timeout", stage)
    if isinstance(error, (ConnectionError, OSError)):
        kind: Kind = "disconnected" if isinstance(error, aiosmtplib.SMTPServerDisconnected) else "connect"
        return Failure(kind, stage, detail=_words_of(cause))
    return Failure("other", stage, detail=type(error).__name__)


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
    """The operating system's words for a network trouble; empty for anything else."""
    if isinstance(error, socket.gaierror):
        return "the name cannot be resolved"
    # Not strerror: asyncio puts the socket's address into it.
    return os.strerror(error.errno).lower() if isinstance(error, OSError) and error.errno else ""
