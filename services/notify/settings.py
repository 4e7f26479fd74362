"""The section `notify` of the settings file, and the whole file as this service reads it."""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, ClassVar

from msgspec import Meta, Struct, field

from proto.leases import ReplicaId
from proto.types import ReceiverId, SiteId
from services.bus import NatsSettings
from services.kernel.log import LogSettings
from services.kernel.probes import ProbesSettings
from services.kernel.settings import Secret
from services.kernel.tracing.settings import TracingSettings
from services.notify.channels.email.settings import NO_ADDRESS, SmtpSettings, is_address, smtp_problems
from services.notify.channels.sms.settings import SmsSettings, same_number_twice, sms_problems
from services.notify.channels.webhook.webhook import WebhookSettings, webhook_problems
from services.notify.languages import languages
from services.notify.notification import Audience
from services.notify.recipient import Language
from services.notify.reports.settings import ReportSettings, report_problems
from services.notify.routing.plan import HOURLY_CAP
from services.notify.routing.settings import Reader, RouteSettings, TimeSettings, routing_problems
from services.sites.problems import Problem, own_problems
from services.sites.problems import problems as site_problems
from services.sites.settings import SiteSettings
from services.sites.texts import LanguageTag

_MIN_SALT = 16
Contact = Annotated[str, Meta(min_length=1, max_length=200)]


class ReceiverSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """People who get the same alerts; each address gets a mail of its own, each number an SMS, each webhook a call."""

    id: ReceiverId
    email: list[str] = field(default_factory=list)
    sms: list[Secret] = field(default_factory=list)
    """Telephone numbers; never shown. `channels.sms.settings.numbers` reads them."""
    webhooks: list[WebhookSettings] = field(default_factory=list)
    sites: list[SiteId] = field(default_factory=list)
    """If empty: all sites."""
    language: Language = "en"
    audience: Audience = "field"
    """The alerts for this receiver unless a route says otherwise: about rates, or about the system itself."""
    max_per_hour: Annotated[int, Meta(ge=1, le=3_600)] = HOURLY_CAP
    """Maximum notifications about a site per hour. One digest at the end of the hour covers the rest."""


class NotifySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who is notified, and how. E-mail addresses need `smtp`; numbers need `sms` and a salt."""

    smtp: SmtpSettings | None = None
    sms: SmsSettings | None = None
    receivers: list[ReceiverSettings] = field(default_factory=list)
    reports: list[ReportSettings] = field(default_factory=list)
    routes: list[RouteSettings] = field(default_factory=list)
    """Who is notified of what; the first match applies. If empty: a receiver gets alerts of its audience and sites."""
    times: list[TimeSettings] = field(default_factory=list)
    """Times that routes name, such as office hours."""
    salt: Secret | None = None
    """Key of the hashes that stand for addresses in public records. Keep it: after a start with a new salt,
    messages that were on their way are not sent any more and become dead letters."""
    give_up_after_s: Annotated[float, Meta(ge=1, le=30 * 86_400)] = 12 * 3_600.0
    """An alert older than this is not delivered any more."""
    replica: ReplicaId | None = None
    """This replica's name among those that share the sites; None: a name is made at start. Two replicas that run at the
    same time must not have the same name."""
    public_url: Annotated[str, Meta(pattern=r"^https?://[^\s<>\"]+$", max_length=2048)] | None = None
    """URL where readers of the mails find Moretta's pages, if they may open them."""
    contact: Contact | dict[LanguageTag, Contact] | None = None
    """Whom recipients ask, about other hours or because a mail is not for them: an address, a number, an office."""


class NotifyFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The part of the settings file that notify reads."""

    UNREAD: ClassVar[frozenset[str]] = frozenset({"url", "password", "token"})
    """Only ingest reads the cameras' addresses, which include passwords."""

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    probes: ProbesSettings = ProbesSettings()
    tracing: TracingSettings = TracingSettings()
    sites: list[SiteSettings] = field(default_factory=list)
    notify: NotifySettings = NotifySettings()

    def problems(self) -> list[Problem]:
        """Return the problems across fields, each with its path."""
        notify = self.notify
        readers = [Reader(receiver.id, receiver.audience, receiver.sites) for receiver in notify.receivers]
        return [
            *self.nats.problems(),
            *self.tracing.problems(),
            *site_problems(self.sites),
            *problems(notify, [site.id for site in self.sites]),
            *routing_problems(notify.routes, notify.times, readers, self.sites),
            *(problem for site in self.sites for problem in own_problems("notify.contact", notify.contact, site)),
        ]


def problems(notify: NotifySettings, sites: list[str]) -> list[Problem]:
    """Return the section's problems across fields. They quote no address, since these lines end up in logs."""
    found = [*_receiver_problems(notify.receivers, sites)]
    if not notify.routes:  # with routes it depends on the alert
        found += _same_address_twice(notify.receivers, sites)
        found += same_number_twice(notify.sms, notify.receivers, sites)
    found += report_problems(notify.reports, {r.id: r.sites for r in notify.receivers if r.email}, sites)
    if notify.smtp is not None:
        found += smtp_problems(notify.smtp)
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
                yield f"{path}.email[{place}]", NO_ADDRESS
        for place, site in enumerate(receiver.sites):
            if site not in sites:
                yield f"{path}.sites[{place}]", f"unknown site {site!r}; known here: {', '.join(sites) or 'none'}"


def _same_address_twice(receivers: list[ReceiverSettings], sites: list[str]) -> Iterator[Problem]:
    """Yield addresses that would get every mail about a site twice."""
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
