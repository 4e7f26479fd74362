"""The section `notify.sms` of the settings file."""

import re
from collections.abc import Generator, Iterator, Sequence
from typing import Annotated, Any, Literal, Protocol

from msgspec import Meta, Struct, field

from proto.types import ReceiverId, SiteId
from services.kernel.settings import STAND_IN, Secret
from services.kernel.tls import SYSTEM, Authorities, Tls, client_problems, client_tls
from services.notify.channels.http_client import url_problems
from services.notify.channels.sms.delivery_reports import KANNEL, State
from services.notify.channels.sms.gateways import NAMES, SECRETS, names_in
from services.notify.channels.sms.number import NumberError, e164, is_region
from services.sites.problems import MIN_TOKEN, Problem

Sender = Annotated[
    str,
    Meta(
        pattern=r"^(?:\+?\d{1,15}|[ -~]{1,11})\Z",
        description="a number of at most 15 digits or a name of at most 11 plain characters",
    ),
]
HeaderName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,64}\Z", description="the name of a header")]


class KannelSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A Kannel gateway, used through its HTTP interface `sendsms`."""

    url: Secret = Secret("http://127.0.0.1:13013/cgi-bin/sendsms")
    user: Annotated[str, Meta(pattern=r"^[!-~]{1,64}\Z")]
    password: Secret
    sender: Sender | None = None
    """The sender of an SMS; Kannel may have a rule of its own."""
    smsc: Annotated[str, Meta(pattern=r"^[!-~]{1,64}\Z")] | None = None
    """The one of Kannel's SMS centres that sends."""


class SuccessSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The answers that mean that the gateway accepted an SMS."""

    status: list[Annotated[int, Meta(ge=200, le=599)]] = field(default_factory=list)
    """If empty: 200 to 299."""
    pointer: (
        Annotated[str, Meta(pattern=r"^(?:/.*)?\Z", description="a JSON pointer such as /messages/0/status")] | None
    ) = None
    matches: str | None = None
    """A regular expression for the value there, or for the whole body."""


class ProviderSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A provider's own interface over HTTP. `$name` in `url`, `headers`, `json` and `form` stands for a value."""

    url: Secret
    method: Literal["POST", "PUT", "GET"] = "POST"
    headers: dict[HeaderName, str] = field(default_factory=dict)
    json: Any = None
    form: dict[str, str] | None = None
    key_header: HeaderName | None = "Idempotency-Key"
    sender: Sender | None = None
    user: str | None = None
    password: Secret | None = None
    token: Secret | None = None
    success: SuccessSettings = SuccessSettings()


class ReportsSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Listen address for delivery reports. The gateway reaches it at `url`, directly or through a proxy."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65_535)] = 8_463
    url: Annotated[
        str, Meta(pattern=r"^https?://[^\s?#%]+\Z", max_length=200, description="a URL such as http://127.0.0.1:8463")
    ]
    token: Secret
    """Signs the URLs of reports, so that nobody else can report."""
    status: Annotated[str, Meta(min_length=1, max_length=64)] = "status"
    """The field with the status of the SMS, in a report's query, form or JSON object."""
    delivered: list[str] = field(
        default_factory=lambda: [code for code, state in KANNEL.items() if state == "delivered"]
    )
    failed: list[str] = field(default_factory=lambda: [code for code, state in KANNEL.items() if state == "failed"])

    def meanings(self) -> dict[str, State]:
        """Return the meaning of each final value of the field. Other values are not final."""
        return {**dict.fromkeys(self.failed, "failed"), **dict.fromkeys(self.delivered, "delivered")}


class SmsSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How SMS are sent: through `kannel` or through a `provider`."""

    kannel: KannelSettings | None = None
    provider: ProviderSettings | None = None
    region: str | None = None
    """A country of ISO 3166-1 whose national numbers may be given, such as FR."""
    max_segments: Annotated[int, Meta(ge=1, le=10)] = 2
    max_per_day: Annotated[int, Meta(ge=1)] | None = 200
    """Maximum segments per site and calendar day of the site; null: no limit."""
    timeout_s: Annotated[float, Meta(gt=0, le=300)] = 30.0
    ca_file: Authorities = SYSTEM
    """The certificate authorities that are trusted to vouch for the gateway; no others are."""
    client_cert_file: str | None = None
    """PEM file with the client certificate for a gateway that asks for one, and its key unless that is separate."""
    client_key_file: str | None = None
    allow_http: bool = False
    """Whether a gateway on another machine may be called without TLS."""
    reports: ReportsSettings | None = None

    def tls(self) -> Tls:
        """Return the TLS settings for the gateway; CertificateError if a file is unusable."""
        return client_tls("sms", "notify.sms", self)


class SmsReceiver(Protocol):
    """The part of a receiver that this module needs."""

    @property
    def id(self) -> ReceiverId:
        """Its name."""

    @property
    def sms(self) -> list[Secret]:
        """Its numbers, as given."""

    @property
    def sites(self) -> list[SiteId]:
        """Its sites; an empty list means all."""


def numbers(receiver: SmsReceiver, sms: SmsSettings) -> list[str]:
    """Return a receiver's numbers as E.164; NumberError for an invalid one, which `sms_problems` reports first."""
    return [e164(number.reveal(), sms.region) for number in receiver.sms]


