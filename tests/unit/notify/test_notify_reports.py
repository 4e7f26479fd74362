"""What a report reads of the bus, and that nothing it withholds reaches its text, in whatever language."""

import re
from datetime import date, time, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from fonts import close_fonts, open_fonts
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert, structs
from windows import HOUR, MINUTE, decree, market_day, window

from proto.notifications import NotificationV1
from proto.subjects import ALERTS, NOTIFICATIONS, WINDOWS
from services.aggregate.core.policy import publishable
from services.bus import Unavailable
from services.notify.channels.email.mail import MailChannel
from services.notify.directory import schedule_of
from services.notify.languages import words_in
from services.notify.notification import Group, Notification
from services.notify.outcome import advice, judge
from services.notify.recipient import Recipient
from services.notify.reports.alerts import HeldBack
from services.notify.reports.daily import AHEAD, question_of, read_day
from services.notify.reports.day import Question, report_of
from services.notify.reports.report_view import Footer, view_of
from services.notify.reports.schedule import due, notification_of
from services.notify.reports.writer import ReportWriter
from services.notify.settings import NotifyFile
from services.notify.templates import render
from services.sites.settings import SiteSettings, ZoneSettings
from services.statistics.calendar import day_start

PARIS = ZoneInfo("Europe/Paris")
DAY = date(2026, 11, 24)
T = day_start(DAY, PARIS)
SITE = SiteSettings(
    id="cannes", name="Forville", timezone="Europe/Paris", profile="alerting", zones=[ZoneSettings(id="fish")]
)


class Stream:
    """Messages in the order in which they were stored; `asked` is what was read from when, and how far."""

    def __init__(self, windows, alerts=(), decisions=()):
        self.windows, self.alerts, self.asked, self.given = windows, alerts, [], 0
        self.decisions = decisions

    async def read(self, row, *, since=0, **tokens):
        self.asked.append((row, since, tokens))
        if isinstance(self.decisions, Exception) and row is NOTIFICATIONS:
            raise self.decisions
        for message in {WINDOWS: self.windows, ALERTS: self.alerts, NOTIFICATIONS: self.decisions}[row]:
            self.given += row is WINDOWS
            yield SimpleNamespace(message=message)


def day_windows():
    """Nine days of one window an hour, of two zones."""
    first = T - 8 * 24 * HOUR
    return [window(first + n * HOUR, zone=zone) for n in range(10 * 24) for zone in ("_site", "fish")]


async def test_three_days_are_read_and_no_more():
    """From a day ahead of each, since windows may be stored before their time; reading ends where a day does."""
    stream = Stream(day_windows())
    report = await read_day(stream, question_of(SITE, DAY, T + 31 * HOUR))
    assert report.whole.total.windows_published == 24
    assert [comparison.earlier.windows_published for comparison in report.comparisons] == [24, 24]
    assert [zone.total.persons for zone in report.zones] == [24 * 11]
    starts = [T - 7 * 24 * HOUR, T - 24 * HOUR, T]
    assert stream.asked == [
        *((WINDOWS, start - AHEAD, {"site": "cannes"}) for start in starts), (ALERTS, 0, {"site": "cannes"}),
    ]  # fmt: skip
    assert stream.given == sum(2 * 24 * days + 1 for days in (2, 8, 9))


@pytest.mark.parametrize("broken", [False, True])
async def test_what_was_held_back_is_read_up_to_the_days_end(make_alert, broken):
    """From the day's start; where notify has never run there is nothing to read, and that is no fault."""
    alert = make_alert(site="cannes")
    held = NotificationV1(
        site="cannes", receiver="staff", notification="f" * 16, group="e" * 16, number=0, root="f" * 16, at=T,
        withheld="silenced", firing=[alert.alert],
    )  # fmt: skip
    other = structs.replace(alert, alert="0" * 16)
    decisions = [held, structs.replace(held, at=T + 24 * HOUR, firing=[other.alert]), None]  # the last is not reached
    stream = Stream(day_windows(), [alert, other], Unavailable("no stream") if broken else decisions)
    report = await read_day(stream, question_of(SITE, DAY, T + 31 * HOUR))
    assert report.held == (HeldBack() if broken else HeldBack(1, (("silenced", 1),)))
    assert stream.asked[-1] == (NOTIFICATIONS, T, {"site": "cannes"})


