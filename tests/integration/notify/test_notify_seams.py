"""Where parts of notify meet: alarms of its own and those they are about, new settings and what is on its way."""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec import structs
from windows import HOUR, window

from proto.notifications import ReplayRequestV1
from proto.public import OperationalAlertV1
from proto.subjects import ALERTS, DEAD, DELIVERIES, NOTIFICATIONS, OPERATIONS, REPLAY, WINDOWS
from services.kernel.settings import Secret
from services.notify.channels.webhook.webhook import WebhookSettings
from services.notify.delivery.site_ledger import SiteLedger
from services.notify.directory import Directory
from services.notify.dispatch import runner
from services.notify.dispatch.runner import SiteDispatch
from services.notify.reports.settings import ReportSettings
from services.notify.routing.settings import RouteSettings
from services.notify.settings import NotifyFile, ReceiverSettings

ANNA, BOB, OPS = "anna@example.org", "bob@example.org", "ops@example.org"
NEXT = "fedcba9876543210"
AT_ONCE = {"group_wait_s": 0, "group_interval_s": 1}


def changed(file: NotifyFile, **notify: object) -> NotifyFile:
    """The same settings but for these of the section."""
    return structs.replace(file, notify=structs.replace(file.notify, **notify))


def with_operators(file: NotifyFile, **operators: object) -> NotifyFile:
    """The same settings with operators who are told at once."""
    ops = ReceiverSettings(id="ops", audience="operators", **operators)
    route = RouteSettings(receiver="ops", repeat_interval_s=600, **AT_ONCE)
    return changed(file, receivers=[*file.notify.receivers, ops], routes=[*file.notify.routes, route])


async def test_operators_hear_by_another_channel_that_mails_are_refused(
    bus, start, serve_mail, smtp, settings_of, make_alert, peer, eventually, logs
):
    """The server refuses our sender: one mail asks, the next waits, a webhook names the channel and no address."""
    box = await serve_mail()

    async def refuse(server, address: str) -> str:
        return "550 5.7.1 sender rejected"

    box.at_mail = refuse
    hook = WebhookSettings(url=Secret(peer.url("hook")))
    app = await start(with_operators(settings_of(smtp(box), (ANNA,)), webhooks=[hook]))
    await bus.store(ALERTS, make_alert())
    await eventually(recorded_of(bus), lambda found: ("email", "retrying", "config") in found)
    await bus.store(ALERTS, make_alert(alert=NEXT, rule="evening"))
    await eventually(recorded_of(bus), lambda found: ("webhook", "sent", "accepted") in found)
    await eventually(lambda: bus.history(NOTIFICATIONS), lambda found: len(found) == 3)
    assert [one for one in await recorded_of(bus)() if one[0] == "email"] == [("email", "retrying", "config")]
    [told] = [json.loads(got.body) for got in peer.got]
    assert (told["status"], told["commonLabels"]["alertname"]) == ("firing", "channel-down")
    assert (told["commonLabels"]["channel"], "zone" in told["commonLabels"]) == ("email", False)
    assert "example.org" not in json.dumps(told)
    assert await app.close() == 0
    assert "the server must accept mail from notify.smtp.sender" in logs()


def recorded_of(bus):
    """`await recorded_of(bus)()`: every attempt so far, as (channel, outcome, reason)."""

    async def read() -> list[tuple[str, str, str]]:
        return [(s.message.channel, s.message.outcome, s.message.reason) for s in await bus.history(DELIVERIES)]

    return read


async def test_operators_who_cannot_be_told_make_no_alarm_about_their_alarm(
    bus, start, serve_mail, smtp, settings_of, eventually
):
    """Their mailbox is unknown: one dead letter for the camera, one for the alarm about that, and then silence."""
    box = await serve_mail()

    async def refuse(server, recipient: str) -> str:
        return "550 5.1.1 unknown"

    box.at_rcpt = refuse
    await start(with_operators(settings_of(smtp(box), ()), email=[OPS]))
    now = time.time_ns()
    down = OperationalAlertV1(
        site="forville", kind="camera-down", name="gate", state="firing", since=now, at=now, reason="camera-down"
    )
    await bus.store(OPERATIONS, down)
    await eventually(lambda: bus.history(DEAD), lambda found: len(found) == 2)
    await asyncio.sleep(1.5)  # longer than the group is left alone
    assert [s.message.kind for s in await bus.history(OPERATIONS)] == ["camera-down", "undelivered"]
    assert (len(await bus.history(DEAD)), box.mails) == (2, [])


