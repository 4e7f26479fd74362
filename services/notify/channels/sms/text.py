"""The text of an SMS about a notification: place, mask rate, threshold, number of people, time, and what is new."""

from datetime import datetime

from babel.dates import format_skeleton, get_timezone_location

from proto.public import AlertV1
from proto.types import WHOLE_SITE
from services.notify.channels.sms.shortening import FULL, SmsPart, clipped, fitted
from services.notify.notification import Notice, Notification
from services.notify.texts.names import action_of, site_name, zone_name
from services.notify.texts.words import Words, instant, offset
from services.sites.profiles import any_trial
from services.sites.settings import SiteSettings, local_zone

_MAX_LISTED = 8
"""Alerts listed by name per segment; no more would fit."""


def sms_text(notification: Notification, site: SiteSettings, words: Words, most: int) -> str | None:
    """Return the text, of at most `most` segments; None if no text is that short.

    The same notification gives the same text. UnpresentableError if its times are beyond the calendar.
    """
    if not notification.notices:
        return fitted(lambda _: [SmsPart(words.gettext("This is a test: messages from Moretta reach you."))], most)
    speaker = _Speaker(site, words, notification, most)
    if len(notification.notices) == 1:
        return fitted(lambda length: speaker.one(notification.notices[0], length), most)
    return fitted(speaker.several, most)


def summary_and_description(
    notice: Notice, notification: Notification, site: SiteSettings, words: Words
) -> tuple[str, str]:
    """Return two texts about one alert: the fact in one sentence, and all explanations."""
    test, fact, *rest = (part.text for part in _Speaker(site, words, notification, 1).one(notice, FULL))
    return f"{test} {fact}".strip(), " ".join(filter(None, rest))


