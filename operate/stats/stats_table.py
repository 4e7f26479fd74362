"""Output of `moretta stats`: a table for people, or CSV. Pure: an answer in, text out."""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import structs
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from operate.live_state import SUPPRESSED, count_text, share_text
from proto.stats import PeriodV1, StatsReplyV1
from proto.types import WHOLE_SITE
from services.sites.profiles import PROFILES
from services.statistics.calendar import local
from services.statistics.columns import COLUMNS, Separator
from services.statistics.gap_reasons import gap_short

_BAR = 10
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_DAY = timedelta(days=1)
_NARROW = 0.02
"""Intervals that are narrower are shown to a tenth of a per cent, as they are published."""
_WHEN = 22
"""The most characters of a time that is not wrapped: `02:00 to 03:00 (+0200)`."""


def as_csv(reply: StatsReplyV1, sep: Separator = ",") -> str:
    """Return the periods as CSV (RFC 4180): ISO 8601 times with the site's offset, shares 0 to 1, lists with spaces.

    With `;` between cells, numbers have a decimal comma: so spreadsheets read them where the comma is the decimal sign.
    """
    out = io.StringIO()
    writer = csv.writer(out, delimiter=sep)
    writer.writerow(COLUMNS)
    zone = ZoneInfo(reply.timezone)
    for period in reply.periods:
        cells = {name: getattr(period, name, None) for name in COLUMNS}
        cells |= {name: local(getattr(period, name), zone).isoformat() for name in ("start", "end")}
        cells |= {name: " ".join(getattr(period, name)) for name in ("gaps", "models", "profiles")}
        for name in ("interval", "sampling_interval"):
            cells[f"{name}_low"], cells[f"{name}_high"] = getattr(period, name) or (None, None)
        cells["adjusted"] = str(period.adjusted).lower()
        writer.writerow(_decimal_comma(cell) if sep == ";" else cell for cell in cells.values())
    return out.getvalue()


def _decimal_comma(cell: object) -> object:
    return str(cell).replace(".", ",") if isinstance(cell, float) else cell


def table(reply: StatsReplyV1, now: int) -> RenderableType:
    """Return the periods as a table with a bar for each rate, and notes about them below it; `now` is ns UTC.

    On a narrow terminal words are wrapped, and no figure is cut. Hours of several days stand below a line with the day.
    """
    place = f"{reply.site}, the whole site" if reply.zone == WHOLE_SITE else f"{reply.site}, zone {reply.zone}"
    clock = Clock(reply)
    title = f"Masks at {place}{clock.day} (times of {reply.timezone})"
    shown = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False, collapse_padding=True)
    periods = list(_joined(reply.periods))
    wrapped = {"rate", "to know"} | ({"when"} if any(len(clock.when(period)) > _WHEN for period in periods) else set())
    for heading in ("when", "", "rate", "95 %\ninterval", "people", "coverage", "to know"):
        justify: Literal["right", "left"] = "right" if heading in {"rate", "people", "coverage"} else "left"
        shown.add_column(heading, justify=justify, no_wrap=heading not in wrapped, min_width=4)
    for day, some in groupby(periods, clock.heading):
        if day:
            shown.add_row(Text(day, style="bold"))
        for period in some:
            goes_on = reply.step != "window" and period.end > now
            shown.add_row(clock.when(period), bar(period.rate), *_figures(period), notes(period, goes_on=goes_on))
    return Group(shown, *(Text(note, style="dim") for note in _below(reply)))


def _joined(periods: Iterable[PeriodV1]) -> Iterator[PeriodV1]:
    """Yield the periods; consecutive periods without a published window are joined into one."""
    for is_gap, some in groupby(periods, lambda period: not period.windows_published):
        found = list(some)
        if is_gap:
            expected = sum(period.windows_expected for period in found)
            yield structs.replace(found[0], end=found[-1].end, windows_expected=expected)
        else:
            yield from found


def _figures(period: PeriodV1) -> tuple[RenderableType, ...]:
    if period.persons is None:
        return "–", "–", "–", share_text(period.coverage)
    nobody = "nobody judged" if period.persons else "nobody"
    low, high = period.interval or (0.0, 1.0)
    digits = 1 if high - low < _NARROW else 0
    rate = nobody if period.rate is None else f"{period.rate:.{digits}%}"
    interval = f"{low:.{digits}%} to {high:.{digits}%}" if period.interval else "–"
    return rate, interval, count_text(period.persons), share_text(period.coverage)


