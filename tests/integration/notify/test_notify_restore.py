"""What notify knows after a start: how far it reads back, what it finds, and what it makes of it."""

import asyncio
import time

import messages
import msgspec
import pytest
from patience import until
from prometheus_client import REGISTRY

from proto.notifications import NotificationV1
from proto.public import DeliveryOutcome, DeliveryReason, DeliveryV1, OperationalAlertV1
from proto.subjects import ALERTS, DEAD, DELIVERIES, NOTIFICATIONS, OPERATIONS
from services.notify.dispatch.dispatcher import Dispatcher
from services.notify.dispatch.restoring import read_past
from services.notify.notification import Notification
from services.notify.recipient import digest
from services.notify.routing.plan import Route, RoutingPlan
from services.notify.routing.settings import RouteSettings
from services.notify.settings import ReceiverSettings

ANNA, BOB, OPS = "anna@example.org", "bob@example.org", "ops@example.org"
SALT = b"0123456789abcdef"
PLAN = RoutingPlan((Route("field-staff", repeat=1),))


def decision(number: int, *firing: int, resolved: tuple[int, ...] = (), **changes) -> NotificationV1:
    """A stored decision to tell Anna of these alerts."""
    ordinary = {
        "site": "forville", "receiver": "field-staff", "notification": f"{number:016x}", "group": "0" * 16,
        "number": number, "root": f"{1:016x}", "reason": "first", "firing": [f"{n:016x}" for n in firing],
        "resolved": [f"{n:016x}" for n in resolved], "recipients": [digest(SALT, "field-staff", ANNA)],
        "at": time.time_ns(),
    }  # fmt: skip
    return NotificationV1(**(ordinary | changes))


def delivery(number: int, outcome: str, *, at: int) -> DeliveryV1:
    """What is recorded of the decision of that number, which told Anna of the alert of that number."""
    return messages.delivery(
        rule=f"r{number}", alert=f"{number:016x}", notification=f"{number:016x}", receiver="field-staff", attempt=2,
        at=at, recipient_sha256=digest(SALT, "field-staff", ANNA), outcome=outcome, reason="other",
    )  # fmt: skip


@pytest.fixture(name="alert")
def _alert(make_alert):
    """`alert(3, "resolved")`: the third rule's alert."""
    return lambda number, state="firing", **more: make_alert(
        rule=f"r{number}", alert=f"{number:016x}", state=state, **more
    )


async def test_only_what_may_matter_is_read(bus, alert, monkeypatch):
    """Old alerts that are over stay unread, unless a notification of late told of them, or nobody yet of their end.

    Everything else is from since the last record less the repeat interval and the time to give up.
    """
    monkeypatch.setattr("services.notify.dispatch.replay.SLOW_LONGEST_S", 0.0)
    for number in (1, 2, 3, 5):  # 1 goes on, 2 ends and is told of later, 3 ends and nobody told, 5's end was told
        await bus.store(ALERTS, alert(number))
    await bus.store(NOTIFICATIONS, decision(1, 1, 2, 3))
    await bus.store(NOTIFICATIONS, decision(2, 3, group="1" * 16))
    await bus.store(NOTIFICATIONS, decision(5, 1, 5))
    for number in (2, 3, 5):
        await bus.store(ALERTS, alert(number, "resolved"))
    await bus.store(NOTIFICATIONS, decision(6, resolved=(5,)))
    await bus.store(ALERTS, alert(9, site="station"))
    await bus.store(
        OPERATIONS,
        OperationalAlertV1(site="forville", kind="channel-down", name="email", state="firing", since=1, at=1),
    )
    await asyncio.sleep(1.5)
    await bus.store(ALERTS, alert(4))
    await bus.store(NOTIFICATIONS, decision(3, 1, 4, resolved=(2,)))
    past = await read_past(bus, "forville", PLAN, 1.0)
    assert {(int(n.alert, 16), n.state) for n in past.notices if n.audience == "field"} == {
        (1, "firing"), (2, "resolved"), (2, "firing"), (3, "resolved"), (3, "firing"), (4, "firing"),
    }  # fmt: skip
    assert [(record.number, len(record.firing)) for record in past.records] == [(1, 3), (2, 1), (5, 1), (3, 2)]
    assert past.known_of == {f"{number:016x}" for number in (1, 2, 5)}
    assert [(alarm.kind, alarm.state) for alarm in past.alarms] == [("channel-down", "firing")]
    assert past.next == {"ALERTS": 10, "OPERATIONS": 2, "DELIVERIES": 6}
    everything = await read_past(bus, "forville", PLAN, 1.0, oldest=1)
    assert [record.number for record in everything.records] == [1, 2, 5, 6, 3]
    assert len(everything.notices) == 9


