"""The figure that a mail shows for an alert: the one that decided it, or a newer one while the alert goes on."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo

from proto.public import AlertV1, WindowV1
from proto.stats import PeriodV1
from services.notify.notification import Notice, Notification
from services.notify.texts.words import LocalSpan, instant


@dataclass(frozen=True)
class AlertFigure:
    """A rate and its basis."""

    rate: float
    low: float
    high: float
    persons: int
    coverage: float | None
    start: int
    end: int
    covers_errors: bool = False
    """Whether the range holds the model's errors as well as chance."""


def covers_errors(published: AlertV1 | WindowV1 | PeriodV1) -> bool:
    """Return whether a published interval holds the model's errors as well as chance (ADR 41)."""
    return published.sampling_interval is not None and published.interval != published.sampling_interval


def field_alert(notice: Notice) -> AlertV1:
    """Return the message of an alert for field staff."""
    assert isinstance(notice.message, AlertV1)
    return notice.message


def figure_of(notice: Notice, notification: Notification, windows: Iterable[WindowV1]) -> AlertFigure:
    """Return the newest published figure of an alert that goes on; for an alert that begins or ends, its own figure."""
    alert = field_alert(notice)
    low, high = sorted(alert.interval)
    own = AlertFigure(
        alert.rate, low, high, alert.persons, alert.coverage, alert.start, alert.end, covers_errors(alert)
    )
    if not notice.firing or notice.alert in notification.new or notification.reason == "first":
        return own
    newer = [_of(window) for window in published(windows, notification) if window.zone == notice.zone]
    return max((own, *(figure for figure in newer if figure is not None)), key=lambda figure: figure.end)


def published(windows: Iterable[WindowV1], notification: Notification) -> list[WindowV1]:
    """Return the windows that had ended when the notification was decided, oldest first. A retry gets the same ones."""
    site, at = notification.group.site, notification.at
    return sorted((w for w in windows if w.site == site and w.end <= at), key=lambda window: window.end)


def newest(windows: Iterable[WindowV1], notification: Notification) -> list[WindowV1]:
    """Return each zone's last window with a figure that had ended by then. `figure_of` needs no others."""
    return list({w.zone: w for w in published(windows, notification) if _of(w) is not None}.values())


def span_of(figure: AlertFigure, zone: tzinfo, name: str) -> LocalSpan:
    """Return the window of a figure in local time."""
    return LocalSpan(instant(figure.start, zone), instant(figure.end, zone), name)


def _of(window: WindowV1) -> AlertFigure | None:
    if window.rate is None or window.interval is None or window.persons is None:
        return None
    low, high = sorted(window.interval)
    return AlertFigure(
        window.rate, low, high, window.persons, window.coverage, window.start, window.end, covers_errors(window)
    )
