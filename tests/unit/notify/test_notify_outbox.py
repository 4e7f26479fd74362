"""What is delivered next, and which alarms that raises: services.notify.delivery.outbox and alarms."""

from dataclasses import replace

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from messages import alert

from services.notify.delivery.alarms import Alarms
from services.notify.delivery.ledger import Attempts
from services.notify.delivery.outbox import AT_ONCE, Envelope, Outbox
from services.notify.notification import Group, Notification, notice_of
from services.notify.outcome import Failure
from services.notify.recipient import Recipient

S = 10**9
HOUR = 3600 * S
AUTH = Failure("auth", "connect", 535)
DOWN = Failure("connect", "connect")
LATER = Failure("response", "recipient", 450)
UNKNOWN = Failure("response", "recipient", 550)
SENDER = Failure("response", "sender", 550)
BUSY = Failure("rate-limited", "data", 429, retry_after_s=900.0)
FAILURES = [None, AUTH, DOWN, LATER, UNKNOWN, BUSY, Failure("timeout", "data"), Failure("other", "data")]


@pytest.fixture(name="envelope", scope="module")
def _envelope():
    """`envelope(number, who, channel)`: the notification of that number for that recipient."""

    def make(number: int, who: int = 0, channel: str = "email", site: str = "forville") -> Envelope:
        one = alert(site=site, alert=f"{number:016x}")
        group, name = Group("staff", site, "field"), f"{number:016x}"
        told = Notification(name, group, "first", number, name, number, (notice_of(one, 1),))
        return Envelope(told, Recipient("staff", f"{who}@example.org", f"{who:02x}" * 32, channel=channel))

    return make


def attempt(outbox: Outbox, now: int, failure: Failure | None = None) -> Envelope:
    """Take what is due, have it end so; returns what it was."""
    due = outbox.take(now)
    assert due is not None
    outbox.done(due, due.known.given_up(now) if due.expired else due.known.judged(failure, now), failure, now)
    return due.envelope


@examples(80)
@given(data=st.data())
def test_each_recipients_order_is_kept_and_everything_is_settled_in_the_end(envelope, data):
    """Failures of every kind, several at once: in order, one at a time each, never too many, and nothing left over.

    A server that failed for everyone is asked by one delivery at a time; what is due is exactly what can be taken.
    """
    outbox, now, going, order = Outbox(3600.0), 0, [], {}
    for number in range(data.draw(st.integers(1, 12))):
        channel = data.draw(st.sampled_from(["email", "webhook"]))
        outbox.put(envelope(number, data.draw(st.integers(0, 2)), channel), Attempts())
    total = outbox.waiting("forville")
    broken: dict[str, int] = {}
    for _ in range(2000):
        when = outbox.next_due()
        if when is not None and when <= now:
            due = outbox.take(now)
            assert due is not None
            asking = [one for one in going if one.envelope.server == due.envelope.server]
            assert due.expired or not broken.get(due.envelope.server) or not asking
            assert due.envelope.lane not in {one.envelope.lane for one in going}
            going.append(due)
            same = [one for one in going if one.envelope.recipient.channel == due.envelope.recipient.channel]
            assert len(same) <= AT_ONCE[due.envelope.recipient.channel]
        elif going:
            assert outbox.take(now) is None
            due = going.pop(data.draw(st.integers(0, len(going) - 1)))
            failure = None if due.expired else data.draw(st.sampled_from(FAILURES))
            known = due.known.given_up(now) if due.expired else due.known.judged(failure, now)
            outbox.done(due, known, failure, now)
            if not due.expired:
                broken[due.envelope.server] = failure in {AUTH, DOWN, BUSY}
            if known.settled:
                order.setdefault(due.envelope.lane, []).append(due.envelope.notification.number)
        elif when is None:
            break
        else:
            now = when
    assert outbox.waiting("forville") == 0
    assert sum(len(numbers) for numbers in order.values()) == total
    assert all(numbers == sorted(numbers) for numbers in order.values())


def test_who_fails_holds_nobody_else(envelope):
    """One recipient is greylisted: the next one's mail goes, his own second one waits behind the first."""
    outbox = Outbox(3600.0)
    for one in (envelope(1, 0), envelope(2, 0), envelope(3, 1)):
        outbox.put(one, Attempts())
    assert attempt(outbox, S, LATER).notification.number == 1
    assert attempt(outbox, S).notification.number == 3
    assert outbox.take(S) is None
    when = outbox.next_due()
    assert 12 * S < when < 20 * S
    assert [attempt(outbox, when).notification.number for _ in "12"] == [1, 2]
    assert outbox.next_due() is None


def test_no_alert_waits_for_a_daily_report(envelope):
    """The report can't be written for now: the same recipient's alert goes out, and so does the report later."""
    outbox, report = Outbox(3600.0), envelope(1)
    outbox.put(replace(report, notification=replace(report.notification, reason="report")), Attempts())
    attempt(outbox, S, Failure("unread", "data"))
    outbox.put(envelope(2), Attempts())
    assert attempt(outbox, S).notification.number == 2
    assert attempt(outbox, outbox.next_due()).notification.number == 1
    assert outbox.waiting("forville") == 0


