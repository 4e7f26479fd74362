"""A daily report on its whole way: published, due, decided, written from a real server, taken by a mail server."""

import email.policy
from datetime import time
from zoneinfo import ZoneInfo

import pytest
from fonts import close_fonts
from msgspec import structs
from site_process import Site
from windows import HOUR, hidden, market_day, window

from proto.subjects import ALERTS, WINDOWS
from services.notify.channels.email.mail import MailChannel, Style
from services.notify.channels.email.smtp import Pool
from services.notify.recipient import Recipient
from services.notify.reports.schedule import ReportPlan, due, notification_of
from services.notify.reports.writer import ReportWriter
from services.notify.texts.email_message import MailSender
from services.sites.settings import SiteSettings, ZoneSettings

T = 1_761_346_800 * 10**9 - 24 * HOUR
"""2025-10-24T00:00+01:00 where clocks are at UTC+1."""
SITE = SiteSettings(
    id="cannes", name="Marché Forville", timezone="Africa/Lagos", profile="alerting", zones=[ZoneSettings(id="fish")]
)
PLAN = ReportPlan("cannes", "field-staff", ZoneInfo("Africa/Lagos"), time(7))
ANNA = Recipient("field-staff", "anna@example.org", "a" * 64)
BOB = Recipient("field-staff", "bob@example.org", "b" * 64, "fr")


@pytest.fixture(name="bus")
async def _bus(tmp_path, make_alert):
    """Notify's connection to a server on which two days, and the first windows of a third, were published."""
    site = Site(tmp_path)
    site.server.start()
    try:
        async with site.bus("aggregate") as bus:
            await bus.ensure_streams(["WINDOWS", "ALERTS"])
            for first in (T - 24 * HOUR, T):
                for one in market_day(first):
                    await bus.store(WINDOWS, one)
                    shown = one.persons is not None
                    fish = window(one.start, 9, (9, 0, 0), zone="fish") if shown else hidden(one.start, zone="fish")
                    await bus.store(WINDOWS, fish)
            await bus.store(WINDOWS, window(T + 24 * HOUR, 1, (900, 0, 0)))
            alert = make_alert(site="cannes", since=T, start=T + 9 * HOUR, end=T + 9 * HOUR + HOUR // 3)
            await bus.store(ALERTS, alert)
            await bus.store(ALERTS, structs.replace(alert, state="resolved", start=T + 11 * HOUR, end=T + 12 * HOUR))
        async with site.bus("notify") as bus:
            yield bus
    finally:
        site.close()


@pytest.fixture(name="channel")
async def _channel(smtp, bus):
    """`channel(box, plans)`: the channel to this server, closed at the end."""
    made = []

    async def nothing(_):
        raise AssertionError("a report wants no windows of the last hours")

    def make(box, plans=(PLAN,)):
        settings = smtp(box)
        writer = ReportWriter(bus, lambda _: SITE, lambda: plans, "https://masks.example.org/")
        style = Style(MailSender("alerts@example.org", "Moretta"), lambda _: SITE)
        made.append(MailChannel(Pool(settings, settings.tls()), style, nothing, writer.letter))
        return made[-1]

    yield make
    for channel in made:
        await channel.close()
    close_fonts()


def decided():
    """The report that is due in the morning after the day, and decided an hour late."""
    now = T + 32 * HOUR
    (key,) = due(now, [PLAN], ())
    assert key.day.isoformat() == "2025-10-24"
    return notification_of(key, now)


async def test_each_recipient_gets_the_report_in_their_language(serve_mail, channel):
    """Text, HTML and both pictures, the figures of the day and of no other, a list and a thread of its own."""
    box, told = await serve_mail(), decided()
    mails = channel(box)
    assert [await mails.send(told, recipient) for recipient in (ANNA, BOB)] == [None, None]
    [to_anna], [to_bob] = box.to("anna@example.org"), box.to("bob@example.org")
    assert to_anna["Subject"] == "Marché Forville: 79% wore masks, Friday, 24 October 2025"
    assert to_bob["Subject"] == "Marché Forville : 79 % ont porté le masque, vendredi 24 octobre 2025"
    for message, language, figure in ((to_anna, "en", "2,314 people"), (to_bob, "fr", "2\u202f314 personnes")):
        assert message["List-Id"] == "<cannes.reports.example.org>"
        assert (message["Content-Language"], message["In-Reply-To"]) == (language, None)
        html, text = (message.get_body((form,)).get_content() for form in ("html", "plain"))
        pictures = [part for part in message.walk() if part.get_content_type() == "image/png"]
        assert len(pictures) == 2
        assert all(f'src="cid:{picture["Content-ID"][1:-1]}"' in html for picture in pictures)
        assert figure in html
        assert figure in text
    text = to_anna.get_body(("plain",)).get_content()
    assert "Whole site, “mask-rate”: 1 alert, firing for 2 h." in text
    assert "fish: 50% of 720 people" in text
    assert "bob@" not in to_anna.as_string()


async def test_a_report_sent_again_is_the_same_bytes(serve_mail, channel):
    """By another process, after a crash between acceptance and record; also when the settings have it no more."""
    box = await serve_mail()
    for plans in ((PLAN,), (PLAN,), ()):
        assert await channel(box, plans).send(decided(), ANNA) is None
    copies = {message.as_bytes(policy=email.policy.SMTP) for message in box.to("anna@example.org")}
    assert len(box.to("anna@example.org")) == 3
    assert len(copies) == 1


async def test_the_whole_site_alone(serve_mail, channel):
    """Without detail of zones there is one picture, and no zone in the text."""
    box = await serve_mail()
    bare = ReportPlan(PLAN.site, PLAN.receiver, PLAN.zone, PLAN.at, zone_detail=False)
    assert await channel(box, (bare,)).send(decided(), ANNA) is None
    [message] = box.to("anna@example.org")
    assert [part.get_content_type() for part in message.walk()].count("image/png") == 1
    assert "fish" not in message.get_body(("plain",)).get_content()