def test_what_is_asked_follows_the_settings():
    """The windows' length, the zones, the profile; a window that may still come is not missing."""
    site = SiteSettings(id="x", timezone="UTC", window_s=300, lateness_s=20, zones=[ZoneSettings(id="a")])
    asked = question_of(site, DAY, 10**18, zone_detail=False)
    assert (asked.length, asked.settled, asked.profile) == (5 * MINUTE, 10**18 - 30 * 10**9, "stats-only")
    assert (asked.zones, asked.zone_detail, str(asked.zone)) == (("a",), False, "UTC")


def test_the_schedule_of_a_settings_file():
    """By receiver and site, each by its own clock; none without the section."""
    file = {
        "sites": [{"id": "cannes", "timezone": "Europe/Paris"}, {"id": "tours"}],
        "notify": {
            "smtp": {"sender": "m@example.org"},
            "receivers": [{"id": "staff", "email": ["a@example.org"]}],
            "reports": [{"sites": ["tours"], "receivers": ["staff"], "at": "06:30"}],
        },
    }
    (plan,) = schedule_of(convert(file, NotifyFile))
    assert (plan.site, plan.receiver, plan.at, plan.zone_detail) == ("tours", "staff", time(6, 30), True)
    assert schedule_of(NotifyFile()) == []


async def test_a_decision_of_another_kind_is_no_report():
    """It has no day, and nothing is read for it."""
    stream = Stream([])
    writer = ReportWriter(stream, lambda _: SITE, list)
    group = Group("staff", "cannes", "field")
    with pytest.raises(LookupError):
        await writer.letter(Notification("f" * 16, group, "first", 1, "f" * 16, T, ()), "en")
    assert stream.asked == []


@pytest.mark.parametrize("error", [Unavailable("no stream"), TimeoutError()])
async def test_a_report_that_cannot_be_read_now_is_tried_again_soon(error):
    """Aggregate, which makes the streams, was not up yet: no fault, and no mail."""

    async def unread(*_):
        raise error

    told = Notification("f" * 16, Group("staff", "cannes", "field"), "report", 1, "f" * 16, T, ())
    failure = await MailChannel(None, None, None, unread).send(told, Recipient("staff", "a@example.org", "0" * 64))
    assert (failure.kind, judge(failure).retry, judge(failure).loud) == ("unread", True, False)
    assert "aggregate" in advice(failure, "email")


SLOTS = (-504, -503, -72, -71, 0, 1, 2, 30, 31, 60)
PROFILES = st.sampled_from(["stats-only", "alerting", "fr-2021-269", "lab"])


@st.composite
def raw(draw):
    """What was counted in some windows of the three days, in a zone and outside it."""
    counts = st.tuples(*[st.integers(0, 40)] * 4)
    return {
        slot: (draw(counts), draw(counts), draw(st.sampled_from([0.0, 0.5, 1.0])))
        for slot in SLOTS
        if draw(st.booleans())
    }


def publish(counted, profile, small=0):
    """The windows that aggregate publishes of that, each with the gap that its coverage has."""
    found = []
    for slot, (fish, rest, coverage) in counted.items():
        both = [a + b for a, b in zip(fish, rest, strict=True)]
        changes = {"coverage": coverage, "profile": profile, "gaps": [] if coverage == 1 else ["camera-down"]}
        found += publishable(
            [
                window(T + slot * 20 * MINUTE, fish[0], tuple(fish[1:]), zone="fish", **changes),
                window(T + slot * 20 * MINUTE, both[0], tuple(both[1:]), **changes),
            ],
            small,
        )
    return found


