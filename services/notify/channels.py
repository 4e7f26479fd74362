"""The channels that the settings have, and what they need of the bus."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from importlib import import_module
from typing import Protocol, cast

from proto.public import WindowV1
from proto.subjects import WINDOWS, Subject
from proto.types import Channel as ChannelName
from services.bus import Stored
from services.notify.channel import Channel
from services.notify.core.notification import Notification
from services.notify.directory import Directory, sender_of
from services.notify.settings import SmtpSettings
from services.notify.sms import SmsChannel
from services.notify.smtp import Pool
from services.notify.webhook import WebhookChannel

_DRAWING = ("services.notify.mail", "services.notify.reports")
_HOURS = 7 * 3_600 * 10**9
"""A mail's chart is of six hours, and a window is stored once it is over."""


class Published(Protocol):
    """What a mail needs of the bus."""

    def read(self, row: Subject, *, since: int = 0, **tokens: str) -> AsyncGenerator[Stored, None]:
        """Yield the stored messages of a row."""


def channels_of(
    directory: Directory, bus: Published | None, before: Mapping[ChannelName, Channel] | None = None
) -> dict[ChannelName, Channel]:
    """Return the channels, none of them connected yet; StartError if a certificate cannot be read.

    Without a bus mails have no charts. What those `before` have spent of the day's SMS is spent.
    """
    found: dict[ChannelName, Channel] = {}
    settings = directory.settings
    if settings.smtp is not None:
        found["email"] = _mail(directory, settings.smtp, bus)
    if settings.sms is not None:
        sms = SmsChannel(settings.sms, directory.site)
        if isinstance(old := (before or {}).get("sms"), SmsChannel):
            sms.go_on_from(old)
        found["sms"] = sms
    if any(receiver.webhooks for receiver in settings.receivers):
        found["webhook"] = WebhookChannel(settings.receivers, directory.site, directory.link)
    return found


def _mail(directory: Directory, smtp: SmtpSettings, bus: Published | None) -> Channel:
    # Here: what draws the charts (matplotlib) is most of the service's start, and nothing else needs it.
    from services.notify.mail import MailChannel, Style
    from services.notify.reports import ReportWriter

    style = Style(sender_of(smtp), directory.site, directory.link)
    if bus is None:
        return MailChannel(Pool(smtp, smtp.tls()), style, _none)
    report = ReportWriter(bus, directory.site, lambda: directory.reports, directory.link)
    return MailChannel(Pool(smtp, smtp.tls()), style, _published(bus), report.letter)


def load(smtp: SmtpSettings | None) -> None:
    """Import what draws the charts, if there are mails; an event loop stands still for as long as that takes."""
    if smtp is not None:
        for module in _DRAWING:
            import_module(module)


async def _none(_: Notification) -> Sequence[WindowV1]:
    return ()


def _published(bus: Published) -> Callable[[Notification], Awaitable[Sequence[WindowV1]]]:
    async def windows(notification: Notification) -> Sequence[WindowV1]:
        newest = max((notice.at for notice in notification.notices), default=notification.at)
        reading = bus.read(WINDOWS, since=max(1, newest - _HOURS), site=notification.group.site)
        async with aclosing(reading) as stored:
            return [cast("WindowV1", one.message) async for one in stored]

    return windows
