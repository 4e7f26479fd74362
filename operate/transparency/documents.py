"""Fills the templates of the documents with Jinja: a folder of `templates` is a language, with its document files.

A language's locale (CLDR) is what its folder is called, such as `fr` or `pt-BR`; English is British.
"""

import gettext
import io
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import segno
from babel import Locale
from babel.units import format_unit
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from services.notify.texts.words import Words
from services.sites.settings import DAYS, Day

PACKAGE = "operate.transparency"
KINDS = ("sign", "notice", "dpia-annex")
"""The documents of a site, as their templates are called."""
_LOCALES = {"en": "en-GB"}


@cache
def languages() -> list[str]:
    """Return the languages that have templates, sorted."""
    return sorted(folder.name for folder in (files(PACKAGE) / "templates").iterdir() if folder.is_dir())


def words_in(language: str) -> Words:
    """Return the numbers, times and lists of a language."""
    return Words(language, Locale.parse(_LOCALES.get(language, language), sep="-"), gettext.NullTranslations())


def render(kind: str, language: str, facts: dict[str, object]) -> str:
    """Return the document as HTML. A fact that the template names and that is missing raises UndefinedError."""
    return _environment(language).get_template(f"{kind}.html").render(facts, kind=kind)


def duration(words: Words, seconds: float) -> str:
    """Return `20 minutes`, `2 hours`, `400 days` or `5 seconds`: the largest unit without a remainder."""
    for length, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= 2 * length and seconds % length == 0:
            return format_unit(seconds // length, f"duration-{unit}", "long", locale=words.locale)
    return format_unit(seconds, "duration-second", "long", locale=words.locale)


def weekdays(words: Words, days: Sequence[Day]) -> str:
    """Return `Monday and Sunday`, in the order of a week; empty for all seven days."""
    if set(days) == set(DAYS):
        return ""
    names = words.locale.days["format"]["wide"]  # Monday is 0, as in DAYS
    return words.listed(names[DAYS.index(day)] for day in DAYS if day in days)


@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(PACKAGE, f"templates/{language}"), PackageLoader(PACKAGE)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = words_in(language)
    environment.filters |= {
        "duration": lambda seconds: duration(words, seconds),
        "weekdays": lambda days: weekdays(words, days),
        "listed": words.listed,
        "number": words.number,
        "percent": words.exact,
        "day": words.day,
        "qr_code": _qr_code,
    }
    return environment


def _qr_code(url: str) -> Markup:
    drawn = io.BytesIO()
    segno.make(url, micro=False).save(
        drawn, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=2, light="#fff"
    )
    return Markup(drawn.getvalue().decode())  # noqa: S704 - segno draws it; the URL is in it as squares alone
