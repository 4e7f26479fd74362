"""The contents of a notification's mail in the reader's language: one alert in full, several as a table."""

from collections.abc import Sequence
from dataclasses import replace

from proto.public import OperationalAlertV1, WindowV1
from proto.types import WHOLE_SITE, Severity
from services.notify.notification import Notice, Notification
from services.notify.texts import facts, headlines
from services.notify.texts.figures import AlertFigure, field_alert, figure_of, newest
from services.notify.texts.mail_contents import AlertRow, AlertTable, Cell, MailImage, MailView, tone_of
from services.notify.texts.names import place, rule_name, sent_to, site_name, subject_of
from services.notify.texts.words import Words, instant
from services.sites.settings import SiteSettings, local_zone

LONGEST = 40
"""Maximum rows of a table; the rest is counted."""


def describe(
    notification: Notification,
    site: SiteSettings,
    words: Words,
    *,
    windows: Sequence[WindowV1] = (),
    link: str = "",
    contact: str = "",
    image: MailImage | None = None,
) -> MailView:
    """Return the contents of a notification's mail; UnpresentableError if its times are beyond the calendar.

    `windows` are published windows of its zones. An alert that goes on takes its newest figure from them. `contact` is
    whom its recipients ask.
    """
    severities: set[Severity] = {notice.severity for notice in notification.firing}
    tone = tone_of(severities) if notification.reason != "test" else "info"
    latest = newest(windows, notification)
    view = MailView(
        language=words.language,
        tone=tone,
        subject=headlines.subject(notification, site, words, latest),
        badge=headlines.badge(notification, None if tone == "resolved" else tone, words),
        headline=headlines.headline(notification, site, words),
        place=site_name(site),
        banner=_banner(notification, site, words),
        lead="",
        colon=words.gettext(": "),
        image=image,
        notes=_notes(notification, words, contact),
        link=link,
        link_text=words.gettext("Open Moretta") if link else "",
    )
    return _filled(view, notification, site, words, latest)


def _filled(
    view: MailView, notification: Notification, site: SiteSettings, words: Words, windows: Sequence[WindowV1]
) -> MailView:
    if not notification.notices:
        return replace(view, lead=words.gettext("This receiver is set up, and the mail server took the mail."))
    field = notification.group.audience == "field"
    if len(notification.notices) > 1:
        return replace(
            view,
            lead=headlines.summary(notification, words),
            table=_rates(notification, site, words, windows) if field else _faults(notification, site, words),
            first=facts.to_do(notification.firing, site, words) if field else (),
            facts=facts.of_rates(notification, site, words, windows) if field else (),
        )
    notice = notification.notices[0]
    if not field:
        return replace(view, lead=facts.why(notice, words), facts=facts.of_fault(notice, site, words))
    figure = figure_of(notice, notification, windows)
    return replace(
        view,
        place=place(site, notice.zone),
        figure=facts.rate(notice, figure, words),
        lead=facts.lead(figure, words),
        bar=facts.bar_of(notice, figure, words),
        first=facts.first_of_rate(notice, site, words),
        facts=facts.of_rate(notice, figure, site, words),
    )


def _banner(notification: Notification, site: SiteSettings, words: Words) -> str:
    if notification.reason == "test" and notification.notices:
        return words.gettext("This is a test: its figures are made up, and nothing needs to be done.")
    if not headlines.is_lab(notification, site):
        return ""
    return words.gettext("This is a test, sent by an installation on trial.")


def _notes(notification: Notification, words: Words, contact: str) -> tuple[str, ...]:
    counted = words.gettext("A person who passes twice is counted twice. Nobody is recognised and no picture is kept.")
    sent = sent_to(notification.group.receiver, words, contact)
    name = words.gettext("Notification {id}", id=notification.id)
    field = notification.group.audience == "field" and notification.notices
    if field and len(notification.notices) == 1:
        name = words.gettext(
            "Alert {alert}, notification {id}", alert=notification.notices[0].alert, id=notification.id
        )
    return (counted, *sent, name) if field else (*sent, name)


def _rates(notification: Notification, site: SiteSettings, words: Words, windows: Sequence[WindowV1]) -> AlertTable:
    """Return a table of places with start times, rates with intervals, and numbers of people."""
    shown = [(notice, figure_of(notice, notification, windows)) for notice in notification.notices[:LONGEST]]
    latest = max(figure.end for _, figure in shown)
    columns = (words.gettext("Where"), words.gettext("Mask rate"), words.gettext("People"))
    rows = tuple(_rate_row(notice, figure, latest, notification, site, words) for notice, figure in shown)
    return AlertTable(columns, rows, more=_more(notification, words))


def _faults(notification: Notification, site: SiteSettings, words: Words) -> AlertTable:
    """Return a table of what is missing, since when, and why."""
    columns = (words.gettext("What"), words.gettext("Why"))
    rows = tuple(
        _row(n, notification, words, Cell(_about(n, site, words), facts.since(n, site, words)), _fault_cell(n, words))
        for n in notification.notices[:LONGEST]
    )
    return AlertTable(columns, rows, numeric=False, more=_more(notification, words))


def _rate_row(
    notice: Notice, figure: AlertFigure, latest: int, notification: Notification, site: SiteSettings, words: Words
) -> AlertRow:
    alert = field_alert(notice)
    rule = rule_name(site, alert.zone, alert.rule, words)
    bound = words.gettext("“{rule}” warns below {bound}", rule=rule, bound=words.exact(alert.fire_below))
    where = Cell(_about(notice, site, words), f"{facts.since(notice, site, words)}, {bound}")
    low, high = words.percent(figure.low), words.percent(figure.high)
    at = words.time(instant(figure.end, local_zone(site)))
    people = Cell(words.number(figure.persons), words.gettext("at {time}", time=at) if figure.end < latest else "")
    shown = Cell(facts.rate(notice, figure, words), words.gettext("{low} to {high}", low=low, high=high))
    return _row(notice, notification, words, where, shown, people)


def _about(notice: Notice, site: SiteSettings, words: Words) -> str:
    """Return a cell's text. Moretta's own words begin with a capital letter; a name stays as people write it."""
    about = subject_of(notice, site, words)
    return about[:1].upper() + about[1:] if notice.audience == "operators" or notice.zone == WHOLE_SITE else about


def _fault_cell(notice: Notice, words: Words) -> Cell:
    message = notice.message
    coverage = message.coverage if isinstance(message, OperationalAlertV1) else None
    if coverage is None:
        return Cell(facts.why(notice, words))
    return Cell(facts.why(notice, words), words.gettext("observed: {share}", share=words.observed(coverage)))


def _row(notice: Notice, notification: Notification, words: Words, *cells: Cell) -> AlertRow:
    if not notice.firing:
        return AlertRow(words.gettext("Over"), "resolved", cells)
    new = notice.alert in notification.new or notification.reason == "first"
    return AlertRow(words.gettext("New") if new else words.gettext("Goes on"), notice.severity, cells)


def _more(notification: Notification, words: Words) -> str:
    left = len(notification.notices) - LONGEST
    return words.ngettext("And {count} more.", "And {count} more.", left) if left > 0 else ""
