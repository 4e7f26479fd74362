"""Operational alerts that notify raises about itself."""

import pytest
from messages import alert, delivery

from proto.public import DeliveryV1, OperationalAlertV1
from services.notify.delivery.alarms import Alarms
from services.notify.delivery.ledger import Attempts
from services.notify.delivery.outbox import Envelope
from services.notify.notification import Group, Notification, notice_of
from services.notify.outcome import Failure
from services.notify.recipient import Recipient

ANNA, BEN = (Recipient("staff", f"{name}@example.org", digit * 64) for name, digit in (("anna", "a"), ("ben", "b")))
LOGIN, BUSY, UNKNOWN = (
    Failure("auth", "connect", 535),
    Failure("connect", "connect"),
    Failure("response", "recipient", 550),
)
DOWN, UNTOLD = ("channel-down", "email"), ("undelivered", "staff-aaaaaaaa")


def envelope(recipient: Recipient = ANNA) -> Envelope:
    """Return a notification on its way."""
    group = Group("staff", "forville", "field")
    return Envelope(Notification("0" * 16, group, "first", 0, "key", 0, (notice_of(alert(), 1),)), recipient)


def said(alerts) -> list[tuple]:
    """Return what these alerts say, in their order."""
    found = list(alerts)
    assert all(one.site == "forville" for one in found)
    return [(one.kind, one.name, one.state, one.since, one.at) for one in found]


def ended(outcome: str, at: int) -> Attempts:
    """Return what is known after an attempt."""
    return Attempts(1, outcome, None, at)


@pytest.mark.parametrize(
    ("outcome", "failure", "raised"),
    [
        ("retrying", LOGIN, [DOWN]),  # only a person mends it
        ("retrying", BUSY, []),  # it may mend itself
        ("failed", UNKNOWN, [UNTOLD]),  # says nothing of the server
        ("dead", LOGIN, [DOWN, UNTOLD]),
        ("dead", None, [UNTOLD]),
        ("sent", None, []),
    ],
)
def test_what_an_attempt_raises(outcome: str, failure: Failure | None, raised: list):
    """A channel that a person must mend, and a recipient who was not told; each once, however often."""
    alarms = Alarms("forville")
    taken = said(alarms.take(envelope(), ended(outcome, 7), failure))
    assert taken == [(*what, "firing", 7, 7) for what in raised]
    assert said(alarms.take(envelope(), ended(outcome, 8), failure)) == []


def test_what_is_sent_ends_both():
    """With the time since when they stood, and once; another recipient's stays."""
    alarms = Alarms("forville")
    list(alarms.take(envelope(), ended("dead", 3), LOGIN))
    list(alarms.take(envelope(BEN), ended("failed", 4), UNKNOWN))
    assert said(alarms.take(envelope(), ended("sent", 9), None)) == [(*one, "resolved", 3, 9) for one in (DOWN, UNTOLD)]
    assert said(alarms.take(envelope(), ended("sent", 10), None)) == []
    assert said(alarms.take(envelope(BEN), ended("sent", 11), None)) == [("undelivered", BEN.name, "resolved", 4, 11)]


def test_what_was_published_is_known_after_a_start():
    """What stands is not raised again, what was ended can be; others' alerts are none of ours."""

    def published(kind: str, name: str, state: str) -> OperationalAlertV1:
        return OperationalAlertV1(site="forville", kind=kind, name=name, state=state, since=2, at=5)

    alarms = Alarms("forville")
    alarms.restore([
        published(*DOWN, "firing"), published(*UNTOLD, "firing"), published(*DOWN, "resolved"),
        published("camera-down", "gate", "firing"), published("camera-down", "gate", "resolved"),
    ])  # fmt: skip
    assert said(alarms.forgotten([ANNA, BEN], 8)) == [("undelivered", BEN.name, "firing", 8, 8)]
    assert said(alarms.take(envelope(), ended("retrying", 9), LOGIN)) == [(*DOWN, "firing", 9, 9)]
    assert said(alarms.let_go([], 10)) == [
        (*UNTOLD, "resolved", 2, 10), ("undelivered", BEN.name, "resolved", 8, 10), (*DOWN, "resolved", 9, 10)
    ]  # fmt: skip


def test_what_nobody_uses_any_more_is_ended():
    """A channel and a recipient that the settings still have stand on."""
    alarms = Alarms("forville")
    list(alarms.take(envelope(), ended("dead", 3), LOGIN))
    list(alarms.forgotten([BEN], 4))
    assert said(alarms.let_go([ANNA], 6)) == [("undelivered", BEN.name, "resolved", 4, 6)]
    assert said(alarms.let_go([ANNA], 7)) == []


def test_a_report_of_a_gateway_raises_and_ends():
    """An SMS that was taken and not delivered is as one that was not sent; delivered after all ends that."""
    alarms = Alarms("forville")

    def report(outcome: str, at: int) -> DeliveryV1:
        return delivery(channel="sms", recipient_sha256=ANNA.digest, outcome=outcome, at=at)

    assert said(alarms.reported(report("failed", 3))) == [(*UNTOLD, "firing", 3, 3)]
    assert said(alarms.reported(report("failed", 4))) == []
    assert said(alarms.reported(report("delivered", 5))) == [(*UNTOLD, "resolved", 3, 5)]
    assert said(alarms.reported(report("delivered", 6))) == []
