"""Several alerts in one mail: a row each."""

from collections.abc import Sequence

from proto.public import OperationalAlertV1, WindowV1
from proto.types import WHOLE_SITE
from services.notify.core.facts import rate, since, why
from services.notify.core.figures import Figure, field_alert, figure_of
from services.notify.core.local_time import instant
from services.notify.core.names import subject_of
from services.notify.core.notification import Notice, Notification
from services.notify.core.view import Cell, Row, Table
from services.notify.core.words import Words
from services.sites.settings import SiteSettings, local_zone

LONGEST = 40
"""Rows of the longest table; the rest is counted."""


def of_rates(notification: Notification, site: SiteSettings, words: Words, windows: Sequence[WindowV1]) -> Table:
    """Return where, since when, the rate with its interval, and on how many people it rests."""
    shown = [(notice, figure_of(notice, notification, windows)) for notice in notification.notices[:LONGEST]]
    newest = max(figure.end for _, figure in shown)
    columns = (words.gettext("Where"), words.gettext("Mask rate"), words.gettext("People"))
    rows = tuple(_rate_row(notice, figure, newest, notification, site, words) for notice, figure in shown)
    return Table(columns, rows, more=_more(notification, words))


def of_faults(notification: Notification, site: SiteSettings, words: Words) -> Table:
    """Return what is missing, since when, and why."""
    columns = (words.gettext("What"), words.gettext("Why"))
    rows = tuple(
        _row(n, notification, words, Cell(_about(n, site, words), since(n, site, words)), _fault_cell(n, words))
        for n in notification.notices[:LONGEST]
    )
    return Table(columns, rows, numeric=False, more=_more(notification, words))


def _rate_row(
    notice: Notice, figure: Figure, newest: int, notification: Notification, site: SiteSettings, words: Words
) -> Row:
    alert = field_alert(notice)
    bound = words.gettext("warns below {bound}", bound=words.exact(alert.fire_below))
    where = Cell(_about(notice, site, words), f"{since(notice, site, words)}, {bound}")
    low, high = words.percent(figure.low), words.percent(figure.high)
    at = words.time(instant(figure.end, local_zone(site)))
    people = Cell(words.number(figure.persons), words.gettext("at {time}", time=at) if figure.end < newest else "")
    shown = Cell(rate(notice, figure, words), words.gettext("{low} to {high}", low=low, high=high))
    return _row(notice, notification, words, where, shown, people)


def _about(notice: Notice, site: SiteSettings, words: Words) -> str:
    """Our own words begin a cell with a capital letter; a name stays as people write it."""
    about = subject_of(notice, site, words)
    return about[:1].upper() + about[1:] if notice.audience == "operators" or notice.zone == WHOLE_SITE else about


def _fault_cell(notice: Notice, words: Words) -> Cell:
    message = notice.message
    coverage = message.coverage if isinstance(message, OperationalAlertV1) else None
    if coverage is None:
        return Cell(why(notice, words))
    return Cell(why(notice, words), words.gettext("observed: {share}", share=words.percent(coverage)))


def _row(notice: Notice, notification: Notification, words: Words, *cells: Cell) -> Row:
    if not notice.firing:
        return Row(words.gettext("Over"), "resolved", cells)
    new = notice.alert in notification.new or notification.reason == "first"
    return Row(words.gettext("New") if new else words.gettext("Goes on"), notice.severity, cells)


def _more(notification: Notification, words: Words) -> str:
    left = len(notification.notices) - LONGEST
    return words.ngettext("And {count} more.", "And {count} more.", left) if left > 0 else ""