def test_reports_of_many_sites_take_no_places_of_alerts(envelope):
    """All are due at the same hour, before the alert: one is written at a time, and the alert goes out beside it."""
    outbox = Outbox(3600.0)
    for who in range(6):
        report = envelope(who, who, site=f"site-{who}")
        outbox.put(replace(report, notification=replace(report.notification, reason="report")), Attempts())
    outbox.put(envelope(9), Attempts())
    assert [outbox.take(S).envelope.notification.number for _ in "12"] == [0, 9]
    assert outbox.take(S) is None


def test_nothing_waits_for_a_clock_that_was_put_back(envelope):
    """Two hours, after the mail server was out of reach: it is asked again as soon as it would have been."""
    outbox, wrong, right = Outbox(43_200.0), 3 * HOUR, HOUR
    outbox.put(envelope(1), Attempts())
    attempt(outbox, wrong, DOWN)
    assert outbox.take(right) is None
    assert right < outbox.next_due() < right + 20 * S
    attempt(outbox, outbox.next_due())
    told = envelope(2)
    late = replace(told, notification=replace(told.notification, at=wrong))
    for place, known in enumerate([Attempts(), Attempts(1, "retrying", "connect", wrong)]):
        anew = Outbox(43_200.0)  # as after a restart
        anew.put(late, known, right)
        assert right + place * 10 * S <= anew.next_due() <= right + place * 20 * S


def test_one_channel_holds_no_other(envelope):
    """Every slot of the mail server hangs: a webhook is called all the same."""
    outbox = Outbox(3600.0)
    for who in range(6):
        outbox.put(envelope(who, who), Attempts())
    outbox.put(envelope(9, 9, "webhook"), Attempts())
    taken = [outbox.take(S) for _ in range(AT_ONCE["email"] + 1)]
    assert [due.envelope.recipient.channel for due in taken] == [*["email"] * AT_ONCE["email"], "webhook"]
    assert outbox.take(S) is None


@pytest.mark.parametrize(("failure", "least_s"), [(AUTH, 240), (SENDER, 240), (DOWN, 12), (BUSY, 900)])
def test_a_server_that_fails_for_everyone_is_asked_by_one_alone(envelope, failure, least_s):
    """No login, a sender refused, no connection, too many requests: all wait, one tries, and all follow."""
    outbox = Outbox(HOUR / S)
    for who in range(3):
        outbox.put(envelope(who, who), Attempts())
    attempt(outbox, S, failure)
    assert outbox.take(S) is None
    when = outbox.next_due()
    assert when >= (1 + least_s) * S
    probe = outbox.take(when)
    assert (probe is not None, outbox.take(when)) == (True, None)
    outbox.done(probe, probe.known.judged(None, when), None, when)
    assert attempt(outbox, when).recipient.digest != probe.envelope.recipient.digest


def test_an_attempt_that_was_cut_off_is_no_success_of_its_server(envelope):
    """A site goes elsewhere while the one that asks the failed server hangs: the others still wait, one asks again."""
    outbox = Outbox(HOUR / S)
    for who, site in ((0, "forville"), (1, "quay"), (2, "quay")):
        outbox.put(envelope(who, who, site=site), Attempts())
    attempt(outbox, S, AUTH)
    when = outbox.next_due()
    probe = outbox.take(when)
    assert probe is not None
    outbox.done(probe, probe.known, None, when)
    again = outbox.take(when)
    assert (again is not None, outbox.take(when)) == (True, None)
    outbox.done(again, again.known.judged(None, when), None, when)
    assert outbox.take(when) is not None


@pytest.mark.parametrize(("failure", "soon"), [(AUTH, True), (DOWN, True), (BUSY, False)])
def test_new_settings_are_tried_at_once(envelope, failure, soon):
    """Whoever mended the login or the host waits for no slow attempt; a server that asked for time keeps it."""
    outbox = Outbox(HOUR / S)
    for who in range(2):
        outbox.put(envelope(who, who), Attempts())
    attempt(outbox, S, failure)
    outbox.retry_now()
    taken = [outbox.take(S) for _ in range(2)]
    assert (taken[0] is not None, taken[1]) == (soon, None)  # by one alone


def test_new_settings_leave_who_asked_to_come_later(envelope):
    """A recipient whose server greylists is nobody's mistake."""
    outbox = Outbox(3600.0)
    outbox.put(envelope(1), Attempts())
    attempt(outbox, S, LATER)
    outbox.retry_now()
    assert outbox.take(2 * S) is None


def test_each_webhook_is_a_server_of_its_own(envelope):
    """One receiver's endpoint is down: the other's is called."""
    outbox = Outbox(3600.0)
    for who in (0, 1):
        outbox.put(envelope(who, who, "webhook"), Attempts())
    attempt(outbox, S, DOWN)
    assert attempt(outbox, S).notification.number == 1


