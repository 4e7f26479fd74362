"""The operator's own texts in one language, and which of them are missing or still the example's. Pure."""

from dataclasses import dataclass

from operate.transparency.examples import is_example
from operate.transparency.settings import InLanguages, TransparencySettings

_OPTIONAL = ("purpose", "further", "source_url")


@dataclass(frozen=True)
class OperatorText:
    """The text of one setting, or a gap."""

    path: str
    """The setting's path, with the language where the setting has one text for each."""
    text: str
    why: str = ""
    """What is wrong with the setting: it is missing, or still the example's. The text is empty then."""


def operator_texts(operator: TransparencySettings, language: str) -> dict[str, OperatorText | None]:
    """Return the text of each setting, by the setting's name; None for one that may be left out, and is."""
    given = {
        "objection": operator.objection,  # in the order of the sign and the page, in which gaps are reported
        "legal_basis": operator.legal_basis,
        "controller": operator.controller,
        "contact": operator.contact,
        "officer": operator.officer,
        "page_url": operator.page_url,
        "purpose": operator.purpose or None,
        "transfers": operator.transfers,
        "authority": operator.authority,
        "further": operator.further,
        "source_url": operator.source_url,
    }
    return {name: _text(name, text, language) for name, text in given.items()}


def gaps(texts: dict[str, OperatorText | None]) -> dict[str, str]:
    """Return the paths of the settings that the operator still has to fill in, each with what is wrong."""
    return {one.path: one.why for one in texts.values() if one and one.why}


def _text(name: str, given: InLanguages | None, language: str) -> OperatorText | None:
    if given is None and name in _OPTIONAL:
        return None
    path = f"transparency.{name}" + (f".{language}" if isinstance(given, dict) else "")
    text = given.get(language) if isinstance(given, dict) else given
    if text is None:
        return OperatorText(path, "", "is missing")
    if is_example(text):
        return OperatorText(path, "", f"is still the example's, {text!r}")
    return OperatorText(path, text)
