"""What was delivered and what is left: services.notify.delivery.ledger and stored."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages import alert, fault
from msgspec import structs

from proto.notifications import NotificationV1
from services.notify.delivery.ledger import SETTLED, Attempts, Ledger, recorded, records
from services.notify.dispatch.notification_log import withhold
from services.notify.dispatch.replay import KnownAlerts, since_when, whole
from services.notify.notification import Group, Notification, notice_of, record_id, record_of
from services.notify.outcome import Failure
from services.notify.recipient import Recipient
from services.notify.routing.plan import Route, RoutingPlan

ANNA = Recipient("staff", "anna@example.org", "a" * 64)
BOB = Recipient("staff", "bob@example.org", "b" * 64)
LATER, UNKNOWN = Failure("response", "recipient", 450), Failure("response", "recipient", 550)
ROUTE = Route("staff", group_by=frozenset({"zone"}))


ALERT = alert()


def tell(count: int = 1, name: str = "0" * 16) -> Notification:
    """A notification of some alerts that fire and of one that is over."""
    alerts = [structs.replace(ALERT, alert=f"{n:016x}", rule=f"r{n}") for n in range(count)]
    firing = tuple(notice_of(alert, n + 1) for n, alert in enumerate(alerts))
    over = notice_of(structs.replace(ALERT, alert="f" * 16, rule="over", state="resolved"), 9)
    group = ROUTE.group(firing[0])
    return Notification(name, group, "first", 1, name, 50, firing, (over,), frozenset({firing[0].alert}))


def test_an_attempt_is_a_record_for_each_alert_with_an_id_of_its_own():
    """Alert, state, recipient and attempt name a record: stored twice it is one, and no address is in it."""
    found = list(records(tell(3), ANNA, Attempts().judged(None, 60)))
    assert [(r.alert[-1], r.state, r.outcome) for r in found] == [
        ("0", "firing", "sent"), ("1", "firing", "sent"), ("2", "firing", "sent"), ("f", "resolved", "sent"),
    ]  # fmt: skip
    again = list(records(tell(3), ANNA, Attempts(1, "retrying", "temporary", 55).judged(None, 60)))
    assert len({record_id(record) for record in [*found, *again]}) == 8
    assert "example.org" not in str(found)


@pytest.mark.parametrize(
    ("kind", "named"),
    [("camera-down", "camera"), ("no-data", "zone"), ("channel-down", "name"), ("undelivered", "name")],
)
def test_a_record_of_an_operational_alert_names_a_camera_as_a_camera(kind: str, named: str):
    """And a zone as a zone; a rule's alert has zone and rule, a report none of them."""
    about = notice_of(fault(kind=kind, name="gate"), 1)
    [found] = records(replace(tell(), firing=(about,), resolved=()), ANNA, Attempts().judged(None, 60))
    names = {name: getattr(found, name) for name in ("zone", "rule", "camera", "name") if getattr(found, name)}
    assert (found.kind, names) == (kind, {named: "gate"})
    [field] = records(replace(tell(), resolved=()), ANNA, Attempts().judged(None, 60))
    assert (field.kind, field.zone, field.rule, field.camera, field.name) == ("rule", "_site", "r0", None, None)
    [report] = records(replace(tell(), reason="report"), ANNA, Attempts().judged(None, 60))
    assert (report.kind, report.zone, report.rule, report.alert) == ("daily-report", None, None, report.notification)


def test_a_storms_attempts_that_fail_for_now_do_not_fill_the_ledger():
    """Of hundreds of alerts in one notification the first are recorded until it is settled, then all that are news."""
    storm = tell(500)
    first = replace(storm, new=frozenset(notice.alert for notice in storm.firing[100:]))
    assert len(list(records(first, ANNA, Attempts().judged(LATER, 60)))) == 16
    assert len(list(records(first, ANNA, Attempts().judged(UNKNOWN, 60)))) == 401
    assert len(list(records(first, ANNA, Attempts().given_up(60)))) == 401
    assert len(list(records(replace(storm, new=frozenset(), resolved=()), ANNA, Attempts().judged(None, 60)))) == 16


@given(cut=st.integers(0, 4))
def test_killed_between_two_records_the_rest_is_known_to_be_missing(cut):
    """Whatever part of an outcome is stored, it is settled, and exactly the other alerts are unrecorded."""
    told, now = tell(3), Attempts().judged(None, 60)
    ledger = Ledger(list(records(told, ANNA, now))[:cut])
    assert ledger.attempts(told.id, ANNA) == (now if cut else Attempts())
    assert ledger.unrecorded(told, ANNA) == recorded(told)[cut:]
    assert ledger.unrecorded(told, BOB) == recorded(told)


@given(st.lists(st.sampled_from(["fail", "refuse", "accept", "give up", "replay", "deliver", "lose"]), max_size=12))
def test_attempts_count_up_and_what_is_settled_stays_so_unless_it_is_replayed(steps):
    """However attempts go: numbers rise, reading back gives what was known, and only an operator opens it again.

    An SMS that was accepted may be reported as lost; then it can be replayed.
    """
    told, known, history = tell(2), Attempts(), [Attempts()]
    for now, step in enumerate(steps, 60):
        if step == "replay":
            after = known.replayed(now)
        elif step == "deliver":
            after = Attempts(known.count + 1, "delivered", "accepted", now, known.replayed_at)
        elif step == "lose" and known.outcome == "sent":
            after = Attempts(known.count + 1, "failed", "refused", now, known.replayed_at)
        elif known.settled or step == "lose":
            continue
        else:
            ends = {"fail": LATER, "refuse": UNKNOWN, "accept": None}
            after = known.given_up(now) if step == "give up" else known.judged(ends[step], now)
        known = after
        history.append(known)
    stored = [record for one in history[1:] for record in records(told, ANNA, one)]
    assert Ledger(stored).attempts(told.id, ANNA) == known
    assert all(a.count < b.count for a, b in pairwise(history))
    assert known.settled == (known.outcome in SETTLED)


