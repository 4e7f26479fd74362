"""Counts the segments of an SMS, and makes a text fit into the allowed number.

Letters are those of the GSM 7 bit alphabet (3GPP TS 23.038 §6.2.1), parts those of TS 23.040 §9.2.3.24.1. PyPI has a
codec of the alphabet (gsm0338), but no maintained package that counts and splits; both are a table and a loop. If a
text is too long, the least important part is left out first, and no number is ever cut.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

Encoding = Literal["gsm-7", "ucs-2"]

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")
"""Each takes two septets: an escape and itself."""
_ALPHABET = _BASIC | _EXTENSION
_SINGLE: dict[Encoding, int] = {"gsm-7": 160, "ucs-2": 70}
_PART: dict[Encoding, int] = {"gsm-7": 153, "ucs-2": 67}
"""In a text of several parts, each part loses six octets to the header that joins them."""
_LIKE = str.maketrans(
    {"’": "'", "‘": "'", "“": '"', "”": '"', "«": '"', "»": '"', "–": "-", "—": "-", "−": "-", "œ": "oe", "Œ": "OE"}
    | {"ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "\N{SOFT HYPHEN}": "", "\t": " "}
)


def encoding(text: str) -> Encoding:
    """Return how a text travels: in 7 bits where every character is of the GSM alphabet, else in 16."""
    return "gsm-7" if _ALPHABET.issuperset(text) else "ucs-2"


def split(text: str) -> list[str]:
    """Return the segments that a text is sent in; no character is split."""
    code = encoding(text)
    costs = [_cost(sign, code) for sign in text]
    if sum(costs) <= _SINGLE[code]:
        return [text]
    parts, room = [""], _PART[code]
    for sign, cost in zip(text, costs, strict=True):
        if cost > room:
            parts, room = [*parts, ""], _PART[code]
        parts[-1] += sign
        room -= cost
    return parts


def segments(text: str) -> int:
    """Return how many segments a text is sent in and paid for."""
    return len(split(text))


def _cost(sign: str, code: Encoding) -> int:
    """Septets of the 7 bit alphabet, or code units of UTF-16: beyond the basic plane two."""
    return 1 + (sign in _EXTENSION if code == "gsm-7" else ord(sign) > 0xFFFF)


def simplified(text: str) -> str:
    """Return the text in the GSM alphabet, with similar letters for missing ones (ê as e, ’ as '), so that more fits.

    A text with letters that have no similar one, such as Arabic, comes back unchanged: it travels in 16 bits anyway.
    """
    alike = "".join(sign if sign in _ALPHABET else _alike(sign) for sign in text)
    return alike if encoding(alike) == "gsm-7" else text


def _alike(sign: str) -> str:
    plain = sign.translate(_LIKE)
    return "".join(part for part in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(part))


FULL = 80
"""No name of the settings is longer."""
_LENGTHS = (FULL, 40, 24, 12)
"""How long names may be, from the most to the least generous."""
_WORTH = 2


class SmsPart(NamedTuple):
    """A sentence, and how early it is dropped: 0 never, 1 and 2 only after names were shortened, others before."""

    text: str
    spare: int = 0


def fitted(parts_of: Callable[[int], Sequence[SmsPart]], most: int) -> str | None:
    """Return the fullest text of at most `most` segments; None if there is none.

    `parts_of` gets the number of characters that a name may have.
    """
    texts = (simplified(text) for text in _candidates(parts_of))
    return next((text for text in texts if segments(text) <= most), None)


def _candidates(parts_of: Callable[[int], Sequence[SmsPart]]) -> Iterator[str]:
    """Yield shorter and shorter texts: first drop what is easily spared, then shorten names, then drop the rest."""
    levels = sorted({part.spare for part in parts_of(FULL)} | {0}, reverse=True)
    for wanted in ([level for level in levels if level >= _WORTH], [level for level in levels if level < _WORTH]):
        for length in _LENGTHS:
            parts = parts_of(length)
            for level in wanted:
                yield " ".join(part.text for part in parts if part.text and part.spare <= level)


def clipped(name: str, most: int) -> str:
    """Return a name of at most `most` characters, cut between words, with a full stop for the missing part.

    A single word is cut so that no number is split.
    """
    if len(name) <= most:
        return name
    head = name[: most - 1]
    if " " in head:
        head = head if name[most - 1] == " " else head[: head.rindex(" ")]
    elif name[most - 1].isdigit():
        head = head.rstrip("0123456789.,")
    return head.rstrip(" ,.;:-") + "."
