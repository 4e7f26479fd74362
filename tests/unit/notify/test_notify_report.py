"""The figures of a daily report: sums of what was published, and nothing that was not."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import messages
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import structs
from windows import HOUR, MINUTE, decree, hidden, market_day, window

from services.aggregate.core.policy import publishable
from services.notify.reports.day import Question, report_of
from services.statistics.calendar import TimeRange, day_start
from services.statistics.proportions import newcombe
from services.statistics.roll_ups import RollUp

PARIS = ZoneInfo("Europe/Paris")
DAY = date(2026, 11, 24)
T = day_start(DAY, PARIS)
LENGTH = 20 * MINUTE
COUNTS = ("persons", "masked", "unmasked", "incorrect", "unknown")


def asked(day=DAY, **changes):
    return replace(Question("cannes", day, PARIS, day_start(day + timedelta(days=2), PARIS)), **changes)


def alert(start, state, name="a" * 16, **changes):
    usual = {"site": "cannes", "since": start, "start": start, "end": start + LENGTH}
    return messages.alert(state=state, alert=name, **usual | changes)


@st.composite
def days(draw, profile="alerting", first=T - 7 * 24 * HOUR, slots=(0, 1, 30, 433, 470, 504, 505, 530, 560, 575)):
    """Windows of the site and two zones in some slots of the eight days, as aggregate would publish them."""
    made = []
    for slot in slots:
        if not draw(st.booleans()):
            continue
        zones = [tuple(draw(st.integers(0, 25)) for _ in range(4)) for _ in range(2)]
        raw = [(z, counts) for z, counts in zip(("fish", "hall"), zones, strict=True)]
        raw.append(("_site", tuple(map(sum, zip(*zones, strict=True)))))
        made += publishable(
            [window(first + slot * LENGTH, m, tuple(o), zone=z, profile=profile) for z, (m, *o) in raw],
            draw(st.sampled_from([0, 15])),
        )
    return made


@given(windows=days(), zone=st.sampled_from(["_site", "fish", "hall"]))
def test_a_report_says_what_the_roll_ups_say(windows, zone):
    """The day, its hours and its zones are the roll-ups' sums of the windows of that day, figure by figure."""
    report = report_of(asked(zones=("hall", "fish")), windows, [])
    fold = RollUp(report.span, "total", PARIS, LENGTH, report.span.end)
    mine = [w for w in windows if w.zone == zone and report.span.start <= w.start < report.span.end]
    for one in mine:
        fold.add(one)
    (total,) = fold.periods("cannes", zone)
    place = {p.zone: p for p in (report.whole, *report.zones)}[zone]
    assert place.total == total
    assert sum(n for _, n in place.withheld) == total.windows_suppressed
    assert [p.zone for p in report.zones] == ["hall", "fish"]
    for name in COUNTS:
        parts = [getattr(p, name) for p in report.parts if getattr(p, name) is not None]
        assert (sum(parts) if parts else None) == getattr(report.whole.total, name)
    for comparison in report.comparisons:
        earlier = [w for w in windows if w.zone == "_site" and day_start(comparison.day, PARIS) <= w.start]
        shown = [w.persons for w in earlier if w.start < day_start(comparison.day + timedelta(days=1), PARIS)]
        shown = [n for n in shown if n is not None]
        assert comparison.earlier.persons == (sum(shown) if shown else None)


SLOTS = (-504, -72, -71, 0, 1, 2, 30, 31, 60)


