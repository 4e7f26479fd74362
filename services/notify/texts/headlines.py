"""The lines that a reader sees first: the subject, the badge, the headline, and what is new in one sentence."""

from collections.abc import Sequence

from proto.public import AlertV1, WindowV1
from proto.types import WHOLE_SITE, Severity
from services.notify.notification import Notice, Notification
from services.notify.texts.facts import rate
from services.notify.texts.figures import field_alert, figure_of
from services.notify.texts.names import is_about_delivery, listed, site_name, subject_of, zone_name
from services.notify.texts.words import Words
from services.sites.profiles import any_trial
from services.sites.settings import SiteSettings


def subject(notification: Notification, site: SiteSettings, words: Words, windows: Sequence[WindowV1] = ()) -> str:
    """Return a mail's subject: what holds, then where, since a telephone shows forty characters of it.

    Of an alert that goes on, the rate is the newest of `windows`. Mail programs keep an incident's mails together by
    their headers (`email_message.py`); one that goes by subjects alone does not.
    """
    one = notification.notices[0] if len(notification.notices) == 1 else None
    if one is not None and notification.group.audience == "field":
        text = _fact(one, notification, site, words, windows)
    else:
        text = headline(notification, site, words)
    if one is None or one.zone != WHOLE_SITE:  # that of a whole site names it already
        text = f"{text}, {site_name(site)}"
    return marked(text, words, is_test=notification.reason == "test" or is_lab(notification, site))


def marked(text: str, words: Words, *, is_test: bool) -> str:
    """Return a subject, with a mark if nobody is to act on it; its spaces are readable in any mail program."""
    text = f"[{words.gettext('Test')}] {text}" if is_test else text
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


def _fact(
    notice: Notice, notification: Notification, site: SiteSettings, words: Words, windows: Sequence[WindowV1]
) -> str:
    alert, shown = field_alert(notice), figure_of(notice, notification, windows)
    where = site_name(site) if notice.zone == WHOLE_SITE else zone_name(site, notice.zone)
    fields = {"place": where, "rate": rate(notice, shown, words)}
    below, above = words.exact(alert.fire_below), words.exact(alert.clear_above)
    if notice.firing and notification.reason == "repeat" and shown.rate >= alert.fire_below:
        return words.gettext("{place}: {rate} wear masks (alert not over yet)", **fields)
    if notice.firing and notification.reason == "repeat":
        return words.gettext("{place}: still {rate} wear masks (alert below {bound})", **fields, bound=below)
    if notice.firing:
        return words.gettext("{place}: {rate} wear masks (alert below {bound})", **fields, bound=below)
    if alert.rate > alert.clear_above:
        return words.gettext("Over: {place}, {rate} wear masks (back above {bound})", **fields, bound=above)
    return words.gettext("Over: {place}", place=where)


def is_lab(notification: Notification, site: SiteSettings) -> bool:
    """Return whether it is a test, because it comes from an installation in the profile `lab`."""
    profiles = {n.message.profile for n in notification.notices if isinstance(n.message, AlertV1)}
    return any_trial(profiles or {site.profile})


def badge(notification: Notification, severity: Severity | None, words: Words) -> str:
    """Return the word in colour above the headline; `severity` is the worst of what fires."""
    if notification.reason == "test":
        return words.gettext("Test")
    severities: dict[Severity | None, str] = {
        "info": words.gettext("Information"),
        "warning": words.gettext("Warning"),
        "critical": words.gettext("Critical"),
        None: words.gettext("Over"),
    }
    return severities[severity]


def headline(notification: Notification, site: SiteSettings, words: Words) -> str:
    """Return a mail's one-line headline, which depends on the reason for sending it."""
    if notification.reason == "test":
        return words.gettext("Mails from Moretta reach you")
    if len(notification.notices) == 1:
        return _of_one(notification.notices[0], notification, site, words)
    if notification.reason == "digest":
        return words.ngettext("{count} alert in one mail", "{count} alerts in one mail", len(notification.notices))
    return _of_several(notification, site, words)


def _of_one(notice: Notice, notification: Notification, site: SiteSettings, words: Words) -> str:
    about = subject_of(notice, site, words)
    if notice.audience == "operators":
        return _of_faults([notice], about, words)
    alert = field_alert(notice)
    if notice.firing and notification.reason == "repeat":
        return words.gettext("Not over yet: mask rate too low")
    if notice.firing:
        return words.gettext("Mask rate below {bound}", bound=words.exact(alert.fire_below))
    if alert.rate > alert.clear_above:
        return words.gettext("Mask rate back above {bound}", bound=words.exact(alert.clear_above))
    return words.gettext("This alert is over")


def _of_faults(notices: Sequence[Notice], about: str, words: Words) -> str:
    """Return what is missing or back; if one of the alerts is about delivery, what works or does not work."""
    works = any(is_about_delivery(notice) for notice in notices)
    if notices[0].firing:
        missing, not_working = (
            words.gettext("Missing: {places}", places=about),
            words.gettext("Not working: {places}", places=about),
        )
        return not_working if works else missing
    back, works_again = (
        words.gettext("Back: {places}", places=about),
        words.gettext("Works again: {places}", places=about),
    )
    return works_again if works else back


def _of_several(notification: Notification, site: SiteSettings, words: Words) -> str:
    over = listed(notification.resolved, site, words)
    on = listed(notification.firing, site, words)
    some_over = notification.reason == "some-resolved" and notification.resolved
    if notification.group.audience == "operators":
        if not notification.firing and not any(is_about_delivery(notice) for notice in notification.notices):
            return words.gettext("Nothing is missing any more")
        if some_over or not notification.firing:
            return _of_faults(notification.resolved, over, words)
        return _of_faults(notification.firing, on, words)
    if not notification.firing:
        return words.gettext("All alerts are over")
    if some_over:
        return words.gettext("Over: {places}", places=over)
    return _of_firing(notification, site, words)


def _of_firing(notification: Notification, site: SiteSettings, words: Words) -> str:
    new = [notice for notice in notification.firing if notice.alert in notification.new]
    if notification.reason == "new-alerts" and new:
        places = listed(new, site, words)
        return words.ngettext("New alert: {places}", "New alerts: {places}", len(new), places=places)
    places = listed(notification.firing, site, words)
    if notification.reason == "repeat":
        return words.gettext("Not over yet: mask rate too low, {places}", places=places)
    return words.gettext("Mask rate too low: {places}", places=places)


def summary(notification: Notification, words: Words) -> str:
    """Return how many alerts fire, are new, and are over, in one sentence."""
    parts = []
    if notification.firing:
        parts.append(words.ngettext("{count} alert is on", "{count} alerts are on", len(notification.firing)))
    new = [notice for notice in notification.firing if notice.alert in notification.new]
    if new and len(new) < len(notification.firing):
        parts[0] = words.ngettext("{alerts} ({count} new)", "{alerts} ({count} new)", len(new), alerts=parts[0])
    if notification.resolved:
        parts.append(words.ngettext("{count} alert is over", "{count} alerts are over", len(notification.resolved)))
    sentence = f"{words.listed(parts)}."
    if notification.reason == "digest":
        return words.gettext(
            "The hourly message limit was reached. This digest covers everything held back: {summary}",
            summary=sentence,
        )
    return sentence
