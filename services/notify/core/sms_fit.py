"""A text that fits into the segments allowed: what matters least is left out first, and no number is ever cut."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from services.notify.core.gsm import segments, simplified

FULL = 80
"""No name of the settings is longer."""
_LENGTHS = (FULL, 40, 24, 12)
"""How long names may be, from the most to the least generous."""
_WORTH = 2


class SmsPart(NamedTuple):
    """A sentence, and how easily it is spared: 0 never, 1 and 2 at the expense of names cut short, more before that."""

    text: str
    spare: int = 0


def fitted(parts_of: Callable[[int], Sequence[SmsPart]], most: int) -> str | None:
    """Return the fullest text of at most so many segments, None if there is none.

    `parts_of` gets how many characters a name may have.
    """
    texts = (simplified(text) for text in _candidates(parts_of))
    return next((text for text in texts if segments(text) <= most), None)


def _candidates(parts_of: Callable[[int], Sequence[SmsPart]]) -> Iterator[str]:
    """First less and less of what is easily spared, then shorter names, then the rest of what can be spared."""
    levels = sorted({part.spare for part in parts_of(FULL)} | {0}, reverse=True)
    for wanted in ([level for level in levels if level >= _WORTH], [level for level in levels if level < _WORTH]):
        for length in _LENGTHS:
            parts = parts_of(length)
            for level in wanted:
                yield " ".join(part.text for part in parts if part.text and part.spare <= level)


def clipped(name: str, most: int) -> str:
    """Return a name of at most `most` characters, cut between words, with a full stop for what is gone.

    One word is cut where that leaves no number in half.
    """
    if len(name) <= most:
        return name
    head = name[: most - 1]
    if " " in head:
        head = head if name[most - 1] == " " else head[: head.rindex(" ")]
    elif name[most - 1].isdigit():
        head = head.rstrip("0123456789.,")
    return head.rstrip(" ,.;:-") + "."