def test_what_nothing_is_left_to_do_about_is_forgotten():
    """The ledger in memory is as large as what is on its way."""
    ledger = Ledger()
    for number in range(4):
        for record in records(tell(name=f"{number:016x}"), ANNA, Attempts().judged(None, 60)):
            ledger.add(record)
    ledger.forget(f"{1:016x}")
    ledger.keep([f"{2:016x}"])
    assert len(ledger) == 1


def test_a_stored_decision_is_made_whole_again():
    """From its record and the stored alerts comes the very same notification, so the very same message."""
    told = tell(3)
    notices = {(one.alert, one.state): one for one in told.notices}
    record = record_of(told)
    assert whole(record, told.new, notices, RoutingPlan((ROUTE,))) == told
    changed = whole(record, told.new, notices, RoutingPlan(()))
    assert changed == replace(told, group=Group("staff", "forville", "field"))
    del notices[told.firing[0].alert, "firing"]
    assert whole(record, told.new, notices, RoutingPlan((ROUTE,))) is None
    assert whole(structs.replace(record, reason=None, withheld="muted"), told.new, {}, RoutingPlan((ROUTE,))) is None


def test_what_is_withheld_is_no_message_and_has_no_number():
    """Its record says why, and which alerts; numbers count the messages of an incident."""
    record = record_of(withhold(ROUTE.group(tell().firing[0]), "muted", None, 60, list(tell().notices)))
    assert (record.number, record.reason, record.withheld, record.at) == (0, None, "muted", 60)
    assert (record.firing, record.resolved) == (["0" * 16], ["f" * 16])


def test_what_is_new_is_what_the_receiver_was_not_told_of_before():
    """An alert is news once, in whatever group; what was withheld was not told; another receiver doesn't know."""
    news = KnownAlerts().news

    def record(root: str, *firing: str, receiver: str = "staff", **more: object) -> NotificationV1:
        ordinary = {"number": 1, "reason": "first", "at": 1, "group": "2" * 16, "notification": "1" * 16}
        return NotificationV1(site="s", receiver=receiver, root=root * 16, firing=list(firing), **(ordinary | more))

    assert news(record("a", "w", reason=None, withheld="muted")) == set()
    assert news(record("a", "w", "x", "y")) == {"w", "x", "y"}
    assert news(record("a", "x", "z")) == {"z"}
    assert news(record("b", "x", "v")) == {"v"}
    assert news(record("b", "v", resolved=["x"])) == set()
    assert news(record("b", "x", receiver="boss")) == {"x"}


HOUR, DAY = 3_600 * 10**9, 86_400 * 10**9
NOW = 800 * DAY


@given(last=st.integers(1, 400), fires=st.lists(st.integers(1, 400), max_size=3), repeat=st.integers(1, 48))
def test_reading_back_reaches_as_far_as_anything_may_matter(last: int, fires: list[int], repeat: int):
    """Repeat and giving up, counted from whoever wrote last and not from now; and back to the oldest that fires."""
    plan = RoutingPlan((replace(ROUTE, repeat=repeat * HOUR), ROUTE))
    firing = [notice_of(structs.replace(ALERT, alert=f"{n:016x}"), NOW - n * DAY) for n in fires]
    since = since_when([NOW - 400 * DAY, NOW - last * DAY], firing, plan, 12 * 3_600.0)
    reach = max(repeat, 4) * HOUR + 12 * HOUR
    assert NOW - last * DAY - since.all == reach + HOUR // 4
    assert since.decisions == min([since.all - 35 * DAY, *(one.stored for one in firing)])
    assert since_when([NOW], firing, plan, 1.0, oldest=5).all == 5


def test_where_nothing_was_told_it_begins_with_what_fires():
    """A first start reads nothing; one that finds alerts that fire reads from them on."""
    assert since_when([], [], RoutingPlan((ROUTE,)), 60.0) is None
    fires = [notice_of(ALERT, NOW)]
    assert 0 < since_when([], fires, RoutingPlan((ROUTE,)), 60.0).all < NOW


@pytest.mark.parametrize("outcome", ["sent", "failed"])
def test_a_daily_report_has_a_record_of_its_own(outcome):
    """Without any alert: the rule says what it is, and the alert is the notification; read back, nothing is left."""
    group = Group("field-staff", "forville", "field", rule="daily-report")
    told = Notification("ab" * 8, group, "report", 1, "ab" * 8, 50, firing=())
    failure = None if outcome == "sent" else Failure("response", "recipient", 550)
    now = Attempts().judged(failure, 60)
    [record] = records(told, ANNA, now)
    assert (record.kind, record.zone, record.alert, record.state) == ("daily-report", None, told.id, "resolved")
    assert (record.site, record.receiver, record.outcome, record.attempt) == ("forville", "staff", outcome, 1)
    ledger = Ledger([record])
    assert ledger.attempts(told.id, ANNA) == now
    assert ledger.unrecorded(told, ANNA) == []
    assert ledger.unrecorded(told, BOB) == recorded(told)
