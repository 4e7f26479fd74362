"""The settings in force: who is reached by what, and the channels that follow from them."""

import subprocess
import sys
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from notifications import NUMBER, TEN, notification, rate

from proto.subjects import WINDOWS
from services.bus import Stored
from services.kernel.faults import StartError
from services.kernel.settings import Secret
from services.notify.channels.email.settings import SmtpSettings
from services.notify.channels.sms.settings import KannelSettings, SmsSettings
from services.notify.channels.sms.sms import SmsChannel
from services.notify.channels.webhook.webhook import WebhookSettings
from services.notify.delivery.channels import channels_of
from services.notify.directory import Directory, sender_of
from services.notify.recipient import default_salt, digest
from services.notify.reports.settings import ReportSettings
from services.notify.settings import NotifyFile, NotifySettings, ReceiverSettings
from services.sites.settings import SiteSettings

SALT = "0123456789abcdef"
HOOK = "http://127.0.0.1:1/hook"
SMTP = SmtpSettings(host="127.0.0.1", security="none", sender="alerts@example.org", sender_name="Marché")
KANNEL = KannelSettings(url=Secret("http://127.0.0.1:1/"), user="moretta", password=Secret("s3cret"))
SMS = SmsSettings(kannel=KANNEL, max_per_day=3)


def file_of(*channels: str, **more) -> NotifyFile:
    """Settings of one site and one receiver, who is reached by these channels."""
    receiver = ReceiverSettings(
        id="staff",
        email=["anna@example.org"] if "email" in channels else [],
        sms=[Secret(NUMBER)] if "sms" in channels else [],
        webhooks=[WebhookSettings(url=Secret(HOOK))] if "webhook" in channels else [],
        language="fr",
    )
    notify = NotifySettings(
        smtp=SMTP if "email" in channels else None,
        sms=SMS if "sms" in channels else None,
        receivers=[receiver],
        salt=Secret(SALT),
    )
    site = SiteSettings(id="forville", name="Marché Forville", timezone="Europe/Paris")
    return NotifyFile(sites=[site], notify=structs.replace(notify, **more))


ADDRESSES = {"email": "anna@example.org", "sms": NUMBER, "webhook": HOOK}
SOME = st.sets(st.sampled_from(sorted(ADDRESSES)), min_size=1)


@given(SOME)
async def test_everyone_is_reached_by_what_there_is_a_channel_for(some):
    """Each address is a recipient of its own, by its channel and in the receiver's language, and each has a channel."""
    directory = Directory.of(file_of(*some))
    found = directory.recipients("staff")
    assert {one.channel: one.address for one in found} == {name: ADDRESSES[name] for name in some}
    assert {one.language for one in found} == {"fr"}
    assert [one.digest for one in found] == [digest(SALT.encode(), "staff", one.address) for one in found]
    channels = channels_of(directory, None)
    assert {name: channel.name for name, channel in channels.items()} == {name: name for name in some}
    for channel in channels.values():
        await channel.close()


@given(SOME, st.sampled_from(sorted(ADDRESSES)))
def test_a_channel_may_be_asked_for_alone(some, channel):
    """A daily report goes by e-mail alone: to nobody where a receiver has no address."""
    found = Directory.of(file_of(*some)).recipients("staff", channel)
    assert [one.address for one in found] == [ADDRESSES[name] for name in [channel] if name in some]


def test_nobody_is_told_for_a_receiver_that_is_gone():
    """And a number without a gateway is no recipient: there is nothing to send by."""
    directory = Directory.of(file_of("email", "sms", sms=None))
    assert directory.recipients("others") == []
    assert [one.channel for one in directory.recipients("staff")] == ["email"]


def test_no_repr_shows_where_somebody_is_reached():
    """A directory may end in a log or a traceback by accident."""
    shown = repr(Directory.of(file_of(*ADDRESSES)))
    assert not [name for name in (*ADDRESSES.values(), "anna", "s3cret", SALT) if name in shown]


def test_what_settings_leave_out():
    """A site that they don't have has its id and UTC; the salt is the sender's; no link is no link."""
    directory = Directory.of(file_of("email", salt=None))
    assert (directory.site("quay").id, directory.site("quay").timezone) == ("quay", "UTC")
    assert directory.site("forville").name == "Marché Forville"
    assert directory.salt == default_salt("alerts@example.org")
    assert (directory.link, directory.give_up_after_s) == ("", 12 * 3_600)
    assert (sender_of(SMTP).name, sender_of(SMTP).domain) == ("Marché", "example.org")


