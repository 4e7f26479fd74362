"""The languages: English is what the code says, and one folder of `locale/` is one other language.

A catalogue is compiled at its first use.
"""

import gettext
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import BytesIO

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from services.notify.texts.words import Words

DOMAIN = "moretta"
SOURCE = "en"
"""The language of the messages in the code; it has no catalogue. Its dates and numbers are British."""
CATALOGUES: Traversable = files("services.notify") / "locale"


def languages(catalogues: Traversable = CATALOGUES) -> list[str]:
    """Return English and the languages that have a catalogue, sorted."""
    return sorted({SOURCE, *_named(catalogues)})


@cache
def words_in(language: str, catalogues: Traversable = CATALOGUES) -> Words:
    """Return the words of a language; LookupError if it has no catalogue and is not English."""
    if language == SOURCE:
        return Words(SOURCE, Locale("en", "GB"), gettext.NullTranslations())
    if language not in languages(catalogues):
        raise LookupError(f"no catalogue of {language!r}; there are {', '.join(languages(catalogues))}")
    source = _file(catalogues / language)
    catalogue = read_po(BytesIO(source.read_bytes()), domain=DOMAIN, abort_invalid=True)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    locale = catalogue.locale or Locale.parse(language, sep="-")
    return Words(language, locale, gettext.GNUTranslations(compiled))


def _named(catalogues: Traversable) -> Iterator[str]:
    return (folder.name for folder in catalogues.iterdir() if folder.is_dir() and _file(folder).is_file())


def _file(folder: Traversable) -> Traversable:
    return folder / "LC_MESSAGES" / f"{DOMAIN}.po"