def said(windows, profile, language):
    """All that the report says, as text and as HTML."""
    asked = Question("cannes", DAY, PARIS, T + 40 * HOUR, profile=profile, zones=("fish",))
    view = view_of(report_of(asked, windows, []), SITE, words_in(language), Footer("staff"))
    return [view.subject, *render("report", view=view, sources={"hours": "cid:hours", "zones": "cid:zones"})]


@given(counted=raw(), profile=PROFILES, language=st.sampled_from(["en", "fr"]))
def test_any_day_can_be_told(counted, profile, language):
    """No field is left open, no number is naked of its unit, no figure of nobody, and a trial says that it is one."""
    subject, text, html = said(publish(counted, profile), profile, language)
    for form in (subject, text, html.partition("</style>")[2]):
        assert not re.search(r"[{}]|None|nan|inf\b", form)
    assert ("This is a test" in text or "Ceci est un test" in text) == (profile == "lab")
    assert "gate" not in text


@given(
    counted=raw(),
    slot=st.sampled_from(SLOTS),
    truths=st.lists(st.integers(0, 4), min_size=8, max_size=8),
    language=st.sampled_from(["en", "fr"]),
)
def test_a_suppressed_count_reaches_no_word(counted, slot, truths, language):
    """Whoever was counted in a window that is not shown, of the site and so of its zone: each word is the same."""
    told = []
    for few in (truths, [1] * 8):
        hidden = {slot: (tuple(few[:4]), (0, 0, 0, 0), 1.0)}
        told.append(said(publish({**counted, **hidden}, "stats-only", small=20), "stats-only", language))
    assert told[0] == told[1]


@given(counted=raw(), language=st.sampled_from(["en", "fr"]))
def test_the_strict_profile_reaches_every_word(counted, language):
    """Were zones, verdicts, coverage and gaps counted differently, with the same two figures: each word is the same."""
    bare = [
        decree(T + slot * 20 * MINUTE, sum(fish) + sum(rest), None)
        for slot, (fish, rest, coverage) in counted.items()
        if coverage
    ]
    full = publish(counted, "alerting")
    merged = [
        window(
            b.start, 0, (0, 0, b.persons), profile="alerting", gaps=["paused"], coverage=0.5, rate=None, interval=None
        )
        for b in bare
    ]
    zones = [w for w in full if w.zone == "fish"]
    assert said(bare, "fr-2021-269", language) == said([*merged, *zones], "fr-2021-269", language)


async def test_a_letter_is_of_its_receivers_language_and_day():
    """Written for a decision of the morning after; drawn before a test looks for fonts that are left open."""
    open_fonts()
    stream = Stream(list(market_day(T)))
    plan_file = {
        "sites": [{"id": "cannes", "timezone": "Europe/Paris"}],
        "notify": {
            "smtp": {"sender": "m@example.org"},
            "receivers": [{"id": "staff", "email": ["a@example.org"]}],
            "reports": [{"receivers": ["staff"], "zone_detail": False}],
        },
    }
    schedule = schedule_of(convert(plan_file, NotifyFile))
    (key,) = due(T + 32 * HOUR, schedule, ())
    assert key.day == DAY
    assert schedule[0].due(DAY) == day_start(DAY + timedelta(days=1), PARIS) + 7 * HOUR
    writer = ReportWriter(stream, lambda _: SITE, lambda: schedule)
    letter = await writer.letter(notification_of(key, T + 32 * HOUR), "fr")
    assert (letter.language, letter.topic, letter.urgent, letter.previous) == ("fr", "reports", False, None)
    assert [picture.content_id for picture in letter.pictures] == [f"hours@{key.id}.moretta"]
    assert "fish" not in letter.bodies.text
    close_fonts()
