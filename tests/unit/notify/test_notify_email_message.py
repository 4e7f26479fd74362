"""The mail itself: parsed back strictly, threaded, automatic, and deaf to what names try."""

import email
import email.policy
from dataclasses import replace
from email.message import EmailMessage

import pytest
from examples import examples
from hypothesis import example, given
from hypothesis import strategies as st
from messages import alert

from proto.codec import decode, encode
from proto.public import AlertV1, OperationalAlertV1
from proto.subjects import ALERTS
from services.notify.languages import words_in
from services.notify.notification import Group, Notification, notice_of
from services.notify.recipient import Recipient
from services.notify.templates import render
from services.notify.texts.email_message import (
    POLICY,
    InlineImage,
    MailSender,
    compose,
    content_id,
    letter_of,
    message_id,
)
from services.notify.texts.mail_contents import MailImage
from services.notify.texts.mail_wording import describe
from services.sites.settings import SiteSettings, ZoneSettings

STRICT = email.policy.SMTP.clone(raise_on_defect=True)
SENDER = MailSender("alerts@example.org", "Moretta")
ANNA = Recipient("field-staff", "anna@example.org", "a" * 64)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))

ids = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)
times = st.integers(0, 2**63 - 1)
shares = st.floats(0, 1)
names = st.text(min_size=1, max_size=80) | st.text("ab \r\n\0:<>@\"'{}%éœ東", min_size=1, max_size=80)
states = st.sampled_from(["firing", "resolved"])
alerts = st.builds(
    AlertV1,
    site=ids, zone=st.just("_site") | ids, rule=ids, alert=st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
    profile=st.sampled_from(["fr-2021-269", "stats-only", "alerting", "lab"]),
    state=states, severity=st.sampled_from(["info", "warning", "critical"]),
    since=times, start=times, end=times, rate=shares, interval=st.tuples(shares, shares),
    persons=st.integers(0, 2**53), coverage=shares, fire_below=shares, clear_above=shares,
)  # fmt: skip
faults = st.builds(
    OperationalAlertV1,
    site=ids, kind=st.sampled_from(["camera-down", "no-data"]), name=st.just("_site") | ids, state=states,
    since=times, at=times, coverage=st.none() | shares, reason=st.none() | st.sampled_from(["camera-down", "paused"]),
)  # fmt: skip
sites = st.builds(
    SiteSettings,
    id=ids,
    name=st.none() | names,
    timezone=st.sampled_from(["UTC", "Europe/Paris", "Pacific/Apia", "Asia/Kathmandu"]),
    zones=st.lists(st.builds(ZoneSettings, id=ids, name=st.none() | names), max_size=2),
)


REASONS = ["first", "new-alerts", "some-resolved", "all-resolved", "repeat", "digest", "test"]


@st.composite
def notifications(draw: st.DrawFn) -> Notification:
    messages = draw(st.lists(alerts, max_size=4) | st.lists(faults, max_size=4))
    notices = [notice_of(message, draw(times)) for message in messages]
    firing = tuple(notice for notice in notices if notice.firing)
    new = draw(st.sets(st.sampled_from([notice.alert for notice in firing]))) if firing else ()
    audience = notices[0].audience if notices else "field"
    place = [None, notices[0].zone] if notices else [None]
    return Notification(
        id="2" * 16,
        group=Group(draw(ids), draw(ids), audience, draw(st.sampled_from(place)), draw(st.none() | ids)),
        reason=draw(st.sampled_from(REASONS)),
        number=draw(st.integers(1, 99)),
        root=draw(st.sampled_from(["1" * 16, "2" * 16])),
        at=draw(times),
        firing=firing,
        resolved=tuple(notice for notice in notices if not notice.firing),
        new=frozenset(new),
    )  # fmt: skip


