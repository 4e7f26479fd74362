"""The last hours of a notification's zones as a chart's contents: what is drawn where, in the reader's language.

Only published figures are drawn: a window that was withheld has a mark of its own, and one that is missing is a gap.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta, tzinfo

from proto.public import WindowV1
from proto.types import WHOLE_SITE
from services.notify.notification import Notice, Notification
from services.notify.texts.figures import field_alert, figure_of, published
from services.notify.texts.names import site_name, zone_name
from services.notify.texts.words import Words, instant
from services.sites.settings import SiteSettings, local_zone

HOURS = 6
MAX_LINES = 4
"""Readers cannot tell more zones than this apart in one small chart."""
_HOUR_S = 3_600
_SECOND = 1_000_000_000
_STEPS_S = (5, 10, 30, 60, 120, 300, 600, 900, 1_800, _HOUR_S, 2 * _HOUR_S)
_MAX_TICKS = 6
_MAX_WITH_SECONDS = 3
"""Labels with seconds are twice as wide."""
_MAX_THRESHOLDS = 2
"""If there are more, only the table shows them."""


@dataclass(frozen=True)
class Point:
    """A window's rate at its middle, in seconds since the chart's start."""

    at_s: float
    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class ZoneLine:
    """One zone. A run of points is unbroken: no window between them is missing or withheld."""

    name: str
    zone: str
    """Its label if the font lacks letters of its name."""
    runs: tuple[tuple[Point, ...], ...]
    withheld_s: tuple[float, ...]
    """Middles of windows with too few people to publish figures."""


@dataclass(frozen=True)
class Tick:
    """A place on an axis, and what is written there."""

    at: float
    label: str


@dataclass(frozen=True)
class Chart:
    """Everything that is drawn. Times are seconds since its start; rates are shares."""

    length_s: float
    lines: tuple[ZoneLine, ...]
    thresholds: tuple[Tick, ...]
    times: tuple[Tick, ...]
    rates: tuple[Tick, ...]
    withheld: str
    """What the marks of withheld windows mean; empty: there are none."""
    alternative: str
    """What a screen reader says instead."""


def chart_of(notification: Notification, site: SiteSettings, words: Words, windows: Iterable[WindowV1]) -> Chart | None:
    """Return the chart of these windows; None if fewer than two of them have a rate, or there is no rate to show."""
    if notification.group.audience != "field" or not notification.notices:
        return None
    notices = tuple({notice.zone: notice for notice in reversed(notification.notices)}.values())[::-1][:MAX_LINES]
    known = published(windows, notification)
    until = _ends(notification, known)
    since = max(until[notice.zone] for notice in notices) - HOURS * _HOUR_S * _SECOND
    zones = {notice.zone for notice in notices}
    shown = [one for one in known if one.zone in zones and one.start >= since and one.end <= until[one.zone]]
    if sum(window.rate is not None for window in shown) < 2:
        return None
    start, end = min(window.start for window in shown), max(window.end for window in shown)
    lines = tuple(_line(notice, [w for w in shown if w.zone == notice.zone], start, site) for notice in notices)
    return Chart(
        length_s=(end - start) / _SECOND,
        lines=tuple(line for line in lines if line.runs or line.withheld_s),
        thresholds=_thresholds(notification.notices, words),
        times=tuple(_times(start, end, local_zone(site), words)),
        rates=tuple(Tick(share, words.percent(share)) for share in (0.0, 0.25, 0.5, 0.75, 1.0)),
        withheld=words.gettext("too few people") if any(line.withheld_s for line in lines) else "",
        alternative=_alternative(lines, start, end, site, words),
    )


def _ends(notification: Notification, windows: Sequence[WindowV1]) -> dict[str, int]:
    """Return where each zone's line ends: with the newest figure that the mail shows of it, so that both say the same.

    An alert that is over, or new, is shown with the figure that decided it, however late the mail is.
    """
    found: dict[str, int] = {}
    for notice in notification.notices:
        found[notice.zone] = max(found.get(notice.zone, 0), figure_of(notice, notification, windows).end)
    return found


def _line(notice: Notice, windows: Sequence[WindowV1], start: int, site: SiteSettings) -> ZoneLine:
    runs: list[list[Point]] = [[]]
    before: WindowV1 | None = None
    for window in windows:
        point = _point(window, start)
        if point is None or (before is not None and window.start > before.end):
            runs.append([])
        if point is not None:
            runs[-1].append(point)
        before = window
    withheld = tuple(_middle_s(w, start) for w in windows if w.suppressed == "small-count")
    name = site_name(site) if notice.zone == WHOLE_SITE else zone_name(site, notice.zone)
    return ZoneLine(name, notice.zone, tuple(tuple(run) for run in runs if run), withheld)


def _point(window: WindowV1, start: int) -> Point | None:
    if window.rate is None or window.interval is None:
        return None
    low, high = sorted(window.interval)
    return Point(_middle_s(window, start), window.rate, low, high)


def _middle_s(window: WindowV1, start: int) -> float:
    return ((window.start - start) + (window.end - start)) / 2 / _SECOND


def _thresholds(notices: Sequence[Notice], words: Words) -> tuple[Tick, ...]:
    firing = [field_alert(notice) for notice in notices if notice.firing]
    over = [field_alert(notice) for notice in notices if not notice.firing]
    bounds = sorted({alert.fire_below for alert in firing} or {alert.clear_above for alert in over})
    return tuple(Tick(bound, words.exact(bound)) for bound in bounds) if len(bounds) <= _MAX_THRESHOLDS else ()


def _times(start: int, end: int, zone: tzinfo, words: Words) -> Iterable[Tick]:
    """Yield round local times between both ends."""
    first_s, last_s = start // _SECOND, end // _SECOND
    length = last_s - first_s
    step = next((step for step in _STEPS_S if length / step <= _most_ticks(step)), _STEPS_S[-1])
    ahead = round((instant(start, zone).utcoffset() or timedelta()).total_seconds())
    for at_s in range(-(-(first_s + ahead) // step) * step - ahead, last_s + 1, step):
        yield Tick(at_s - start / _SECOND, words.time(instant(at_s * _SECOND, zone)))


def _most_ticks(step: int) -> int:
    return _MAX_WITH_SECONDS if step % 60 else _MAX_TICKS


def _alternative(lines: Sequence[ZoneLine], start: int, end: int, site: SiteSettings, words: Words) -> str:
    zone = local_zone(site)
    first, last = instant(start, zone), instant(end, zone)
    head = words.gettext("Mask rates from {start} to {end}.", start=words.moment(first, last), end=words.time(last))
    return " ".join([head, *(_line_text(line, words) for line in lines if line.runs)])


def _line_text(line: ZoneLine, words: Words) -> str:
    rates = [point.rate for run in line.runs for point in run]
    return words.gettext(
        "{zone}: {last} at the end; lowest {least}, highest {most}.",
        zone=line.name, last=words.percent(rates[-1]), least=words.percent(min(rates)), most=words.percent(max(rates)),
    )  # fmt: skip
