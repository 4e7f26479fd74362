"""The facts below a mail's headline: everything about one alert, or what holds for all of several."""

from collections.abc import Sequence

from proto.public import OperationalAlertV1, WindowV1
from services.notify.notification import Notice, Notification
from services.notify.texts.figures import AlertFigure, field_alert, figure_of, span_of
from services.notify.texts.mail_contents import Bar, bar, mark
from services.notify.texts.names import action_of, is_about_delivery, listed, rule_name
from services.notify.texts.words import LocalSpan, Words, instant
from services.sites.settings import SiteSettings, local_zone
from services.statistics.gap_reasons import gap_mail

OFTEN = 95
"""How often an interval holds the rate, as it is made (ADR 41)."""
Facts = tuple[tuple[str, str], ...]
_ACTIONS = 5
"""More than these nobody reads in one mail; the alerts themselves are all in its table."""


def rate(notice: Notice, figure: AlertFigure, words: Words) -> str:
    """Return the rate with enough decimals to tell it from the threshold that applies now."""
    return words.beside(figure.rate, _bound(notice))


def lead(figure: AlertFigure, words: Words) -> str:
    """Return the rest of the sentence that starts with the large rate."""
    people = words.ngettext("{count} person", "{count} people", figure.persons)
    return words.gettext("of the people counted wore a mask correctly. Based on {people}.", people=people)


def bar_of(notice: Notice, figure: AlertFigure, words: Words) -> Bar:
    """Return the rate drawn as a bar with its threshold."""
    bound, shown = words.exact(_bound(notice)), rate(notice, figure, words)
    if notice.firing:
        text = words.gettext("warns below {bound}", bound=bound)
        sentence = words.gettext("Mask rate {rate}; the rule warns below {bound}", rate=shown, bound=bound)
    else:
        text = words.gettext("ends above {bound}", bound=bound)
        sentence = words.gettext("Mask rate {rate}; the alert ends above {bound}", rate=shown, bound=bound)
    return bar((figure.low, figure.high), mark(figure.rate, shown), mark(_bound(notice), text), sentence)


def first_of_rate(notice: Notice, site: SiteSettings, words: Words) -> Facts:
    """Return what comes first: what to do, and since when the alert is on, or how long it was."""
    return (*to_do([notice], site, words), (words.gettext("Alert"), _change(notice, site, words)))


def of_rate(notice: Notice, figure: AlertFigure, site: SiteSettings, words: Words) -> Facts:
    """Return when people were counted, how sure the rate is, how much was observed, and the rule."""
    span = span_of(figure, local_zone(site), site.timezone)
    observed = figure.coverage
    return (
        (words.gettext("Counted"), words.span(span)),
        (words.gettext("How sure"), margin_of_error(figure.low, figure.high, words, errors=figure.covers_errors)),
        (
            words.gettext("Observed"),
            words.gettext("{share} of the time was observed.", share=_share(observed, words)),
        ),
        (words.gettext("Rule"), _rule(notice, site, words)),
    )


def of_rates(notification: Notification, site: SiteSettings, words: Words, windows: Sequence[WindowV1]) -> Facts:
    """Return what holds for all figures of a table: when, and how sure."""
    figures = [figure_of(notice, notification, windows) for notice in notification.notices]
    newest = max(figures, key=lambda figure: figure.end)
    margin = words.gettext("The range below each rate is its margin of error.")
    sure = f"{margin} {allowance(words, errors=all(figure.covers_errors for figure in figures))}"
    span = words.span(span_of(newest, local_zone(site), site.timezone))
    return ((words.gettext("Newest figures"), span), (words.gettext("How sure"), sure))


def to_do(notices: Sequence[Notice], site: SiteSettings, words: Words) -> Facts:
    """Return the first actions of these alerts, each once; with more than one alert, for which places."""
    actions: dict[str, list[Notice]] = {}
    for notice in notices:
        text = action_of(notice, site, words)
        if text and (text in actions or len(actions) < _ACTIONS):
            actions.setdefault(text, []).append(notice)
    label, many = words.gettext("What to do"), len(notices) > 1
    return tuple(
        (label, f"{listed(about, site, words)}{words.gettext(': ')}{text}" if many else text)
        for text, about in actions.items()
    )


