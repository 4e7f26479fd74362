"""Text, numbers and times in one reader's language. Pure: catalogue and time zone come in as arguments.

Numbers, dates and lists are CLDR's (Unicode Technical Standard 35), read by babel; sentences are the catalogue's.
"""

import gettext
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from babel import Locale
from babel.dates import format_date, format_time
from babel.lists import format_list
from babel.numbers import format_decimal, parse_pattern

_FIRST = {"fr": "1er"}
"""How languages write the first of a month, where it is an ordinal: CLDR has no pattern for one."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_S = (datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()


class UnpresentableError(ValueError):
    """An alert that no mail can be written about, because its time lies beyond the calendar."""


def instant(nanoseconds: int, zone: tzinfo) -> datetime:
    """Return the instant in that zone, cut to the second; UnpresentableError beyond the year 9998."""
    seconds = nanoseconds // 1_000_000_000
    if seconds >= _LAST_S:
        raise UnpresentableError(f"the time {nanoseconds} ns is beyond the calendar")
    return (_EPOCH + timedelta(seconds=seconds)).astimezone(zone)


def offset(moment: datetime) -> str:
    """Return the UTC offset as `UTC+01:00`."""
    text = moment.strftime("%z")
    return f"UTC{text[:3]}:{text[3:5]}"


@dataclass(frozen=True)
class LocalSpan:
    """A window in local time. The zone's name is the settings' own, such as Europe/Paris."""

    start: datetime
    end: datetime
    zone: str

    @property
    def same_day(self) -> bool:
        """Whether both ends are on one calendar day. Midnight at the end counts as the day before it."""
        return self.start.date() == (self.end - timedelta(seconds=1)).date() or self.start.date() == self.end.date()

    @property
    def same_offset(self) -> bool:
        """Whether no change of the clocks lies between both ends."""
        return self.start.utcoffset() == self.end.utcoffset()


@dataclass(frozen=True)
class Words:
    """The words of one language. Messages have their values in braces: `"{count} people"`."""

    language: str
    """Its name, as in a receiver's settings, and a language tag for mails (RFC 5646)."""
    locale: Locale
    """The locale of numbers and dates; a catalogue's header names it, English's is British."""
    catalogue: gettext.NullTranslations

    def gettext(self, message: str, **values: object) -> str:
        """Return the message in this language with its values in place."""
        return self.catalogue.gettext(message).format(**values)

    def ngettext(self, singular: str, plural: str, count: int, **values: object) -> str:
        """Return the form for this count, with `{count}` written as the language writes numbers."""
        form = self.catalogue.ngettext(singular, plural, count)
        return form.format(count=self.number(count), **values)

    def number(self, value: float) -> str:
        """Return `12,345` or `12 345`."""
        return format_decimal(value, locale=self.locale)

    def percent(self, share: float, decimals: int = 0) -> str:
        """Return `62%` or `62 %` with this many decimals; no line breaks inside it."""
        return self._percent(share, decimals, decimals)

    def observed(self, share: float) -> str:
        """Return how much was observed; below a tenth with a decimal, since a little is more than nothing: `1.6%`."""
        if 0 < share < 0.0005:
            return self.gettext("less than {share}", share=self.percent(0.001, 1))
        return self.percent(share, 1 if 0 < round(share, 3) < 0.1 else 0)

    def exact(self, share: float) -> str:
        """Return a threshold as it was set, with up to two decimals: `70%`, `72,5 %`."""
        return self._percent(share, 0, 2)

    def beside(self, share: float, threshold: float) -> str:
        """Return a rate with just enough decimals to tell it from the threshold: 69.6% is not "70%, below 70%"."""
        for decimals in (0, 1):
            if share == threshold or self.percent(share, decimals) != self.percent(threshold, decimals):
                return self.percent(share, decimals)
        return self.percent(share, 2)

    def listed(self, items: Iterable[str]) -> str:
        """Return `a, b and c`."""
        return format_list(list(items), locale=self.locale)

    def day(self, moment: datetime) -> str:
        """Return `Tuesday, 24 November 2026`, in French `mardi 1er décembre 2026`."""
        pattern, first = "full", _FIRST.get(self.locale.language)
        if first and moment.day == 1:
            pattern = self.locale.date_formats["full"].pattern.replace("d", f"'{first}'")
        return format_date(moment.date(), pattern, locale=self.locale)

    def time(self, moment: datetime) -> str:
        """Return `10:20`, with seconds only where they are not zero. `moment` is local already."""
        return format_time(moment.time(), "medium" if moment.second else "short", locale=self.locale)

    def moment(self, moment: datetime, near: datetime) -> str:
        """Return the time of day, with the day where it is not the one of `near`."""
        if moment.date() == near.date():
            return self.time(moment)
        return self.gettext("{day}, {time}", day=self.day(moment), time=self.time(moment))

    def span(self, span: LocalSpan) -> str:
        """Return `Tuesday, 24 November 2026, 10:00 to 10:20 (Europe/Paris, UTC+01:00)`."""
        start, end, zone = self.time(span.start), self.time(span.end), span.zone
        if not span.same_offset:
            # The clocks changed in between: without its own UTC offset, each time could be read as either.
            start, end = f"{start} {offset(span.start)}", f"{end} {offset(span.end)}"
        elif zone != "UTC":
            zone = f"{zone}, {offset(span.end)}"
        day = self.day(span.start)
        if span.start == span.end:
            return self.gettext("{day}, {time} ({zone})", day=day, time=start, zone=zone)
        if span.same_day:
            return self.gettext("{day}, {start} to {end} ({zone})", day=day, start=start, end=end, zone=zone)
        return self.gettext(
            "{day}, {start} to {end_day}, {end} ({zone})",
            day=day, start=start, end_day=self.day(span.end), end=end, zone=zone,
        )  # fmt: skip

    def _percent(self, share: float, least: int, most: int) -> str:
        pattern = parse_pattern(self.locale.percent_formats[None].pattern)
        pattern.frac_prec = (least, most)
        return str(pattern.apply(share, self.locale))