@given(
    counts=st.lists(st.integers(10, 60), min_size=len(SLOTS), max_size=len(SLOTS)),
    small=st.sets(st.sampled_from(SLOTS), min_size=1),
    truths=st.lists(st.integers(1, 9), min_size=len(SLOTS), max_size=len(SLOTS)),
)
def test_what_is_suppressed_changes_nothing(counts, small, truths):
    """Whatever the suppressed counts were, the report is the same; so nobody can tell them from it."""
    told = []
    for hidden_counts in (truths, [9] * len(SLOTS)):
        numbers = [h if slot in small else n for slot, n, h in zip(SLOTS, counts, hidden_counts, strict=True)]
        raw = [
            window(T + slot * LENGTH, n // 2, (n - n // 2, 0, 0), zone=zone, profile="stats-only")
            for slot, n in zip(SLOTS, numbers, strict=True)
            for zone in ("_site", "fish")
        ]
        published = [w for pair in zip(raw[::2], raw[1::2], strict=True) for w in publishable(pair)]
        told.append(report_of(asked(), published, []))
    assert told[0] == told[1]
    today = [n for slot, n in zip(SLOTS, counts, strict=True) if slot >= 0 and slot not in small]
    for place in (told[0].whole, *told[0].zones):
        assert (place.total.persons or 0) == sum(today)


@given(windows=days("fr-2021-269"), other=st.sampled_from(["alerting", "fr-2021-269"]), short=st.booleans())
def test_the_strict_profile_has_two_figures(windows, other, short):
    """Whole site, persons and rate: no zone, interval, verdict, gap or alert, also where the profile changed."""
    assume(windows)
    end = T + 12 * HOUR + (5 if short else 20) * MINUTE
    extra = window(T + 12 * HOUR, profile=other, gaps=["paused"] if other == "alerting" else [], end=end)
    zone = window(T + 12 * HOUR, zone="fish", profile="alerting")
    changed = asked(profile="fr-2021-269", zones=("fish",))
    report = report_of(changed, [*windows, extra, zone], [alert(T + HOUR, "firing")])
    assert (report.strict, report.zones, report.alerts, report.whole.gaps) == (True, (), (), ())
    assert report.step == ("hour" if short else "window")
    told = [report.whole.total, *report.parts, *(c.earlier for c in report.comparisons)]
    allowed = {"site", "zone", "profiles", "start", "end", "persons", "rate", "suppressed"}
    allowed |= {"windows_expected", "windows_published", "windows_suppressed"}
    for period in told:
        assert {name for name, value in structs.asdict(period).items() if value not in (None, [], False)} <= allowed
    assert all(p.end - p.start >= LENGTH for p in report.parts)
    assert all(c.interval is None for c in report.comparisons)


def test_one_strict_window_makes_the_day_strict():
    """Whatever the settings say today."""
    report = report_of(asked(profile="alerting"), [window(T), decree(T + LENGTH, 30, 0.5)], [])
    assert (report.strict, report.whole.total.persons, report.whole.total.interval) == (True, 41, None)
    assert report.profiles == ("alerting", "fr-2021-269")


def test_comparisons_say_what_may_be_chance():
    """Beside the day before and the weekday before; a difference only of two published rates, with its interval."""
    windows = [
        window(T - 7 * 24 * HOUR, 60, (40, 0, 0)),
        hidden(T - 24 * HOUR),
        window(T, 800, (200, 0, 0)),
    ]
    before, week = report_of(asked(), windows, []).comparisons
    assert (before.which, before.day, before.difference, before.interval) == (
        "day-before",
        DAY - timedelta(1),
        None,
        None,
    )
    assert (week.which, week.day) == ("week-before", DAY - timedelta(7))
    assert week.difference == pytest.approx(0.2)
    assert (week.interval, week.within) == (newcombe((800, 1000), (60, 100)), False)
    near = [window(T - 24 * HOUR, 79, (21, 0, 0)), window(T, 80, (20, 0, 0))]
    assert report_of(asked(), near, []).comparisons[0].within
    two = [decree(T - 24 * HOUR, 30, 0.5), decree(T, 30, 0.9)]
    (first, _) = report_of(asked(), two, []).comparisons
    assert (first.difference, first.interval, first.within) == (pytest.approx(0.4), None, False)


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (DAY, 24)])
def test_days_have_the_hours_that_clocks_show(day, hours):
    """23 and 25 where clocks change; each window in one of them, and none in two days."""
    start = day_start(day, PARIS)
    windows = [window(start + n * LENGTH) for n in range(-3, 3 * hours + 3)]
    report = report_of(asked(day), windows, [])
    assert [len(report.parts), report.whole.total.windows_expected] == [hours, 3 * hours]
    assert {part.persons for part in report.parts} == {33}
    assert report.comparisons[0].earlier.persons == 33


def test_gaps_stay_gaps():
    """What was not published is missing, why it was not observed is told, and nothing is made up."""
    report = report_of(asked(zones=("fish",)), market_day(T), [])
    assert (report.whole.missing, report.whole.withheld) == (5, (("small-count", 27),))
    assert [part.windows_published for part in report.parts][10:15] == [3, 2, 0, 2, 3]
    assert report.whole.gaps == (("camera-down", 7),)
    assert [(p.zone, p.missing, p.total.persons) for p in report.zones] == [("fish", 72, None)]
    nothing = report_of(
        asked(zone_detail=False), [window(T - LENGTH), window(T, site="nice")], [alert(T, "firing", site="nice")]
    )
    assert (nothing.whole.total.rate, nothing.whole.missing, nothing.alerts, nothing.profiles) == (None, 72, (), ())
    early = report_of(asked(settled=T + HOUR), [], [])
    assert (early.whole.missing, len(early.parts)) == (3, 1)
    unborn = report_of(asked(settled=0), [], [])
    assert (unborn.whole.total.windows_expected, unborn.parts) == (0, ())


