"""The service with every channel: one alert by e-mail, SMS and webhook, delivery reports, daily reports, a restart."""

import asyncio
import json
import socket
import time
from collections.abc import Callable

import aiohttp
import pytest
from free_ports import free_port
from http_peer import HttpPeer
from messages import delivery
from msgspec import structs
from notifications import NUMBER
from windows import HOUR, window

from proto.codec import decode
from proto.notifications import ReplayRequestV1
from proto.subjects import ALERTS, DEAD, DELIVERIES, NOTIFICATIONS, OPERATIONS, REPLAY, WINDOWS
from services.kernel.faults import StartError
from services.kernel.settings import Secret
from services.notify.channels.sms.delivery_reports import Report
from services.notify.channels.sms.report_server import DeliveryReports
from services.notify.channels.sms.settings import ProviderSettings, ReportsSettings, SmsSettings
from services.notify.channels.webhook.webhook import WebhookSettings
from services.notify.delivery.ledger import UNTOLD, Ledger
from services.notify.recipient import Recipient
from services.notify.reports.settings import ReportSettings
from services.notify.settings import NotifyFile

ANNA = "anna@example.org"


@pytest.fixture(name="all_channels")
def _all_channels(peer: HttpPeer, settings_of, smtp) -> Callable[..., NotifyFile]:
    """`all_channels(box)`: settings in which Anna has an address, a number and a webhook."""

    def make(box, *, port: int | None = None, **more) -> NotifyFile:
        file = settings_of(smtp(box), (ANNA,))
        provider = ProviderSettings(
            url=Secret(peer.url("sms")), json={"to": "$to", "text": "$text", "report": "$report_url"}
        )
        reports = None if port is None else reports_at(port)
        sms = SmsSettings(provider=provider, reports=reports, **more)
        [staff] = file.notify.receivers
        hook = WebhookSettings(url=Secret(peer.url("hook")), secret=Secret("s3cret-of-the-hook"))
        staff = structs.replace(staff, sms=[Secret(NUMBER)], webhooks=[hook])
        return structs.replace(file, notify=structs.replace(file.notify, sms=sms, receivers=[staff]))

    return make


def reports_at(port: int) -> ReportsSettings:
    url = f"http://127.0.0.1:{port}"
    return ReportsSettings(port=port, url=url, token=Secret("0123456789abcdef-token"), delivered=["ok"], failed=["no"])


@pytest.fixture(name="deliveries")
def _deliveries(bus):
    """`await deliveries()`: what is recorded so far, as (channel, outcome)."""

    async def read() -> list[tuple[str, str]]:
        return [(s.message.channel, s.message.outcome) for s in await bus.history(DELIVERIES)]

    return read


async def test_one_alert_by_every_channel_and_a_report_of_its_sms(
    bus, start, serve_mail, peer, all_channels, make_alert, deliveries, eventually, logs
):
    """Each channel accepted it; the gateway reports once, twice and forged: one record; no number is in any log."""
    box, port = await serve_mail(), free_port()
    await start(all_channels(box, port=port))
    await bus.store(ALERTS, make_alert())
    found = await eventually(deliveries, lambda found: len(found) == 3)
    assert sorted(found) == [("email", "sent"), ("sms", "sent"), ("webhook", "sent")]
    asked = {got.path: json.loads(got.body) for got in peer.got}
    assert asked["/hook"]["alerts"][0]["status"] == "firing"
    assert (asked["/sms"]["to"], asked["/sms"]["text"].split(":")[0]) == (NUMBER, "Market Forville")
    address = asked["/sms"]["report"]
    async with aiohttp.ClientSession() as client:
        for url, status in ((address, 200), (address, 200), (f"{address[:-4]}0000", 404)):
            async with client.post(url, data={"status": "ok"}) as answer:
                assert answer.status == status
    assert (await eventually(deliveries, lambda found: len(found) == 4))[3] == ("sms", "delivered")
    assert len({s.message.notification for s in await bus.history(DELIVERIES)}) == 1
    assert NUMBER[2:] not in logs()


