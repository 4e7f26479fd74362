"""Roll-ups: the sums of published windows, and nothing but them."""

from collections import defaultdict
from datetime import UTC
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from golden import ERRORS
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import structs
from windows import HOUR, MINUTE, decree, hidden, market_day, window

from proto.codec import encode_as
from services.aggregate.core.policy import publishable
from services.statistics.calendar import TimeRange
from services.statistics.figures import rates
from services.statistics.rate_interval import Judged
from services.statistics.roll_ups import MAX_PERIODS, RollUp, TooMany

T = 1_795_537_200_000_000_000 // HOUR * HOUR
COUNTS = ("persons", "masked", "unmasked", "incorrect", "unknown")
LENGTH = 20 * MINUTE


def rolled(windows, step, span=None, settled=None, zone=UTC, length=LENGTH, border=0):
    """The periods of these windows; by default of all their time."""
    span = span or TimeRange(windows[0].start, windows[-1].end)
    found = RollUp(span, step, zone, length, span.end if settled is None else settled, border)
    for one in windows:
        found.add(one)
    return found.periods("cannes", "_site")


@st.composite
def series(draw, kinds=("shown", "hidden", "missing")):
    """Windows in order, some suppressed, some missing, at least one there."""
    made = []
    for number in range(draw(st.integers(1, 30))):
        kind, start = draw(st.sampled_from(kinds)), T + number * LENGTH
        if kind == "shown":
            masked, *others = (draw(st.integers(0, 40)) for _ in range(4))
            changes = {
                "coverage": draw(st.sampled_from([0.25, 0.3, 1.0])),
                "model_errors": draw(
                    st.sampled_from([None, ERRORS, structs.replace(ERRORS, sensitivity_limits=(0.6, 0.99))])
                ),
            }
            made.append(window(start, masked, tuple(others), **changes))
        elif kind == "hidden":
            made.append(hidden(start, draw(st.sampled_from(["small-count", "nothing-observed"])), coverage=0.5))
    assume(made)
    return made


def total(values):
    """The sum of what is shown; None where nothing is."""
    shown = [value for value in values if value is not None]
    return sum(shown) if shown else None


@given(windows=series(), step=st.sampled_from(["hour", "day", "total"]))
def test_a_period_is_the_sum_of_its_shown_windows(windows, step):
    """Each window is in the period in which it starts, and every figure follows from published windows alone."""
    periods = rolled(windows, step)
    assert all(one.end <= two.start for one, two in pairwise(periods))
    assert sum(p.windows_published for p in periods) == len(windows)
    for period in periods:
        mine = [w for w in windows if period.start <= w.start < period.end]
        shown = [w for w in mine if w.suppressed is None]
        assert {name: getattr(period, name) for name in COUNTS} == {
            name: total(getattr(w, name) for w in shown) for name in COUNTS
        }
        masked = sum(w.masked for w in shown)
        figures = rates(masked, [Judged(w.masked + w.unmasked + w.incorrect, w.model_errors) for w in shown])
        assert (period.rate, period.sampling_interval) == (figures.rate, figures.sampling_interval)
        assert period.interval == pytest.approx(figures.interval, abs=1.001e-3)  # another order may round elsewhere
        assert period.coverage == pytest.approx(sum(w.coverage for w in mine) / period.windows_expected, abs=1e-3)
        assert (period.windows_published, period.windows_suppressed) == (len(mine), len(mine) - len(shown))
        assert (period.suppressed is None) == bool(shown or not mine)


@given(windows=series(("shown", "missing")), truths=st.lists(st.integers(0, 9), min_size=30, max_size=30))
def test_subtraction_tells_nothing_that_was_not_published(windows, truths):
    """Whatever the small counts were, all answers are the same bytes; and all less the shown windows is nothing."""
    told = []
    for small in (truths, [0] * 30):
        raw = [structs.replace(w, profile="stats-only") for w in windows]
        raw[::2] = [window(w.start, n, (0, 0, 0), profile="stats-only") for w, n in zip(raw[::2], small, strict=False)]
        published = [w for one in raw for w in publishable([one])]
        told.append([[encode_as("json", p) for p in rolled(published, step)] for step in ("window", "hour", "total")])
        shown = sum(w.persons for w in published if w.persons is not None)
        assert (rolled(published, "total")[0].persons or 0) - shown == 0
    assert told[0] == told[1]


