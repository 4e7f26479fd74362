"""A site's own texts for readers: one for all of them, or one for each language. Pure."""

from collections.abc import Iterable, Mapping
from typing import Annotated

from msgspec import Meta, UnsetType

LanguageTag = Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z]+)?\Z", description="a language such as en or fr")]
Text = str | Mapping[str, str] | UnsetType | None


def text_in(text: Text, language: str, own: str) -> str:
    """Return a text in a language, or else in the site's `own`; empty if there is none."""
    if isinstance(text, Mapping):
        return text.get(language) or text.get(own, "")
    return text or ""


def lacking(text: Text, languages: Iterable[str]) -> list[str]:
    """Return which of these languages a text lacks, sorted; one text for all readers lacks none."""
    return sorted(set(languages) - set(text)) if isinstance(text, Mapping) else []