async def test_an_sms_that_the_gateway_lost_is_a_dead_letter_and_an_alarm_once(
    bus, start, serve_mail, peer, all_channels, make_alert, eventually
):
    """Two alerts in one SMS, a report that comes twice, also after a restart: one of each; sent again, it arrives.

    What was reported while nobody told of the site is dealt with at the next start; a success ends the alarm.
    """
    port = free_port()
    file = all_channels(await serve_mail(), port=port)
    [route] = file.notify.routes
    route = structs.replace(route, group_by=("site",), group_wait_s=0.5)
    file = structs.replace(file, notify=structs.replace(file.notify, routes=[route]))
    app = await start(file)
    for rule in ("low", "evening"):
        await bus.store(ALERTS, make_alert(rule=rule, alert=rule.encode().hex().ljust(16, "0")))

    async def state() -> tuple[list[str], int, list[str]]:
        by_sms = [s.message for s in await bus.history(DELIVERIES) if s.message.channel == "sms"]
        alarms = [s.message for s in await bus.history(OPERATIONS)]
        assert {(one.kind, one.name[:12]) for one in alarms} <= {("undelivered", "field-staff-")}
        told = [f"{one.outcome}/{one.reason}" for one in by_sms]
        return told, len(await bus.history(DEAD)), [one.state for one in alarms]

    sent, lost = ["sent/accepted"] * 2, ["failed/lost"] * 2 + ["dead/lost"]
    await eventually(state, lambda found: found == (sent, 0, []))
    address = json.loads(next(got.body for got in peer.got if got.path == "/sms"))["report"]

    async def report(status: str) -> None:
        async with aiohttp.ClientSession() as client, client.post(address, data={"status": status}) as answer:
            assert answer.status == 200

    for _ in "12":
        await report("no")
    await eventually(state, lambda found: found == (sent + lost, 1, ["firing"]))
    assert await app.close() == 0
    app = await start(file)

    async def has_caught_up() -> bool:
        return "site forville" not in app.probes.reasons()

    await eventually(has_caught_up, bool)
    await report("no")
    [letter] = [s.message for s in await bus.history(DEAD)]
    assert letter.reason.endswith("by sms: failed (lost)")
    name = decode(NOTIFICATIONS, letter.payload).notification
    reply = await bus.request(
        REPLAY, ReplayRequestV1(site="forville", notification=name, operator="ana", at=time.time_ns()), timeout=20
    )
    assert (reply.error, reply.recipients) == (None, 1)
    again = [*sent, *lost, *["replayed/lost"] * 2, *sent]
    await eventually(state, lambda found: found == (again, 1, ["firing", "resolved"]))
    assert await app.close() == 0
    last = [s.message for s in await bus.history(DELIVERIES) if s.message.channel == "sms"][-1]
    await bus.store(DELIVERIES, structs.replace(last, outcome="failed", reason="lost", at=time.time_ns()))
    await start(file)
    again += ["failed/lost", "dead/lost"]
    await eventually(state, lambda found: found == (again, 2, ["firing", "resolved", "firing"]))
    await report("ok")
    await eventually(state, lambda found: found[1:] == (2, ["firing", "resolved", "firing", "resolved"]))


@pytest.mark.parametrize("how", ["new-settings", "restart", "out-and-in"])
async def test_the_days_budget_holds_through_restarts_and_new_settings(
    start, bus, serve_mail, all_channels, make_alert, deliveries, eventually, how, peer
):
    """Of two SMS one is paid for; the other is refused and dead, and mails and webhooks go on.

    Also where SMS were taken out of the settings for a while.
    """
    box = await serve_mail()
    file = all_channels(box, max_per_day=1, max_segments=1)
    app = await start(file)
    await bus.store(ALERTS, make_alert())
    await eventually(deliveries, lambda found: len(found) == 3)
    if how == "restart":
        assert await app.close() == 0
        await start(file)
    elif how == "out-and-in":
        [staff] = file.notify.receivers
        without = structs.replace(file.notify, sms=None, receivers=[structs.replace(staff, sms=[])])
        await app._apply(structs.replace(file, notify=without))
        await app._apply(file)
    else:
        sms = structs.replace(file.notify.sms, timeout_s=7.0)
        await app._apply(structs.replace(file, notify=structs.replace(file.notify, sms=sms)))
    await bus.store(ALERTS, make_alert(alert="fedcba9876543210", rule="evening"))
    found = await eventually(deliveries, lambda found: len(found) == 6)
    assert sorted(found[3:]) == [("email", "sent"), ("sms", "failed"), ("webhook", "sent")]
    assert [got.path for got in peer.got].count("/sms") == 1
    [dead] = await eventually(lambda: bus.history(DEAD), lambda found: len(found) == 1)
    assert "by sms: failed (cost-cap)" in dead.message.reason


