"""Which figure a mail shows of an alert: the one that it was decided by, or a newer one while it goes on."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo

from proto.public import AlertV1, WindowV1
from services.notify.core.local_time import LocalSpan, instant
from services.notify.core.notification import Notice, Notification


@dataclass(frozen=True)
class Figure:
    """A rate and what it rests on."""

    rate: float
    low: float
    high: float
    persons: int
    coverage: float | None
    start: int
    end: int


def field_alert(notice: Notice) -> AlertV1:
    """Return the message of an alert for field staff."""
    assert isinstance(notice.message, AlertV1)
    return notice.message


def figure_of(notice: Notice, notification: Notification, windows: Iterable[WindowV1]) -> Figure:
    """Return the newest published figure of an alert that goes on; of one that begins or ends, its own."""
    alert = field_alert(notice)
    low, high = sorted(alert.interval)
    own = Figure(alert.rate, low, high, alert.persons, alert.coverage, alert.start, alert.end)
    if not notice.firing or notice.alert in notification.new or notification.reason == "first":
        return own
    newer = [_of(window) for window in published(windows, notification) if window.zone == notice.zone]
    return max((own, *(figure for figure in newer if figure is not None)), key=lambda figure: figure.end)


def published(windows: Iterable[WindowV1], notification: Notification) -> list[WindowV1]:
    """Return the windows that had ended when the notification was decided, the oldest first: the same for a retry."""
    site, at = notification.group.site, notification.at
    return sorted((w for w in windows if w.site == site and w.end <= at), key=lambda window: window.end)


def newest(windows: Iterable[WindowV1], notification: Notification) -> list[WindowV1]:
    """Return the last window of each zone that had ended by then and has a figure: all that `figure_of` needs."""
    return list({w.zone: w for w in published(windows, notification) if _of(w) is not None}.values())


def span_of(figure: Figure, zone: tzinfo, name: str) -> LocalSpan:
    """Return the window of a figure in local time."""
    return LocalSpan(instant(figure.start, zone), instant(figure.end, zone), name)


def _of(window: WindowV1) -> Figure | None:
    if window.rate is None or window.interval is None or window.persons is None:
        return None
    low, high = sorted(window.interval)
    return Figure(window.rate, low, high, window.persons, window.coverage, window.start, window.end)