FEW, ZONES = 1 << 40, "abc"
"""So large a limit that each count has a bit of its own: a sum tells of what it is one."""


def seen(cells):
    """Return all that is told of some windows, numbers alone: the windows themselves, and every answer about them.

    `cells` is how many people were in each zone, window by window; no camera is outside the zones.
    """
    numbers, published = [], defaultdict(list)
    for index, counts in enumerate(cells):
        made = [window(T + index * LENGTH, n, (0, 0, 0), zone=z) for z, n in zip(ZONES, counts, strict=True)]
        for shown in publishable([*made, window(T + index * LENGTH, sum(counts), (0, 0, 0))], FEW):
            published[shown.zone].append(shown)
            numbers += [getattr(shown, name) for name in (*COUNTS, "late_total")]
    for windows in published.values():
        for step in ("window", "hour", "day", "total"):
            numbers += [getattr(period, name) for period in rolled(windows, step) for name in COUNTS]
    return {number for number in numbers if number}


@given(st.lists(st.tuples(*[st.sampled_from(["none", "few", "many"])] * len(ZONES)), min_size=1, max_size=5))
def test_no_combination_of_all_that_is_told_gives_a_small_count(kinds):
    """Zones from their site, one window from a longer one, several at once: whatever sums and differences are made of
    windows and answers by hour, day and in all, no zone's small count comes out."""
    bits = iter(1 << n for n in range(len(kinds) * len(ZONES)))
    size = {"none": lambda _: 0, "few": lambda bit: bit, "many": lambda bit: FEW + bit}
    cells = [[size[kind](next(bits)) for kind in row] for row in kinds]
    rows = [[number >> n & 1 for n in range(len(kinds) * len(ZONES))] for number in seen(cells)]
    known = np.array(rows or [[0] * (len(kinds) * len(ZONES))])
    rank = np.linalg.matrix_rank(known)
    for index, count in enumerate(count for row in cells for count in row):
        one = np.eye(known.shape[1])[index]
        if 0 < count < FEW:
            assert np.linalg.matrix_rank(np.vstack([known, one])) == rank + 1
    if all(kind == "many" for row in kinds for kind in row):
        assert rank == known.shape[1]


@given(windows=series())
def test_periods_add_up(windows):
    """Hours to days, days to a total: counts, windows, and the coverage in proportion to the windows."""
    hours, (whole,) = rolled(windows, "hour"), rolled(windows, "total")
    for name in (*COUNTS, "windows_expected", "windows_published", "windows_suppressed"):
        assert total(getattr(hour, name) for hour in hours) == getattr(whole, name)
    covered = sum(hour.coverage * hour.windows_expected for hour in hours)
    assert covered / whole.windows_expected == pytest.approx(whole.coverage, abs=1e-3)


@given(windows=series())
def test_windows_stay_as_they_are(windows):
    """Step `window` says of each what was published, and shows missing ones as periods without a window."""
    periods = rolled(windows, "window")
    assert [p.start for p in periods] == list(range(windows[0].start, windows[-1].end, LENGTH))
    there = {w.start: w for w in windows}
    for period in periods:
        published = there.get(period.start)
        if published is None:
            assert (period.persons, period.coverage, period.windows_expected, period.windows_published) == (
                None,
                0.0,
                1,
                0,
            )
            continue
        same = (*COUNTS, "rate", "interval", "coverage", "suppressed", "gaps", "start", "end")
        assert [getattr(period, name) for name in same] == [getattr(published, name) for name in same]


def test_a_day_of_25_hours():
    """A market's day across the end of summer time: the repeated hour is there twice, and nothing falls out."""
    paris = ZoneInfo("Europe/Paris")
    midnight = 1_792_879_200_000_000_000  # 2026-10-25T00:00+02:00
    windows = [window(midnight + n * LENGTH) for n in range(75)]
    hours = rolled(windows, "hour", zone=paris)
    (whole,) = rolled(windows, "day", zone=paris)
    assert [len(hours), {h.persons for h in hours}] == [25, {33}]
    assert (whole.persons, whole.end - whole.start, whole.windows_expected) == (75 * 11, 25 * HOUR, 75)


