"""The service on a real NATS server with a real SMTP server: what reaches people, and what is recorded."""

import asyncio
import threading
import time

import pytest
from messages import delivery
from patience import patient, until
from prometheus_client import REGISTRY, generate_latest

from proto.notifications import NotificationV1
from proto.subjects import ALERTS, DEAD, DELIVERIES, NOTIFICATIONS, OPERATIONS, STREAMS
from services.bus.streams.ordered_consumer import read_back
from services.kernel.faults import StartError
from services.kernel.settings import Secret
from services.notify import service
from services.notify.channels.email.settings import SmtpSettings
from services.notify.recipient import digest

ANNA, BOB = "anna@example.org", "bob@example.org"
NEXT = "fedcba9876543210"
ANNAS, BOBS = (f"field-staff-{digest(b'0123456789abcdef', 'field-staff', who)[:8]}" for who in (ANNA, BOB))


def told(mail) -> str:
    """The notification that a mail tells of."""
    return str(mail["Message-ID"][1:17])


async def decided(bus) -> list[str]:
    """The notifications, in the order of the decisions."""
    return [stored.message.notification for stored in await bus.history(NOTIFICATIONS)]


async def test_an_alert_becomes_one_mail_for_each_recipient_and_a_record(
    bus, start, serve_mail, smtp, settings_of, make_alert, recorded, eventually
):
    """Three people, three mails with one address each, three records without any."""
    box = await serve_mail()
    await start(settings_of(smtp(box)))
    await bus.store(ALERTS, make_alert())
    records = await eventually(recorded, lambda found: len(found) == 3 and box.connections >= 2)
    assert sorted(records) == [(name, "firing", 1, "sent", "accepted") for name in ("anna", "bob", "carl")]
    assert sorted((recipient, str(message["To"])) for recipient, message in box.mails) == [
        (address, address) for address in (ANNA, BOB, "carl@example.org")
    ]
    assert {message["Subject"] for _, message in box.mails} == {"Market Forville: 62% wear masks (alert below 70%)"}
    [decision] = [stored.message for stored in await bus.history(NOTIFICATIONS)]
    assert (decision.reason, decision.firing, len(decision.recipients)) == ("first", ["0123456789abcdef"], 3)
    told = {stored.message.notification for stored in await bus.history(DELIVERIES)}
    assert told == {decision.notification}


async def test_what_is_resolved_answers_what_fired(
    bus, start, serve_mail, smtp, settings_of, make_alert, recorded, eventually
):
    """The second mail of an alert is in the first one's thread."""
    box = await serve_mail()
    await start(settings_of(smtp(box), (ANNA,)))
    await bus.store(ALERTS, make_alert())
    await eventually(recorded, lambda found: len(found) == 1)
    await bus.store(ALERTS, make_alert(state="resolved", rate=0.8))
    await eventually(recorded, lambda found: len(found) == 2)
    firing, resolved = box.to(ANNA)
    assert resolved["In-Reply-To"] == firing["Message-ID"]


async def test_a_restart_sends_nothing_twice(
    bus, start, serve_mail, smtp, settings_of, make_alert, recorded, eventually
):
    """A second start on the same streams tells people of the new alert only."""
    box = await serve_mail()
    first = await start(settings_of(smtp(box), (ANNA,)))
    await bus.store(ALERTS, make_alert())
    await eventually(recorded, lambda found: len(found) == 1)
    assert await first.close() == 0
    await start(settings_of(smtp(box), (ANNA,)))
    await bus.store(ALERTS, make_alert(alert=NEXT, rule="evening"))
    await eventually(recorded, lambda found: len(found) == 2)
    assert len(box.to(ANNA)) == 2


