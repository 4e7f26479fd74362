"""Bins, quantiles, the stability index and the days of a site: what drift is measured with."""

import math
import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.aggregate.core.drift import ENOUGH, Calendar, DriftTally
from services.aggregate.core.histograms import (
    SCORE_BINS,
    SIZE_BINS,
    groups,
    quantile,
    size_at,
    size_bin,
    stability_index,
)

SECOND = 1_000_000_000
HOUR = 3_600 * SECOND
COUNTS = st.lists(st.integers(0, 500), min_size=1, max_size=SIZE_BINS)
SHARES = st.floats(2**-7.9, 0.99)
ZONES = st.sampled_from(sorted(available_timezones()))


def ns(*moment: int) -> int:
    """Return a moment in UTC in ns."""
    return round(datetime(*moment, tzinfo=UTC).timestamp()) * SECOND


def histogram(sizes) -> list[int]:
    """Return the bins of faces of these sizes, as shares of the longer side."""
    counts = [0] * SIZE_BINS
    for size in sizes:
        counts[size_bin(size * size)] += 1
    return counts


# --- bins -----------------------------------------------------------------------------------------------------------


@given(size=SHARES)
def test_a_size_lies_in_its_bin(size: float):
    """Bins are named by their edges: a face of this size is counted between the two that enclose it."""
    at = size_bin(size * size)
    assert size_at(at) <= size * (1 + 1e-9)
    assert size * (1 - 1e-9) <= size_at(at + 1)


def test_the_edges_of_the_bins():
    """A pixel of a picture of 256 up to the whole longer side, each bin 9 % above the last one; nothing outside."""
    assert (size_at(0), size_at(SIZE_BINS)) == (1 / 256, 1.0)
    assert math.isclose(size_at(8), 2 * size_at(0))
    assert [size_bin(area) for area in (-1.0, 0.0, 1e-12, 1.0)] == [0, 0, 0, SIZE_BINS - 1]


@given(width=st.floats(0.01, 0.9), height=st.floats(0.01, 0.9), aspect=st.floats(0.3, 3))
def test_the_size_is_a_share_of_the_longer_side(make, width: float, height: float, aspect: float):
    """Landscape or portrait, the same pixels are the same size: sqrt(w * h) over the picture's longer side."""
    long_side = 640
    pixels = (long_side, long_side / aspect) if aspect >= 1 else (long_side * aspect, long_side)
    tally = DriftTally()
    face = make.face(0.5, 0.5)
    tally.add([type(face)(box=(0, 0, width, height), code="m", score=0.5, confidence=0.5)], aspect)
    size = math.sqrt(width * pixels[0] * height * pixels[1]) / long_side
    near = {size_bin(size * size * (1 + wobble)) for wobble in (-1e-9, 0, 1e-9)}
    assert tally.sizes.index(1) in near


@given(scores=st.lists(st.floats(0, 1), max_size=30), unknown=st.integers(0, 5))
def test_each_face_is_counted_once(make, scores: list[float], unknown: int):
    """Every face is in one bin of sizes and one of scores, a score of 1 included; unknown ones are counted beside."""
    tally = DriftTally()
    tally.add([make.face(score=score) for score in scores], 1.5)
    tally.add([make.face(verdict="unknown", score=1.0)] * unknown, 1.5)
    assert sum(tally.sizes) == sum(tally.scores) == tally.faces == len(scores) + unknown
    assert tally.unknown == unknown
    assert tally.scores[SCORE_BINS - 1] >= unknown


# --- quantiles ------------------------------------------------------------------------------------------------------


