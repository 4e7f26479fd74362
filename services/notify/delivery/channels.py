"""Builds the channels that the settings configure, with the access to the bus that they need."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from importlib import import_module
from typing import Protocol, cast

from proto.public import WindowV1
from proto.subjects import WINDOWS, Subject
from proto.types import Channel as ChannelName
from services.bus import Stored
from services.notify.channels.channel import Channel
from services.notify.channels.email.settings import SmtpSettings
from services.notify.channels.email.smtp import Pool
from services.notify.channels.sms.sms import SmsChannel
from services.notify.channels.webhook.webhook import WebhookChannel
from services.notify.directory import Directory, sender_of
from services.notify.notification import Notification

_DRAWING = ("services.notify.channels.email.mail", "services.notify.reports.writer")
_HOURS = 7 * 3_600 * 10**9
"""A mail's chart covers six hours. A window is stored only after its end."""


class WindowSource(Protocol):
    """The part of the bus that a mail needs."""

    def read(self, row: Subject, *, since: int = 0, **tokens: str) -> AsyncGenerator[Stored, None]:
        """Yield the stored messages of a row."""


def channels_of(
    directory: Directory, bus: WindowSource | None, before: Mapping[ChannelName, Channel] | None = None
) -> dict[ChannelName, Channel]:
    """Return the channels, none of them connected yet; StartError if a certificate cannot be read.

    Without a bus, mails have no charts. SMS that the channels in `before` have sent today still count for today.
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


def _mail(directory: Directory, smtp: SmtpSettings, bus: WindowSource | None) -> Channel:
    # Imported here: matplotlib, which draws the charts, takes most of the start time, and nothing else needs it.
    from services.notify.channels.email.mail import MailChannel, Style
    from services.notify.reports.writer import ReportWriter

    style = Style(sender_of(smtp), directory.site, directory.link, directory.contact)
    if bus is None:
        return MailChannel(Pool(smtp, smtp.tls()), style, _none)
    report = ReportWriter(bus, directory.site, lambda: directory.reports, directory.link, directory.contact)
    return MailChannel(Pool(smtp, smtp.tls()), style, _published(bus), report.letter)


def load(smtp: SmtpSettings | None) -> None:
    """Import the modules that draw charts, if mails are configured. The import blocks the event loop."""
    if smtp is not None:
        for module in _DRAWING:
            import_module(module)


async def _none(_: Notification) -> Sequence[WindowV1]:
    return ()


def _published(bus: WindowSource) -> Callable[[Notification], Awaitable[Sequence[WindowV1]]]:
    async def windows(notification: Notification) -> Sequence[WindowV1]:
        newest = max((notice.at for notice in notification.notices), default=notification.at)
        reading = bus.read(WINDOWS, since=max(1, newest - _HOURS), site=notification.group.site)
        async with aclosing(reading) as stored:
            return [cast("WindowV1", one.message) async for one in stored]

    return windows
