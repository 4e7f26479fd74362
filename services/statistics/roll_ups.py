"""Roll-ups: windows folded into the periods of a site's calendar (ADR 15).

Roll-ups use published windows alone and count nothing again. So subtracting published figures from those of a longer
period reveals nothing that was not published.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from datetime import tzinfo
from itertools import islice
from typing import get_args

from proto.model_errors import ModelErrors
from proto.public import GapReason, Suppression, WindowV1
from proto.stats import PeriodV1, Step
from proto.types import ModelId, Profile
from services.statistics.calendar import TimeRange, spans
from services.statistics.figures import Rates, observed, rates, rounded
from services.statistics.rate_interval import Judged

MAX_PERIODS = 10_000
"""The most periods in one answer."""
_GAPS: tuple[GapReason, ...] = get_args(GapReason)
_WHY_NOT: tuple[Suppression, ...] = ("not-under-this-profile", "small-count", "nothing-observed")
"""Reasons by priority: of several, the first one is told."""


class TooMany(ValueError):
    """More periods than an answer holds."""


class Tally:
    """The sum of the windows of one period."""

    def __init__(self, span: TimeRange) -> None:
        self.span, self.expected = span, 0
        self._length, self._time = 0, 0.0
        self._published = self._shown = self._suppressed = 0
        self._persons = self._masked = self._unmasked = self._incorrect = self._unknown = 0
        self._judged: Counter[ModelErrors | None] = Counter()
        """Judged people, by the errors of the model that judged them."""
        self._verdicts = self._covers = True
        self._only: WindowV1 | None = None
        self._weighed, self._weight, self._coverage = 0.0, 0, 0.0
        self._reasons: set[Suppression] = set()
        self._gaps: set[GapReason] = set()
        self._profiles: dict[Profile, None] = {}
        self._models: dict[ModelId, None] = {}
        self._adjusted = False

    def expect(self, windows: int, length: int) -> None:
        """Expect a number of windows of this length, ns."""
        self._length = self._length or length
        self.expected += windows
        self._time += windows * length / self._length

    def add(self, window: WindowV1) -> None:
        """Add a published window; a window without a count adds to no sum."""
        self.expect(1, window.end - window.start)
        self._published += 1
        self._profiles[window.profile] = None
        self._gaps.update(window.gaps)
        self._adjusted |= window.adjusted
        if window.model is not None:
            self._models[window.model] = None
        self._covers &= window.coverage is not None
        self._coverage += (window.coverage or 0.0) * ((window.end - window.start) / self._length)
        if window.suppressed is not None:
            self._suppressed += 1
            self._reasons.add(window.suppressed)
        if window.persons is not None:
            self._sum(window, window.persons)

    def _sum(self, window: WindowV1, persons: int) -> None:
        self._shown += 1
        self._only = window
        self._persons += persons
        self._verdicts &= window.masked is not None
        self._masked += window.masked or 0
        self._unmasked += window.unmasked or 0
        self._incorrect += window.incorrect or 0
        self._unknown += window.unknown or 0
        self._judged[window.model_errors] += (window.masked or 0) + (window.unmasked or 0) + (window.incorrect or 0)
        if window.rate is not None:
            self._weighed += window.rate * persons
            self._weight += persons

    def period(self, site: str, zone: str) -> PeriodV1:
        """Return the period as answers show it."""
        counted = self._shown > 0 and self._verdicts
        return PeriodV1(
            site=site,
            zone=zone,
            profiles=list(self._profiles),
            start=self.span.start,
            end=self.span.end,
            persons=self._persons if self._shown else None,
            masked=self._masked if counted else None,
            unmasked=self._unmasked if counted else None,
            incorrect=self._incorrect if counted else None,
            unknown=self._unknown if counted else None,
            **self._rate()._asdict(),
            coverage=observed(min(1.0, self._coverage / self._time)) if self._covers and self._time else None,
            windows_expected=self.expected,
            windows_published=self._published,
            windows_suppressed=self._suppressed,
            suppressed=next((why for why in _WHY_NOT if why in self._reasons), None) if not self._shown else None,
            gaps=[reason for reason in _GAPS if reason in self._gaps],
            adjusted=self._adjusted,
            models=list(self._models),
        )

    def _rate(self) -> Rates:
        if self._shown == 1 and self._only is not None:  # the figures of a single window stay as published
            return Rates(self._only.rate, self._only.interval, self._only.sampling_interval)
        if not self._verdicts:
            return Rates(rounded(min(1.0, self._weighed / self._weight)) if self._weight else None, None, None)
        return rates(self._masked, [Judged(people, errors) for errors, people in self._judged.items()])


class RollUp:
    """Folds one zone's windows, given in order of their start, into the periods of [since, until).

    `length` (ns) and `border`, the start of any window, are used as long as no published window tells them. Windows
    that end by `settled` must be published. A window belongs to the period in which it starts. Missing windows are
    taken to be as long as the window before the hole, or else the first one after it, and to border on it. Raises
    TooMany beyond `MAX_PERIODS` periods.
    """

    def __init__(self, asked: TimeRange, step: Step, zone: tzinfo, length: int, settled: int, border: int = 0) -> None:
        self._asked, self._each, self._settled = asked, step == "window", settled
        self._length, self._border, self._begun, self._reached = length, border, False, asked.start
        found = [] if self._each else list(islice(spans(asked.start, asked.end, step, zone), MAX_PERIODS + 1))
        self._tallies = [Tally(span) for span in found]
        self._limit()
        self._starts = [span.start for span in found]

    def begin(self, at: int) -> None:
        """Expect no window that starts before a moment; call this before the first `add`."""
        self._reached = max(self._reached, at)

    def add(self, window: WindowV1) -> None:
        """Add the next window; ignore one that starts outside the range, or that was added already."""
        if not self._asked.start <= window.start < self._asked.end or window.start < self._reached:
            return
        if not self._begun:
            self._begun, self._length, self._border = True, window.end - window.start, window.start
        self._miss(window.start)
        self._length, self._reached, self._border = window.end - window.start, window.end, window.end
        self._tally(TimeRange(window.start, window.end)).add(window)

    def periods(self, site: str, zone: str) -> list[PeriodV1]:
        """Return the periods in which windows are expected, in order."""
        self._miss(min(self._asked.end, self._settled - self._length + 1))
        return [tally.period(site, zone) for tally in self._tallies if tally.expected]

    def _miss(self, end: int) -> None:
        """Expect the windows that start between the moment reached so far and `end`; none of them was published."""
        missing = self._slots(self._reached, end)
        if self._each:
            self._limit(len(missing))
            for start in missing:
                self._tally(TimeRange(start, start + self._length)).expect(1, self._length)
        else:
            for tally in self._within(self._reached, end):
                starts = self._slots(max(self._reached, tally.span.start), min(end, tally.span.end))
                tally.expect(len(starts), self._length)
        self._reached = max(self._reached, end)

    def _slots(self, start: int, end: int) -> range:
        """Return the starts of adjacent windows, by the clock of the site and not by UTC."""
        return range(start + (self._border - start) % self._length, end, self._length)

    def _within(self, start: int, end: int) -> Iterator[Tally]:
        index = bisect_right(self._starts, start) - 1
        for tally in islice(self._tallies, max(0, index), None):
            if tally.span.start >= end:
                return
            yield tally

    def _tally(self, span: TimeRange) -> Tally:
        if not self._each:
            return self._tallies[bisect_right(self._starts, span.start) - 1]
        self._limit(1)
        self._tallies.append(Tally(span))
        return self._tallies[-1]

    def _limit(self, more: int = 0) -> None:
        if len(self._tallies) + more > MAX_PERIODS:
            raise TooMany(f"more than {MAX_PERIODS} periods")