@given(sizes=st.lists(SHARES, min_size=1, max_size=200), tenths=st.integers(1, 10))
def test_a_quantile_lies_in_the_bin_of_the_exact_one(sizes: list[float], tenths: int):
    """It's the smallest size with at least so many tenths of the faces at or below it, to within its bin (9 %)."""
    exact = sorted(sizes)[-(-tenths * len(sizes) // 10) - 1]
    found = quantile(histogram(sizes), tenths)
    assert math.floor(found) == size_bin(exact * exact)
    assert 1 / 1.0906 <= size_at(found) / exact <= 1.0906


@given(counts=COUNTS)
def test_quantiles_rise(counts: list[int]):
    """A higher quantile is never lower."""
    assume(sum(counts))
    found = [quantile(counts, tenths) for tenths in range(1, 11)]
    assert found == sorted(found)


def test_a_quantile_is_interpolated():
    """Ten faces in one bin are taken to lie evenly in it."""
    assert [quantile([0, 10, 0], tenths) for tenths in (1, 5, 10)] == [1.05, 1.45, 1.95]


def test_no_quantile_of_nothing():
    """Nobody seen has no median."""
    with pytest.raises(ValueError, match="nothing was counted"):
        quantile([0, 0], 5)


# --- the stability index --------------------------------------------------------------------------------------------


@given(counts=COUNTS)
def test_groups_part_the_bins(counts: list[int]):
    """Every bin is in one group, in order; a group holds less than two tenths or is a single bin."""
    parts = groups(counts)
    assert [bin_ for part in parts for bin_ in range(len(counts))[part]] == list(range(len(counts)))
    for part in parts:
        assert len(counts[part]) == 1 or sum(counts[part]) < sum(counts) / 5 or not sum(counts)


@given(counts=COUNTS)
def test_a_histogram_does_not_differ_from_itself(counts: list[int]):
    """The index of equal histograms is 0."""
    assert stability_index(counts, counts) == 0


@given(data=st.data(), baseline=COUNTS)
def test_the_index_is_never_negative(data, baseline: list[int]):
    """Whatever is compared, empty histograms included, the index is a finite number from 0 on."""
    recent = data.draw(st.lists(st.integers(0, 500), min_size=len(baseline), max_size=len(baseline)))
    found = stability_index(baseline, recent)
    assert math.isfinite(found)
    assert found >= 0


def test_the_index_by_hand():
    """Two heavy bins, 3:1 before and 1:3 now: (a - b) ln(a / b) over both, half a face added to each."""
    b, a = 300.5 / 401, 100.5 / 401
    expected = (a - b) * math.log(a / b) + (b - a) * math.log(b / a)
    assert math.isclose(stability_index([300, 100], [100, 300]), expected)


@pytest.mark.parametrize("to", [0, 1, 24, 26, 48, 49])
def test_a_move_out_of_a_heavy_bin_is_seen(to: int):
    """Scores are crowded: when all were in one bin, a move into empty bins beside it or far away is a large change."""
    before, after = [0] * SCORE_BINS, [0] * SCORE_BINS
    before[25], after[25], after[to] = 5_000, 1_000, 4_000
    assert stability_index(before, after) > 0.25


def crowd(rng: random.Random, people: int, scale: float = 1.0) -> list[int]:
    """Return the histogram of people of log-normal size whom 15 pictures see, each time a little different."""
    middles = [rng.lognormvariate(math.log(0.04 * scale), 0.35) for _ in range(people)]
    return histogram(middle * rng.uniform(0.95, 1.05) for middle in middles for _ in range(15))


def test_enough_faces_keep_chance_below_the_threshold():
    """15 faces are of one passer-by, so chance makes more of the index than its theory says; ENOUGH allows for it."""
    rng = random.Random(7)
    people = ENOUGH // 15
    baseline = [sum(bins) for bins in zip(*(crowd(rng, people) for _ in range(14)), strict=True)]
    by_chance = sorted(stability_index(baseline, crowd(rng, people)) for _ in range(200))
    assert by_chance[-2] < 0.25
    assert 0.02 < by_chance[100] < 0.12
    too_few = sorted(stability_index(baseline, crowd(rng, people // 10)) for _ in range(50))
    assert too_few[25] > 0.25


@pytest.mark.parametrize("scale", [0.65, 1.5])
def test_a_moved_camera_is_above_the_threshold(scale: float):
    """Faces a third smaller, or half as large again, are a large change on a day that has just enough of them."""
    rng = random.Random(8)
    baseline = crowd(rng, 14 * ENOUGH // 15)
    assert min(stability_index(baseline, crowd(rng, ENOUGH // 15, scale)) for _ in range(50)) > 0.25


# --- days -----------------------------------------------------------------------------------------------------------


@given(zone=ZONES, at=st.integers(0, 4_000_000_000), others=st.lists(st.integers(0, 4_000_000_000), max_size=3))
def test_every_moment_lies_in_one_day(zone: str, at: int, others: list[int]):
    """In every zone and year a moment is in the day that has begun and not ended, whatever was asked before."""
    calendar = Calendar(ZoneInfo(zone))
    for other in others:
        calendar.day(other * SECOND)
    day = calendar.day(at * SECOND)
    assert calendar.midnight(day) <= at * SECOND < calendar.midnight(day + timedelta(days=1))
    assert day == Calendar(ZoneInfo(zone)).day(at * SECOND)


@given(zone=ZONES, at=st.integers(1_420_000_000, 2_200_000_000))
def test_a_day_is_what_the_clocks_show(zone: str, at: int):
    """From 2015 on no zone has put its clocks back over a midnight that they had shown: the day is the date."""
    shown = datetime.fromtimestamp(at, ZoneInfo(zone)).date()
    assert Calendar(ZoneInfo(zone)).day(at * SECOND) == shown


@pytest.mark.parametrize(
    ("zone", "day", "begins", "hours"),
    [
        ("Europe/Paris", date(2026, 3, 28), (2026, 3, 27, 23), 24),
        ("Europe/Paris", date(2026, 3, 29), (2026, 3, 28, 23), 23),
        ("Europe/Paris", date(2026, 10, 25), (2026, 10, 24, 22), 25),
        ("Africa/Cairo", date(2024, 4, 26), (2024, 4, 25, 22), 23),  # no midnight: 00:00 became 01:00
        ("Africa/Cairo", date(2024, 10, 31), (2024, 10, 30, 21), 25),  # 24:00 became 23:00
        ("America/Havana", date(2024, 11, 3), (2024, 11, 3, 4), 25),  # two midnights: 01:00 became 00:00
        ("America/Sao_Paulo", date(2018, 2, 17), (2018, 2, 17, 2), 25),
        ("Asia/Kathmandu", date(2026, 1, 1), (2025, 12, 31, 18, 15), 24),
        ("Australia/Lord_Howe", date(2026, 4, 5), (2026, 4, 4, 13), 24.5),
        ("Pacific/Apia", date(2011, 12, 30), (2011, 12, 30, 10), 0),  # there was none
    ],
)
def test_days_when_clocks_change(zone: str, day: date, begins: tuple[int, ...], hours: float):
    """A day begins with its first midnight, or where that is skipped with the jump, and is as long as it is."""
    calendar = Calendar(ZoneInfo(zone))
    start, end = calendar.midnight(day), calendar.midnight(day + timedelta(days=1))
    assert start == ns(*begins)
    assert end - start == hours * HOUR
    if hours:
        assert [calendar.day(at) for at in (start, end - 1)] == [day, day]
        assert calendar.day(start - 1) < day < calendar.day(end)


def test_clocks_put_back_over_midnight():
    """One minute past midnight St John's showed 23:01 again (until 2011): a day that has begun goes on."""
    zone = ZoneInfo("America/St_Johns")
    midnight = Calendar(zone).midnight(date(2010, 11, 7))
    again = midnight + 31 * 60 * SECOND
    assert datetime.fromtimestamp(again // SECOND, zone).date() == date(2010, 11, 6)
    assert [Calendar(zone).day(at).day for at in (midnight - 1, midnight, again)] == [6, 7, 7]
