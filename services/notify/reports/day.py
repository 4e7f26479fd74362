"""The figures of a site's day for its daily report, from published windows and alerts and nothing else (ADR 15).

Pure, and without words. A day is a day of the site's calendar: it has 23 or 25 hours where clocks change. A window
belongs to the day in which it starts.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta, tzinfo
from typing import Literal, get_args

from msgspec import structs

from proto.notifications import NotificationV1
from proto.public import AlertV1, GapReason, Suppression, WindowV1
from proto.stats import PeriodV1, Step
from proto.types import WHOLE_SITE, Interval, Profile, ReceiverId, SiteId, ZoneId
from services.notify.reports.alerts import HeldBack, RuleDay, held_back, rule_days
from services.sites.profiles import PROFILES
from services.statistics.calendar import SECOND, TimeRange, day_start
from services.statistics.proportions import newcombe
from services.statistics.roll_ups import RollUp

STRICT_S = 1_200
"""Length of the shortest windows that a strict report shows one by one, s."""
_KEPT = {"site", "zone", "profiles", "start", "end", "persons", "rate", "suppressed"}
_COUNTS = {"windows_expected", "windows_published", "windows_suppressed"}

Which = Literal["day-before", "week-before"]
WHICH: tuple[Which, ...] = get_args(Which)
_BEFORE: dict[Which, timedelta] = {"day-before": timedelta(days=1), "week-before": timedelta(days=7)}


@dataclass(frozen=True)
class Question:
    """The day and the site that a report is about."""

    site: SiteId
    day: date
    zone: tzinfo
    settled: int
    """Windows until this time must be published, ns: a missing one is a gap."""
    length: int = STRICT_S * SECOND
    """A window's length, ns, if no window was published."""
    profile: Profile | None = None
    """The profile in force; the day's windows name theirs."""
    zones: tuple[ZoneId, ...] = ()
    """Zones that the report shows even if nothing was published about them."""
    zone_detail: bool = True
    receiver: ReceiverId | None = None
    """The reader: the report covers what was held back from this receiver; None: from any."""
    until: int | None = None
    """Of a day that is not over: the report covers the windows that should be published by then, ns."""

    @property
    def span(self) -> TimeRange:
        """The day's first instant, and its end, or that of the report if the day is not over."""
        day = day_of(self.day, self.zone)
        return day if self.until is None else TimeRange(day.start, min(day.end, self.until))

    def days(self) -> list[TimeRange]:
        """Return all days that the report needs, in order: a week before, the day before, the day."""
        if self.until is not None:
            return [day_of(self.day, self.zone)]
        return [day_of(self.day - back, self.zone) for back in (*reversed(_BEFORE.values()), timedelta())]


@dataclass(frozen=True)
class ZoneDay:
    """The day of the whole site or of one of its zones."""

    zone: ZoneId
    total: PeriodV1
    withheld: tuple[tuple[Suppression, int], ...]
    """Why windows show no figure, and how many, the most frequent reason first."""
    gaps: tuple[tuple[GapReason, int], ...]
    """Why time was not observed, and in how many windows."""

    @property
    def missing(self) -> int:
        """How many windows were expected and not published."""
        return self.total.windows_expected - self.total.windows_published


@dataclass(frozen=True)
class EarlierDay:
    """The whole site on an earlier day beside the day of the report."""

    which: Which
    day: date
    earlier: PeriodV1
    difference: float | None
    """The day's rate minus the earlier one's; None unless both were published."""
    interval: Interval | None
    """95 % interval of the difference (Newcombe 1998, method 10); None where the profile withholds verdicts."""

    @property
    def within(self) -> bool:
        """Whether the difference may be nothing but chance: the model errs alike on both days of one place (ADR 41)."""
        return self.interval is not None and self.interval[0] <= 0 <= self.interval[1]


@dataclass(frozen=True)
class DayReport:
    """All figures of a report."""

    site: SiteId
    day: date
    span: TimeRange
    limited_by: Profile | None
    """The profile under which the report may show only the number of people and the percentage; None: there is none."""
    profiles: tuple[Profile, ...]
    length: int | None
    """Length of each window of the whole site, ns; None if it changed."""
    step: Step
    parts: tuple[PeriodV1, ...]
    """The whole site by hour; under a strict profile by window, as published."""
    whole: ZoneDay
    zones: tuple[ZoneDay, ...]
    comparisons: tuple[EarlierDay, ...]
    alerts: tuple[RuleDay, ...]
    held: HeldBack
    """Alerts that notify reported late or not at all."""
    so_far: bool = False
    """Whether the day is not over: the span ends with its last window, and no other day is compared with it."""

    @property
    def strict(self) -> bool:
        """Whether the report may show only the number of people and the percentage."""
        return self.limited_by is not None