def test_verdicts_that_a_profile_withholds():
    """Persons and rate only: the mean of the rates, weighted by persons; no interval, and no coverage was published."""
    (period,) = rolled([decree(T, 30, 0.5), decree(T + LENGTH, 90, 0.9), decree(T + 2 * LENGTH, 5, None)], "hour")
    assert (period.persons, period.masked, period.interval, period.coverage) == (125, None, None, None)
    assert period.rate == pytest.approx((30 * 0.5 + 90 * 0.9) / 120)
    assert period.profiles == ["fr-2021-269"]
    (alone,) = rolled([decree(T, 30, 0.3)], "hour")
    assert alone.rate == 0.3


def test_a_profile_that_was_changed():
    """One window without verdicts, and the period has none; both profiles are named: a trial stays marked as one."""
    (period,) = rolled([window(T, profile="lab"), decree(T + LENGTH, 10, 0.5)], "hour")
    assert (period.persons, period.masked, period.profiles) == (21, None, ["lab", "fr-2021-269"])
    assert period.rate == 0.657


def test_what_is_told_of_the_windows():
    """Gaps, models and adjustment of any of them; of the reasons for showing nothing the one that says most."""
    windows = [
        window(T, gaps=["paused"], model="moretta-1.0"),
        window(T + LENGTH, gaps=["camera-down"], model="moretta-2.0", adjusted=True),
        hidden(T + HOUR, "nothing-observed"),
        hidden(T + HOUR + LENGTH, "small-count"),
    ]
    first, second = rolled(windows, "hour")
    assert (first.gaps, first.models, first.adjusted) == (
        ["camera-down", "paused"],
        ["moretta-1.0", "moretta-2.0"],
        True,
    )
    assert (second.suppressed, second.windows_suppressed, second.persons, second.rate) == ("small-count", 2, None, None)


def test_windows_to_come_are_not_missing():
    """Expected is what should be out by now; what is out already counts in any case, and hours to come are left out."""
    day, windows = TimeRange(T, T + 24 * HOUR), [window(T), window(T + LENGTH)]
    (only,) = rolled(windows, "hour", day, settled=T + 45 * MINUTE)
    assert (only.windows_expected, only.windows_published, only.coverage, only.end) == (2, 2, 1.0, T + HOUR)
    first, second = rolled(windows, "hour", day, settled=T + 2 * HOUR - 1)
    assert (first.windows_expected, first.coverage) == (3, 0.666)
    assert (second.windows_expected, second.windows_published, second.coverage) == (2, 0, 0.0)
    assert [p.windows_expected for p in rolled(windows, "hour", day, settled=T)] == [2]


@pytest.mark.parametrize("step", ["window", "hour", "day", "total"])
def test_before_the_first_window_none_is_missing(step):
    """A site of this hour has one; a hole behind its beginning is one, wherever the range begins or ends."""
    windows = [window(T), window(T + 2 * LENGTH)]
    for asked, told, expected in (
        (TimeRange(T - 100 * 24 * HOUR, T + HOUR), windows, 3),
        (TimeRange(T + LENGTH, T + HOUR), windows[1:], 2),
        (TimeRange(T - HOUR, T), [], 0),
        (TimeRange(T + HOUR, T + 2 * HOUR), [], 3),
    ):
        found = RollUp(asked, step, UTC, LENGTH, asked.end)
        found.begin(T)
        for one in told:
            found.add(one)
        assert sum(p.windows_expected for p in found.periods("cannes", "_site")) == expected


def test_nothing_published():
    """Then the windows of the settings' length are missing, and nothing is made up."""
    (hour,) = rolled([], "hour", TimeRange(T, T + HOUR), length=5 * MINUTE)
    assert (hour.windows_expected, hour.windows_published, hour.persons, hour.rate, hour.profiles) == (
        12,
        0,
        None,
        None,
        [],
    )


