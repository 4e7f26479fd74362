"""The section `transparency` of the settings file, and the other settings that a notice is made of."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from msgspec import Meta, Struct, field

from proto.types import ReceiverId, SiteId
from services.aggregate.core.policy import problems as policy_problems
from services.kernel.settings import Secret
from services.notify.notification import Audience
from services.sites.problems import Problem
from services.sites.problems import problems as site_problems
from services.sites.settings import SiteSettings
from services.sites.texts import LanguageTag

Sentence = Annotated[str, Meta(min_length=1, max_length=600)]
InLanguages = Sentence | dict[LanguageTag, Sentence]
"""One text for all readers, or one for each language."""
Paragraph = Annotated[str, Meta(min_length=1, max_length=2000)]
Url = Annotated[str, Meta(pattern=r"^https?://[^\s<>\"]+\Z", max_length=300)]


class TransparencySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Facts that only the operator knows. The documents show a gap for each one that is left out, where not said."""

    controller: InLanguages | None = None
    """Who decides on purposes and means (GDPR Article 4(7)), with the postal address."""
    contact: InLanguages | None = None
    """Where people ask."""
    officer: InLanguages | None = None
    """The data-protection officer's contact (Article 13(1)(b))."""
    purpose: InLanguages | None = None
    """What the numbers are for (Article 13(1)(c)). Without it a general purpose is told; that is no gap."""
    legal_basis: InLanguages | None = None
    """The legal basis of the processing (Article 6(1)), for instance the text of law."""
    objection: InLanguages | None = None
    """How somebody passes without being measured, or objects (Article 21): another entrance, another hour."""
    authority: InLanguages | None = None
    """Where to complain (Article 13(2)(d)), for instance the CNIL."""
    transfers: InLanguages | None = None
    """Whether the numbers, mails and messages go to other countries, and on what ground (Article 13(1)(f))."""
    page_url: Url | None = None
    """The URL at which the second layer is published, for the sign's QR code."""
    further: Paragraph | dict[LanguageTag, Paragraph] | None = None
    """What else people are to know: staff, backups, what other systems record. Without it nothing; that is no gap."""
    source_url: Url | None = None
    """Where anybody may get the software. Without it the notice does not say how to check; that is no gap."""


class WebhookOutline(Struct, frozen=True, kw_only=True):
    """A webhook, of which only its existence counts. Its URL is a Secret, since no error may show it."""

    url: Secret | None = None


class ReceiverOutline(Struct, frozen=True, kw_only=True):
    """The parts of a receiver that a notice needs: its audience and its channels, never an address."""

    id: ReceiverId
    email: list[str] = field(default_factory=list)
    sms: list[Secret] = field(default_factory=list)
    webhooks: list[WebhookOutline] = field(default_factory=list)
    sites: list[SiteId] = field(default_factory=list)
    audience: Audience = "field"

    def channels(self) -> list[tuple[str, int]]:
        """Return the channels that are used and how many addresses each has."""
        counts = (("e-mail", len(self.email)), ("SMS", len(self.sms)), ("webhook", len(self.webhooks)))
        return [(name, count) for name, count in counts if count]


class NotifyOutline(Struct, frozen=True, kw_only=True):
    """The receivers of the section `notify`, and nothing else of it."""

    receivers: list[ReceiverOutline] = field(default_factory=list)


class TransparencyFile(Struct, frozen=True, kw_only=True):
    """The part of the settings file that the command reads. No file of a secret is opened."""

    UNREAD: ClassVar[frozenset[str]] = frozenset({"*"})

    sites: Annotated[list[SiteSettings], Meta(min_length=1)]
    notify: NotifyOutline = NotifyOutline()
    transparency: TransparencySettings = TransparencySettings()

    def problems(self) -> list[Problem]:
        """Return what no single field shows."""
        return [*site_problems(self.sites), *policy_problems(self.sites), *self._unknown_sites()]

    def _unknown_sites(self) -> Iterator[Problem]:
        known = {site.id for site in self.sites}
        for index, receiver in enumerate(self.notify.receivers):
            for place, site in enumerate(receiver.sites):
                if site not in known:
                    why = f"unknown site {site!r}; known here: {', '.join(sorted(known))}"
                    yield f"notify.receivers[{index}].sites[{place}]", why
