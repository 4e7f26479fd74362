"""The settings in force, as a delivery needs them: the routing plan, and the names that people use."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import time
from typing import Self
from zoneinfo import ZoneInfo

from proto.types import Channel, SaltName
from services.notify.channels.email.settings import SmtpSettings
from services.notify.channels.sms.settings import SmsSettings, numbers
from services.notify.recipient import Receiver, Recipient, default_salt, recipients, salt_name
from services.notify.reports.schedule import ReportPlan
from services.notify.reports.settings import plans
from services.notify.routing.plan import Hours, Route, RoutingPlan, Schedule, SiteFacts
from services.notify.routing.settings import RouteSettings, TimeSettings
from services.notify.settings import NotifyFile, NotifySettings, ReceiverSettings
from services.notify.texts.email_message import MailSender
from services.sites.settings import DAYS, CameraSettings, SiteSettings, local_zone
from services.sites.texts import Text
from services.statistics.calendar import SECOND


def plan_of(file: NotifyFile) -> RoutingPlan:
    """Return the plan of checked settings; without routes, each receiver gets the alerts of its audience and sites."""
    notify = file.notify
    receivers = {receiver.id: receiver for receiver in notify.receivers}
    times = {one.id: _hours(one) for one in notify.times}
    routes = [_route(one, receivers[one.receiver], times) for one in notify.routes]
    if not notify.routes:
        routes = [_default(receiver) for receiver in notify.receivers]
    return RoutingPlan(
        tuple(routes),
        {site.id: _place(site) for site in file.sites},
        {receiver.id: receiver.max_per_hour for receiver in notify.receivers},
    )


def schedule_of(file: NotifyFile) -> list[ReportPlan]:
    """Return the daily reports that these checked settings ask for."""
    notify = file.notify
    return plans(notify.reports, {one.id: one.sites for one in notify.receivers if one.email}, file.sites)


def _default(receiver: ReceiverSettings) -> Route:
    return Route(receiver.id, receiver.audience, frozenset(receiver.sites), goes_on=True, named=False)


def _route(one: RouteSettings, receiver: ReceiverSettings, times: dict[str, Hours]) -> Route:
    return Route(
        receiver=receiver.id,
        audience=one.audience or receiver.audience,
        sites=frozenset(one.sites or receiver.sites),
        zones=frozenset(one.zones),
        rules=frozenset(one.rules),
        severities=frozenset(one.severities),
        goes_on=one.goes_on,
        group_by=frozenset(one.group_by),
        wait=round(one.group_wait_s * SECOND),
        interval=round(one.group_interval_s * SECOND),
        repeat=round(one.repeat_interval_s * SECOND),
        send_resolved=one.send_resolved,
        schedule=Schedule(*(tuple(times[name] for name in names) for names in (one.active_times, one.mute_times))),
    )


def _hours(one: TimeSettings) -> Hours:
    return Hours(
        start=time.fromisoformat(one.start or "00:00"),
        end=time.fromisoformat(one.end or "00:00"),
        weekdays=frozenset(DAYS.index(day) for day in one.days),
        dates=tuple((days.first, days.last or days.first) for days in one.dates),
        zone=ZoneInfo(one.timezone) if one.timezone else None,
    )


def _place(site: SiteSettings) -> SiteFacts:
    return SiteFacts(local_zone(site), {camera.id: _zones(camera) for camera in site.cameras})


def _zones(camera: CameraSettings) -> frozenset[str]:
    zones = {area.zone for area in camera.zone_areas}
    return frozenset(zones | {camera.zone} if camera.zone is not None else zones)


@dataclass(frozen=True)
class Directory:
    """One version of the settings; a reload makes a new one."""

    sites: dict[str, SiteSettings]
    receivers: dict[str, Receiver]
    plan: RoutingPlan
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
        """Maximum age of a notification that is still tried, s."""
        return self.settings.give_up_after_s

    @property
    def salt_name(self) -> SaltName:
        """Identifies the salt of the recipients' names."""
        return salt_name(self.salt)

    @property
    def link(self) -> str:
        """URL where readers find Moretta's pages; empty if there is none."""
        return self.settings.public_url or ""

    @property
    def contact(self) -> Text:
        """Whom recipients ask; None if the settings don't say."""
        return self.settings.contact

    @property
    def smtp(self) -> SmtpSettings | None:
        """The mail server."""
        return self.settings.smtp

    def site(self, name: str) -> SiteSettings:
        """Return a site's settings; for a site that the settings lack, its id and UTC."""
        return self.sites.get(name) or SiteSettings(id=name)

    def recipients(self, receiver: str, channel: Channel | None = None) -> list[Recipient]:
        """Return a receiver's recipients on all channels or on one; none if the settings lack the receiver."""
        known = self.receivers.get(receiver)
        found = [] if known is None else recipients(known, self.salt)
        return [one for one in found if channel in (None, one.channel)]

    def everyone(self) -> list[Recipient]:
        """Return the recipients of all receivers."""
        return [one for name in self.receivers for one in self.recipients(name)]


def sender_of(smtp: SmtpSettings) -> MailSender:
    """Return the sender of the mails."""
    return MailSender(smtp.sender, smtp.sender_name)


def _addresses(receiver: ReceiverSettings, sms: SmsSettings | None) -> Iterator[tuple[Channel, str]]:
    """Yield a receiver's addresses, for every channel that the settings have."""
    yield from (("email", address) for address in receiver.email)
    if sms is not None:
        yield from (("sms", number) for number in numbers(receiver, sms))
    yield from (("webhook", hook.url.reveal()) for hook in receiver.webhooks)


def _salt(notify: NotifySettings) -> bytes:
    if notify.salt is not None:
        return notify.salt.reveal().encode()
    return default_salt(notify.smtp.sender if notify.smtp else "")
