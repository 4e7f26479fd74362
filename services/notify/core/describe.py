"""A notification as a mail says it, in the reader's language: one alert in full, several as a table."""

from collections.abc import Sequence
from dataclasses import replace

from proto.public import WindowV1
from proto.types import Severity
from services.notify.core import facts, headlines, tables
from services.notify.core.figures import figure_of, newest
from services.notify.core.names import place, site_name
from services.notify.core.notification import Notification
from services.notify.core.view import Image, MailView, tone_of
from services.notify.core.words import Words
from services.sites.settings import SiteSettings


def describe(
    notification: Notification,
    site: SiteSettings,
    words: Words,
    *,
    windows: Sequence[WindowV1] = (),
    link: str = "",
    image: Image | None = None,
) -> MailView:
    """Return what a mail of this notification says; UnpresentableError if its times are beyond the calendar.

    `windows` are published ones of its zones, from which an alert that goes on gets its newest figure.
    """
    severities: set[Severity] = {notice.severity for notice in notification.firing}
    tone = tone_of(severities) if notification.reason != "test" else "info"
    view = MailView(
        language=words.language,
        tone=tone,
        subject=headlines.subject(notification, site, words),
        badge=headlines.badge(notification, None if tone == "resolved" else tone, words),
        headline=headlines.headline(notification, site, words),
        place=site_name(site),
        banner=_banner(notification, site, words),
        lead="",
        colon=words.gettext(": "),
        image=image,
        notes=_notes(notification, words),
        link=link,
        link_text=words.gettext("Open Moretta") if link else "",
    )
    return _filled(view, notification, site, words, newest(windows, notification))


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
            table=tables.of_rates(notification, site, words, windows)
            if field
            else tables.of_faults(notification, site, words),
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
        facts=facts.of_rate(notice, figure, site, words),
    )


def _banner(notification: Notification, site: SiteSettings, words: Words) -> str:
    if notification.reason == "test" and notification.notices:
        return words.gettext("This is a test: its figures are made up, and nothing needs to be done.")
    if not headlines.is_lab(notification, site):
        return ""
    return words.gettext(
        "This is a test. It comes from an installation in the profile “lab”: nothing needs to be done."
    )


def _notes(notification: Notification, words: Words) -> tuple[str, ...]:
    counted = words.gettext("Whoever passes twice is counted twice. Nobody is recognised and no picture is kept.")
    sent = words.gettext(
        "Sent automatically to the receiver “{receiver}”; nobody reads replies.", receiver=notification.group.receiver
    )
    name = words.gettext("Notification {id}", id=notification.id)
    field = notification.group.audience == "field" and notification.notices
    if field and len(notification.notices) == 1:
        name = words.gettext(
            "Alert {alert}, notification {id}", alert=notification.notices[0].alert, id=notification.id
        )
    return (counted, sent, name) if field else (sent, name)