def test_alerts_are_counted_and_timed():
    """From the window that decided on to the one that decided off, within the day; one carried in, one carried out."""
    b, c, d = "b" * 16, "c" * 16, "d" * 16
    alerts = [
        alert(T - 3 * HOUR, "firing"), alert(T + HOUR, "resolved"),
        alert(T + 2 * HOUR, "firing", b), alert(T + 2 * HOUR, "firing", b), alert(T + 3 * HOUR, "resolved", b),
        alert(T + 5 * HOUR, "firing", d, rule="other", zone="fish"),
        alert(T + 6 * HOUR, "firing", "e" * 16, rule="other", zone="fish"),
        alert(T + 23 * HOUR, "firing", c), alert(T + 25 * HOUR, "resolved", c), alert(T + 26 * HOUR, "resolved", c),
        alert(T - 9 * HOUR, "firing", "f" * 16, rule="past"), alert(T, "resolved", "f" * 16, rule="past"),
        alert(T + 24 * HOUR, "firing", "9" * 16, rule="future"), alert(T, "resolved", "8" * 16, rule="unknown"),
    ]  # fmt: skip
    site, fish = report_of(asked(), [], alerts).alerts
    assert (site.zone, site.alerts, site.carried, site.fired, site.lasting) == ("_site", 3, 1, 3 * HOUR, True)
    assert (fish.zone, fish.alerts, fish.carried, fish.fired, fish.lasting) == ("fish", 2, 0, 19 * HOUR, True)


@st.composite
def firing(draw):
    """Of two rules, in which of the hourly windows of three days each fires; long spells and short ones."""
    spells = st.lists(st.tuples(st.booleans(), st.integers(1, 30)), min_size=1, max_size=20)
    return {rule: [on for on, length in draw(spells) for _ in range(length)][:72] for rule in ("one", "two")}


def published_alerts(states, first):
    """The alerts of a rule that is in these states, window by window; numbered by when they began."""
    for rule, row in states.items():
        name, before = "", False
        for number, on in enumerate([*row, False]):
            start = first + number * HOUR
            if on and not before:
                name = f"{'a' if rule == 'one' else 'b'}{number:015x}"
                yield alert(start, "firing", name, rule=rule, end=start + HOUR)
            elif before and not on and number < 72:
                yield alert(start, "resolved", name, rule=rule, end=start + HOUR)
            before = on


@given(states=firing())
def test_a_rules_day_is_the_windows_in_which_it_fired(states):
    """Counted window by window: how long, how many spells touch the day, what came in and what went on."""
    alerts = sorted(published_alerts(states, T - 24 * HOUR), key=lambda a: (a.start, a.rule))
    told = {one.rule: one for one in report_of(asked(), [], alerts).alerts}
    for rule, known in states.items():
        row = [*known, *[False] * (72 - len(known))]
        today = row[24:48]
        spells = sum(on and not before for before, on in pairwise([False, *today]))
        if not spells:
            assert rule not in told
            continue
        one = told[rule]
        assert (one.fired, one.alerts) == (sum(today) * HOUR, spells)
        assert one.carried == (row[23] and row[24])
        assert one.lasting == (row[47] and row[48])


@given(
    one=st.tuples(st.integers(0, 50), st.integers(0, 50)), other=st.tuples(st.integers(0, 50), st.integers(0, 50)),
)  # fmt: skip
def test_a_comparison_is_the_same_from_either_side(one, other):
    """The day before beside the day, and the day beside the day before: the difference and its interval turn round."""
    there, back = (
        report_of(asked(), [window(T - 24 * HOUR, *two(a)), window(T, *two(b))], []).comparisons[0]
        for a, b in ((other, one), (one, other))
    )
    if there.difference is None:
        assert 0 in (sum(one), sum(other))
        assert (there.interval, back.difference, there.within) == (None, None, False)
        return
    exact = one[0] / sum(one) - other[0] / sum(other)
    assert there.difference == pytest.approx(exact, abs=1.001e-3)  # of rates as published
    assert back.difference == pytest.approx(-there.difference)
    low, high = there.interval
    assert back.interval == pytest.approx((-high, -low))
    assert low <= there.difference <= high
    assert there.within == back.within
    if there.difference == 0:
        assert there.within


def two(counts):
    """Masked and unmasked as a window takes them."""
    return counts[0], (counts[1], 0, 0)


def test_the_days_that_are_needed():
    """A week before, the day before and the day itself, each as its calendar has it."""
    spans = asked(date(2026, 10, 25)).days()
    assert [(s.end - s.start) // HOUR for s in spans] == [24, 24, 25]
    assert spans[-1] == asked(date(2026, 10, 25)).span
    skipped = Question("cannes", date(2011, 12, 30), ZoneInfo("Pacific/Apia"), 2**62)
    assert report_of(skipped, [], []).parts == ()
    assert skipped.span == TimeRange(skipped.span.start, skipped.span.start)