def of_fault(notice: Notice, site: SiteSettings, words: Words) -> Facts:
    """Return since when figures are missing, and how much was observed."""
    fault = _fault(notice)
    zone = local_zone(site)
    span = LocalSpan(instant(notice.since, zone), instant(notice.at, zone), site.timezone)
    found = [(words.gettext("When"), words.span(span))]
    if fault.coverage is not None:
        share = words.observed(fault.coverage)
        found.append((words.gettext("Observed"), words.gettext("{share} of the last window.", share=share)))
    return tuple(found)


def why(notice: Notice, words: Words) -> str:
    """Return the reason why most was not observed or not delivered, and the remedy."""
    if is_about_delivery(notice):
        return _of_delivery(notice, words)
    if not notice.firing:
        return words.gettext("Figures are complete again, or the camera or the zone was removed from the settings.")
    reason = _fault(notice).reason
    if reason is None:
        return words.gettext("It was observed, but too few people came for a rule to judge.")
    return gap_mail(reason, words.language)


def _of_delivery(notice: Notice, words: Words) -> str:
    if notice.rule == "channel-down":
        if not notice.firing:
            return words.gettext("The channel sends messages again, or is no longer in use.")
        return words.gettext(
            "The other side refuses the login, the certificate or the sender: nothing goes out by it until that is"
            " mended. The log of notify says what would be right."
        )
    if not notice.firing:
        return words.gettext("A message reached this recipient again, or the recipient was removed from the settings.")
    return words.gettext(
        "A message could not be delivered; Moretta has stopped retrying. “moretta notify status” shows why,"
        " “moretta notify replay” sends it again."
    )


def since(notice: Notice, site: SiteSettings, words: Words) -> str:
    """Return since when an alert fires, or from when to when it fired."""
    zone = local_zone(site)
    began, ended = instant(notice.since, zone), instant(notice.at, zone)
    if notice.firing:
        return words.gettext("since {time}", time=words.moment(began, ended))
    return words.gettext("from {start} to {end}", start=words.moment(began, ended), end=words.time(ended))


def _change(notice: Notice, site: SiteSettings, words: Words) -> str:
    zone, alert = local_zone(site), field_alert(notice)
    began = words.moment(instant(notice.since, zone), instant(notice.at, zone))
    if notice.firing:  # of the rate since then only the shown window is known, if that
        return words.gettext("This alert has been on since {time}.", time=began)
    ended = words.time(instant(notice.at, zone))
    if alert.rate <= alert.clear_above:
        return words.gettext(
            "It lasted from {start} to {end}. It is over because the rule was changed or removed.",
            start=began, end=ended,
        )  # fmt: skip
    return words.gettext("It lasted from {start} to {end}, and is over.", start=began, end=ended)


def margin_of_error(low: float, high: float, words: Words, *, errors: bool) -> str:
    """Return the interval of a rate, and what it allows for: the model's errors too, if `errors` (ADR 41)."""
    margin = words.gettext("Margin of error: {low} to {high}.", low=words.percent(low), high=words.percent(high))
    return f"{margin} {allowance(words, errors=errors)}"


def allowance(words: Words, *, errors: bool) -> str:
    """Return what a margin of error allows for, and what it leaves out."""
    if errors:
        return words.gettext(
            "In {often} of 100 places the true rate is within it: it allows for chance and for the errors that the"
            " image analysis made elsewhere; here it may make more.",
            often=words.number(OFTEN),
        )
    return words.gettext(
        "It allows for chance alone ({often} of 100 times), not for errors of the image analysis.",
        often=words.number(OFTEN),
    )


def _rule(notice: Notice, site: SiteSettings, words: Words) -> str:
    alert = field_alert(notice)
    return words.gettext(
        "“{rule}” warns when the rate is clearly below {low} (margin of error included) and ends above {high}.",
        rule=rule_name(site, alert.zone, alert.rule, words),
        low=words.exact(alert.fire_below), high=words.exact(alert.clear_above),
    )  # fmt: skip


def _share(coverage: float | None, words: Words) -> str:
    return words.gettext("an unknown share") if coverage is None else words.observed(coverage)


def _bound(notice: Notice) -> float:
    alert = field_alert(notice)
    return alert.fire_below if notice.firing else alert.clear_above


def _fault(notice: Notice) -> OperationalAlertV1:
    assert isinstance(notice.message, OperationalAlertV1)
    return notice.message