async def test_another_salt_forgets_nothing_that_is_on_its_way(
    bus, start, serve_mail, smtp, settings_of, make_alert, eventually, monkeypatch
):
    """Anna is greylisted when the salt changes: her mail still goes, and is recorded under the name it began with."""
    monkeypatch.setattr("services.notify.deadlines.FIRST_S", 1.0)
    box, answers = await serve_mail(), ["450 4.7.1 later"]

    async def greylist(server, recipient: str) -> str | None:
        return answers[0] if answers else None

    box.at_rcpt = greylist
    file = settings_of(smtp(box), (ANNA,))
    app = await start(file)
    await bus.store(ALERTS, make_alert())
    attempts = lambda: bus.history(DELIVERIES)  # noqa: E731
    await eventually(attempts, lambda found: len(found) == 1)
    await app._apply(changed(file, salt=Secret("another-salt-of-32-characters-00")))
    answers.clear()
    found = [s.message for s in await eventually(attempts, lambda found: found[-1].message.outcome == "sent")]
    assert len({one.recipient_sha256 for one in found}) == 1
    await bus.store(ALERTS, make_alert(alert=NEXT, rule="evening"))
    found = [s.message for s in await eventually(attempts, lambda found: found[-1].message.alert == NEXT)]
    assert len({one.recipient_sha256 for one in found}) == 2
    assert [one["Message-ID"].split(".")[0] for one in box.to(ANNA)] == [
        f"<{found[0].notification}", f"<{found[-1].notification}",
    ]  # fmt: skip


async def test_what_another_salt_leaves_behind_is_a_dead_letter_and_an_alarm(
    bus, start, serve_mail, smtp, settings_of, make_alert, eventually, logs
):
    """Anna is greylisted, Bob told; notify starts with a new salt: said once, whoever starts; with the old one it goes.

    A receiver who has left is nobody's loss, and what comes next goes out and ends the alarm.
    """
    box, answers = await serve_mail(), ["450 4.7.1 later"]

    async def greylist(server, recipient: str) -> str | None:
        return answers[0] if answers and recipient == ANNA else None

    async def state() -> tuple[list[str], list[str], list[str]]:
        told = [f"{s.message.outcome}/{s.message.reason}" for s in await bus.history(DELIVERIES)]
        alarms = [f"{s.message.kind}/{s.message.name}/{s.message.state}" for s in await bus.history(OPERATIONS)]
        return told, [s.message.reason for s in await bus.history(DEAD)], alarms

    box.at_rcpt = greylist
    before = settings_of(smtp(box), (ANNA, BOB))
    gone = ReceiverSettings(id="gone", email=["gone@example.org"])
    route = RouteSettings(receiver="gone", **AT_ONCE)
    both = changed(before, receivers=[*before.notify.receivers, gone],
                   routes=[structs.replace(before.notify.routes[0], goes_on=True), route])  # fmt: skip
    app = await start(both)
    await bus.store(ALERTS, make_alert())
    await eventually(state, lambda found: sorted(found[0]) == ["retrying/temporary", *["sent/accepted"] * 2])
    assert await app.close() == 0
    after = changed(before, salt=Secret("another-salt-of-32-characters-00"))
    [anna] = [one.name for one in Directory.of(after).recipients("field-staff") if one.address == ANNA]
    [was] = [one.name for one in Directory.of(before).recipients("field-staff") if one.address == ANNA]
    [bob] = [one.name for one in Directory.of(after).recipients("field-staff") if one.address == BOB]
    wanted = ([f"{was} by email: dead (salt-changed)"], [f"undelivered/{one}/firing" for one in (anna, bob)])
    for _ in "12":
        app = await start(after)
        assert (await eventually(state, lambda found: len(found[0]) == 4 and len(found[2]) == 2))[1:] == wanted
        assert await app.close() == 0
    assert logs().count("pending notifications dropped") == 1
    answers.clear()
    app = await start(after)
    await bus.store(ALERTS, make_alert(alert=NEXT, rule="evening"))
    await eventually(state, lambda found: sorted(one.split("/")[2] for one in found[2][2:]) == ["resolved"] * 2)
    assert await app.close() == 0
    await start(before)
    name = next(s.message.notification for s in await bus.history(DELIVERIES) if s.message.reason == "salt-changed")
    order = ReplayRequestV1(site="forville", notification=name, operator="ana", at=time.time_ns())

    async def again() -> int:
        with contextlib.suppress(TimeoutError):
            return (await bus.request(REPLAY, order, timeout=1)).recipients
        return 0

    await eventually(again, lambda count: count == 1)
    await eventually(state, lambda found: found[0][-1] == "sent/accepted" and "replayed/salt-changed" in found[0])
    assert len(box.to(ANNA)) == 2


