"""At least once, and once unless the process died in the gap: decisions, outbox and ledger, killed at every point."""

from collections import Counter
from dataclasses import dataclass, field

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from messages import alert
from msgspec import structs

from proto.notifications import NotificationV1
from proto.public import DeliveryV1
from services.notify.delivery.ledger import Attempts, Ledger, records
from services.notify.delivery.outbox import Due, Envelope, Outbox
from services.notify.dispatch.replay import KnownAlerts, whole
from services.notify.notification import Notice, Notification, notice_of, record_id, record_of
from services.notify.outcome import Failure
from services.notify.recipient import Recipient
from services.notify.routing.plan import Route, RoutingPlan

GIVE_UP_S = 3_600.0
ROUTE = Route("staff")
PEOPLE = [Recipient("staff", f"{name}@example.org", digest * 64) for name, digest in (("anna", "a"), ("bob", "b"))]
LATER, UNKNOWN = Failure("response", "recipient", 450), Failure("response", "recipient", 550)
DOWN, AUTH = Failure("connect", "connect"), Failure("auth", "connect", 535)
ALERT = alert(site="market")


class Killed(Exception):
    """The process is no more."""


@dataclass
class World:
    """What outlives a process: the streams, with message ids that make a repeated write one, and who got which mail."""

    decisions: list[NotificationV1] = field(default_factory=list)
    attempts: dict[str, DeliveryV1] = field(default_factory=dict)
    notices: dict[tuple[str, str], Notice] = field(default_factory=dict)
    accepted: list[tuple[str, str]] = field(default_factory=list)
    gaps: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Deaths between an acceptance and its first record."""
    now: int = 1


class Teller:
    """One life of a process: what the wiring does, without waiting; `kill()` says whether it dies at this point."""

    def __init__(self, world: World, kill, answer) -> None:
        self.world, self.kill, self.answer = world, kill, answer
        self.outbox, self.ledger = Outbox(GIVE_UP_S), Ledger(world.attempts.values())
        told = KnownAlerts()
        for record in world.decisions:
            notification = whole(record, told.news(record), world.notices, RoutingPlan((ROUTE,)))
            assert notification is not None
            for recipient in PEOPLE:
                self._take_up(notification, recipient)

    def _take_up(self, notification: Notification, recipient: Recipient) -> None:
        known = self.ledger.attempts(notification.id, recipient)
        if not known.settled:
            self.outbox.put(Envelope(notification, recipient), known)
            return
        left = self.ledger.unrecorded(notification, recipient)
        self._store(records(notification, recipient, known, left))

    def decide(self, number: int, alerts: int) -> None:
        """Store a decision about some alerts, then put it into the outbox."""
        firing = tuple(
            notice_of(structs.replace(ALERT, alert=f"{number:08x}{n:08x}", rule=f"r{n}"), self.world.now)
            for n in range(alerts)
        )
        name, new = f"{number:016x}", frozenset(one.alert for one in firing)
        told = Notification(name, ROUTE.group(firing[0]), "first", 1, name, self.world.now, firing, (), new)
        self.kill()
        self.world.notices |= {(one.alert, one.state): one for one in firing}
        self.world.decisions.append(record_of(told))
        self.kill()
        for recipient in PEOPLE:
            self.outbox.put(Envelope(told, recipient), Attempts())

    def work(self) -> bool:
        """Deliver what is due, or let time pass until something is; False: nothing is left."""
        when = self.outbox.next_due()
        if when is None:
            return False
        self.world.now = max(self.world.now, when) + 1
        due = self.outbox.take(self.world.now)
        assert due is not None
        self._deliver(due)
        return True

    def _deliver(self, due: Due) -> None:
        key = (due.envelope.notification.id, due.envelope.recipient.digest)
        self.kill()
        failure = None if due.expired else self.answer()
        now = due.known.given_up(self.world.now) if due.expired else due.known.judged(failure, self.world.now)
        if now.outcome == "sent":
            self.world.accepted.append(key)
            try:
                self.kill()
            except Killed:
                self.world.gaps[key] += 1
                raise
        self._store(records(due.envelope.notification, due.envelope.recipient, now))
        self.outbox.done(due, now, failure, self.world.now)

    def _store(self, found) -> None:
        for record in found:
            self.world.attempts.setdefault(record_id(record), record)
            self.ledger.add(record)
            self.kill()


@examples(100)
@given(data=st.data())
def test_every_notification_reaches_everyone_and_twice_only_in_the_gap(data):
    """However often it dies, at whatever point: all is settled, every alert has its last record, in order for each.

    A recipient gets a notification once, and once more for every death between its acceptance and the first record.
    """
    world, deaths = World(), [0]

    def kill() -> None:
        if deaths[0] < 12 and data.draw(st.integers(0, 9)) == 0:
            deaths[0] += 1
            raise Killed

    def answer() -> Failure | None:
        return data.draw(st.sampled_from([None, None, None, LATER, DOWN, AUTH]))

    plan = [data.draw(st.integers(1, 3)) for _ in range(data.draw(st.integers(1, 4)))]
    while True:
        try:
            teller = Teller(world, kill, answer)
            while len(world.decisions) < len(plan):
                teller.decide(len(world.decisions) + 1, plan[len(world.decisions)])
                if data.draw(st.booleans()):
                    teller.work()
            while teller.work():
                pass
            break
        except Killed:
            continue
    final = Ledger(world.attempts.values())
    told = {whole(one, frozenset(one.firing), world.notices, RoutingPlan((ROUTE,))) for one in world.decisions}
    for notification in told:
        for recipient in PEOPLE:
            known = final.attempts(notification.id, recipient)
            assert known.settled
            assert final.unrecorded(notification, recipient) == []
            count = world.accepted.count((notification.id, recipient.digest))
            assert count == (known.outcome == "sent") + world.gaps[notification.id, recipient.digest]
    for recipient in PEOPLE:
        order = [name for name, whom in dict.fromkeys(world.accepted) if whom == recipient.digest]
        assert order == sorted(order)


@pytest.mark.parametrize("failure", [UNKNOWN, LATER])
def test_who_is_refused_is_settled_and_is_not_asked_again_after_a_restart(failure):
    """550 is the last word at once, 450 when it is too old; another life asks nobody and stores nothing."""
    world = World()
    first = Teller(world, lambda: None, lambda: failure)
    first.decide(1, 2)
    while first.work():
        pass
    stored = len(world.attempts)
    assert {one.outcome for one in world.attempts.values()} >= {"failed" if failure is UNKNOWN else "dead"}
    second = Teller(world, lambda: None, lambda: pytest.fail("asked again"))
    assert not second.work()
    assert len(world.attempts) == stored
    assert world.accepted == []
