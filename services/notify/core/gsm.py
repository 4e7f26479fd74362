"""How many segments an SMS takes: the GSM 7 bit alphabet (3GPP TS 23.038 §6.2.1) and parts (TS 23.040 §9.2.3.24.1).

PyPI has a codec of the alphabet (gsm0338), but nothing kept up that counts and splits; both are a table and a loop.
"""

import unicodedata
from typing import Literal

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
"""Of several parts each loses six octets to the header that joins them."""
_LIKE = str.maketrans(
    {"’": "'", "‘": "'", "“": '"', "”": '"', "«": '"', "»": '"', "–": "-", "—": "-", "−": "-", "œ": "oe", "Œ": "OE"}
    | {"ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "\N{SOFT HYPHEN}": "", "\t": " "}
)


def encoding(text: str) -> Encoding:
    """Return how a text travels: in 7 bits where every character is of the GSM alphabet, else in 16."""
    return "gsm-7" if _ALPHABET.issuperset(text) else "ucs-2"


def split(text: str) -> list[str]:
    """Return the segments that a text is sent in; no character is torn in two."""
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
    """Return the text in the GSM alphabet, with what it lacks written alike (ê as e, ’ as '), so that more fits.

    A text that holds what has no likeness in it, such as Arabic, comes back as it is: it travels in 16 bits anyway.
    """
    alike = "".join(sign if sign in _ALPHABET else _alike(sign) for sign in text)
    return alike if encoding(alike) == "gsm-7" else text


def _alike(sign: str) -> str:
    plain = sign.translate(_LIKE)
    return "".join(part for part in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(part))