async def test_what_was_decided_is_delivered_by_whoever_comes_next(
    bus, start, serve_mail, smtp, settings_of, make_alert, recorded, eventually
):
    """Decided without a mail server; another start sends the same notification, to whom it was for then alone."""
    box = await serve_mail()
    port = box.port
    await box.close()
    first = await start(settings_of(smtp(port), (ANNA,)))
    await bus.store(ALERTS, make_alert())
    await eventually(recorded, lambda found: bool(found) and found[0][3:] == ("retrying", "connect"))
    await first.close()
    box = await serve_mail(port=port)
    await start(settings_of(smtp(box), (ANNA, BOB)))
    await eventually(recorded, lambda found: found[-1][3] == "sent")
    await bus.store(ALERTS, make_alert(state="resolved"))
    await eventually(recorded, lambda found: len([r for r in found if r[3] == "sent"]) == 3)
    first, second = await decided(bus)
    assert [told(mail) for mail in box.to(ANNA)] == [first, second]
    assert [told(mail) for mail in box.to(BOB)] == [second]
    assert [stored.message.number for stored in await bus.history(NOTIFICATIONS)] == [1, 2]


async def test_what_a_crash_left_out_of_the_ledger_is_completed_without_a_mail(
    bus, start, serve_mail, smtp, settings_of, make_alert, recorded, eventually
):
    """Two alerts told by one mail, one of them recorded as sent: the other is recorded, and nothing is sent."""
    box = await serve_mail()
    recipient = digest(b"0123456789abcdef", "field-staff", ANNA)
    await bus.store(ALERTS, make_alert())
    await bus.store(ALERTS, make_alert(rule="evening", alert=NEXT))
    record = NotificationV1(
        site="forville", receiver="field-staff", notification="00112233445566ff", group="0" * 16, number=1,
        root="00112233445566ff", reason="first", firing=["0123456789abcdef", NEXT], recipients=[recipient],
        at=time.time_ns(),
    )  # fmt: skip
    await bus.store(NOTIFICATIONS, record)
    sent = delivery(receiver="field-staff", recipient_sha256=recipient, at=time.time_ns())
    await bus.store(DELIVERIES, sent)
    await start(settings_of(smtp(box), (ANNA,)))
    find = bus.history
    both = await eventually(lambda: find(DELIVERIES), lambda found: {s.message.alert for s in found[:2]} >= {NEXT})
    assert both[1].message.at == sent.at // 1_000_000 * 1_000_000
    assert [m for m in box.to(ANNA) if "00112233445566ff" in m["Message-ID"]] == []


async def test_one_refused_recipient_is_dead_and_the_others_are_told(
    bus, start, serve_mail, smtp, settings_of, make_alert, recorded, eventually, logs
):
    """550 for one of three: recorded, on the dead subject without the address, and never tried again."""
    box = await serve_mail()

    async def refuse(server, recipient: str) -> str | None:
        return f"550 5.1.1 <{recipient}>: unknown" if recipient == BOB else None

    box.at_rcpt = refuse
    await start(settings_of(smtp(box)))
    await bus.store(ALERTS, make_alert())
    [stored] = await eventually(lambda: bus.history(DEAD), lambda found: len(found) == 1)
    found = await eventually(recorded, lambda found: len(found) == 3)
    assert sorted(found) == [
        ("anna", "firing", 1, "sent", "accepted"),
        ("bob", "firing", 1, "failed", "recipient"),
        ("carl", "firing", 1, "sent", "accepted"),
    ]
    [alarm] = [stored.message for stored in await bus.history(OPERATIONS)]
    assert (alarm.kind, alarm.name, alarm.state) == ("undelivered", BOBS, "firing")
    assert stored.message.service == "notify"
    assert stored.message.reason == f"{BOBS} by email: failed (recipient)"
    assert "550" in logs()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("answer", ["450 4.2.1 greylisted", "421 4.3.2 closing down"])
