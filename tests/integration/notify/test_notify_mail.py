"""The channel e-mail: from a notification to what the mail server has, for each recipient."""

import asyncio
import email.policy
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from fonts import close_fonts

from proto.public import WindowV1
from services.notify.channels.channel import Channel
from services.notify.channels.email.mail import MailChannel, Style, Windows
from services.notify.channels.email.smtp import Pool
from services.notify.notification import Group, Notification, notice_of
from services.notify.outcome import judge
from services.notify.recipient import Recipient
from services.notify.texts.email_message import MailSender
from services.sites.settings import SiteSettings

MINUTE = 60 * 10**9
TEN = 1_795_510_800 * 10**9
SITE = SiteSettings(id="forville", name="Market Forville", timezone="Europe/Paris")
ANNA = Recipient("field-staff", "anna@example.org", "a" * 64)
BOB = Recipient("field-staff", "bob@example.org", "b" * 64, "fr")
WINDOWS = [
    WindowV1(
        site="forville", zone="_site", profile="alerting", start=TEN - n * 20 * MINUTE, end=TEN - (n - 1) * 20 * MINUTE,
        rate=0.6, interval=(0.5, 0.7), persons=40,
    )
    for n in range(12)
]  # fmt: skip


@pytest.fixture(name="notification")
def _notification(make_alert) -> Notification:
    notice = notice_of(make_alert(), TEN + 20 * MINUTE)
    group = Group("field-staff", "forville", "field")
    return Notification(
        "f" * 16, group, "first", 1, "f" * 16, TEN + 21 * MINUTE, (notice,), new=frozenset({notice.alert})
    )


async def published(_: Notification) -> list[WindowV1]:
    return WINDOWS


@pytest.fixture(name="channel")
async def _channel(smtp) -> AsyncIterator[Callable[..., MailChannel]]:
    """`channel(box, windows=...)`: the channel to this server, closed at the end."""
    made: list[MailChannel] = []

    def make(box, windows: Windows = published) -> MailChannel:
        settings = smtp(box)
        style = Style(MailSender("alerts@example.org", "Moretta"), lambda _: SITE, "https://masks.example.org/")
        made.append(MailChannel(Pool(settings, settings.tls()), style, windows))
        return made[-1]

    yield make
    for channel in made:
        await channel.close()
    close_fonts()


async def test_each_recipient_gets_a_mail_in_their_language_with_the_chart(serve_mail, channel, notification, logs):
    """Strictly parsed by the server's end; one connection, no address of another, and a PNG for the last hours."""
    box = await serve_mail()
    mails: Channel = channel(box)
    assert mails.name == "email"
    assert [await mails.send(notification, recipient) for recipient in (ANNA, BOB)] == [None, None]
    [to_anna], [to_bob] = box.to("anna@example.org"), box.to("bob@example.org")
    assert to_anna["Subject"] == "Market Forville: 62% wear masks (alert below 70%)"
    assert to_bob["Subject"] == "Market Forville : 62 % portent le masque (alerte sous 70 %)"
    for message, language in ((to_anna, "en"), (to_bob, "fr")):
        assert message["Content-Language"] == language
        [picture] = [part for part in message.walk() if part.get_content_type() == "image/png"]
        assert picture.get_content().startswith(b"\x89PNG")
        assert f"cid:{picture['Content-ID'][1:-1]}" in message.get_body(("html",)).get_content()
    assert "bob@" not in to_anna.as_string()
    assert box.connections == 1


async def test_a_mail_sent_again_is_the_same_bytes(serve_mail, channel, notification):
    """By another process, after a crash between acceptance and record: the copy can be recognised as one."""
    box = await serve_mail()
    for _ in range(2):
        assert await channel(box).send(notification, ANNA) is None
    first, second = (message.as_bytes(policy=email.policy.SMTP) for message in box.to("anna@example.org"))
    assert first == second


@pytest.mark.parametrize("trouble", ["none published", "an error", "silence"])
async def test_no_windows_is_no_chart_but_a_mail(serve_mail, channel, notification, monkeypatch, trouble):
    """Whatever keeps the windows away does not keep the mail."""
    monkeypatch.setattr("services.notify.channels.email.mail._WINDOWS_S", 0.5)
    box = await serve_mail()

    async def windows(_: Notification) -> list[WindowV1]:
        if trouble == "an error":
            raise OSError("the bus is away")
        if trouble == "silence":
            await asyncio.Event().wait()
        return []

    assert await channel(box, windows).send(notification, ANNA) is None
    [message] = box.to("anna@example.org")
    assert "image/png" not in {part.get_content_type() for part in message.walk()}


async def test_a_notification_that_no_mail_can_tell_is_a_failure(serve_mail, channel, make_alert, notification):
    """A time beyond the calendar is an answer, not an exception, and the next mail goes out."""
    box = await serve_mail()
    mails = channel(box)
    absurd = Notification(
        "e" * 16, notification.group, "first", 1, "e" * 16, 10**30, (notice_of(make_alert(since=10**30), 0),)
    )
    failure = await mails.send(absurd, ANNA)
    assert failure is not None
    assert (failure.kind, "beyond the calendar" in failure.detail) == ("rejected", True)
    assert judge(failure).loud
    assert await mails.send(notification, ANNA) is None


async def test_a_burst_of_recipients_asks_for_the_windows_once(serve_mail, channel, notification):
    """One chart for all of a receiver's people."""
    box = await serve_mail()
    asked = []

    async def windows(told: Notification) -> list[WindowV1]:
        asked.append(told.id)
        return WINDOWS

    mails = channel(box, windows)
    people = [Recipient("field-staff", f"a{n}@example.org", f"{n:x}" * 64) for n in range(12)]
    assert set(await asyncio.gather(*(mails.send(notification, person) for person in people))) == {None}
    assert asked == ["f" * 16]
    assert len({message["Message-ID"] for _, message in box.mails}) == 12


async def test_in_a_storm_letters_go_out_without_charts(serve_mail, channel, notification):
    """Drawing takes longer than all the rest: the first and the last few have time for it."""
    box = await serve_mail()
    mails = channel(box)
    storm = [replace(notification, id=f"{n:016x}", root=f"{n:016x}") for n in range(40)]
    assert set(await asyncio.gather(*(mails.send(told, ANNA) for told in storm))) == {None}
    with_chart = [m for _, m in box.mails if "image/png" in {part.get_content_type() for part in m.walk()}]
    assert (len(box.mails), len(with_chart)) == (40, 1 + 6)