def report_of(
    asked: Question,
    windows: Iterable[WindowV1],
    alerts: Sequence[AlertV1],
    decisions: Iterable[NotificationV1] = (),
) -> DayReport:
    """Return the report. Windows must be in order of start in each zone, alerts in order. It ignores other sites."""
    found, day = [window for window in windows if window.site == asked.site], day_of(asked.day, asked.zone)
    today = [window for window in found if day.start <= window.start < day.end]
    if asked.until is not None:
        asked = replace(asked, until=_until(asked, asked.until, today))
    profiles = tuple(dict.fromkeys(window.profile for window in today)) or ((asked.profile,) if asked.profile else ())
    limiting = [one for one in (*profiles, asked.profile) if one and PROFILES[one].figures is not None]
    strict = bool(limiting)
    whole = _place(asked, WHOLE_SITE, today, strict=strict)
    step = _step(today, strict=strict)
    return DayReport(
        site=asked.site,
        day=asked.day,
        span=asked.span,
        limited_by=limiting[-1] if limiting else None,
        profiles=profiles,
        length=_length(asked, _of_zone(today, WHOLE_SITE)),
        step=step,
        parts=tuple(_rolled(asked, asked.span, step, _of_zone(today, WHOLE_SITE), strict=strict)),
        whole=whole,
        zones=() if strict or not asked.zone_detail else tuple(_places(asked, today)),
        comparisons=tuple(_compared(asked, w, whole.total, found, strict=strict) for w in WHICH if not asked.until),
        alerts=() if strict else rule_days((a for a in alerts if a.site == asked.site), asked.span),
        held=HeldBack() if strict else held_back(decisions, {a.alert for a in alerts}, asked.span, asked.receiver),
        so_far=asked.until is not None,
    )


def _until(asked: Question, now: int, today: Iterable[WindowV1]) -> int:
    """Return the end of the last window that is published, or should be: an outage that goes on is no early evening.

    A recorded film's windows may end after now.
    """
    start = day_of(asked.day, asked.zone).start
    over = min(asked.settled, now)
    return max(start, over - (over - start) % asked.length, *(window.end for window in today))


def day_of(day: date, zone: tzinfo) -> TimeRange:
    """Return a day of the calendar; empty where the zone skipped it."""
    return TimeRange(day_start(day, zone), day_start(day + timedelta(days=1), zone))


def _step(today: Sequence[WindowV1], *, strict: bool) -> Step:
    if not strict or any(window.end - window.start < STRICT_S * SECOND for window in today):
        return "hour"
    return "window"


def _length(asked: Question, windows: Iterable[WindowV1]) -> int | None:
    lengths = {window.end - window.start for window in windows} or {asked.length}
    return lengths.pop() if len(lengths) == 1 else None


def _of_zone(windows: Iterable[WindowV1], zone: ZoneId) -> list[WindowV1]:
    return [window for window in windows if window.zone == zone]


def _places(asked: Question, today: Sequence[WindowV1]) -> Iterable[ZoneDay]:
    """Yield the zones, those of the settings first and in their order."""
    seen = sorted({window.zone for window in today} - {WHOLE_SITE})
    for zone in dict.fromkeys([*asked.zones, *seen]):
        yield _place(asked, zone, today, strict=False)


def _place(asked: Question, zone: ZoneId, today: Sequence[WindowV1], *, strict: bool) -> ZoneDay:
    mine = _of_zone(today, zone)
    reasons = Counter(window.suppressed for window in mine if window.suppressed is not None)
    gaps = Counter(gap for window in mine for gap in ([] if strict else window.gaps))
    return ZoneDay(
        zone, _total(asked, asked.span, mine, zone, strict=strict), tuple(reasons.most_common()),
        tuple(gaps.most_common()),
    )  # fmt: skip


def _total(asked: Question, span: TimeRange, windows: Iterable[WindowV1], zone: ZoneId, *, strict: bool) -> PeriodV1:
    """Return a day as one period; of a day without an expected window, an empty one."""
    found = _rolled(asked, span, "total", windows, zone, strict=strict)
    none = PeriodV1(
        site=asked.site, zone=zone, start=span.start, end=span.end,
        windows_expected=0, windows_published=0, windows_suppressed=0,
    )  # fmt: skip
    return next(iter(found), none)


def _rolled(
    asked: Question,
    span: TimeRange,
    step: Step,
    windows: Iterable[WindowV1],
    zone: ZoneId = WHOLE_SITE,
    *,
    strict: bool,
) -> list[PeriodV1]:
    if span.start >= span.end:
        return []
    fold = RollUp(span, step, asked.zone, asked.length, asked.settled)
    for window in windows:
        fold.add(window)
    periods = fold.periods(asked.site, zone)
    return [_bare(period) for period in periods] if strict else periods


def _bare(period: PeriodV1) -> PeriodV1:
    """Return the period with nothing but the number of people and the percentage, whatever its windows had."""
    names = _KEPT | _COUNTS
    return PeriodV1(**{name: value for name, value in structs.asdict(period).items() if name in names})


def _compared(
    asked: Question, which: Which, total: PeriodV1, windows: Iterable[WindowV1], *, strict: bool
) -> EarlierDay:
    day = asked.day - _BEFORE[which]
    earlier = _total(asked, day_of(day, asked.zone), _of_zone(windows, WHOLE_SITE), WHOLE_SITE, strict=strict)
    if total.rate is None or earlier.rate is None:
        return EarlierDay(which, day, earlier, None, None)
    one, other = _judged(total), _judged(earlier)
    return EarlierDay(which, day, earlier, total.rate - earlier.rate, newcombe(one, other) if one and other else None)


def _judged(period: PeriodV1) -> tuple[int, int] | None:
    """Return how many wore a mask and how many were judged; None where the profile withholds it."""
    if period.masked is None or period.unmasked is None or period.incorrect is None:
        return None
    return period.masked, period.masked + period.unmasked + period.incorrect