async def test_a_temporary_refusal_is_tried_again(
    bus, start, serve_mail, smtp, settings_of, make_alert, recorded, eventually, answer: str
):
    """Only the refused recipient is tried again; the others are told once. 421 on a used connection is no attempt."""
    box, refusals = await serve_mail(), [answer, answer]

    async def refuse(server, recipient: str) -> str | None:
        return refusals.pop() if recipient == BOB and refusals else None

    box.at_rcpt = refuse
    await start(settings_of(smtp(box), (ANNA, BOB)))
    await bus.store(ALERTS, make_alert())
    records = await eventually(recorded, lambda found: [r[3] for r in found].count("sent") == 2)
    tried = [record[2:] for record in records if record[0] == "bob"]
    assert len(tried) in ({3} if answer.startswith("450") else {2, 3})
    assert tried == [
        *((number, "retrying", "temporary") for number in range(1, len(tried))),
        (len(tried), "sent", "accepted"),
    ]
    assert [recipient for recipient, _ in box.mails] == [ANNA, BOB]


@pytest.mark.usefixtures("quick")
async def test_each_recipient_sees_the_alerts_in_order(
    bus, start, serve_mail, smtp, settings_of, make_alert, recorded, eventually
):
    """While the firing mail waits for one recipient, nobody gets the resolved one before it."""
    box, refusals = await serve_mail(), ["450 later"] * 3

    async def refuse(server, recipient: str) -> str | None:
        return refusals.pop() if recipient == ANNA and refusals else None

    box.at_rcpt = refuse
    await start(settings_of(smtp(box), (ANNA, BOB)))
    await bus.store(ALERTS, make_alert())
    await eventually(lambda: bus.history(NOTIFICATIONS), lambda found: len(found) == 1)
    await bus.store(ALERTS, make_alert(state="resolved"))
    await eventually(lambda: bus.history(NOTIFICATIONS), lambda found: len(found) == 2)
    await bus.store(ALERTS, make_alert(alert=NEXT, rule="evening"))
    await eventually(recorded, lambda found: len([r for r in found if r[3] == "sent"]) == 6)
    for address in (ANNA, BOB):
        assert [told(mail) for mail in box.to(address)] == await decided(bus)


async def test_a_waiting_mail_holds_nobody_else(
    bus, start, serve_mail, smtp, settings_of, make_alert, recorded, eventually
):
    """Bob is greylisted for a quarter of a minute: another alert reaches Anna meanwhile, and Bob in his order."""
    box, refusals = await serve_mail(), ["450 4.2.1 greylisted"]

    async def refuse(server, recipient: str) -> str | None:
        return refusals.pop() if recipient == BOB and refusals else None

    box.at_rcpt = refuse
    await start(settings_of(smtp(box), (ANNA, BOB)))
    await bus.store(ALERTS, make_alert())
    await eventually(recorded, lambda found: len(found) == 2)
    await bus.store(ALERTS, make_alert(rule="evening", alert=NEXT))
    records = await eventually(recorded, lambda found: len(found) == 3, 8.0)
    assert [record[0] for record in records if record[3] == "sent"] == ["anna", "anna"]
    await eventually(recorded, lambda found: len([r for r in found if r[3] == "sent"]) == 4)
    assert [told(mail) for mail in box.to(BOB)] == await decided(bus)


@pytest.mark.usefixtures("quick")
async def test_a_hanging_recipient_does_not_keep_the_others_from_being_told(
    bus, start, serve_mail, smtp, settings_of, make_alert, recorded, eventually
):
    """No answer in DATA for the first: the second is told at once, the first later."""
    box, never, hangs = await serve_mail(), asyncio.Event(), [1]

    async def hang(server, recipient: str) -> None:
        if recipient == ANNA and hangs:
            hangs.pop()
            await never.wait()

    box.at_data = hang
    await start(settings_of(smtp(box, timeout_s=0.3), (ANNA, BOB)))
    await bus.store(ALERTS, make_alert())
    assert await eventually(recorded, lambda found: len(found) == 3) == [
        ("bob", "firing", 1, "sent", "accepted"),
        ("anna", "firing", 1, "retrying", "timeout"),
        ("anna", "firing", 2, "sent", "accepted"),
    ]