def test_missing_windows_begin_at_the_border():
    """Five minutes after the hour, and each twenty minutes from there on."""
    how = {"span": TimeRange(T, T + HOUR), "settled": T + 2 * HOUR, "border": T + 5 * MINUTE}
    (hour,) = rolled([], "hour", **how)
    assert hour.windows_expected == 3
    each = rolled([], "window", **how)
    assert [(p.start - T) // MINUTE for p in each] == [5, 25, 45]


@pytest.mark.parametrize("windows_there", [True, False])
@pytest.mark.parametrize(("name", "phase"), [("Asia/Kolkata", 30 * MINUTE), ("Asia/Kathmandu", 45 * MINUTE)])
def test_missing_windows_where_clocks_are_part_of_an_hour_off(name, phase, windows_there):
    """They lie between the published ones, or where the settings' clock has them, and are counted from their border."""
    start = T + HOUR - phase  # a full hour there
    windows = [window(start + n * LENGTH) for n in (0, 1, 4, 5)] if windows_there else []
    clock = {"zone": ZoneInfo(name), "border": -phase}
    span = TimeRange(start, start + 3 * HOUR)
    each = rolled(windows, "window", span, **clock)
    assert [p.start for p in each] == list(range(start, start + 3 * HOUR, LENGTH))
    assert [p.windows_published for p in each] == ([1, 1, 0, 0, 1, 1, 0, 0, 0] if windows_there else [0] * 9)
    hours = rolled(windows, "hour", span, settled=start + 2 * HOUR + LENGTH, **clock)
    assert [p.windows_expected for p in hours] == [3, 3, 1]


def test_windows_of_another_length():
    """A hole is counted in windows of the length before it; coverage is of time, whatever the windows' lengths."""
    long = [window(T + n * LENGTH, coverage=1.0) for n in range(3)]
    short = [window(T + HOUR + n * 5 * MINUTE, end=T + HOUR + (n + 1) * 5 * MINUTE) for n in (0, 1, 8, 9, 10, 11)]
    first, second = rolled(long + short, "hour")
    assert (first.windows_expected, second.windows_expected, second.windows_published) == (3, 12, 6)
    (whole,) = rolled(long + short, "total")
    assert (whole.windows_expected, whole.coverage) == (15, pytest.approx(0.75))


def test_windows_elsewhere_and_twice():
    """What starts outside, or was there already, adds nothing."""
    inside = window(T + LENGTH)
    (period,) = rolled([window(T), inside, inside, window(T + HOUR)], "total", TimeRange(T + LENGTH, T + HOUR))
    assert (period.persons, period.windows_published, period.windows_expected) == (11, 1, 2)


def test_a_day_with_an_outage():
    """The made-up day: 24 hours, of which 9 show nothing, and one and a half are missing and cost coverage."""
    (whole,) = rolled(list(market_day(T)), "total", TimeRange(T, T + 24 * HOUR))
    hours = rolled(list(market_day(T)), "hour", TimeRange(T, T + 24 * HOUR))
    assert (whole.windows_expected, whole.windows_published, whole.windows_suppressed) == (72, 67, 27)
    assert [hour.windows_published for hour in hours][10:15] == [3, 2, 0, 2, 3]
    assert sum(hour.suppressed == "small-count" for hour in hours) == 9
    assert 0.7 < whole.coverage < 0.95
    low, high = whole.interval
    assert low < whole.rate < high


@pytest.mark.parametrize(
    ("step", "hours"), [("hour", MAX_PERIODS + 1), ("day", 24 * (MAX_PERIODS + 1)), ("window", 24)]
)
def test_an_answer_has_its_limits(step, hours):
    """More periods than one answer holds are refused, before or while windows come; a total always fits."""
    span, length = TimeRange(T, T + hours * HOUR), 5 * MINUTE
    found = RollUp(span, "total", UTC, length, span.end)
    assert len(found.periods("cannes", "_site")) == 1
    with pytest.raises(TooMany):
        RollUp(span, step, UTC, 8 * 1_000_000_000, span.end).periods("cannes", "_site")
