"""A real SMTP server in the test's loop, with faults on order, and ordinary alerts."""

import asyncio
import io
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography.hazmat.primitives import serialization
from http_peer import HttpPeer
from notify_replicas import NotifyReplicas
from notify_replicas import settings as replica_settings
from patience import until
from site_process import Site

from proto.public import AlertV1
from proto.subjects import DELIVERIES, STREAMS
from services.bus import NatsSettings
from services.kernel.app import App
from services.kernel.log import LogSettings, configure
from services.kernel.settings import Secret
from services.notify.channels.email.settings import SmtpSettings
from services.notify.recipient import digest
from services.notify.routing.settings import RouteSettings
from services.notify.service import wire
from services.notify.settings import NotifyFile, NotifySettings, ReceiverSettings
from services.sites.settings import SiteSettings

STRICT = SMTP_POLICY.clone(raise_on_defect=True)
MINUTE = 60 * 10**9
TEN = 1_795_510_800 * 10**9
ADDRESSES = ("anna@example.org", "bob@example.org", "carl@example.org")

Answer = Callable[[Any, str], Awaitable[str | None]]
"""Called with the server's protocol and the recipient; None is an ordinary acceptance."""


@pytest.fixture(name="peer")
async def _peer() -> AsyncIterator[HttpPeer]:
    async with HttpPeer() as peer:
        yield peer


@dataclass
class Mailbox:
    """What the server took, and how it is to answer."""

    port: int = 0
    mails: list[tuple[str, EmailMessage]] = field(default_factory=list)
    connections: int = 0
    logins: list[bytes] = field(default_factory=list)
    password: bytes = b"s3cret-word"
    greeting: str | None = None
    at_mail: Answer | None = None
    at_noop: Answer | None = None
    at_rcpt: Answer | None = None
    at_data: Answer | None = None
    after_data: Answer | None = None
    """Called once the mail is kept, before the answer to the final dot."""
    server: asyncio.Server | None = None
    transports: set[asyncio.Transport] = field(default_factory=set)

    async def close(self) -> None:
        """Stop listening and cut every connection."""
        assert self.server is not None
        self.server.close()
        for transport in self.transports:
            transport.abort()
        await self.server.wait_closed()
        await asyncio.sleep(0)

    async def handle_MAIL(self, server, session: Session, envelope: Envelope, address: str, options) -> str:
        answer = await self.at_mail(server, address) if self.at_mail else None
        if answer is None:
            envelope.mail_from = address
        return answer or "250 OK"

    async def handle_NOOP(self, server, session: Session, envelope: Envelope, text: str) -> str:
        return (await self.at_noop(server, text) if self.at_noop else None) or "250 OK"

    async def handle_RCPT(self, server, session: Session, envelope: Envelope, address: str, options) -> str:
        answer = await self.at_rcpt(server, address) if self.at_rcpt else None
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server, session: Session, envelope: Envelope) -> str:
        recipient = ",".join(envelope.rcpt_tos)
        if self.at_data and (answer := await self.at_data(server, recipient)):
            return answer
        message = message_from_bytes(envelope.original_content or b"", policy=STRICT)
        assert isinstance(message, EmailMessage)
        self.mails.append((recipient, message))
        return (await self.after_data(server, recipient) if self.after_data else None) or "250 taken"

    def authenticate(self, server, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        self.logins.append(data.login)
        return AuthResult(success=data.password == self.password, handled=False)

    def to(self, address: str) -> list[EmailMessage]:
        """The mails that this recipient got."""
        return [message for recipient, message in self.mails if recipient == address]


class _Server(SMTP):
    """aiosmtpd's protocol, closed for certain at the test's end."""

    def __init__(self, box: Mailbox, **options: Any) -> None:
        super().__init__(box, hostname="mail.example.org", enable_SMTPUTF8=False, **options)
        self._box = box

    def connection_made(self, transport) -> None:
        if self._box.greeting is not None:
            transport.write(self._box.greeting.encode() + b"\r\n")
            transport.close()
            return
        self._box.connections += self._over_ssl is False
        self._box.transports.add(transport)
        super().connection_made(transport)


@dataclass
class Certificates:
    """An authority of the test's own, and a server certificate of it for 127.0.0.1."""

    ca_file: Path
    server: ssl.SSLContext


@pytest.fixture(name="certificates", scope="session")
def _certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return _issue(tmp_path_factory.mktemp("tls"), "127.0.0.1", "localhost")


@pytest.fixture(name="wrong_name", scope="session")
def _wrong_name(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return _issue(tmp_path_factory.mktemp("tls"), "elsewhere.example")


def _issue(folder: Path, *names: str) -> Certificates:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return Certificates(folder / "ca.pem", context)


@dataclass
class ClientCertificates:
    """A server that asks for a certificate of its authority, and what a client could show."""

    ca_file: Path
    server: ssl.SSLContext
    both: Path
    certificate: Path
    key: Path
    locked: Path
    """The key again, behind a password."""
    stranger: Path
    """Of another authority, with its key."""


@pytest.fixture(name="ours", scope="session")
def _ours(tmp_path_factory: pytest.TempPathFactory) -> ClientCertificates:
    folder = tmp_path_factory.mktemp("tls-client")
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(server)
    server.verify_mode = ssl.CERT_REQUIRED
    client = authority.issue_cert("moretta.example.org")
    made = ClientCertificates(
        folder / "ca.pem", server, *(folder / f"{name}.pem" for name in ("both", "cert", "key", "locked", "stranger"))
    )
    authority.cert_pem.write_to_path(str(made.ca_file))
    client.private_key_and_cert_chain_pem.write_to_path(str(made.both))
    client.cert_chain_pems[0].write_to_path(str(made.certificate))
    client.private_key_pem.write_to_path(str(made.key))
    key = serialization.load_pem_private_key(client.private_key_pem.bytes(), None)
    made.locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
        )
    )
    trustme.CA().issue_cert("moretta.example.org").private_key_and_cert_chain_pem.write_to_path(str(made.stranger))
    return made