class _Speaker:
    """Says things about one site in one language."""

    def __init__(self, site: SiteSettings, words: Words, notification: Notification, most: int) -> None:
        self._site, self._words, self._notification, self._most = site, words, notification, most
        self._zone = local_zone(site)

    def one(self, notice: Notice, length: int) -> list[SmsPart]:
        """Return the sentences about a single alert."""
        since = self._moment(instant(notice.since, self._zone), instant(notice.at, self._zone))
        if not notice.firing:
            change = self._words.gettext("It began at {time}.", time=since)
        elif notice.alert in self._notification.new or self._notification.reason == "first":
            change = self._words.gettext("New, since {time}.", time=since)
        else:
            change = self._words.gettext("Not over yet, since {time}.", time=since)
        if isinstance(notice.message, AlertV1):
            return [*self._rate(notice, notice.message, length), SmsPart(change, 3)]
        return [
            self._test(),
            SmsPart(self._fault(notice, length)),
            SmsPart(f"{self._when(notice, full=False)}.", 1),
            SmsPart(change, 2),
        ]

    def _rate(self, notice: Notice, alert: AlertV1, length: int) -> list[SmsPart]:
        people = self._words.ngettext("{count} person", "{count} people", alert.persons)
        low, high = (self._words.percent(bound) for bound in sorted(alert.interval))
        sure = self._words.gettext("Between {low} and {high}.", low=low, high=high)
        start = instant(alert.start, self._zone)
        return [
            self._test(),
            SmsPart(self._what(notice, alert, self._place(notice, length))),
            SmsPart(sure, 4),
            SmsPart(f"{people}, {self._when(notice, start)}.", 1),
            SmsPart(action_of(notice, self._site, self._words), 2),
        ]

    def _what(self, notice: Notice, alert: AlertV1, where: str) -> str:
        bound = alert.fire_below if notice.firing else alert.clear_above
        values = {"place": where, "rate": self._words.beside(alert.rate, bound), "bound": self._words.exact(bound)}
        if notice.firing:
            return self._words.gettext("{place}: masks {rate}, below {bound}.", **values)
        if alert.rate > bound:
            return self._words.gettext("{place}: over, masks {rate}, above {bound}.", **values)
        return self._words.gettext("{place}: over, masks {rate}.", **values)

    def several(self, length: int) -> list[SmsPart]:
        """Return the sentences about several alerts: their number, and as many of them by name as there is room for."""
        firing, resolved = self._notification.firing, self._notification.resolved
        counts = [
            self._words.ngettext("{count} alert on", "{count} alerts on", len(firing)) if firing else "",
            self._words.ngettext("{count} over", "{count} over", len(resolved)) if resolved else "",
        ]
        counted = f"{', '.join(count for count in counts if count)}."
        summary = self._words.gettext("{place}: {text}", place=self._name(length), text=counted)
        newest = max(self._notification.notices, key=lambda notice: notice.at)
        # Alerts further down the list are dropped sooner.
        items = [SmsPart(self._brief(notice, length), 2 + place) for place, notice in enumerate(self._ordered())]
        return [self._test(), SmsPart(summary), SmsPart(f"{self._when(newest, full=False)}.", 1), *items]

    def _ordered(self) -> list[Notice]:
        new = self._notification.new
        firing = sorted(self._notification.firing, key=lambda notice: notice.alert not in new)
        return [*firing, *self._notification.resolved][: _MAX_LISTED * self._most]

    def _brief(self, notice: Notice, length: int) -> str:
        where = clipped(self._zone_name(notice.zone), length)
        if not isinstance(notice.message, AlertV1):
            return self._fault(notice, length, alone=False)
        bound = notice.message.fire_below if notice.firing else notice.message.clear_above
        rate = self._words.beside(notice.message.rate, bound)
        if not notice.firing:
            return self._words.gettext("{place} over, {rate}.", place=where, rate=rate)
        figures = f"{where} {rate} (<{self._words.exact(bound)})"
        new = 0 < len(self._notification.new) < len(self._notification.firing)
        mark = self._words.gettext(", new") if new and notice.alert in self._notification.new else ""
        return f"{figures}{mark}."

    def _fault(self, notice: Notice, length: int, *, alone: bool = True) -> str:
        name = clipped(self._zone_name(notice.zone) if notice.rule == "no-data" else notice.zone, length)
        words = self._words
        texts = {
            "no-data": (
                words.gettext("no figures of {name}.", name=name),
                words.gettext("figures of {name} again.", name=name),
            ),
            "camera-down": (
                words.gettext("camera {name} down.", name=name),
                words.gettext("camera {name} works again.", name=name),
            ),
            "channel-down": (
                words.gettext("{name} sends nothing.", name=name),
                words.gettext("{name} sends again.", name=name),
            ),
            "undelivered": (
                words.gettext("{name} can't be told.", name=name),
                words.gettext("{name} is told again.", name=name),
            ),
        }
        text = texts.get(notice.rule, texts["no-data"])[not notice.firing]
        return words.gettext("{place}: {text}", place=self._name(length), text=text) if alone else text

    def _test(self) -> SmsPart:
        alerts = [n.message for n in self._notification.notices if isinstance(n.message, AlertV1)]
        trial = any_trial([self._site.profile, *(alert.profile for alert in alerts)])
        test = trial or self._notification.reason == "test"
        return SmsPart(self._words.gettext("TEST") if test else "")

    def _name(self, length: int) -> str:
        return clipped(site_name(self._site), length)

    def _zone_name(self, zone: str) -> str:
        if zone == WHOLE_SITE:
            return self._words.gettext("whole site")
        return zone_name(self._site, zone)

    def _place(self, notice: Notice, length: int) -> str:
        """Return the site and the zone if both fit; else the zone alone, cut to length, since it says more."""
        if notice.zone == WHOLE_SITE:
            return self._name(length)
        both = f"{self._name(2 * length)}, {self._zone_name(notice.zone)}"
        return both if len(both) <= 2 * length else clipped(self._zone_name(notice.zone), length)

    def _when(self, notice: Notice, start: datetime | None = None, *, full: bool = True) -> str:
        """Return `24 Nov 10:00-10:20, Paris time`; for a single moment, `24 Nov 10:20, Paris time`."""
        end = instant(notice.at, self._zone)
        first = start if full and start is not None else end
        text = self._words.time(end)
        if first != end:
            text = f"{self._words.time(first)}-{text}"
            if first.utcoffset() != end.utcoffset():  # the hour that comes twice could be read as either
                text = f"{self._words.time(first)} {offset(first)}-{self._words.time(end)} {offset(end)}"
        return f"{self._date(first)} {text}, {self._clock()}"

    def _moment(self, moment: datetime, near: datetime) -> str:
        """Return the time of day, with the date if it differs from that of `near`."""
        time = self._words.time(moment)
        return time if moment.date() == near.date() else f"{self._date(moment)} {time}"

    def _date(self, moment: datetime) -> str:
        return format_skeleton("MMMd", moment.replace(tzinfo=None), locale=self._words.locale)

    def _clock(self) -> str:
        city = get_timezone_location(self._site.timezone, locale=self._words.locale, return_city=True)
        return city if city in {"UTC", "GMT"} else self._words.gettext("{city} time", city=city)
