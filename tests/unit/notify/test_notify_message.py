"""The mail itself: parsed back strictly, threaded, automatic, and deaf to what names try."""

import email
import email.policy
from email.message import EmailMessage

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proto.codec import decode, encode
from proto.public import AlertV1
from proto.subjects import ALERTS
from services.notify.core.english import describe
from services.notify.core.message import POLICY, Sender, compose
from services.notify.core.recipient import Recipient
from services.notify.templates import render
from services.sites.settings import SiteSettings, ZoneSettings

STRICT = email.policy.SMTP.clone(raise_on_defect=True)
SENDER = Sender("alerts@example.org", "Moretta")
ANNA = Recipient("field-staff", "anna@example.org", "a" * 64)

ids = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)
times = st.integers(0, 2**63 - 1)
shares = st.floats(0, 1)
names = st.text(min_size=1, max_size=80) | st.text("ab \r\n\0:<>@\"'éœ東", min_size=1, max_size=80)
alerts = st.builds(
    AlertV1,
    site=ids, zone=st.just("_site") | ids, rule=ids, alert=st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
    profile=st.sampled_from(["fr-2021-269", "stats-only", "alerting", "lab"]),
    state=st.sampled_from(["firing", "resolved"]), severity=st.sampled_from(["info", "warning", "critical"]),
    since=times, start=times, end=times, rate=shares, interval=st.tuples(shares, shares),
    persons=st.integers(0, 2**53), coverage=shares, fire_below=shares, clear_above=shares,
)  # fmt: skip
sites = st.builds(
    SiteSettings,
    id=ids,
    name=st.none() | names,
    timezone=st.sampled_from(["UTC", "Europe/Paris", "Pacific/Apia", "Asia/Kathmandu"]),
    zones=st.lists(st.builds(ZoneSettings, id=ids, name=st.none() | names), max_size=2),
)


def mail(alert: AlertV1, site: SiteSettings, sender: Sender = SENDER, recipient: Recipient = ANNA) -> bytes:
    view = describe(alert, site, recipient.receiver, "https://masks.example.org/?a=1&b=2")
    return compose(alert, view, render(view), recipient, sender).as_bytes(policy=POLICY)


def parsed(data: bytes) -> EmailMessage:
    message = email.message_from_bytes(data, policy=STRICT)
    assert isinstance(message, EmailMessage)
    return message


@given(alert=alerts, site=sites, sender_name=names)
def test_any_legal_alert_is_a_mail_that_parses_back(alert: AlertV1, site: SiteSettings, sender_name: str):
    """Whatever the contract allows and people call their places, a strict parser finds one well-formed mail."""
    assert decode(ALERTS, encode(ALERTS, alert)) == alert
    message = parsed(mail(alert, site, Sender("alerts@example.org", sender_name)))
    assert [str(a.addr_spec) for a in message["From"].addresses] == ["alerts@example.org"]
    assert [str(a.addr_spec) for a in message["To"].addresses] == ["anna@example.org"]
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert not any(part.defects for part in message.walk())
    assert f"Alert {alert.alert}" in message.get_body(("plain",)).get_content()


KNOWN_HEADERS = {
    "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted", "List-Id",
    "X-Auto-Response-Suppress", "Importance", "Content-Language", "MIME-Version", "Content-Type",
}  # fmt: skip


@given(alert=alerts, site=sites, sender_name=names)
@example(
    alert=AlertV1(
        site="s", zone="z", rule="r", profile="lab", alert="0" * 16, state="firing", severity="info", since=0, start=0,
        end=0, rate=0.0, interval=(0.0, 0.0), persons=0, coverage=0.0, fire_below=0.0, clear_above=0.0,
    ),
    site=SiteSettings(id="s", name="x\r\nBcc: eve@example.net", zones=[ZoneSettings(id="z", name="\n\nbody")]),
    sender_name="Eve <eve@example.net>\r\nBcc: eve@example.net",
)  # fmt: skip
def test_no_name_adds_a_header_or_a_recipient(alert: AlertV1, site: SiteSettings, sender_name: str):
    """A site, zone or sender called "x, line end, Bcc: ..." is only an odd name."""
    data = mail(alert, site, Sender("alerts@example.org", sender_name))
    message = parsed(data)
    assert set(message.keys()) <= KNOWN_HEADERS
    assert len(message.keys()) == len(set(message.keys()))
    head = data.split(b"\r\n\r\n", 1)[0]
    assert head.isascii()
    assert all(len(line) <= 998 for line in data.split(b"\r\n"))  # RFC 5322 §2.1.1


@given(alert=alerts, site=sites)
def test_the_same_alert_is_the_same_bytes(alert: AlertV1, site: SiteSettings):
    """A mail sent again after a crash can be recognised: nothing in it is random or of now."""
    assert mail(alert, site) == mail(alert, site)


def test_a_resolved_mail_answers_the_firing_one(make_alert, site):
    """In-Reply-To and References name the firing mail's Message-ID (RFC 5322 §3.6.4), under one subject."""
    firing, resolved = (parsed(mail(make_alert(state=state), site)) for state in ("firing", "resolved"))
    assert resolved["In-Reply-To"] == firing["Message-ID"] == resolved["References"]
    assert resolved["Message-ID"] != firing["Message-ID"]
    assert resolved["Subject"] == firing["Subject"]
    assert firing["In-Reply-To"] is None


def test_each_recipient_has_a_message_id_that_shows_no_address(make_alert, site, anna, bob):
    """Two recipients' mails are two messages, and neither id tells whose it is."""
    ids = [parsed(mail(make_alert(), site, recipient=r))["Message-ID"] for r in (anna, bob)]
    assert ids == [
        "<0123456789abcdef.firing.aaaaaaaaaaaaaaaa@example.org>",
        "<0123456789abcdef.firing.bbbbbbbbbbbbbbbb@example.org>",
    ]


def test_a_mail_says_that_it_is_automatic(make_alert, site):
    """RFC 3834: no vacation note comes back; RFC 2919: a filter can name the list."""
    message = parsed(mail(make_alert(), site))
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["List-Id"] == "<forville.alerts.example.org>"
    assert message["Content-Language"] == "en"


def test_the_date_is_the_windows_end(make_alert, site):
    """Not the time of sending: a repeated mail is the same mail."""
    assert parsed(mail(make_alert(), site))["Date"] == "Tue, 24 Nov 2026 09:20:00 +0000"


@pytest.mark.parametrize(
    ("severity", "state", "importance"),
    [("critical", "firing", "high"), ("critical", "resolved", None), ("warning", "firing", None)],
)
def test_only_a_critical_firing_is_marked_important(make_alert, site, severity: str, state: str, importance):
    """What is always important is never important."""
    assert parsed(mail(make_alert(severity=severity, state=state), site))["Importance"] == importance


def test_names_of_every_script_arrive(make_alert):
    """RFC 2047 in the headers, UTF-8 in the bodies."""
    site = SiteSettings(id="forville", name="Marché d’Été 東京駅")
    message = parsed(mail(make_alert(), site, Sender("alerts@example.org", "Équipe Œuvre")))
    assert message["Subject"] == "[Moretta] Marché d’Été 東京駅: mask rate below 70 %"
    assert message["From"].addresses[0].display_name == "Équipe Œuvre"
    assert "Marché d’Été 東京駅" in message.get_body(("plain",)).get_content()


def test_a_mail_names_nobody_but_its_reader(make_alert, site, anna, bob):
    """One mail per recipient: no reader sees another's address."""
    assert b"bob@example.org" not in mail(make_alert(), site, recipient=anna)