def mail(
    notification: Notification,
    site: SiteSettings,
    sender: MailSender = SENDER,
    to: Recipient = ANNA,
    language: str = "en",
) -> bytes:
    image = MailImage(content_id("chart", notification.id), 'The "rate" <today>')
    view = describe(notification, site, words_in(language), link="https://masks.example.org/?a=1&b=2", image=image)
    pictures = (InlineImage(image.content_id, PNG),)
    letter = letter_of(notification, view.language, view.subject, render("alert", view=view), pictures)
    return compose(letter, to, sender).as_bytes(policy=POLICY)


def parsed(data: bytes) -> EmailMessage:
    message = email.message_from_bytes(data, policy=STRICT)
    assert isinstance(message, EmailMessage)
    return message


KNOWN_HEADERS = {
    "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted", "List-Id",
    "X-Auto-Response-Suppress", "Importance", "Content-Language", "MIME-Version", "Content-Type",
}  # fmt: skip
HOSTILE = SiteSettings(id="s", name="x\r\nBcc: eve@example.net", zones=[ZoneSettings(id="z", name="\n\nbody {0}")])
ZEROS = dict.fromkeys(("since", "start", "end", "rate", "persons", "coverage", "fire_below", "clear_above"), 0)
LEGAL = alert(site="s", zone="z", rule="r", profile="lab", severity="info", interval=(0.0, 0.0), **ZEROS)


@examples(40)
@given(notification=notifications(), site=sites, sender_name=names, language=st.sampled_from(["en", "fr"]))
@example(
    Notification("2" * 16, Group("r", "s", "field"), "first", 1, "2" * 16, 0, (notice_of(LEGAL, 0),)),
    HOSTILE, "Eve <eve@example.net>\r\nBcc: eve@example.net", "fr",
)  # fmt: skip
def test_any_notification_is_a_mail_that_parses_back(
    notification: Notification, site: SiteSettings, sender_name: str, language: str
):
    """Whatever the contract allows and people call their places, it is one well-formed mail to one person, again."""
    told = [decode(ALERTS, encode(ALERTS, one.message)) for one in notification.firing if one.audience == "field"]
    assert [decode(ALERTS, encode(ALERTS, one)) for one in told] == told
    data = mail(notification, site, MailSender("alerts@example.org", sender_name), language=language)
    assert data == mail(notification, site, MailSender("alerts@example.org", sender_name), language=language)
    message = parsed(data)
    assert [str(a.addr_spec) for a in message["From"].addresses] == ["alerts@example.org"]
    assert [str(a.addr_spec) for a in message["To"].addresses] == ["anna@example.org"]
    assert set(message.keys()) <= KNOWN_HEADERS
    assert len(message.keys()) == len(set(message.keys()))
    assert data.isascii()
    assert all(len(line) <= 998 for line in data.split(b"\r\n"))  # RFC 5322 §2.1.1
    assert not any(part.defects for part in message.walk())
    assert f"otification {notification.id}" in message.get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_a_mail_is_text_or_html_with_its_picture(make_alert, notify, site):
    """multipart/alternative, whose HTML is related to an inline PNG (RFC 2387), with a text for who can't see it."""
    message = parsed(mail(notify("first", make_alert()), site))
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png",
    ]  # fmt: skip
    picture = list(message.walk())[-1]
    assert picture.get_content() == PNG
    assert picture["Content-ID"] == f"<chart@{'f' * 16}.moretta>"
    assert picture.get_content_disposition() == "inline"
    html = message.get_body(("html",)).get_content()
    assert f'src="cid:chart@{"f" * 16}.moretta" alt="The &#34;rate&#34; &lt;today&gt;"' in html
    assert 'The "rate" <today>' in message.get_body(("plain",)).get_content()