async def test_a_report_that_is_faster_than_the_record_counts_and_one_about_nothing_does_not(bus):
    """A gateway may report before its acceptance is recorded, and Kannel reports once; a failure can be replayed."""
    await bus.ensure_streams(["DELIVERIES"])
    waits, stored = asyncio.Queue[float](), asyncio.Event()

    async def wait(seconds: float) -> None:
        waits.put_nowait(seconds)
        await stored.wait()

    reports, digest = DeliveryReports(bus, wait=wait), "d" * 64
    sent = delivery(notification="f" * 16, channel="sms", recipient_sha256=digest, at=time.time_ns())
    telling = asyncio.create_task(reports.store(Report("forville", "f" * 16, digest, "failed")))
    assert await waits.get() > 1
    await bus.store(DELIVERIES, sent)
    await bus.store(DELIVERIES, structs.replace(sent, notification="e" * 16))
    stored.set()
    await telling
    with pytest.raises(LookupError):
        await reports.store(Report("forville", "0" * 16, digest, "delivered"))
    assert waits.qsize() == 1, "it was looked for twice"
    found = [s.message for s in await bus.history(DELIVERIES)]
    assert [(one.notification[0], one.outcome, one.reason) for one in found] == [
        ("f", "sent", "accepted"), ("e", "sent", "accepted"), ("f", "failed", "lost"),
    ]  # fmt: skip
    assert Ledger(found).attempts("f" * 16, Recipient("staff", NUMBER, digest, channel="sms")).outcome in UNTOLD


async def test_reports_are_served_as_before_where_new_settings_cannot_be(bus):
    """The new port is taken: one line says so, and the old address still answers; nothing is left over at the end."""
    old, taken = free_port(), socket.create_server(("127.0.0.1", 0))
    provider = ProviderSettings(url=Secret("http://127.0.0.1:1"), json={"to": "$to"})
    settings = [SmsSettings(provider=provider, reports=reports_at(port)) for port in (old, int(taken.getsockname()[1]))]
    reports = DeliveryReports(bus)
    with taken:
        await reports.use(settings[0])
        with pytest.raises(StartError, match=r"notify\.sms\.reports: cannot listen on 127\.0\.0\.1"):
            await reports.use(settings[1])
        async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{old}/a/b/c/d") as answer:
            assert answer.status == 404
    await reports.use(settings[1])
    with socket.create_server(("127.0.0.1", old)):
        await reports.use(None)


async def test_a_daily_report_goes_out_once(
    bus, start, serve_mail, all_channels, make_alert, deliveries, eventually, logs
):
    """By e-mail alone, about yesterday, as soon as it is set up; a restart sends it no second time.

    None is sent about days before anything was published of the site, and the log says so, once a start.
    """
    box = await serve_mail()
    file = all_channels(box)
    report = ReportSettings(receivers=["field-staff"], at="00:00")
    file = structs.replace(file, notify=structs.replace(file.notify, reports=[report]))
    app = await start(file)

    async def left_out() -> int:
        return logs().count("daily report skipped")

    days = await eventually(left_out, bool)
    assert await app.close() == 0
    assert (await bus.history(NOTIFICATIONS), box.mails, await left_out()) == ([], [], days)
    await bus.store(WINDOWS, window(time.time_ns() - 5 * 24 * HOUR, site="forville"))
    app = await start(file)
    wanted = await eventually(lambda: bus.history(NOTIFICATIONS), bool)
    await eventually(deliveries, lambda found: len(found) == len(wanted))
    assert await app.close() == 0
    [record, *_] = [stored.message for stored in await bus.history(DELIVERIES)]
    assert (record.kind, record.rule, record.zone, record.channel, record.outcome) == (
        "daily-report",
        None,
        None,
        "email",
        "sent",
    )
    await start(file)
    await bus.store(ALERTS, make_alert())
    await eventually(deliveries, lambda found: len(found) == len(wanted) + 3)
    assert {s.message.reason for s in wanted} == {"report"}
    assert len(box.to(ANNA)) == len(wanted) + 1
    assert "reports" in box.to(ANNA)[0]["List-Id"]