async def test_an_end_that_came_while_its_receiver_was_muted_is_told_after_days_and_a_restart(bus, alert, monkeypatch):
    """Told on Friday, over on Friday evening, muted until Monday; others were told all along, and notify restarts.

    Of what was told together, one goes on, and the end of another was told before: neither is told again.
    """
    monkeypatch.setattr("services.notify.dispatch.replay.SLOW_LONGEST_S", 0.0)
    for number in (1, 2, 3):
        await bus.store(ALERTS, alert(number))
    await bus.store(NOTIFICATIONS, decision(1, 1, 2, 3))
    await bus.store(ALERTS, alert(3, "resolved"))
    await bus.store(NOTIFICATIONS, decision(2, resolved=(3,)))
    await bus.store(ALERTS, alert(2, "resolved"))
    await asyncio.sleep(1.5)
    await bus.store(NOTIFICATIONS, decision(9, receiver="head", reason="report", recipients=[]))
    now, plan = time.time_ns(), RoutingPlan((Route("field-staff"),))
    past = await read_past(bus, "forville", PLAN, 0.0)
    assert f"{1:016x}" in past.known_of
    dispatcher = Dispatcher(plan)
    dispatcher.restore(past.notices, past.records, past.silences, now)
    outputs = [*dispatcher.step(now), *dispatcher.step(now + 3_600 * 10**9)]
    [told] = [output for output in outputs if isinstance(output, Notification)]
    assert (told.reason, [n.alert for n in told.firing], [n.alert for n in told.resolved]) == (
        "some-resolved", [f"{1:016x}"], [f"{2:016x}"],
    )  # fmt: skip
    assert told.new == frozenset()


async def test_a_first_start_reads_nothing_that_is_over(bus, alert):
    """Alerts of weeks before notify came are not told of; one that still fires is."""
    await bus.store(ALERTS, alert(1))
    await bus.store(ALERTS, alert(1, "resolved"))
    assert (await read_past(bus, "forville", PLAN, 1.0)).notices == []
    await bus.store(ALERTS, alert(2))
    past = await read_past(bus, "forville", PLAN, 1.0)
    assert {n.alert for n in past.notices if n.firing} >= {f"{2:016x}"}


async def test_a_decision_that_was_stored_twice_is_sent_once(
    bus, start, serve_mail, smtp, settings_of, alert, recorded, eventually
):
    """Two holders overlapped: the same notification under the same name is one."""
    box = await serve_mail()
    await bus.store(ALERTS, alert(1))
    for _ in "ab":
        await bus.store(NOTIFICATIONS, decision(1, 1))
    app = await start(settings_of(smtp(box), (ANNA,)))
    records = lambda: bus.history(DELIVERIES)  # noqa: E731
    mine = lambda found: [s for s in found if s.message.notification == f"{1:016x}"]  # noqa: E731
    await eventually(records, lambda found: bool(mine(found)))
    await bus.store(ALERTS, alert(2))
    await eventually(records, lambda found: {s.message.alert for s in found} >= {f"{2:016x}"})
    assert len(mine(await records())) == 1
    assert await app.close() == 0


async def test_notify_goes_on_when_nats_was_away(
    bus, start, nats_server, serve_mail, smtp, settings_of, alert, eventually
):
    """NATS is killed with a mail decided and one on its way: after its return all is told, and told once."""
    box = await serve_mail()
    await start(settings_of(smtp(box), (ANNA,)))
    await bus.store(ALERTS, alert(1))
    await until(lambda: len(box.mails) == 1, "the first mail")
    nats_server.kill()
    nats_server.start()
    await bus.store(ALERTS, alert(2))
    sent = lambda: bus.history(DELIVERIES)  # noqa: E731
    found = await eventually(sent, lambda found: len(found) == 2)
    assert [(s.message.alert, s.message.outcome) for s in found] == [(f"{n:016x}", "sent") for n in (1, 2)]
    assert len(box.mails) == 2


