"""The settings in force, as a delivery asks them: who is told about a site, and what people call its places."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

from proto.types import Channel, SaltName
from services.notify.core.message import Sender
from services.notify.core.recipient import Receiver, Recipient, default_salt, recipients, salt_name
from services.notify.core.report_schedule import ReportPlan
from services.notify.core.routing import Plan
from services.notify.plan import plan_of, schedule_of
from services.notify.settings import NotifyFile, NotifySettings, ReceiverSettings, SmtpSettings
from services.notify.sms_settings import SmsSettings, numbers
from services.sites.settings import SiteSettings


@dataclass(frozen=True)
class Directory:
    """One state of the settings; a reload makes another one."""

    sites: dict[str, SiteSettings]
    receivers: dict[str, Receiver]
    plan: Plan
    reports: tuple[ReportPlan, ...]
    """The daily reports of all sites."""
    salt: bytes = field(repr=False)
    settings: NotifySettings = field(repr=False)

    @classmethod
    def of(cls, file: NotifyFile) -> Self:
        """Return the directory of these settings."""
        notify = file.notify
        return cls(
            sites={site.id: site for site in file.sites},
            receivers={
                one.id: Receiver(one.id, tuple(_addresses(one, notify.sms)), one.language) for one in notify.receivers
            },
            plan=plan_of(file),
            reports=tuple(schedule_of(file)),
            salt=_salt(notify),
            settings=notify,
        )

    @property
    def give_up_after_s(self) -> float:
        """How old a notification may be that is still tried, s."""
        return self.settings.give_up_after_s

    @property
    def salt_name(self) -> SaltName:
        """What tells the salt of recipients' names from others."""
        return salt_name(self.salt)

    @property
    def link(self) -> str:
        """Where readers find Moretta's pages; empty if nowhere."""
        return self.settings.public_url or ""

    @property
    def smtp(self) -> SmtpSettings | None:
        """The mail server."""
        return self.settings.smtp

    def site(self, name: str) -> SiteSettings:
        """Return what is known of a site; of one that the settings do not have, its id and UTC."""
        return self.sites.get(name) or SiteSettings(id=name)

    def recipients(self, receiver: str, channel: Channel | None = None) -> list[Recipient]:
        """Return everyone of a receiver, by every channel or by one; nobody if the settings don't have it."""
        known = self.receivers.get(receiver)
        found = [] if known is None else recipients(known, self.salt)
        return [one for one in found if channel in (None, one.channel)]

    def everyone(self) -> list[Recipient]:
        """Return everyone of all receivers."""
        return [one for name in self.receivers for one in self.recipients(name)]


def sender_of(smtp: SmtpSettings) -> Sender:
    """Return whom the mails come from."""
    return Sender(smtp.sender, smtp.sender_name)


def _addresses(receiver: ReceiverSettings, sms: SmsSettings | None) -> Iterator[tuple[Channel, str]]:
    """Yield where a receiver's people are reached, by every channel that the settings know."""
    yield from (("email", address) for address in receiver.email)
    if sms is not None:
        yield from (("sms", number) for number in numbers(receiver, sms))
    yield from (("webhook", hook.url.reveal()) for hook in receiver.webhooks)


def _salt(notify: NotifySettings) -> bytes:
    if notify.salt is not None:
        return notify.salt.reveal().encode()
    return default_salt(notify.smtp.sender if notify.smtp else "")
