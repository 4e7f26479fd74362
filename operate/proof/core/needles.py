"""Searches bytes for any of very many 32-byte needles at any offset: rows of pictures, parts of packets.

Whatever the offset, a needle that lies in some bytes covers three whole words of eight bytes that are aligned there. So
every needle is known by the words at its first eight offsets, and of the bytes only the aligned words are looked at:
about a gigabyte a second with NumPy.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

SIZE = 32
MOST = 1_000
"""No more hits than this are looked for in one piece of data: it is a leak by then."""
_WORD = 8
_DISTINCT = 8
"""A needle with fewer different bytes, such as 32 zeros, is found anywhere and proves nothing."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
"""Fibonacci hashing (Knuth, TAOCP 3, §6.4): 2^64 divided by the golden ratio."""
_BITS = 23

Words = NDArray[np.uint64]


def cut(data: bytes) -> list[bytes]:
    """The needles of some bytes, side by side: whoever holds 63 bytes in a row of them holds a whole needle."""
    parts = (data[i : i + SIZE] for i in range(0, len(data) - SIZE + 1, SIZE))
    return [part for part in parts if is_needle(part)]


def one_of(row: bytes, turn: int) -> bytes | None:
    """Return one needle of a row of a picture, another one for each turn; None if the row is flat."""
    count = len(row) // SIZE
    places = (SIZE * ((turn + step) % count) for step in range(count))
    return next((row[at : at + SIZE] for at in places if is_needle(row[at : at + SIZE])), None)


def is_needle(part: bytes) -> bool:
    """Whether these 32 bytes can't be anywhere by chance."""
    return len(set(part)) >= _DISTINCT


class Needles:
    """A set of needles, each with a label: who is found is told by it."""

    def __init__(self, needles: Mapping[bytes, object] | Iterable[bytes]) -> None:
        self.labels = dict(needles) if isinstance(needles, Mapping) else dict.fromkeys(needles)
        assert self.labels, "nothing to search for"
        assert {len(needle) for needle in self.labels} == {SIZE}
        whole = np.frombuffer(b"".join(self.labels), np.uint8).reshape(-1, SIZE)
        self._words = [_Words(_shifted(whole, start)) for start in (0, _WORD, 2 * _WORD)]

    def __len__(self) -> int:
        return len(self.labels)

    def within(self, data: bytes | bytearray | memoryview) -> list[int]:
        """The offsets at which `data` holds a needle, in order; at most `MOST`."""
        words = np.frombuffer(data, "<u8", count=len(data) // _WORD)
        if len(words) < 3:
            return []
        first, second, third = self._words
        places = first.places(words[:-2])
        places = places[second.has(words[places + 1])]
        places = places[third.has(words[places + 2])]
        return sorted(_first(self._compared(memoryview(data), places)))

    def found(self, data: bytes | bytearray | memoryview) -> list[tuple[int, object]]:
        """The offset and the label of each needle in `data`."""
        view = memoryview(data)
        return [(at, self.labels[bytes(view[at : at + SIZE])]) for at in self.within(data)]

    def _compared(self, data: memoryview, places: NDArray[np.int64]) -> Iterator[int]:
        """Compare the candidates whole; several may be one needle's, and one place several needles'."""
        for place in places.tolist():
            for start in range(max(0, place * _WORD - _WORD + 1), place * _WORD + 1):
                if bytes(data[start : start + SIZE]) in self.labels:
                    yield start


class _Words:
    """A set of words. Most others are sorted out by a table of hashes that fits a cache, the rest exactly."""

    def __init__(self, words: Words) -> None:
        self._sorted = np.sort(words)
        self._table = np.zeros(1 << _BITS, np.bool_)
        self._table[_hashes(self._sorted)] = True

    def places(self, words: Words) -> NDArray[np.int64]:
        """The indices of those words that are in the set."""
        maybe = np.flatnonzero(self._table[_hashes(words)])
        return maybe[self.has(words[maybe])]

    def has(self, words: Words) -> NDArray[np.bool_]:
        """Which of these words are in the set."""
        at = np.minimum(np.searchsorted(self._sorted, words), len(self._sorted) - 1)
        return np.asarray(self._sorted[at] == words)


def _hashes(words: Words) -> Words:
    return (words * _MIX) >> np.uint64(64 - _BITS)


def _shifted(whole: NDArray[np.uint8], start: int) -> Words:
    """The words at `start` and the seven offsets after it, of every needle."""
    parts = [np.ascontiguousarray(whole[:, start + shift : start + shift + _WORD]) for shift in range(_WORD)]
    return np.concatenate(parts).view("<u8").ravel()


def _first(found: Iterator[int]) -> set[int]:
    some: set[int] = set()
    for one in found:
        some.add(one)
        if len(some) >= MOST:
            break
    return some