async def test_operators_hear_of_whom_nobody_could_tell(bus, start, serve_mail, smtp, settings_of, alert, eventually):
    """Bob's mailbox is unknown: operators get a mail about it, and another one when it is there again; metrics count.

    No series of a metric has a label beside the enums of the contract.
    """
    box, unknown = await serve_mail(), [BOB]

    async def refuse(server, recipient: str) -> str | None:
        return "550 5.1.1 unknown" if recipient in unknown else None

    box.at_rcpt = refuse
    settings = settings_of(smtp(box), (ANNA, BOB))
    operators = ReceiverSettings(id="ops", email=[OPS], audience="operators")
    routes = [*settings.notify.routes, RouteSettings(receiver="ops", group_wait_s=0, group_interval_s=1)]
    notify = msgspec.structs.replace(settings.notify, receivers=[*settings.notify.receivers, operators], routes=routes)
    await start(msgspec.structs.replace(settings, notify=notify))
    await bus.store(ALERTS, alert(1))
    await eventually(lambda: bus.history(DEAD), lambda found: len(found) == 1)
    await until(lambda: len(box.to(OPS)) == 1, "a mail to operators")
    unknown.clear()
    await bus.store(ALERTS, alert(2))
    await until(lambda: len(box.to(OPS)) == 2, "another one")
    alarms = [s.message for s in await bus.history(OPERATIONS)]
    assert [(one.kind, one.state) for one in alarms] == [("undelivered", "firing"), ("undelivered", "resolved")]
    told = {s.message.receiver for s in await bus.history(DELIVERIES) if s.message.alert == f"{1:016x}"}
    assert told == {"field-staff"}
    allowed = {
        "channel": {"email", "sms", "webhook"},
        "outcome": set(msgspec.inspect.type_info(DeliveryOutcome).values),
        "reason": set(msgspec.inspect.type_info(DeliveryReason).values) | {"first", "new-alerts", "some-resolved",
            "all-resolved", "repeat", "digest", "report", "test", "muted", "silenced", "inhibited", "capped"},
        "made": {"delivered", "failed", "forged", "not-final", "known", "not-recorded"},
    }  # fmt: skip
    samples = [s for metric in REGISTRY.collect() if metric.name.startswith("moretta_notify") for s in metric.samples]
    labels = [(name, value) for s in samples for name, value in s.labels.items() if name != "le"]
    assert [pair for pair in labels if pair[1] not in allowed[pair[0]]] == []
    assert any(s.labels.get("outcome") == "failed" for s in samples)


async def test_what_was_settled_long_ago_is_not_taken_up_again(
    bus, start, serve_mail, smtp, settings_of, alert, monkeypatch, eventually
):
    """An alert fires for days; its first mail's records are too old to be read. A start gives up nothing because of it.

    What an operator had tried again of it goes on.
    """
    monkeypatch.setattr("services.notify.dispatch.runner.REMEMBERED", 0)
    monkeypatch.setattr("services.notify.dispatch.replay.SLOW_LONGEST_S", 0.0)
    box = await serve_mail()
    route = RouteSettings(receiver="field-staff", group_by=("rule",), group_wait_s=0, repeat_interval_s=1)
    for number in (1, 2):
        await bus.store(ALERTS, alert(number))
        await bus.store(NOTIFICATIONS, decision(number, number, root=f"{number:016x}"))
    await asyncio.sleep(4.5)  # longer than a repeat and giving up
    await bus.store(DELIVERIES, delivery(2, "replayed", at=time.time_ns()))
    await bus.store(ALERTS, alert(3))
    await bus.store(NOTIFICATIONS, decision(3, 3, root=f"{3:016x}"))
    await start(settings_of(smtp(box), (ANNA,), give_up_after_s=3.0, routes=[route]))
    records = lambda: bus.history(DELIVERIES)  # noqa: E731
    wanted = {(2, "replayed"), (2, "sent"), (3, "sent")}
    named = lambda found: {(int(s.message.notification, 16), s.message.outcome) for s in found}  # noqa: E731
    await eventually(records, lambda found: named(found) >= wanted)
    await asyncio.sleep(0.2)
    assert {pair for pair in named(await records()) if pair[0] < 9} == wanted
    assert (await bus.history(DEAD), await bus.history(OPERATIONS)) == ([], [])


@pytest.mark.parametrize("is_reload", [True, False])
async def test_who_is_taken_out_of_the_settings_is_told_no_more_and_stands_in_no_alarm(
    bus, start, serve_mail, smtp, settings_of, alert, recorded, eventually, monkeypatch, is_reload
):
    """Bob's mailbox is unknown, then busy; he is taken out, by a reload or a start: his alarm ends."""
    monkeypatch.setattr("services.notify.deadlines.FIRST_S", 2.0)
    box, answers = await serve_mail(), ["550 5.1.1 unknown", "450 4.2.1 later"]

    async def refuse(server, recipient: str) -> str | None:
        return answers[0] if recipient == BOB else None

    box.at_rcpt = refuse
    before, after = (settings_of(smtp(box), people) for people in ((ANNA, BOB), (ANNA,)))
    app = await start(before)
    await bus.store(ALERTS, alert(1))
    await eventually(lambda: bus.history(OPERATIONS), lambda found: len(found) == 1)
    answers.pop(0)
    await bus.store(ALERTS, alert(2))
    await eventually(recorded, lambda found: ("bob", "firing", 1, "retrying", "temporary") in found)
    if is_reload:
        await app._apply(after)
    else:
        assert await app.close() == 0
        await start(after)
    ends = await eventually(lambda: bus.history(OPERATIONS), lambda found: len(found) == 2)
    assert [(s.message.kind, s.message.state) for s in ends] == [("undelivered", "firing"), ("undelivered", "resolved")]
    tries = len([one for one in await recorded() if one[0] == "bob"])
    answers[0] = "250 OK"
    await bus.store(ALERTS, alert(3))
    await eventually(recorded, lambda found: [one[0] for one in found if one[3] == "sent"].count("anna") == 3)
    await asyncio.sleep(2.5)
    assert (len(box.to(BOB)), len([one for one in await recorded() if one[0] == "bob"])) == (0, tries)
