"""What was sent, what is left, and in which order."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.public import AlertV1, DeliveryV1
from services.notify.core.ledger import SETTLED, Ledger, StoredAlert, chain
from services.notify.core.recipient import Recipient

SECOND = 10**9
ANNA = Recipient("field-staff", "anna@example.org", "a" * 64)
FIRST, SECOND_ALERT = "1" * 16, "2" * 16


def record(alert: AlertV1, outcome: str, *, to: Recipient = ANNA, attempt: int = 1, at: int = 0) -> DeliveryV1:
    reason = {"sent": "accepted", "failed": "recipient"}.get(outcome, "temporary")
    return DeliveryV1(
        site=alert.site, zone=alert.zone, rule=alert.rule, alert=alert.alert, state=alert.state,
        receiver=to.receiver, channel="email", recipient_sha256=to.digest, attempt=attempt,
        outcome=outcome, reason=reason, at=at,
    )  # fmt: skip


@pytest.fixture(name="stored")
def _stored(make_alert) -> list[StoredAlert]:
    """Firing, resolved, and the next firing, a second apart."""
    alerts = [
        make_alert(alert=FIRST),
        make_alert(alert=FIRST, state="resolved"),
        make_alert(alert=SECOND_ALERT),
    ]
    return [StoredAlert(alert, 10 + n, n * SECOND) for n, alert in enumerate(alerts)]


def sequences(items: list[StoredAlert]) -> list[int]:
    return [item.sequence for item in items]


def test_a_new_alert_is_to_be_sent(stored):
    """With no record, the alert that came up is what is due."""
    assert sequences(chain(stored[:1], 10, ANNA, Ledger(), 0)) == [10]


def test_what_was_sent_is_not_sent_again(stored):
    """A redelivered alert with its record is done."""
    ledger = Ledger.of([record(stored[0].alert, "sent")])
    assert chain(stored[:1], 10, ANNA, ledger, 0) == []


@pytest.mark.parametrize("outcome", sorted(SETTLED))
def test_a_settled_mail_stays_settled(make_alert, outcome: str):
    """A late record of another process does not reopen it, but its attempts count."""
    ledger = Ledger.of([record(make_alert(), outcome), record(make_alert(), "retrying", attempt=2)])
    known = ledger.attempts(make_alert(), ANNA)
    assert (known.outcome, known.count, known.settled) == (outcome, 2, True)


def test_only_the_missing_recipients_are_pending(make_alert, anna, bob):
    """After a crash between two recipients the second one is left."""
    ledger = Ledger.of([record(make_alert(), "sent", to=anna)])
    assert ledger.pending(make_alert(), [anna, bob]) == [bob]


def test_firing_and_resolved_are_two_mails(make_alert, anna):
    """A record of the one says nothing of the other."""
    ledger = Ledger.of([record(make_alert(), "sent")])
    assert ledger.pending(make_alert(state="resolved"), [anna]) == [anna]


def test_untold_are_the_refused_and_the_given_up(make_alert, anna, bob):
    """Sent and still retrying are neither."""
    carl, dora = Recipient("x", "c@example.org", "c" * 64), Recipient("x", "d@example.org", "d" * 64)
    outcomes = {"sent": anna, "retrying": bob, "failed": carl, "dead": dora}
    ledger = Ledger.of([record(make_alert(), outcome, to=to) for outcome, to in outcomes.items()])
    assert ledger.untold(make_alert(), outcomes.values()) == [carl, dora]


def test_an_alert_waits_behind_one_that_was_tried_in_vain(stored):
    """The next firing comes up first, yet everything from the failed mail on goes before it."""
    ledger = Ledger.of([record(stored[0].alert, "retrying")])
    assert sequences(chain(stored, 12, ANNA, ledger, 0)) == [10, 11, 12]


def test_what_waited_behind_goes_out_with_it(stored):
    """When the failed mail comes up again, those behind it need not wait for their own turn."""
    ledger = Ledger.of([record(stored[0].alert, "retrying")])
    assert sequences(chain(stored, 10, ANNA, ledger, 0)) == [10, 11, 12]


def test_a_resolved_mail_never_comes_before_its_firing(stored):
    """The firing was not even tried when the process died; the resolved alert comes up first."""
    assert sequences(chain(stored[:2], 11, ANNA, Ledger(), 0)) == [10, 11]


def test_a_new_recipient_is_not_told_of_old_alerts(stored):
    """A new receiver gets the alert that comes up, not the day's history, nor a firing of before the horizon."""
    assert sequences(chain(stored, 12, ANNA, Ledger(), 0)) == [12]
    assert sequences(chain(stored[:2], 11, ANNA, Ledger(), horizon=SECOND // 2)) == [11]


def test_an_alert_that_is_not_stored_has_no_chain(stored):
    """Nothing is guessed about a sequence that the stream does not have."""
    assert chain(stored, 99, ANNA, Ledger(), 0) == []


@given(data=st.data())
def test_whatever_comes_up_in_whatever_order_is_sent_once_and_in_order(data: st.DataObject):
    """Alerts come up in any order and mails fail at will: each recipient sees each once, in the order of the stream."""
    count = data.draw(st.integers(1, 6))
    stored = [StoredAlert(_alert(n), n + 1, n) for n in range(count)]
    ledger, sent = Ledger(), []
    waiting = list(range(1, count + 1))
    seen = 0  # JetStream hands an alert out for the first time in order; only a retried one may come late
    while waiting:
        sequence = data.draw(st.sampled_from([s for s in waiting if s <= seen + 1]))
        seen = max(seen, sequence)
        for item in chain(stored[: data.draw(st.integers(seen, count))], sequence, ANNA, ledger, 0):
            if data.draw(st.booleans()):
                ledger.add(record(item.alert, "retrying"))
                break
            ledger.add(record(item.alert, "sent"))
            sent.append(item.sequence)
        if ledger.attempts(stored[sequence - 1].alert, ANNA).settled:
            waiting.remove(sequence)
    assert sorted(sent) == list(range(1, count + 1))
    assert all(before < after for before, after in pairwise(sent))


def _alert(n: int) -> AlertV1:
    return AlertV1(
        site="s", zone="_site", rule="r", profile="lab", alert=f"{n // 2:016x}",
        state="resolved" if n % 2 else "firing", severity="info", since=0, start=0, end=0, rate=0.5,
        interval=(0.4, 0.6), persons=1, coverage=1.0, fire_below=0.5, clear_above=0.6,
    )  # fmt: skip
