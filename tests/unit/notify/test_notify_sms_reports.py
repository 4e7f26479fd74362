"""Addresses of delivery reports, and which reports are news."""

from hypothesis import given
from hypothesis import strategies as st

from proto.public import DeliveryV1
from services.notify.channels.sms.delivery_reports import (
    EarlierReports,
    Losses,
    Report,
    is_news,
    named_by,
    report_path,
    reported,
)

TOKEN = "0123456789abcdef"
NAMED = ("forville", "1" * 16, "d" * 64, 1_795_510_800_000_000_000)
PATH = report_path(TOKEN, *NAMED)


def test_an_address_says_whose_report_comes_to_it():
    """Site, notification and recipient, of whom it has but a digest."""
    assert named_by(PATH, TOKEN) == NAMED


@given(st.integers(0, len(PATH) - 1), st.characters(codec="utf-8"))
def test_a_changed_address_is_forged(place: int, sign: str):
    """Each character is vouched for."""
    changed = PATH[:place] + sign + PATH[place + 1 :]
    assert named_by(changed, TOKEN) == (NAMED if changed == PATH else None)


@given(st.text(max_size=60))
def test_no_other_text_is_an_address(text: str):
    """Whatever it is; and another token makes other addresses."""
    assert named_by(text, TOKEN) is None
    assert named_by(PATH, "fedcba9876543210") is None


def report(state: str, number: int = 1) -> Report:
    return Report("forville", f"{number:016x}", "d" * 64, state)


def test_a_report_counts_once_and_delivered_is_the_last_word():
    """Doubles are known; what failed may be delivered after all, and not the other way round."""
    seen, news = EarlierReports(), []
    for state in ("failed", "failed", "delivered", "delivered", "failed"):
        if seen.is_news(report(state)):
            news.append(state)
            seen.remember(report(state))
    assert news == ["failed", "delivered"]


steps = st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["delivered", "failed"])), max_size=40)


@given(steps, st.sets(st.integers(0, 39)))
def test_whatever_is_lost_doubled_or_late_the_last_word_stands(reports: list[tuple[int, str]], refused: set[int]):
    """Of each SMS at most one failure and one success are told, the success last; recording may fail at any time."""
    seen = EarlierReports()
    told: dict[int, list[str]] = {}
    for place, (number, state) in enumerate(reports):
        if not seen.is_news(report(state, number)):
            continue
        seen.remember(report(state, number))
        if place in refused:
            seen.forget(report(state, number))
        else:
            told.setdefault(number, []).append(state)
    recorded = [r for place, r in enumerate(reports) if place not in refused]
    for number, states in told.items():
        assert states[-1] == ("delivered" if (number, "delivered") in recorded else "failed")
        if not refused:
            assert states in (["failed"], ["delivered"], ["failed", "delivered"])


def test_what_could_not_be_recorded_is_news_again():
    """When the gateway repeats it."""
    seen = EarlierReports()
    seen.remember(report("delivered"))
    seen.forget(report("delivered"))
    assert seen.is_news(report("delivered"))


def test_old_reports_are_forgotten():
    """Memory is bounded; whoever records them knows them still."""
    seen = EarlierReports(most=3)
    for number in range(5):
        seen.remember(report("delivered", number))
    assert [seen.is_news(report("delivered", number)) for number in range(5)] == [True, True, False, False, False]


def record(outcome: str, reason: str = "accepted", number: int = 1, **more: object) -> DeliveryV1:
    return DeliveryV1(**{
        "site": "forville", "kind": "rule", "zone": "_site", "rule": "low", "alert": "a" * 16,
        "state": "firing", "attempt": 1,
        "notification": f"{number:016x}", "receiver": "staff", "channel": "sms", "recipient_sha256": "d" * 64,
        "outcome": outcome, "reason": reason, "at": 1,
    } | more)  # fmt: skip


def test_a_report_is_about_the_attempt_that_it_names():
    """The first one that was recorded as sent at that time or later; the last one if none was."""
    records = [record("sent", attempt=1, at=5), record("sent", attempt=2, at=9), record("sent", number=2, at=7)]
    about = [Report("forville", f"{1:016x}", "d" * 64, "delivered", sent) for sent in (4, 5, 6, 9, 10)]
    assert [[one.attempt for one in reported(report, records)] for report in about] == [[1], [1], [2], [2], [2]]
    assert reported(about[0], []) == []


@given(st.lists(st.tuples(st.integers(1, 2), st.sampled_from(["failed", "delivered", "restart", "dies"])), max_size=30))
def test_each_lost_sms_is_dealt_with_until_that_is_recorded_and_then_never_again(steps):
    """Reports in any order and number, restarts, and a process that dies before it dealt with what it saw."""
    stored = [record("sent", number=number, alert=alert * 16) for number in (1, 2) for alert in "ab"]
    losses, dealt, open_now = Losses(), [], []

    def settle(lost: list[DeliveryV1]) -> None:
        for one in lost:
            dealt.append(one.notification)
            stored.append(record("dead", "lost", int(one.notification, 16)))
            assert not losses.take(stored[-1])

    for number, what in [*steps, (1, "restart")]:
        if what in {"restart", "dies"}:
            losses, open_now = Losses(), []
            found = losses.restore(stored)
            settle(found if what == "restart" else [])
            continue
        told = report(what, number)
        for last in reported(told, stored):
            if is_news(told, last):
                stored.append(record(what, "lost" if what == "failed" else "accepted", number, alert=last.alert))
                open_now += [stored[-1]] if losses.take(stored[-1]) else []
        if number == 1:  # of the other one's the process never gets to it before it is started again
            settle([one for one in open_now if one.notification == f"{1:016x}"])
            open_now = [one for one in open_now if one.notification != f"{1:016x}"]
    lost = {one.notification for one in stored if one.outcome == "failed"}
    assert sorted(dealt) == sorted(lost)


def test_the_oldest_losses_are_forgotten():
    """Memory is bounded."""
    losses = Losses(most=2)
    assert [losses.take(record("failed", "lost", number)) for number in (1, 1, 2, 3, 3)] == [
        True,
        False,
        True,
        True,
        False,
    ]
    assert not losses.take(record("failed", "refused", 9))


SMS = ("forville", f"{1:016x}", "d" * 64)


def test_an_sms_that_is_sent_again_has_an_address_and_a_fate_of_its_own():
    """Lost, sent again, lost again: both count. A late double of the first report says nothing of the second SMS."""
    first = [record("sent", at=10), record("failed", "lost", at=20), record("dead", "lost", at=20)]
    again = [record("replayed", "lost", attempt=2, at=30), record("sent", attempt=3, at=41)]

    def told(state: str, sent: int) -> list[int]:
        about = Report(*SMS, state, sent)
        return [one.attempt for one in reported(about, [*first, *again]) if is_news(about, one)]

    assert (told("failed", 9), told("failed", 40), told("delivered", 9)) == ([], [3], [1])
    assert told("failed", 99) == [3]  # the clock was set back
    assert reported(Report(*SMS, "failed", 40), again[:1]) == []
    seen = EarlierReports()
    seen.remember(Report(*SMS, "failed", 9))
    assert [seen.is_news(Report(*SMS, "failed", sent)) for sent in (9, 40)] == [False, True]
