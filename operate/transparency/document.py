"""The parts of a document, without a layout. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from operate.transparency.examples import is_example
from operate.transparency.settings import InLanguages
from services.notify.texts.words import Words


@dataclass(frozen=True)
class Sentence:
    """A sentence. If it stands for a setting that the operator has yet to fill in, `missing` is the setting's path."""

    text: str
    missing: str = ""
    why: str = ""
    """What is wrong with that setting: it is missing, or still the example's."""


@dataclass(frozen=True)
class DocumentTable:
    """Columns and rows of text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it."""

    heading: str
    lines: tuple[Sentence, ...] = ()
    table: DocumentTable | None = None


@dataclass(frozen=True)
class Document:
    """A sign, a page or an annex in one language."""

    language: str
    title: str
    place: str
    lead: str
    sections: tuple[Section, ...]
    made: str
    """The last line: when and from what the document was made."""
    banner: str = ""
    """The warning that a reader sees first, in profiles that are not for the public."""

    def missing(self) -> dict[str, str]:
        """Return the paths of the settings that the operator still has to fill in, each with what is wrong."""
        return {line.missing: line.why for section in self.sections for line in section.lines if line.missing}


def told(words: Words, key: str, text: InLanguages | None, before: str = "") -> Sentence:
    """Return the operator's own text in this language, or the gap, named by its path in the settings."""
    found = text.get(words.language) if isinstance(text, dict) else text
    if found is None or is_example(found):
        path = f"transparency.{key}" + (f".{words.language}" if isinstance(text, dict) else "")
        why = "is missing" if found is None else f"is still the example's, {found!r}"
        return Sentence(words.gettext("[to be filled in: {path}]", path=path), path, why)
    return Sentence(f"{before}{found}")


def lines(*texts: str) -> tuple[Sentence, ...]:
    """Return the texts that are not empty, as lines."""
    return tuple(Sentence(text) for text in texts if text)


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> DocumentTable:
    """Return a table of these rows."""
    return DocumentTable(tuple(columns), tuple(tuple(row) for row in rows))
