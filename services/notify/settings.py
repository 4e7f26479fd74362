"""The section `notify` of the settings file, and the whole file as this service reads it."""

import ipaddress
from collections import Counter
from collections.abc import Iterator
from email.errors import MessageError
from email.headerregistry import Address
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct, field

from proto.leases import ReplicaId
from proto.types import ReceiverId, SiteId
from services.bus import NatsSettings
from services.kernel.log import LogSettings
from services.kernel.probes import ProbesSettings
from services.kernel.settings import Secret
from services.kernel.tls import SYSTEM, Authorities, Tls, client_problems, client_tls
from services.kernel.tracing.settings import TracingSettings
from services.notify import report_settings
from services.notify.core.notification import Audience
from services.notify.core.recipient import Language
from services.notify.core.routing import HOURLY_CAP
from services.notify.report_settings import ReportSettings
from services.notify.routing_settings import Reader, RouteSettings, TimeSettings, routing_problems
from services.notify.sms_settings import SmsSettings, same_number_twice, sms_problems
from services.notify.webhook_settings import WebhookSettings, webhook_problems
from services.notify.words import languages
from services.sites.problems import Problem
from services.sites.problems import problems as site_problems
from services.sites.settings import Name, SiteSettings

Security = Literal["starttls", "tls", "none"]
_PORTS: dict[Security, int] = {"starttls": 587, "tls": 465, "none": 25}
_MIN_SALT = 16


class SmtpSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The mail server that takes our mails. `password_file` reads the password from a file."""

    host: Annotated[str, Meta(min_length=1, max_length=253)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65_535)] | None = None
    """Without one: 587 for starttls, 465 for tls, 25 for none."""
    security: Security = "starttls"
    user: str | None = None
    password: Secret | None = None
    sender: str
    sender_name: Name = "Moretta"
    bounces: str | None = None
    """The envelope sender, to which servers return what they can't deliver (RFC 5321 §4.4); None: the sender."""
    timeout_s: Annotated[float, Meta(gt=0, le=600)] = 60.0
    """For each answer of the server; some look at a mail's content for a while before they accept it."""
    ca_file: Authorities = SYSTEM
    """Who may vouch for the server: these alone."""
    client_cert_file: str | None = None
    """A PEM file with the certificate that we show to a server that asks for one, and the key unless it is apart."""
    client_key_file: str | None = None
    verify: bool = True
    """Check the server's certificate. False sends mails to whoever answers; never together with a password."""

    def tls(self) -> Tls:
        """Return how to speak TLS to it. CertificateError if a file is of no use."""
        return client_tls("smtp", "notify.smtp", self, verify=self.verify)

    def port_in_use(self) -> int:
        """Return the port, from the security where none is set."""
        return self.port or _PORTS[self.security]

    def envelope_sender(self) -> str:
        """Return the address that bounces go to."""
        return self.bounces or self.sender


class ReceiverSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """People who get the same alerts; each address gets a mail of its own, each number an SMS, each webhook a call."""

    id: ReceiverId
    email: list[str] = field(default_factory=list)
    sms: list[Secret] = field(default_factory=list)
    """Telephone numbers; never shown. `sms_settings.numbers` reads them."""
    webhooks: list[WebhookSettings] = field(default_factory=list)
    sites: list[SiteId] = field(default_factory=list)
    """Without any: all sites."""
    language: Language = "en"
    audience: Audience = "field"
    """Which alerts lead here unless a route says so: those about rates, or those about the system itself."""
    max_per_hour: Annotated[int, Meta(ge=1, le=3_600)] = HOURLY_CAP
    """So many notifications of a site in an hour; what is beyond is told in one digest at the end of the hour."""


class NotifySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who is told, and how. Addresses need `smtp`, numbers need `sms` and a salt."""

    smtp: SmtpSettings | None = None
    sms: SmsSettings | None = None
    receivers: list[ReceiverSettings] = field(default_factory=list)
    reports: list[ReportSettings] = field(default_factory=list)
    routes: list[RouteSettings] = field(default_factory=list)
    """Who is told of what, the first match holds. Without any: each receiver, of its audience and sites."""
    times: list[TimeSettings] = field(default_factory=list)
    """Office hours and others that routes name."""
    salt: Secret | None = None
    """Keys the hashes that stand for addresses in public records. Keep it: what is on its way at a start
    with a new one is told no more, and becomes dead letters."""
    give_up_after_s: Annotated[float, Meta(ge=1, le=30 * 86_400)] = 12 * 3_600.0
    """An alert older than this is worth no mail any more."""
    replica: ReplicaId | None = None
    """This replica's name among those that share the sites; None: one is made at start. Two that run at the same time
    must not share one."""
    public_url: Annotated[str, Meta(pattern=r"^https?://[^\s<>\"]+$", max_length=2048)] | None = None
    """Where the mails' readers find Moretta's pages, if they may."""


class NotifyFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the service notify reads of the settings file."""

    UNREAD: ClassVar[frozenset[str]] = frozenset({"url", "token"})
    """Cameras' addresses, passwords included, are ingest's alone."""

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    probes: ProbesSettings = ProbesSettings()
    tracing: TracingSettings = TracingSettings()
    sites: list[SiteSettings] = field(default_factory=list)
    notify: NotifySettings = NotifySettings()

    def problems(self) -> list[Problem]:
        """Return everything that no single field shows, with its path."""
        notify = self.notify
        readers = [Reader(receiver.id, receiver.audience, receiver.sites) for receiver in notify.receivers]
        return [
            *self.nats.problems(),
            *self.tracing.problems(),
            *site_problems(self.sites),
            *problems(notify, [site.id for site in self.sites]),
            *routing_problems(notify.routes, notify.times, readers, self.sites),
        ]


