"""Checks whether mail server, gateways, webhooks and cameras of the settings can be reached. Nothing is sent."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from operate.doctor.core.findings import Finding, fail, left_out, ok, warn
from services.destinations import refusal
from services.ingest.settings import IngestFile
from services.ingest.sources.address import SourceError, address_of
from services.ingest.sources.source import open_source
from services.kernel.tls import CertificateError, Tls
from services.notify.channels.email.settings import SmtpSettings
from services.notify.channels.email.smtp import SmtpSession
from services.notify.outcome import Failure
from services.notify.settings import NotifySettings
from services.sites.settings import CameraSettings

CONNECT_S = 5.0
_PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}
_ELSEWHERE = "is a firewall or a NetworkPolicy between, is the name known here, and does it run?"


@dataclass(frozen=True)
class ServerAddress:
    """A server's host and port, the only parts of its URL that may be shown; with `tls` its certificate is checked."""

    check: str
    host: str
    port: int
    tls: ssl.SSLContext | None = None

    @property
    def name(self) -> str:
        """Host and port, as they are shown."""
        return f"{self.host}:{self.port}"


async def reached(place: ServerAddress) -> Finding:
    """Return whether a connection can be made; it is closed at once."""
    if why := refusal(place.host):
        return fail(place.check, f"{place.name}: {why}", "nothing of ours connects there; name another address")
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(place.host, place.port, ssl=place.tls)
    except ssl.SSLCertVerificationError as error:
        todo = "set ca_file to the issuing CA, and the URL to a name that the certificate has"
        return fail(place.check, f"{place.name}: certificate verification failed: {error.verify_message}", todo)
    except (OSError, TimeoutError) as error:
        return fail(place.check, f"{place.name}: {_words(error)}", _ELSEWHERE)
    writer.transport.abort()
    return ok(place.check, f"{place.name} answers{' over TLS' if place.tls else ''}; nothing was sent")


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer in {CONNECT_S:g} s"
    return (getattr(error, "strerror", None) or type(error).__name__).lower()


async def mail(settings: SmtpSettings) -> Finding:
    """Return whether the mail server would take mails: connect, secure and log in, but send nothing."""
    check, name = "SMTP", f"{settings.host}:{settings.port_in_use()}"
    try:
        session = SmtpSession(settings, settings.tls())
    except CertificateError as error:
        return fail(check, error.field, error.why)
    try:
        async with asyncio.timeout(2 * CONNECT_S), session:
            failure = await session.open()
    except TimeoutError:
        return fail(check, f"{name}: no answer in {2 * CONNECT_S:g} s", _ELSEWHERE)
    if failure is not None:
        return fail(check, f"{name}: {_failure(failure)}", _mend(failure))
    how = "logged in" if settings.user else "without a login"
    if settings.security == "none":
        return warn(check, f"{name} answers; {how}, no mail was sent", "mails travel openly: notify.smtp.security")
    return ok(check, f"{name} answers, {settings.security}, {how}; no mail was sent")


def _failure(failure: Failure) -> str:
    parts = [failure.kind, *([str(failure.code)] if failure.code else []), failure.detail]
    return " ".join(part for part in parts if part)


def _mend(failure: Failure) -> str:
    return {
        "auth": "the server refuses notify.smtp.user or password",
        "no-auth": "the server offers no login that we know; is this its port for submission (587, 465)?",
        "no-starttls": "the server has no STARTTLS on this port; try security: tls with port 465",
        "tls": "set notify.smtp.ca_file to the issuing CA, and host to a name that the certificate has",
    }.get(failure.kind, _ELSEWHERE)


def gateways(notify: NotifySettings) -> Iterator[ServerAddress]:
    """Yield the SMS gateway and the webhooks, each once. CertificateError if one of their files is unusable."""
    if notify.sms is not None:
        own = notify.sms.kannel or notify.sms.provider
        assert own is not None
        yield _place("SMS gateway", own.url.reveal(), notify.sms.tls)
    for i, receiver in enumerate(notify.receivers):
        for j, hook in enumerate(receiver.webhooks):
            path = f"notify.receivers[{i}].webhooks[{j}]"
            yield _place(f"webhook of {receiver.id}", hook.url.reveal(), lambda hook=hook, path=path: hook.tls(path))  # type: ignore[misc]


def _place(check: str, url: str, tls: Callable[[], Tls]) -> ServerAddress:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    return ServerAddress(
        check, parts.hostname or "", parts.port or _PORTS[parts.scheme], tls().context if secure else None
    )


async def camera(site: str, settings: CameraSettings, *, open_it: bool) -> Finding:
    """Return whether a camera can be reached; with `open_it`, whether its stream has a packet, which is dropped."""
    check = f"reach {site}/{settings.id}"
    try:
        address = address_of(settings)
    except SourceError as error:
        return fail(check, error.message, "mend the camera's url")
    if address.kind == "peer":
        return left_out(check, "a peer comes to us; nothing to reach")
    if open_it:
        return await _opened(check, address.label, settings)
    if address.kind != "network":
        return left_out(check, f"{address.label}: a file or a device, which --cameras opens")
    parts = urlsplit(settings.url)
    return await reached(ServerAddress(check, parts.hostname or "", parts.port or _PORTS[parts.scheme.lower()]))


async def _opened(check: str, label: str, settings: CameraSettings) -> Finding:
    limit = settings.open_timeout_s + 2 * settings.read_timeout_s
    try:
        async with asyncio.timeout(limit):
            await asyncio.to_thread(_packet, settings)
    except SourceError as error:
        return fail(check, error.message, "docs/cameras.md says what each reason means")
    except TimeoutError:
        return fail(check, f"{label}: no packet in {limit:g} s", _ELSEWHERE)
    return ok(check, f"{label}: a packet came; nothing was decoded or kept")


def _packet(settings: CameraSettings) -> None:
    """Read one packet and drop it."""
    with open_source(settings) as source:
        for packet in source.packets():
            if packet is not None:
                return
    raise SourceError("end-of-stream", "the stream ended before its first packet")


def cameras(ingest: IngestFile) -> list[tuple[str, CameraSettings]]:
    """Return every camera with its site."""
    return [(site.id, one) for site in ingest.sites for one in site.cameras]