@pytest.mark.usefixtures("quick")
async def test_a_mail_whose_acceptance_was_lost_comes_again_with_the_same_message_id(
    bus, start, serve_mail, smtp, settings_of, make_alert, recorded, eventually
):
    """Dropped after the final dot: the second copy is the same bytes, so programs show one mail."""
    box, drops = await serve_mail(), [1]

    async def drop(server, recipient: str) -> None:
        if drops:
            drops.pop()
            server.transport.abort()

    box.after_data = drop
    await start(settings_of(smtp(box), (ANNA,)))
    await bus.store(ALERTS, make_alert())
    await eventually(recorded, lambda found: bool(found) and found[-1][3] == "sent")
    first, second = box.to(ANNA)
    assert first["Message-ID"] == second["Message-ID"]
    assert first.as_bytes() == second.as_bytes()


@pytest.mark.usefixtures("quick")
async def test_a_server_that_is_down_at_the_start_loses_nothing(
    bus, start, serve_mail, smtp, settings_of, make_alert, recorded, eventually, logs
):
    """One line says where and what would be right; the service is ready. What waited goes once the server is there.

    It goes in order, unmerged: an alert, its end and another alert are three mails (docs/operations.md).
    """
    box = await serve_mail()
    port = box.port
    await box.close()
    app = await start(settings_of(smtp(port), (ANNA,)))
    await bus.store(ALERTS, make_alert())
    await eventually(recorded, lambda found: bool(found) and found[0][3:] == ("retrying", "connect"))
    assert app.probes.reasons() == {}
    [line] = [line for line in logs().splitlines() if "mail server not usable" in line]
    assert '"host": "127.0.0.1"' in line
    assert f'"port": {port}' in line
    assert "connection refused" in line
    assert "notify.smtp.host and port must name" in line
    for count, waits in ((2, make_alert(state="resolved")), (3, make_alert(alert=NEXT, rule="evening"))):
        await bus.store(ALERTS, waits)
        await eventually(lambda: bus.history(NOTIFICATIONS), lambda found, count=count: len(found) == count)
    again = await serve_mail(port=port)
    await eventually(recorded, lambda found: [record[3] for record in found].count("sent") == 3)
    assert [told(mail) for mail in again.to(ANNA)] == await decided(bus)


@pytest.mark.usefixtures("quick")
async def test_an_alert_that_is_too_old_is_given_up(
    bus, start, serve_mail, smtp, settings_of, make_alert, recorded, eventually
):
    """Past give_up_after_s it is recorded as dead, with the last reason; the next one is told."""
    box = await serve_mail()
    port = box.port
    await box.close()
    await start(settings_of(smtp(port), (ANNA,), give_up_after_s=1.0))
    await bus.store(ALERTS, make_alert())
    [dead] = await eventually(lambda: bus.history(DEAD), lambda found: len(found) == 1)
    assert dead.message.reason == f"{ANNAS} by email: dead (connect)"
    assert (await recorded())[-1][3:] == ("dead", "connect")
    box = await serve_mail(port=port)
    await bus.store(ALERTS, make_alert(alert=NEXT, rule="evening"))
    await eventually(recorded, lambda found: found[-1][3] == "sent")
    assert len(box.to(ANNA)) == 1


