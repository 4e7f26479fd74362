"""The channel `sms`: sends a notification in few segments through one gateway, within the day's budget."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from hashlib import sha256

from prometheus_client import Counter

from proto.public import DeliveryV1
from proto.types import Channel as ChannelName
from proto.types import SiteId
from services.kernel.log import get_logger
from services.kernel.settings import Secret
from services.notify.channels.http_client import HttpClient
from services.notify.channels.sms.budget import Budget, spent
from services.notify.channels.sms.delivery_reports import report_path
from services.notify.channels.sms.gateways import Gateway, Kannel, Provider, Sms, Success
from services.notify.channels.sms.settings import KannelSettings, ProviderSettings, SmsSettings
from services.notify.channels.sms.shortening import encoding, segments
from services.notify.channels.sms.text import sms_text
from services.notify.languages import words_in
from services.notify.notification import Notification
from services.notify.outcome import Failure
from services.notify.recipient import Recipient
from services.notify.texts.words import UnpresentableError, instant
from services.sites.settings import SiteSettings, local_zone

log = get_logger()

SEGMENTS = Counter("moretta_notify_sms_segments_total", "Segments of SMS that a gateway took, or may have taken")
_IN_DOUBT = frozenset({"timeout", "disconnected"})
"""After these failures the gateway may still have sent the SMS, so its cost stays counted."""


@dataclass
class SmsChannel:
    """Sends SMS. `site` returns a site's settings."""

    settings: SmsSettings
    site: Callable[[SiteId], SiteSettings]
    clock: Callable[[], int] = time.time_ns
    name: ChannelName = field(default="sms", init=False)

    def __post_init__(self) -> None:
        """Prepare without connecting. StartError if a certificate file is unusable."""
        self._client = HttpClient(self.settings.timeout_s, self.settings.tls(), self.clock)
        self._gateway = gateway_of(self.settings)
        self.budget = Budget(self.settings.max_per_day)

    async def send(self, notification: Notification, recipient: Recipient) -> Failure | None:
        """Return None once the gateway has accepted it, else the failure. `recipient.address` is a number in E.164."""
        site = self.site(notification.group.site)
        if notification.reason == "report":
            return Failure("rejected", "data", detail="a daily report goes by e-mail")
        try:
            text = sms_text(notification, site, words_in(recipient.language), self.settings.max_segments)
        except UnpresentableError:
            return Failure("rejected", "data", detail="its time lies beyond the calendar")
        except Exception as error:  # a channel's contract: one faulty text must not stop the others
            return Failure("other", "data", detail=type(error).__name__)
        if text is None:
            return Failure("too-long", "data")
        return await self._pay_and_send(self._sms(notification, recipient, text), site)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def recount(self, site: SiteId, records: Iterable[DeliveryV1]) -> None:
        """Count what the site has spent today from these records, as after a restart or a takeover of the site."""
        today = self._today(self.site(site))
        midnight = datetime(today.year, today.month, today.day, tzinfo=local_zone(self.site(site)))
        cost = spent(records, int(midnight.timestamp()) * 10**9, self.settings.max_segments)
        self.budget.recount(site, today, cost)

    def go_on_from(self, before: "SmsChannel") -> None:
        """Take over what another channel has spent today, for example when settings change."""
        self.budget = replace(before.budget, limit=self.settings.max_per_day)

    async def _pay_and_send(self, sms: Sms, site: SiteSettings) -> Failure | None:
        today = self._today(site)
        if not self.budget.take(site.id, today, sms.segments):
            if not self.budget.refused_before(site.id, today):
                log.error(
                    "daily SMS budget spent", site=site.id,
                    max_per_day=self.settings.max_per_day, advice="raise notify.sms.max_per_day, or group alerts more",
                )  # fmt: skip
            return Failure("cost-cap", "data")
        answer = await self._client.send(self._gateway.request(sms))
        failure = answer if isinstance(answer, Failure) else self._gateway.failure(answer)
        if failure is not None and failure.kind not in _IN_DOUBT:
            self.budget.give_back(site.id, today, sms.segments)
        else:
            SEGMENTS.inc(sms.segments)
        return failure

    def _sms(self, notification: Notification, recipient: Recipient, text: str) -> Sms:
        reports = self.settings.reports
        report_url = ""
        if reports is not None:
            whose = (notification.group.site, notification.id, recipient.digest)
            path = report_path(reports.token.reveal(), *whose, self.clock())
            report_url = f"{reports.url.rstrip('/')}/{path}"
        key = sha256(f"{notification.id}\0{recipient.digest}".encode()).hexdigest()[:32]
        return Sms(recipient.address, text, encoding(text), segments(text), key, report_url)

    def _today(self, site: SiteSettings) -> date:
        return instant(self.clock(), local_zone(site)).date()


def gateway_of(settings: SmsSettings) -> Gateway:
    """Return the gateway that the settings describe."""
    if settings.kannel is not None:
        return _kannel(settings.kannel)
    assert settings.provider is not None
    return _provider(settings.provider)


def _kannel(kannel: KannelSettings) -> Kannel:
    return Kannel(
        kannel.url.reveal(), kannel.user, kannel.password.reveal(), kannel.sender or "", kannel.smsc or ""
    )  # fmt: skip


def _provider(provider: ProviderSettings) -> Provider:
    success = provider.success
    return Provider(
        url=provider.url.reveal(),
        method=provider.method,
        headers=provider.headers,
        json=provider.json,
        form=provider.form,
        key_header=provider.key_header or "",
        sender=provider.sender or "",
        user=provider.user or "",
        password=_revealed(provider.password),
        token=_revealed(provider.token),
        success=Success(frozenset(success.status or range(200, 300)), success.pointer, success.matches),
    )


def _revealed(secret: Secret | None) -> str:
    return "" if secret is None else secret.reveal()
