"""The fold of one zone's published windows into periods."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import tzinfo
from itertools import islice
from typing import get_args

from proto.public import GapReason, Suppression, WindowV1
from proto.stats import PeriodV1, Step
from proto.types import Interval, ModelId, Profile
from services.sites.history.spans import TimeRange, spans
from services.sites.proportions import wilson

MOST = 10_000
"""Periods of one answer."""
_GAPS: tuple[GapReason, ...] = get_args(GapReason)
_WHY_NOT: tuple[Suppression, ...] = ("not-under-this-profile", "small-count", "nothing-observed")
"""The reason that is told of several."""


class TooMany(ValueError):
    """More periods than an answer holds."""


class Tally:
    """What the windows of one period add up to."""

    def __init__(self, span: TimeRange) -> None:
        self.span, self.expected = span, 0
        self._length, self._time = 0, 0.0
        self._published = self._shown = self._suppressed = 0
        self._persons = self._masked = self._unmasked = self._incorrect = self._unknown = 0
        self._verdicts = self._covers = True
        self._only: WindowV1 | None = None
        self._weighed, self._weight, self._coverage = 0.0, 0, 0.0
        self._reasons: set[Suppression] = set()
        self._gaps: set[GapReason] = set()
        self._profiles: dict[Profile, None] = {}
        self._models: dict[ModelId, None] = {}
        self._adjusted = False

    def expect(self, windows: int, length: int) -> None:
        """Expect windows of a length, ns."""
        self._length = self._length or length
        self.expected += windows
        self._time += windows * length / self._length

    def add(self, window: WindowV1) -> None:
        """Add a published window; one that shows no count adds to no sum."""
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
        if window.rate is not None:
            self._weighed += window.rate * persons
            self._weight += persons

    def period(self, site: str, zone: str) -> PeriodV1:
        """Return the period as it is told."""
        rate, interval = self._rate()
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
            rate=rate,
            interval=interval,
            coverage=min(1.0, self._coverage / self._time) if self._covers and self._time else None,
            windows_expected=self.expected,
            windows_published=self._published,
            windows_suppressed=self._suppressed,
            suppressed=next((why for why in _WHY_NOT if why in self._reasons), None) if not self._shown else None,
            gaps=[reason for reason in _GAPS if reason in self._gaps],
            adjusted=self._adjusted,
            models=list(self._models),
        )

    def _rate(self) -> tuple[float | None, Interval | None]:
        if self._shown == 1 and self._only is not None:  # what one window says stays as it was said
            return self._only.rate, self._only.interval
        if not self._verdicts:
            return (min(1.0, self._weighed / self._weight) if self._weight else None), None
        judged = self._masked + self._unmasked + self._incorrect
        return (self._masked / judged if judged else None), wilson(self._masked, judged)


class RollUp:
    """Folds one zone's windows, given in order of their start, into the periods of [since, until).

    `length` is a window's, ns, and `border` where any of them begins, where none was published; `settled` is until when
    windows must be out. A window belongs to the period in which it starts. Missing windows are taken to be as long as
    the one before the hole, or else the first after it, and to border on it. Raises TooMany beyond `MOST` periods.
    """

    def __init__(self, asked: TimeRange, step: Step, zone: tzinfo, length: int, settled: int, border: int = 0) -> None:
        self._asked, self._each, self._settled = asked, step == "window", settled
        self._length, self._border, self._begun, self._reached = length, border, False, asked.start
        found = [] if self._each else list(islice(spans(asked.start, asked.end, step, zone), MOST + 1))
        self._tallies = [Tally(span) for span in found]
        self._limit()
        self._starts = [span.start for span in found]

    def begin(self, at: int) -> None:
        """Expect no window that starts before a moment; to be told before the first one is added."""
        self._reached = max(self._reached, at)

    def add(self, window: WindowV1) -> None:
        """Add the next window; one that starts elsewhere is none of ours, one that was there already neither."""
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
        """Expect the windows that start between what was reached and `end`, of which none was published."""
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
        """Return where windows start: next to each other, by the clock of the site and not by UTC's."""
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
        if len(self._tallies) + more > MOST:
            raise TooMany(f"more than {MOST} periods")