@pytest.mark.usefixtures("quick")
async def test_a_refused_login_is_loud_and_tried_slowly(
    bus, start, serve_mail, smtp, settings_of, make_alert, recorded, eventually, certificates, logs
):
    """An error with an advice and no password; minutes pass before the next try, although retries are quick here."""
    box = await serve_mail(tls=certificates.server, login=True)
    settings = smtp(box, security="starttls", ca_file=certificates.ca_file, user="moretta", password=Secret("s3cret"))
    await start(settings_of(settings, (ANNA,)))
    await bus.store(ALERTS, make_alert())
    await eventually(recorded, lambda found: found == [("anna", "firing", 1, "retrying", "auth")])
    await bus.store(ALERTS, make_alert(alert=NEXT, rule="evening"))
    await eventually(lambda: bus.history(NOTIFICATIONS), lambda found: len(found) >= 2)
    [alarm] = [stored.message for stored in await bus.history(OPERATIONS)]
    assert (alarm.kind, alarm.name, alarm.state) == ("channel-down", "email", "firing")
    assert len(box.logins) == 2  # the check at the start, and the one attempt: the second alert waits
    assert "notify.smtp.user and password must be what the server knows" in logs()


async def test_a_new_password_sends_at_once_what_waited(
    bus, start, serve_mail, smtp, settings_of, make_alert, recorded, eventually, certificates
):
    """Settings that name a file with the new one need no restart, and the minutes of a refused login are over."""
    box = await serve_mail(tls=certificates.server, login=True)
    own = {"security": "starttls", "ca_file": certificates.ca_file, "user": "moretta"}
    app = await start(settings_of(smtp(box, **own, password=Secret(box.password.decode())), (ANNA,)))
    new = box.password = b"renewed-word"
    await bus.store(ALERTS, make_alert())
    await eventually(recorded, lambda found: found == [("anna", "firing", 1, "retrying", "auth")])
    assert app._apply is not None
    await app._apply(settings_of(smtp(box, **own, password=Secret(new.decode())), (ANNA,)))
    await eventually(recorded, lambda found: found[-1][3] == "sent")
    assert len(box.to(ANNA)) == 1


async def test_an_undecodable_alert_is_logged_and_the_next_one_is_told(
    bus, start, serve_mail, smtp, settings_of, make_alert, recorded, eventually, logs
):
    """What nobody can read does not stop what follows."""
    box = await serve_mail()
    await start(settings_of(smtp(box), (ANNA,)))
    await bus.streams.js.publish("moretta.v1.alerts.forville._site.mask-rate", b'{"type":"AlertV1","site":3}')
    await bus.store(ALERTS, make_alert())
    await eventually(recorded, lambda found: found == [("anna", "firing", 1, "sent", "accepted")])
    assert "undecodable stored message" in logs()
    assert "$.site" in logs()


async def test_an_alert_beyond_the_calendar_is_dead(
    bus, start, serve_mail, smtp, settings_of, make_alert, recorded, eventually
):
    """A time that is in the year 10000 by the site's clock stops at the dead subject, not in a loop."""
    box = await serve_mail()
    await start(settings_of(smtp(box), (ANNA,)))
    await bus.store(ALERTS, make_alert(end=253_402_300_799_999_000_000))
    [dead] = await eventually(lambda: bus.history(DEAD), lambda found: len(found) == 1)
    assert "failed (refused)" in dead.message.reason
    assert box.mails == []


async def test_a_mail_in_flight_is_finished_and_recorded_when_the_service_stops(
    bus, start, serve_mail, smtp, settings_of, make_alert, recorded
):
    """Stopping waits for the server's answer, so that the mail is not sent again later."""
    box, asked, answer = await serve_mail(), asyncio.Event(), asyncio.Event()

    async def wait(server, recipient: str) -> None:
        asked.set()
        await answer.wait()

    box.at_data = wait
    app = await start(settings_of(smtp(box), (ANNA,)))
    await bus.store(ALERTS, make_alert())
    await asyncio.wait_for(asked.wait(), patient())
    closing = asyncio.create_task(app.close())
    await asyncio.sleep(0)
    assert not closing.done()
    answer.set()
    assert await closing == 0
    assert await recorded() == [("anna", "firing", 1, "sent", "accepted")]