async def test_another_hour_or_another_start_makes_no_second_report(
    bus, start, serve_mail, smtp, settings_of, make_alert, eventually
):
    """A day's report is decided once, whatever settings say of its hour later, and whoever starts."""
    box = await serve_mail()
    midnight, later = ([ReportSettings(receivers=["field-staff"], at=at)] for at in ("00:00", "00:01"))
    file = settings_of(smtp(box), (ANNA,), reports=midnight)
    await bus.store(WINDOWS, window(time.time_ns() - 5 * 24 * HOUR, site="forville"))
    app = await start(file)
    decided = lambda: bus.history(NOTIFICATIONS)  # noqa: E731
    first = await eventually(decided, bool)
    await eventually(lambda: bus.history(DELIVERIES), lambda found: len(found) == len(first))
    await app._apply(changed(file, reports=later))
    assert await app.close() == 0
    app = await start(changed(file, reports=later))
    await bus.store(ALERTS, make_alert())
    await eventually(lambda: bus.history(DELIVERIES), lambda found: len(found) == len(first) + 1)
    reports = [s.message for s in await decided() if s.message.reason == "report"]
    assert len({one.notification for one in reports}) == len(reports) == len(first)
    assert len(box.to(ANNA)) == len(first) + 1
    assert all("Auto-Submitted" in mail for mail in box.to(ANNA))


@pytest.mark.parametrize("is_read", [False, True])
async def test_an_order_to_try_again_that_meets_a_site_on_its_way_elsewhere(
    bus, start, serve_mail, smtp, settings_of, make_alert, eventually, monkeypatch, is_read
):
    """Not read yet: who ordered it is told to try again, and the next holder does it. Being recorded: it is done."""
    box, unknown = await serve_mail(), [True]
    leaving, reached = asyncio.Event(), asyncio.Event()

    async def refuse(server, recipient: str) -> str | None:
        return "550 5.1.1 unknown" if unknown else None

    def held_up(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def wait(*arguments: Any) -> Any:
            if unknown == [False]:
                unknown.clear()
                reached.set()
                await leaving.wait()
            return await original(*arguments)

        return wait

    async def leave(runner: SiteDispatch, original=SiteDispatch.leave) -> None:
        going = asyncio.ensure_future(original(runner))
        await asyncio.sleep(0.1)
        leaving.set()
        await going

    box.at_rcpt = refuse
    first = await start(file := settings_of(smtp(box), (ANNA,)))
    await bus.store(ALERTS, make_alert())
    await eventually(lambda: bus.history(DEAD), lambda found: len(found) == 1)
    [told] = [s.message for s in await bus.history(NOTIFICATIONS)]
    order = ReplayRequestV1(site="forville", notification=told.notification, operator="ana", at=time.time_ns())
    second = await start(file)
    monkeypatch.setattr(SiteDispatch, "leave", leave)
    place = (SiteLedger, "replay") if is_read else (runner, "read_past")
    monkeypatch.setattr(*place, held_up(getattr(*place)))
    unknown[:] = [False]
    asking = asyncio.ensure_future(bus.request(REPLAY, order, timeout=20))
    await reached.wait()
    closing = asyncio.ensure_future(first.close())
    reply = await asking
    assert await closing == 0
    assert (reply.recipients, "try again" in (reply.error or "")) == ((1, False) if is_read else (0, True))

    async def ask_the_next() -> int:
        with contextlib.suppress(TimeoutError):
            return (await bus.request(REPLAY, order, timeout=1)).recipients
        return 0

    if not is_read:
        await eventually(ask_the_next, lambda count: count == 1)
    await eventually(recorded_of(bus), lambda found: found[-1] == ("email", "sent", "accepted"))
    assert len(box.to(ANNA)) == 1
    assert second.probes.is_ready()
