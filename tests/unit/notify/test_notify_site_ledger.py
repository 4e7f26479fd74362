"""What is stored of an attempt, in which order, and while whose lease: `delivery.site_ledger` on lists."""

import asyncio
from dataclasses import replace

import pytest
from messages import alert
from msgspec import structs
from prometheus_client import REGISTRY

from proto.codec import decode
from proto.subjects import DEAD, DELIVERIES, NOTIFICATIONS, OPERATIONS
from services.notify.delivery.ledger import Attempts
from services.notify.delivery.outbox import Due, Envelope
from services.notify.delivery.site_ledger import SiteLedger
from services.notify.notification import Group, Notification, notice_of
from services.notify.outcome import Failure
from services.notify.recipient import Recipient

ALERT = alert(site="market")
NOTICES = tuple(notice_of(structs.replace(ALERT, alert=f"{n:016x}", rule=f"r{n}"), 1) for n in range(2))
TOLD = Notification("1" * 16, Group("staff", "market", "field"), "first", 1, "1" * 16, 1, NOTICES)
ANNA, BOB = (Recipient("staff", f"{name}@example.org", sign * 64) for name, sign in (("anna", "a"), ("bob", "b")))
AUTH, LATER = Failure("auth", "connect", 535), Failure("response", "recipient", 450)
UNKNOWN = Failure("response", "recipient", 550)
NOTHING = Attempts()


class Bus:
    """Keeps what is stored, in order; what needs a lease waits until it is ours, as the real one does."""

    def __init__(self):
        self.stored, self.ids, self.refuses = [], [], 0

    async def store(self, row, message, *, message_id=None, held=None):
        while held is not None and not held():
            await asyncio.sleep(0.01)
        if row is DELIVERIES and self.refuses:
            self.refuses -= 1
            raise RuntimeError("no room")
        self.stored.append((row, message))
        self.ids.append(message_id)
        return len(self.stored)

    def rows(self):
        names = {DEAD: "dead", DELIVERIES: "record", OPERATIONS: "alarm", NOTIFICATIONS: "decision"}
        return [names[row] for row, _ in self.stored]


@pytest.fixture(name="scene")
def _scene():
    class Scene:
        bus, ours = Bus(), True

    scene = Scene()
    scene.ledger = SiteLedger(scene.bus, "market", lambda: scene.ours)
    scene.ledger.begin(Envelope(TOLD, one) for one in (ANNA, BOB))
    return scene


def due(recipient: Recipient, known: Attempts = NOTHING) -> Due:
    return Due(Envelope(TOLD, recipient), known)


async def attempt(scene, recipient: Recipient, failure: Failure | None, known: Attempts = NOTHING) -> Attempts:
    now = known.judged(failure, known.at + 10)
    await scene.ledger.record(due(recipient, known), now, failure)
    return now


async def test_an_alarm_and_a_dead_letter_come_before_the_record_that_ends_it(scene):
    """Killed in between, the attempt is made again, and alarm and dead letter with it."""
    await attempt(scene, BOB, UNKNOWN)
    assert scene.bus.rows() == ["alarm", "dead", "record", "record"]
    letter = scene.bus.stored[1][1]
    assert letter.reason == f"{BOB.name} by email: failed (recipient)"
    assert letter.subject == "moretta.v1.notifications.market.staff"
    assert decode(NOTIFICATIONS, letter.payload).notification == TOLD.id
    assert len(set(scene.bus.ids)) == 4
    assert "example.org" not in str(scene.bus.stored)


async def test_what_was_accepted_is_recorded_before_all_else_whoever_has_the_site(scene):
    """It would be sent again: its record waits for no lease; that the channel is well again is told when it is ours."""
    known = await attempt(scene, ANNA, AUTH)
    assert scene.bus.rows() == ["alarm", "record", "record"]
    scene.ours = False
    ending = asyncio.create_task(attempt(scene, ANNA, None, known))
    while len(scene.bus.stored) < 5:
        await asyncio.sleep(0.01)
    assert scene.bus.rows()[3:] == ["record", "record"]
    assert not ending.done()
    scene.ours = True
    await ending
    assert [(one.kind, one.state) for row, one in scene.bus.stored if row is OPERATIONS] == [
        ("channel-down", "firing"), ("channel-down", "resolved"),
    ]  # fmt: skip


async def test_it_is_as_large_as_what_is_on_its_way(scene):
    """Once everyone is settled a notification is forgotten; until then each recipient's attempts are known."""
    known = await attempt(scene, ANNA, LATER)
    await attempt(scene, BOB, None)
    assert scene.ledger.is_open(Envelope(TOLD, ANNA))
    assert not scene.ledger.is_open(Envelope(TOLD, BOB))
    assert scene.ledger.attempts(Envelope(TOLD, ANNA)) == known
    assert scene.ledger.attempts(Envelope(TOLD, BOB)).outcome == "sent"
    await attempt(scene, ANNA, None, known)
    assert scene.ledger.attempts(Envelope(TOLD, BOB)) == Attempts()
    replayed = Attempts(2, "dead", "timeout", 30).replayed(40)
    await scene.ledger.replay(Envelope(TOLD, ANNA), replayed)
    assert scene.ledger.is_open(Envelope(TOLD, ANNA))
    assert scene.ledger.attempts(Envelope(TOLD, ANNA)) == replayed


async def test_what_was_done_is_recorded_until_it_is_stored(scene, monkeypatch):
    """JetStream has no room for a while: the records are tried again, the attempt is not, its alarm is told once."""
    monkeypatch.setattr("services.notify.delivery.site_ledger._RETRY_S", 0.01)
    scene.bus.refuses = 3
    await attempt(scene, ANNA, AUTH)
    records = [one for row, one in scene.bus.stored if row is DELIVERIES]
    assert {(one.alert, one.attempt, one.outcome) for one in records} == {
        (f"{n:016x}", 1, "retrying") for n in range(2)
    }  # fmt: skip
    assert len({name for (row, _), name in zip(scene.bus.stored, scene.bus.ids, strict=True) if row is OPERATIONS}) == 1


@pytest.mark.parametrize(
    ("reason", "new", "counted"),
    [("first", (0, 1), 2), ("new-alerts", (1,), 1), ("repeat", (), 0), ("digest", (0, 1), 0)],
)
async def test_how_long_an_alert_took_is_told_once_it_is_accepted(scene, reason, new, counted):
    """From its storing over all attempts, for each alert that is news; what waited by will is not in it."""

    def latency(what):
        return REGISTRY.get_sample_value(f"moretta_notify_alert_seconds_{what}", {"channel": "email"}) or 0.0

    told = replace(TOLD, reason=reason, new=frozenset(NOTICES[index].alert for index in new))
    before = latency("count"), latency("sum")
    known = NOTHING
    for failure, now in ((LATER, 5_000_000_001), (None, 9_000_000_001)):
        again = known.judged(failure, now)
        await scene.ledger.record(Due(Envelope(told, ANNA), known), again, failure)
        known = again
    assert (latency("count") - before[0], latency("sum") - before[1]) == (counted, pytest.approx(9 * counted))