async def test_new_receivers_are_told_from_the_next_alert_on(
    bus, start, serve_mail, smtp, settings_of, make_alert, recorded, eventually
):
    """A reload takes effect without a restart."""
    box = await serve_mail()
    app = await start(settings_of(smtp(box), (ANNA,)))
    await bus.store(ALERTS, make_alert())
    await eventually(recorded, lambda found: len(found) == 1)
    assert app._apply is not None
    await app._apply(settings_of(smtp(box), (BOB,)))
    await bus.store(ALERTS, make_alert(alert=NEXT, rule="evening"))
    await eventually(recorded, lambda found: len(found) == 2)
    assert [recipient for recipient, _ in box.mails] == [ANNA, BOB]


async def test_a_reload_loads_what_draws_beside_the_loop(start, serve_mail, smtp, settings_of, monkeypatch):
    """A mail server that comes with a reload: NATS is answered while it is imported."""
    threads: list[tuple[SmtpSettings | None, threading.Thread]] = []
    monkeypatch.setattr(service, "load", lambda given: threads.append((given, threading.current_thread())))
    app, added = await start(settings_of(None, ())), smtp(await serve_mail())
    assert app._apply is not None
    await app._apply(settings_of(added, (ANNA,)))
    [(before, _), (after, thread)] = threads
    assert (before, after) == (None, added)
    assert thread is not threading.main_thread()


async def test_an_alert_of_an_unknown_site_is_told_under_its_id(
    bus, start, serve_mail, smtp, settings_of, make_alert, recorded, eventually
):
    """A hub may not have every site's names: the mail then says the id, and UTC."""
    box = await serve_mail()
    await start(settings_of(smtp(box), (ANNA,)))
    await bus.store(ALERTS, make_alert(site="station"))
    await eventually(recorded, lambda found: len(found) == 1)
    [message] = box.to(ANNA)
    assert message["Subject"].startswith("station: 62% wear masks")
    assert "09:00 to 09:20 (UTC)" in message.get_body(("plain",)).get_content()


async def test_no_address_leaves_but_to_the_mail_server(
    bus, start, serve_mail, smtp, settings_of, make_alert, recorded, eventually, logs
):
    """Not in any stream, not in a metric, not in a log, whatever the server says about the address."""
    box = await serve_mail()
    answers = {BOB: "550 5.1.1 <bob@example.org> is unknown here", "carl@example.org": "450 carl@example.org: full"}

    async def refuse(server, recipient: str) -> str | None:
        return answers.get(recipient)

    box.at_rcpt = refuse
    app = await start(settings_of(smtp(box)))
    await bus.store(ALERTS, make_alert())
    await eventually(recorded, lambda found: len(found) == 3)
    await app.close()
    everything = [generate_latest(REGISTRY).decode(), logs()]
    for stream in STREAMS:
        everything += [
            str(stored.message) for stored in await read_back(bus.streams.js, stream.name, list(stream.subjects))
        ]
    assert "retrying" in "".join(everything)
    assert "example.org" not in "".join(everything).replace("mail.example.org", "")


async def test_a_missing_authority_is_one_line_at_the_start(start, smtp, settings_of, tmp_path):
    """A wrong ca_file is the operator's to mend: no traceback."""
    for name, why in (("none.pem", "No such file"), ("empty.pem", "no PEM certificate")):
        (tmp_path / "empty.pem").write_text("")
        with pytest.raises(StartError, match=f"notify.smtp.ca_file: cannot use .*{name}: .*{why}"):
            await start(settings_of(smtp(25, security="starttls", ca_file=tmp_path / name)))


async def test_an_installation_without_receivers_tells_nobody(bus, start, settings_of, make_alert, logs):
    """Nobody to tell is no fault, but the log says so."""
    app = await start(settings_of(SmtpSettings(sender="alerts@example.org", timeout_s=0.2, port=1), ()))
    await bus.store(ALERTS, make_alert())
    await until(lambda: app.probes.reasons() == {} and '"restored"' in logs(), "restored")
    assert await bus.history(DELIVERIES) == []
    assert "notify.receivers is empty" in logs()