def test_reports_are_planned_for_receivers_with_an_address():
    """By the clock of the site, of each of its receivers that are named."""
    reports = [ReportSettings(receivers=["staff"], at="07:30", zone_detail=False)]
    [plan] = Directory.of(file_of("email", reports=reports)).reports
    assert (plan.site, plan.receiver, plan.zone_detail) == ("forville", "staff", False)
    assert plan.due(date(2026, 11, 24)) == 1_795_588_200 * 10**9  # 25 November 2026, 06:30 UTC


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"smtp": structs.replace(SMTP, ca_file="/nowhere/ca.pem")}, "notify.smtp.ca_file"),
        ({"smtp": structs.replace(SMTP, client_cert_file="/nowhere/us.pem")}, "notify.smtp.client_cert_file"),
        ({"sms": structs.replace(SMS, ca_file="/nowhere/ca.pem")}, "notify.sms.ca_file"),
    ],
)
def test_a_file_of_certificates_that_is_not_there_is_named(change, path):
    """At the start, and at a reload, which then leaves the old settings in force."""
    with pytest.raises(StartError, match=r"cannot use /nowhere/\w+\.pem: No such file") as told:
        channels_of(Directory.of(file_of("email", "sms", **change)), None)
    assert str(told.value).startswith(path)


async def test_new_settings_do_not_renew_the_days_sms():
    """What the channel before has spent is spent; a lower cap holds at once, a higher one gives the rest."""
    today = date(2026, 11, 24)
    before = channels_of(Directory.of(file_of("sms")), None)
    assert isinstance(before["sms"], SmsChannel)
    assert before["sms"].budget.take("forville", today, 2)
    for most, left in ((2, 0), (5, 3)):
        changed = Directory.of(file_of("sms", sms=structs.replace(SMS, max_per_day=most)))
        after = channels_of(changed, None, before)["sms"]
        assert isinstance(after, SmsChannel)
        assert not after.budget.take("forville", today, left + 1)
        await after.close()
    await before["sms"].close()


class Published:
    """A bus with windows, that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple] = []

    async def read(self, row, *, since=0, **tokens):
        self.asked.append((row, since, tokens))
        yield Stored(WINDOWS, "", "a window", 1, 1, 1)


async def test_a_mails_chart_is_of_the_hours_before_its_newest_window():
    """The site's windows since seven hours before, since a chart shows six and a window is stored when it is over."""
    bus = Published()
    mail = channels_of(Directory.of(file_of("email")), bus)["email"]
    told = notification(rate())
    assert list(await mail._windows(told)) == ["a window"]
    [(row, since, tokens)] = bus.asked
    assert (row, tokens) == (WINDOWS, {"site": "forville"})
    assert TEN + 20 * 60 * 10**9 - since == 7 * 3_600 * 10**9
    await mail.close()


@pytest.fixture(name="loaded", scope="module")
def _loaded():
    """What each start says of matplotlib: forks of a Python that has imported the service, and nothing that draws."""
    program = """
import asyncio, os, sys
from services.kernel.app import App
from services.notify import __main__, service
from services.notify.delivery.channels import channels_of
from services.notify.directory import Directory
from services.notify.channels.email.settings import SmtpSettings
from services.notify.settings import NotifyFile, NotifySettings
settings = {"None": NotifySettings(), "smtp": NotifySettings(smtp=SmtpSettings(
    host="127.0.0.1", security="none", sender="alerts@example.org"))}
class Bus:
    async def connect(*_):
        print("wired", name, "services.notify.reports.writer" in sys.modules and "matplotlib" in sys.modules)
        raise SystemExit
service.Bus = Bus
def wired(file):
    asyncio.run(service.wire(App("notify"), file))
def channels(file):
    print("channels", name, sorted(channels_of(Directory.of(file), None)), "matplotlib" in sys.modules)
for name, notify in settings.items():
    for what in (wired, channels):
        if not os.fork():
            what(NotifyFile(notify=notify))
            raise SystemExit
        os.wait()
"""
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False)
    return done.stdout.splitlines() or done.stderr


@pytest.mark.xdist_group("notify-loaded")
def test_what_draws_is_loaded_for_mails_alone(loaded):
    """matplotlib is half of the service's start and two fifths of its memory: who has no mail server does without."""
    assert "channels None [] False" in loaded
    assert "channels smtp ['email'] True" in loaded


@pytest.mark.xdist_group("notify-loaded")
@pytest.mark.parametrize(("given", "printed"), [("smtp", "True"), ("None", "False")])
def test_what_draws_is_loaded_before_nats_is_connected(loaded, given, printed):
    """While it is loaded a connected service would answer nothing."""
    assert f"wired {given} {printed}" in loaded