@pytest.fixture(name="serve_mail")
async def _serve_mail() -> AsyncIterator[Callable[..., Awaitable[Mailbox]]]:
    """`await serve_mail(tls=context, login=True, implicit=False, port=0)`: a server on loopback, and its mailbox."""
    boxes: list[Mailbox] = []

    async def serve(
        *, tls: ssl.SSLContext | None = None, login: bool = False, implicit: bool = False, port: int = 0
    ) -> Mailbox:
        box = Mailbox()
        options: dict[str, Any] = {
            "tls_context": None if implicit else tls,
            "require_starttls": bool(tls) and not implicit,
        }
        if login:
            options |= {"authenticator": box.authenticate, "auth_required": True, "auth_require_tls": not implicit}
        box.server = await asyncio.get_running_loop().create_server(
            lambda: _Server(box, **options), "127.0.0.1", port, ssl=tls if implicit else None
        )
        boxes.append(box)
        box.port = box.server.sockets[0].getsockname()[1]
        return box

    yield serve
    for box in boxes:
        await box.close()


@pytest.fixture(name="smtp")
def _smtp():
    """`smtp(box, security="starttls", ...)`: the settings that reach this server."""

    def make(box: Mailbox | int, *, security: str = "none", **more: Any) -> SmtpSettings:
        port = box if isinstance(box, int) else box.port
        if "ca_file" in more:
            more["ca_file"] = str(more["ca_file"])
        return SmtpSettings(
            host=more.pop("host", "127.0.0.1"), port=port, security=security, sender="alerts@example.org",
            timeout_s=more.pop("timeout_s", 5.0), **more,
        )  # fmt: skip

    return make