def test_what_is_too_old_is_given_up_though_its_server_is_left_alone(envelope):
    """Past the limit nobody waits for the server; what was replayed is young again."""
    outbox = Outbox(60.0)
    outbox.put(envelope(1), Attempts())
    attempt(outbox, 2, AUTH)
    when = outbox.next_due()
    assert 60 * S < when < 61 * S
    due = outbox.take(when)
    assert due is not None
    assert due.expired
    outbox.done(due, due.known.given_up(when), None, when)
    outbox.put(due.envelope, due.known.given_up(when).replayed(when))
    assert outbox.next_due() > when


def test_a_site_that_goes_elsewhere_leaves_nothing_behind(envelope):
    """What waits is dropped, what is in flight ends, another site's goes on."""
    outbox = Outbox(3600.0)
    for one in (envelope(1), envelope(2), envelope(3, 1), envelope(4, 2, site="quay")):
        outbox.put(one, Attempts())
    due = outbox.take(S)
    outbox.drop("forville")
    outbox.done(due, due.known.judged(None, S), None, S)
    assert attempt(outbox, S).site == "quay"
    assert (outbox.waiting("forville"), outbox.next_due()) == (0, None)


def test_a_site_that_goes_elsewhere_is_not_tried_again_meanwhile(envelope):
    """What was in flight fails for now: its next try is the next holder's, also if others are still in flight."""
    outbox = Outbox(HOUR / S)
    for who in (1, 2):
        outbox.put(envelope(who, who), Attempts())
    first, second = outbox.take(S), outbox.take(S)
    outbox.drop("forville")
    outbox.done(first, first.known.judged(LATER, S), LATER, S)
    assert outbox.next_due() is None
    outbox.done(second, second.known.judged(None, S), None, S)
    assert outbox.waiting("forville") == 0


@pytest.mark.parametrize("is_busy", [False, True])
def test_who_is_not_reached_any_more_gets_nothing(envelope, is_busy):
    """Anna's go on, Bob's are let go; what is being done ends, and is let go of the next time."""
    outbox, [anna, *bobs] = Outbox(HOUR / S), [envelope(1, 1), envelope(2, 2), envelope(3, 2)]
    for one in bobs if is_busy else (anna, *bobs):
        outbox.put(one, Attempts())
    due = outbox.take(S) if is_busy else None
    reached = {anna.recipient.place}
    assert outbox.let_go("quay", reached) == []
    assert outbox.let_go("forville", reached) == bobs[int(is_busy) :]
    if due is not None:
        outbox.done(due, due.known.judged(LATER, S), LATER, S)
        assert outbox.let_go("forville", reached) == bobs[:1]
        outbox.put(anna, Attempts())
    assert attempt(outbox, S) == anna
    assert (outbox.waiting("forville"), outbox.next_due()) == (0, None)


def test_alarms_about_whom_nobody_tells_any_more_end(envelope):
    """A wrong address is put right: what stood of the old one ends; what is in use stands on."""
    alarms, anna, hook = Alarms("forville"), envelope(1, 0), envelope(2, 1, "webhook")
    for one, failure in ((anna, AUTH), (anna, UNKNOWN), (hook, AUTH)):
        assert alarms_of(alarms, one, failure)
    ends = lambda *reached: [(a.kind, a.name, a.state, a.since) for a in alarms.let_go(reached, 9)]  # noqa: E731
    assert ends(anna.recipient, hook.recipient) == []
    assert ends(hook.recipient, envelope(3, 3).recipient) == [("undelivered", anna.recipient.name, "resolved", 7)]
    assert ends() == [("channel-down", name, "resolved", 7) for name in ("email", hook.recipient.server)]
    assert ends() == []


def alarms_of(alarms: Alarms, envelope: Envelope, failure: Failure | None, known: Attempts | None = None):
    """What an attempt raises and ends, in short."""
    now = known or Attempts().judged(failure, 7)
    return [(a.kind, a.name, a.state, a.since) for a in alarms.take(envelope, now, failure)]


def test_alarms_are_raised_once_and_ended_once(envelope):
    """A login refused is the channel's alarm, a mailbox that is unknown its recipient's; each ends with a success."""
    alarms, anna, bob = Alarms("forville"), envelope(1, 0), envelope(2, 1)
    assert alarms_of(alarms, anna, DOWN) == []
    assert alarms_of(alarms, anna, AUTH) == [("channel-down", "email", "firing", 7)]
    assert alarms_of(alarms, bob, AUTH) == []
    assert alarms_of(Alarms("forville"), bob, SENDER) == [("channel-down", "email", "firing", 7)]
    assert alarms_of(alarms, bob, UNKNOWN) == [("undelivered", bob.recipient.name, "firing", 7)]
    restored = Alarms("forville")
    for alarm in [*Alarms("forville").take(anna, Attempts().judged(AUTH, 7), AUTH)]:
        restored.restore([alarm])
    assert alarms_of(restored, bob, None) == [("channel-down", "email", "resolved", 7)]
    assert alarms_of(restored, bob, None) == []
    assert alarms_of(alarms, anna, None) == [("channel-down", "email", "resolved", 7)]
    assert alarms_of(alarms, bob, None, Attempts().given_up(9)) == []
    assert alarms_of(alarms, bob, None) == [("undelivered", bob.recipient.name, "resolved", 7)]