def problems(notify: NotifySettings, sites: list[str]) -> list[Problem]:
    """Return what no single field of the section shows. No address is quoted: these lines end in logs."""
    found = [*_receiver_problems(notify.receivers, sites)]
    if not notify.routes:  # with routes it depends on the alert
        found += _same_address_twice(notify.receivers, sites)
        found += same_number_twice(notify.sms, notify.receivers, sites)
    found += report_settings.problems(notify.reports, {r.id: r.sites for r in notify.receivers if r.email}, sites)
    if notify.smtp is not None:
        found += _smtp_problems(notify.smtp)
    elif any(receiver.email for receiver in notify.receivers):
        found.append(("notify.smtp", "is missing; receivers need a mail server, with at least host and sender"))
    found += sms_problems(notify.sms, notify.receivers)
    found += webhook_problems(notify.receivers)
    if notify.salt is None and any(receiver.sms for receiver in notify.receivers):
        found.append(("notify.salt", "is missing; without, all numbers there are can be tried on a record's hash"))
    if notify.salt is not None and len(notify.salt.reveal()) < _MIN_SALT:
        found.append(("notify.salt", f"is shorter than {_MIN_SALT} characters; take 32 random ones"))
    return found


def _receiver_problems(receivers: list[ReceiverSettings], sites: list[str]) -> Iterator[Problem]:
    for name, count in Counter(receiver.id for receiver in receivers).items():
        if count > 1:
            last = max(index for index, receiver in enumerate(receivers) if receiver.id == name)
            yield f"notify.receivers[{last}].id", f"{name!r} is used {count} times; ids are unique"
    for index, receiver in enumerate(receivers):
        path = f"notify.receivers[{index}]"
        if not (receiver.email or receiver.sms or receiver.webhooks):
            yield path, "reaches nobody; a receiver needs at least one address (or one of sms or webhooks)"
        if receiver.language not in languages():
            yield f"{path}.language", f"no catalogue of {receiver.language!r}; there are {', '.join(languages())}"
        for place, address in enumerate(receiver.email):
            if not is_address(address):
                yield f"{path}.email[{place}]", _NO_ADDRESS
        for place, site in enumerate(receiver.sites):
            if site not in sites:
                yield f"{path}.sites[{place}]", f"unknown site {site!r}; known here: {', '.join(sites) or 'none'}"


def _same_address_twice(receivers: list[ReceiverSettings], sites: list[str]) -> Iterator[Problem]:
    """Whoever is reached twice for one site would get every mail twice."""
    known: dict[tuple[str, str, str], str] = {}
    for index, receiver in enumerate(receivers):
        for place, address in enumerate(receiver.email):
            keys = [(address.lower(), site, receiver.audience) for site in receiver.sites or sites]
            before = next((known[key] for key in keys if key in known), None)
            if before is not None:
                yield (
                    f"notify.receivers[{index}].email[{place}]",
                    f"is in receiver {before!r} for the same site already and would get each mail twice; remove one",
                )
            known |= dict.fromkeys(keys, receiver.id)


_NO_ADDRESS = (
    "is no plain e-mail address such as name@example.org (no name beside it, ASCII only; an international domain"
    " is written in its xn-- form)"
)


def is_address(text: str) -> bool:
    """Return whether this is one bare ASCII address as RFC 5321 has it, with a host name behind the @."""
    if not text.isascii() or len(text) > 254 or set(text) & set(" \"'()<>[]\\,:;"):
        return False
    try:
        address = Address(addr_spec=text)
    except (ValueError, MessageError, IndexError):  # IndexError: the standard library on "name@"
        return False
    return bool(address.username) and len(address.username) <= 64 and is_host(address.domain)


def is_host(name: str) -> bool:
    """Return whether this is a host name (RFC 1123 §2.1)."""
    labels = name.split(".")
    return (
        name.isascii()
        and len(name) <= 253
        and all(
            0 < len(label) <= 63 and label.replace("-", "a").isalnum() and label[0] != "-" != label[-1]
            for label in labels
        )
    )


def _smtp_problems(smtp: SmtpSettings) -> Iterator[Problem]:
    if not is_address(smtp.sender):
        yield "notify.smtp.sender", _NO_ADDRESS
    if smtp.bounces is not None and not is_address(smtp.bounces):
        yield "notify.smtp.bounces", _NO_ADDRESS
    yield from client_problems("notify.smtp", smtp)
    if smtp.client_cert_file is not None and smtp.security == "none":
        yield "notify.smtp.security", "'none' shows no certificate to the server; take starttls or tls"
    if (smtp.user is None) != (smtp.password is None):
        missing = "user" if smtp.user is None else "password"
        yield f"notify.smtp.{missing}", "is missing; a login needs both user and password (or password_file)"
    if not (is_loopback(smtp.host) or is_host(smtp.host) or _is_ip(smtp.host)):
        yield "notify.smtp.host", f"{smtp.host!r} is no host name, such as mail.example.org"
    if smtp.password is not None and not is_loopback(smtp.host):
        if smtp.security == "none":
            yield (
                "notify.smtp.security",
                f"'none' sends the password openly to {smtp.host!r}; take starttls or tls, or remove the password",
            )
        elif not smtp.verify:
            yield (
                "notify.smtp.verify",
                "false would give the password to whoever answers; name the server's authority in ca_file instead",
            )


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return whether this name or address is this machine itself."""
    return host == "localhost" or (_is_ip(host) and ipaddress.ip_address(host).is_loopback)
