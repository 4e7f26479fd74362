"""A month of a site in virtual time: every passage is in exactly one window, or a window says that it is missing."""

from collections import Counter

import pytest
from examples import SEED, examples
from hypothesis import example, given
from hypothesis import strategies as st
from virtual_month import Run, history, month, violations
from virtual_world import Writer

from proto.types import WHOLE_SITE
from services.aggregate.core.counting.series import WindowSeries
from services.aggregate.core.counting.windows import OpenWindow
from services.aggregate.core.rules import rate_rules

FIRST = int(SEED or 0)


def test_two_days_with_faults():
    """Clocks, restarts, crashes, cuts, full streams, new settings: nothing counts twice, nothing is missing unsaid.

    Nothing is said to be missing without a fault that loses pictures, and no zone has a window from before it held.
    """
    world, windows, _, wrong = month(FIRST, days=2)
    assert wrong == []
    assert len(windows) > 100
    assert len(world.people) > 50


@pytest.mark.long
@pytest.mark.parametrize("seed", range(FIRST, FIRST + 20))
def test_a_month_with_faults(seed):
    """As above; all kinds of faults happen."""
    world, _, alerts, wrong = month(seed)
    assert wrong == []
    assert len([name for name in world.happened if name]) == 14
    assert alerts


@given(st.integers(0, 10**9))
@example(283)  # the world's rarest pictures, and a stream that begins behind them
@example(5581)  # settings that others replaced before they took force begin the replay
@example(30846)  # two crashes behind settings that changed while nobody ran
@examples(300, 20)
def test_windows_neither_overlap_nor_leave_a_hole_whatever_settings_change(seed):
    """Lengths of windows and time zones, crashes, a stream that keeps 70 minutes."""
    assert history(seed) == []


def planted(monkeypatch, count):
    """Put another `OpenWindow.count` in its place."""
    monkeypatch.setattr(OpenWindow, "count", count)


def found(seeds=3, days=2):
    """Return what is wrong in some short months, each once."""
    worlds = [Writer(seed, days).make() for seed in range(seeds)]
    wrong = [one for world in worlds for one in violations(world, *Run(world).run())]
    return {one.split(": ")[1] if one.startswith("window") else one.split(" at ")[0] for one in wrong}


def test_a_passage_that_is_dropped_is_found(monkeypatch):
    """One of fifty."""
    count = OpenWindow.count
    planted(monkeypatch, lambda slot, passage: None if passage.at // 200_000_000 % 50 == 0 else count(slot, passage))
    assert found() == {"too few"}


def test_a_passage_that_is_doubled_is_found(monkeypatch):
    """One of fifty."""
    count = OpenWindow.count

    def twice(slot, passage):
        for _ in range(1 + (passage.at // 200_000_000 % 50 == 0)):
            count(slot, passage)

    planted(monkeypatch, twice)
    assert found() == {"too many"}


@pytest.mark.parametrize(("times", "what"), [(0, "too few"), (2, "too many")])
def test_a_passage_that_its_zone_does_not_count_once_is_found(monkeypatch, times, what):
    """The whole site does."""

    def count(slot, passage):
        slot._passages.setdefault(WHOLE_SITE, Counter())[passage.verdict] += 1
        if passage.zone != WHOLE_SITE:
            slot._passages.setdefault(passage.zone, Counter())[passage.verdict] += times

    planted(monkeypatch, count)
    assert found() == {what}


def test_a_passage_that_is_shifted_is_found(monkeypatch):
    """One of fifty, into the next window."""
    window_of, count = WindowSeries.window, OpenWindow.count

    def next_one(series, at):
        window = window_of(series, at)
        return window_of(series, window.end) if at // 200_000_000 % 50 == 1 else window

    monkeypatch.setattr(WindowSeries, "window", next_one)
    assert OpenWindow.count is count
    assert {"too few", "too many"} <= found()


def test_an_alert_on_windows_that_are_no_neighbours_is_found(monkeypatch):
    """They are hours apart, since people come seldom."""
    monkeypatch.setattr(rate_rules, "MAX_GAP", 1 << 62)
    assert found(seeds=4, days=3) == {"an alert without its windows"}