def sms_problems(sms: SmsSettings | None, receivers: Sequence[SmsReceiver]) -> Iterator[Problem]:
    """Yield problems across fields. They quote no number and no URL, since these lines end up in logs."""
    if sms is None:
        if any(receiver.sms for receiver in receivers):
            yield "notify.sms", "is missing; numbers need a gateway: kannel or provider"
        return
    if (sms.kannel is None) == (sms.provider is None):
        yield "notify.sms", "needs one of kannel and provider"
    if sms.region is not None and not is_region(sms.region):
        yield "notify.sms.region", f"{sms.region!r} is no country of ISO 3166-1, such as FR"
        return
    yield from client_problems("notify.sms", sms)
    if sms.kannel is not None:
        yield from url_problems("notify.sms.kannel.url", sms.kannel.url, allow_http=sms.allow_http)
    if sms.provider is not None:
        yield from _provider_problems(sms.provider, sms)
    if sms.reports is not None and len(sms.reports.token.reveal()) < MIN_TOKEN:
        yield "notify.sms.reports.token", f"is shorter than {MIN_TOKEN} characters; take 32 random ones"
    yield from _number_problems(receivers, sms.region)


def _provider_problems(provider: ProviderSettings, sms: SmsSettings) -> Iterator[Problem]:
    path = "notify.sms.provider"
    yield from url_problems(f"{path}.url", provider.url, allow_http=sms.allow_http)
    if provider.json is not None and provider.form is not None:
        yield f"{path}.form", "is given beside json; a body is one of them"
    if provider.success.matches is not None and not _compiles(provider.success.matches):
        yield f"{path}.success.matches", "is no regular expression of Python"
    used = yield from _template_problems(provider, path)
    for name in ("user", "password", "token"):
        if getattr(provider, name) is None and (name in used or ("basic" in used and name != "token")):
            yield f"{path}.{name}", "is missing; a template names it"
    is_known = provider.url.reveal() != STAND_IN  # of one in a file that is not here, nobody knows what it names
    if is_known and (not {"to", "number"} & used or "text" not in used):
        yield path, "must put both $to (or $number) and $text into its url, json or form"
    if "report_url" in used and sms.reports is None:
        yield "notify.sms.reports", "is missing; a template of the provider names $report_url"


def _template_problems(provider: ProviderSettings, path: str) -> Generator[Problem, None, set[str]]:
    """Yield the templates' problems, and return the names that the templates use."""
    used: set[str] = set()
    places = {"url": provider.url.reveal(), "headers": provider.headers, "json": provider.json, "form": provider.form}
    for place, tree in places.items():
        try:
            names = names_in(tree)
        except ValueError as error:
            yield f"{path}.{place}", str(error)
            continue
        used |= names
        if unknown := sorted(names - _allowed(place)):
            yield f"{path}.{place}", f"knows no ${unknown[0]}; it knows {', '.join(sorted(_allowed(place)))}"
    return used


def _allowed(place: str) -> frozenset[str]:
    """Return the names that a template may use here. A header holds one line of ASCII, and a text may be more."""
    return SECRETS | {"key", "from", "to", "number"} if place == "headers" else NAMES


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _number_problems(receivers: Sequence[SmsReceiver], region: str | None) -> Iterator[Problem]:
    for index, receiver in enumerate(receivers):
        for place, number in enumerate(receiver.sms):
            try:
                e164(number.reveal(), region)
            except NumberError as error:
                yield f"notify.receivers[{index}].sms[{place}]", str(error)


def same_number_twice(
    sms: SmsSettings | None, receivers: Sequence[SmsReceiver], sites: list[SiteId]
) -> Iterator[Problem]:
    """Yield numbers that would get each SMS about a site twice."""
    known: dict[tuple[str, str], str] = {}
    region = sms.region if sms is not None else None
    for index, receiver in enumerate(receivers):
        for place, number in enumerate(receiver.sms):
            keys = [(_compared(number, region), site) for site in receiver.sites or sites]
            before = next((known[key] for key in keys if key in known), None)
            if before is not None:
                yield (
                    f"notify.receivers[{index}].sms[{place}]",
                    f"is in receiver {before!r} for the same site already and would get each SMS twice; remove one",
                )
            known |= dict.fromkeys(keys, receiver.id)


def _compared(number: Secret, region: str | None) -> str:
    """Return a number for comparison, however it is written. An invalid one stays as is; another check reports it."""
    try:
        return e164(number.reveal(), region)
    except NumberError:
        return number.reveal()