def bar(share: float | None) -> str:
    """Return a share as a bar of ten characters, to an eighth of one."""
    if share is None:
        return ""
    eighths = round(share * _BAR * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(_BAR, "·")


def notes(period: PeriodV1, *, goes_on: bool) -> Text:
    """Return in words why figures are missing or cover only a part of the period, such as one that is not over."""
    if not period.windows_published:
        return Text(f"GAP: no window published, {period.windows_expected} missing", style="bold red")
    notes = ["so far"] if goes_on else []
    if period.suppressed is not None:
        notes.append(SUPPRESSED[period.suppressed])
    elif period.windows_suppressed:
        notes.append(f"{period.windows_suppressed} of {period.windows_published} windows not shown")
    if missing := period.windows_expected - period.windows_published:
        notes.append(f"{missing} of {period.windows_expected} windows missing")
    notes += [gap_short(gap, "en") for gap in period.gaps]
    notes += [f"profile {profile}: a trial" for profile in period.profiles if PROFILES[profile].is_trial]
    return Text(", ".join(notes), style="yellow" if notes else "")


def _below(reply: StatsReplyV1) -> list[str]:
    """Return the notes below the table."""
    notes = []
    seen = [period for period in reply.periods if period.persons is not None]
    if any(period.masked is None or period.coverage is None for period in seen):
        profiles = ", ".join(sorted({p for period in seen for p in period.profiles}))
        notes.append(f"–: not published under this profile ({profiles}).")
    if any(period.rate is not None and period.masked is None and period.windows_published > 1 for period in seen):
        notes.append("Rates over several windows are means weighted by people: an approximation.")
    if any("camera-down" in period.gaps for period in reply.periods):
        notes.append("a camera was down: no picture came from it. A recorded film that is over counts as down.")
    if any(period.windows_suppressed for period in reply.periods):
        notes.append(f"Windows that are not shown are in no figure here, in no sum and in no rate{_few(reply)}.")
    return notes


def _few(reply: StatsReplyV1) -> str:
    """Return how few people a window must have had not to be shown, where a profile says so."""
    small = {PROFILES[name].small: name for period in reply.periods for name in period.profiles if PROFILES[name].small}
    if not small:
        return ""
    least = max(small)
    few = f"fewer than {least} people passed, or than `suppress_below` says (profile {small[least]})"
    return f": in each{_long(reply.periods)} {few}, or nothing was observed"


def _long(periods: Iterable[PeriodV1]) -> str:
    """Return how long the windows of an answer are, where the expected ones fill a period of it."""
    minutes = {(one.end - one.start) / one.windows_expected / 6e10 for one in periods if one.windows_expected}
    return f" ({min(minutes):g} min)" if len(minutes) == 1 else ""


class Clock:
    """Writes a period's time by the clock of the site; with the offset to UTC if the clock changes in between."""

    def __init__(self, reply: StatsReplyV1) -> None:
        self._zone = ZoneInfo(reply.timezone)
        times = [self._local(at) for period in reply.periods for at in (period.start, period.end)]
        self._changes = len({time.utcoffset() for time in times}) > 1
        days = {self._local(at).date() for period in reply.periods for at in (period.start, period.end - 1)}
        self._is_one_day = len(days) == 1 and len(reply.periods) > 1
        self.day = f", {times[0]:%a %Y-%m-%d}" if self._is_one_day else ""
        """The day of all periods, if the title says it once for all lines."""
        self._has_headings = len(reply.periods) > 1 and not self._is_one_day

    def _local(self, at: int) -> datetime:
        return local(at, self._zone)

    def heading(self, period: PeriodV1) -> str:
        """Return the day that stands above the period; empty if the period or the title names the day."""
        start, end = self._local(period.start), self._local(period.end)
        is_named = not self._has_headings or (_is_midnight(start) and _is_midnight(end))
        return "" if is_named else f"{start:%a %Y-%m-%d}"

    def when(self, period: PeriodV1) -> str:
        """Return `Tue 2026-11-24` for a whole day, else `Tue 2026-11-24 10:00 to 10:20`.

        The day is left out if the title or a heading names it.
        """
        start, end = self._local(period.start), self._local(period.end)
        day = f"{start:%a %Y-%m-%d}"
        if _is_midnight(start) and _is_midnight(end):
            last = end.date() - _DAY
            return day if last == start.date() else f"{day} to {last:%a %Y-%m-%d}"
        offset = f" ({start:%z})" if self._changes else ""
        same = start.date() == end.date() or (_is_midnight(end) and start.date() == end.date() - _DAY)
        until = _time(end) if same else f"{end:%Y-%m-%d} {_time(end)}"
        is_shown = self._is_one_day or self._has_headings
        return f"{'' if is_shown else f'{day} '}{_time(start)} to {until}{offset}"


def _is_midnight(moment: datetime) -> bool:
    return (moment.hour, moment.minute, moment.second) == (0, 0, 0)


def _time(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S" if moment.second else "%H:%M")
