"""The channel e-mail: a notification becomes one mail for each recipient, handed to the mail server."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from proto.public import WindowV1
from proto.types import Channel as ChannelName
from services.bus import Unavailable
from services.kernel.log import get_logger
from services.notify.channels.email.drawing import draw
from services.notify.channels.email.smtp import Pool
from services.notify.languages import words_in
from services.notify.notification import Notification
from services.notify.outcome import Failure
from services.notify.recipient import Recipient
from services.notify.templates import render
from services.notify.texts.chart import Chart, chart_of
from services.notify.texts.email_message import InlineImage, Letter, MailSender, compose, content_id, letter_of
from services.notify.texts.mail_contents import MailImage
from services.notify.texts.mail_wording import describe
from services.notify.texts.names import own_text
from services.notify.texts.words import UnpresentableError
from services.sites.settings import SiteSettings
from services.sites.texts import Text

log = get_logger()

Windows = Callable[[Notification], Awaitable[Sequence[WindowV1]]]
"""Returns published windows of the notification's site, at least those of the last hours before it."""
Write = Callable[[Notification, str], Awaitable[Letter]]
"""Returns the letter of a notification in a language."""
_WINDOWS_S = 5.0
"""A chart is not worth a longer wait for its windows."""
_HURRY = 6
"""When more letters than this wait to be written, they get no chart: writing with a chart takes ten times as long."""
_REMEMBERED = 64


@dataclass(frozen=True)
class Style:
    """The settings that mails use."""

    sender: MailSender
    site: Callable[[str], SiteSettings]
    link: str = ""
    contact: Text = None
    """Whom recipients ask; None if the settings don't say."""


class MailChannel:
    """Sends notifications as e-mail; a `Channel`. All recipients get the same letter, each in a mail of its own.

    `report` writes the letters of daily reports (`ReportWriter.letter`).
    """

    name: ChannelName = "email"

    def __init__(self, pool: Pool, style: Style, windows: Windows, report: Write | None = None) -> None:
        self._pool, self._style, self._windows, self._report = pool, style, windows, report
        self._letters: OrderedDict[tuple[str, str], Letter] = OrderedDict()
        self._writing, self._reporting = asyncio.Lock(), asyncio.Lock()
        self._wanted: Counter[tuple[str, str]] = Counter()

    async def send(self, notification: Notification, recipient: Recipient) -> Failure | None:
        """Return None once the mail server has accepted the mail, else the failure."""
        try:
            letter = await self._letter(notification, recipient.language)
            message = compose(letter, recipient, self._style.sender)
        except UnpresentableError as error:
            return Failure("rejected", "data", detail=str(error))
        except (Unavailable, TimeoutError):  # only a report: an alert's mail goes out without its chart
            return Failure("unread", "data", detail="what was published of that day can't be read")
        except Exception as error:  # a channel's contract: one faulty mail must not stop the others
            # Log neither the error's text nor its place: they may quote an address.
            log.error("mail not written", notification=notification.id, error=type(error).__name__)
            return Failure("other", "data", detail=type(error).__name__)
        return await self._pool.send(message, recipient.address)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def _letter(self, notification: Notification, language: str) -> Letter:
        key = (notification.id, language)
        if notification.reason == "report" and self._report is not None:
            async with self._reporting:  # a report reads days of windows: no alert's mail may wait for that
                letter = self._letters.get(key) or await self._report(notification, language)
                self._remember(key, letter)
                return letter
        self._wanted[key] += 1
        try:
            async with self._writing:
                letter = self._letters.get(key) or await self._write(notification, language)
                self._remember(key, letter)
                return letter
        finally:
            self._wanted[key] -= 1
            self._wanted += Counter()  # drops the letters that nobody wants any more

    def _remember(self, key: tuple[str, str], letter: Letter) -> None:
        self._letters[key] = letter
        self._letters.move_to_end(key)
        while len(self._letters) > _REMEMBERED:
            self._letters.popitem(last=False)

    async def _write(self, notification: Notification, language: str) -> Letter:
        windows = await self._published(notification)
        return await letter_about(notification, language, self._style, windows, drawn=len(self._wanted) <= _HURRY)

    async def _published(self, notification: Notification) -> Sequence[WindowV1]:
        """Return the windows for the chart; none if they cannot be read, so that the mail goes out without a chart."""
        try:
            async with asyncio.timeout(_WINDOWS_S):
                return await self._windows(notification)
        except Exception as error:
            log.warning("a mail without a chart", notification=notification.id, error=type(error).__name__)
            return ()


async def letter_about(
    notification: Notification, language: str, style: Style, windows: Sequence[WindowV1], *, drawn: bool = True
) -> Letter:
    """Return the letter of a notification about alerts; `drawn`: with a chart of these windows."""
    words, site = words_in(language), style.site(notification.group.site)
    chart = chart_of(notification, site, words, windows) if drawn else None
    image, pictures = await _picture(notification, chart)
    contact = own_text(style.contact, site, words)
    view = describe(notification, site, words, windows=windows, link=style.link, contact=contact, image=image)
    return letter_of(notification, language, view.subject, render("alert", view=view), pictures)


async def _picture(notification: Notification, chart: Chart | None) -> tuple[MailImage | None, tuple[InlineImage, ...]]:
    if chart is None:
        return None, ()
    name = content_id("chart", notification.id)
    return MailImage(name, chart.alternative), (InlineImage(name, await asyncio.to_thread(draw, chart)),)