@pytest.fixture(name="settings_of")
def _settings_of():
    """`settings_of(smtp, addresses=...)`: the whole file of one site and at most one receiver, told at once of each."""

    def make(smtp: SmtpSettings, addresses: tuple[str, ...] = ADDRESSES, **more: Any) -> NotifyFile:
        receivers = [ReceiverSettings(id="field-staff", email=list(addresses), max_per_hour=1000)] if addresses else []
        at_once = RouteSettings(
            receiver="field-staff", group_by=("zone", "rule"), group_wait_s=0, group_interval_s=1, repeat_interval_s=600
        )
        routes = [at_once] if addresses else []
        notify = NotifySettings(
            smtp=smtp, receivers=receivers, salt=Secret("0123456789abcdef"), **({"routes": routes} | more)
        )
        site = SiteSettings(id="forville", name="Market Forville", timezone="Europe/Paris")
        return NotifyFile(sites=[site], notify=notify)

    return make


@pytest.fixture(name="make_alert")
def _make_alert():
    """`make_alert(state="resolved")`: an ordinary alert, but for what is given."""

    def make(**changes: object) -> AlertV1:
        ordinary: dict[str, object] = {
            "site": "forville", "zone": "_site", "rule": "mask-rate", "profile": "alerting",
            "alert": "0123456789abcdef", "state": "firing", "severity": "warning",
            "since": TEN - 20 * MINUTE, "start": TEN, "end": TEN + 20 * MINUTE,
            "rate": 0.62, "interval": (0.54, 0.69), "persons": 143, "coverage": 0.97,
            "fire_below": 0.7, "clear_above": 0.75,
        }  # fmt: skip
        return AlertV1(**(ordinary | changes))

    return make


@pytest.fixture(name="logs")
def _logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """`logs()`: everything logged so far, as the service writes it. At the end no address may be in it."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure("notify", LogSettings(level="debug", format="json"))
    yield stream.getvalue
    assert "@example.org" not in stream.getvalue()
    assert "s3cret" not in stream.getvalue()


@pytest.fixture(name="quick")
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries ten times as soon; what is slow stays slow."""
    monkeypatch.setattr("services.notify.deadlines.FIRST_S", 1.5)
    monkeypatch.setattr("services.notify.deadlines.LONGEST_S", 30.0)


@pytest.fixture(name="start")
async def _start(nats_server) -> AsyncIterator[Callable[[NotifyFile], Awaitable[App]]]:
    """`app = await start(settings)`: the service as wired, in this loop; closed at the end at the latest."""
    apps: list[App] = []

    async def start(settings: NotifyFile) -> App:
        app = App("notify")
        apps.append(app)
        await wire(app, msgspec.structs.replace(settings, nats=NatsSettings(url=nats_server.url)))
        return app

    yield start
    for app in apps:
        await app.close()


@pytest.fixture(name="recorded")
def _recorded(bus):
    """`await recorded()`: every DeliveryV1 so far, as (mailbox, state, attempt, outcome, reason), in order."""
    names = {digest(b"0123456789abcdef", "field-staff", address): address.partition("@")[0] for address in ADDRESSES}

    async def read() -> list[tuple[str, str, int, str, str]]:
        return [
            (names[r.recipient_sha256], r.state, r.attempt, r.outcome, r.reason)
            for r in (stored.message for stored in await bus.history(DELIVERIES))
        ]

    return read


@pytest.fixture(name="eventually")
def _eventually():
    """`await eventually(read, check)`: reads until the check holds, and returns what was read; AssertionError else."""

    async def wait(read: Callable[[], Awaitable[Any]], check: Callable[[Any], bool], limit_s: float = 40.0) -> Any:
        found: list[Any] = []

        async def holds() -> bool:
            found[:] = [await read()]
            return bool(check(found[0]))

        await until(holds, lambda: found, limit_s, every_s=0.05)
        return found[0]

    return wait


@pytest.fixture(name="notify")
async def _notify(tmp_path, serve_mail, make_alert):
    site, box = Site(tmp_path), await serve_mail()
    site.write(replica_settings(box.port))
    site.server.start()
    try:
        async with site.bus("notify") as bus, site.bus("aggregate") as aggregate:
            mine = ["ALERTS", "OPERATIONS", "DELIVERIES", "DEAD", "AUDIT", "KV_SILENCES", "KV_LEASES_NOTIFY"]
            await aggregate.ensure_streams([s.name for s in STREAMS if s.name in mine])
            yield NotifyReplicas(site, bus, aggregate, box, make_alert)
    finally:
        site.close()
