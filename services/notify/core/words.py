"""Text, numbers and times in one reader's language. Pure: the catalogue comes in as an argument.

Numbers, dates and lists are CLDR's (Unicode Technical Standard 35), read by babel; sentences are the catalogue's.
"""

import gettext
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from babel import Locale
from babel.dates import format_date, format_time
from babel.lists import format_list
from babel.numbers import format_decimal, parse_pattern

from services.notify.core.local_time import LocalSpan, offset


@dataclass(frozen=True)
class Words:
    """How one language says things. Messages have their values in braces: `"{count} people"`."""

    language: str
    """The catalogue's name, which a reader's settings have, and a language tag for mails (RFC 5646)."""
    locale: Locale
    """Whose numbers and dates are used; a catalogue's header names it."""
    catalogue: gettext.NullTranslations

    def gettext(self, message: str, **values: object) -> str:
        """Return the message in this language with its values in place."""
        return self.catalogue.gettext(message).format(**values)

    def ngettext(self, singular: str, plural: str, count: int, **values: object) -> str:
        """Return the form for this count, which stands for `{count}` in it, written as the language writes numbers."""
        form = self.catalogue.ngettext(singular, plural, count)
        return form.format(count=self.number(count), **values)

    def number(self, value: float) -> str:
        """Return `12,345` or `12 345`."""
        return format_decimal(value, locale=self.locale)

    def percent(self, share: float, decimals: int = 0) -> str:
        """Return `62%` or `62 %`, in which no line breaks, with so many decimals."""
        return self._percent(share, decimals, decimals)

    def exact(self, share: float) -> str:
        """Return a threshold as it was set, with up to two decimals: `70%`, `72,5 %`."""
        return self._percent(share, 0, 2)

    def beside(self, share: float, threshold: float) -> str:
        """Return a rate with as few decimals as tell it from the threshold: 69.6% is not "70%, below 70%"."""
        for decimals in (0, 1):
            if share == threshold or self.percent(share, decimals) != self.percent(threshold, decimals):
                return self.percent(share, decimals)
        return self.percent(share, 2)

    def listed(self, items: Iterable[str]) -> str:
        """Return `a, b and c`."""
        return format_list(list(items), locale=self.locale)

    def day(self, moment: datetime) -> str:
        """Return `Tuesday, 24 November 2026`."""
        return format_date(moment.date(), "full", locale=self.locale)

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
            # The clocks changed in between: each time needs its own distance to UTC, or it could be read as either.
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