def test_a_mail_answers_the_one_before_in_the_thread_of_the_first(make_alert, notify, site, anna):
    """In-Reply-To and References as RFC 5322 §3.6.4 has them; all ids follow from the notifications' names."""
    root = notify("first", make_alert(), id="1" * 16, root="1" * 16)
    second = notify("repeat", make_alert(), id="2" * 16, root="1" * 16, number=2, previous="1" * 16)
    third = notify("repeat", make_alert(), id="3" * 16, root="1" * 16, number=3, previous="2" * 16)
    lost = replace(third, previous=None)
    mails = [parsed(mail(n, site)) for n in (root, second, third, lost)]
    ids = [f"<{str(n) * 16}.{'a' * 16}@example.org>" for n in (1, 2, 3)]
    assert [m["Message-ID"] for m in mails] == [*ids, ids[2]]
    assert [m["In-Reply-To"] for m in mails] == [None, ids[0], ids[1], ids[0]]
    assert [m["References"] for m in mails] == [None, ids[0], f"{ids[0]} {ids[1]}", ids[0]]
    assert message_id("1" * 16, anna, SENDER) == ids[0]


def test_names_of_messages_and_lists_are_whole_however_long_the_sender_s_domain_is(make_alert, notify):
    """Mail programs compare them as they stand: in encoded words (RFC 2047) no thread holds, and no filter matches."""
    domain = f"{'a' * 40}.{'b' * 40}.example.org"
    ids = [f"<{sign * 16}.{'a' * 16}@{domain}>" for sign in "12"]
    told = notify("repeat", make_alert(), id="3" * 16, root="1" * 16, number=3, previous="2" * 16)
    head = mail(told, SiteSettings(id="c" * 32), MailSender(f"alerts@{domain}", "Moretta")).partition(b"\r\n\r\n")[0]
    lines = head.decode().replace("\r\n ", " ").split("\r\n")
    assert f"References: {ids[0]} {ids[1]}" in lines
    assert f"In-Reply-To: {ids[1]}" in lines
    assert f"List-Id: <forville.alerts.{domain}>" in lines


def test_a_mail_names_nobody_but_its_reader(make_alert, notify, site, anna, bob):
    """One mail per recipient: no reader sees another's address, and no id tells whose it is."""
    to_anna, to_bob = (mail(notify("first", make_alert()), site, to=recipient) for recipient in (anna, bob))
    assert b"bob@" not in to_anna
    assert parsed(to_anna)["Message-ID"] == f"<{'f' * 16}.{'a' * 16}@example.org>"
    assert parsed(to_bob)["Message-ID"] == f"<{'f' * 16}.{'b' * 16}@example.org>"


def test_a_mail_says_that_it_is_automatic_and_when_it_was_decided(make_alert, make_fault, notify, site):
    """RFC 3834: no vacation note comes back; RFC 2919: a filter can name the list. The date is no time of sending."""
    message = parsed(mail(notify("first", make_alert()), site, language="fr"))
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["List-Id"] == "<forville.alerts.example.org>"
    assert message["Content-Language"] == "fr"
    assert message["Date"] == "Tue, 24 Nov 2026 09:21:00 +0000"
    assert parsed(mail(notify("first", make_fault()), site))["List-Id"] == "<forville.operations.example.org>"


@pytest.mark.parametrize(
    ("reason", "severity", "importance"),
    [("first", "critical", "high"), ("repeat", "critical", None), ("first", "warning", None)],
)
def test_only_what_begins_and_is_critical_is_marked_important(make_alert, notify, site, reason, severity, importance):
    """What is always important is never important."""
    assert parsed(mail(notify(reason, make_alert(severity=severity)), site))["Importance"] == importance


def test_names_of_every_script_arrive(make_alert, notify):
    """RFC 2047 in the headers, UTF-8 in the bodies."""
    site = SiteSettings(id="forville", name="Marché d’Été 東京駅")
    message = parsed(mail(notify("first", make_alert()), site, MailSender("alerts@example.org", "Équipe Œuvre")))
    assert message["Subject"] == "Marché d’Été 東京駅: 62% wear masks (alert below 70%)"
    assert message["From"].addresses[0].display_name == "Équipe Œuvre"
    assert "Marché d’Été 東京駅" in message.get_body(("plain",)).get_content()
