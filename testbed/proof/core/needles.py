"""Searches bytes for very many 32-byte needles at any offset: rows of pictures, parts of packets.

At any offset, a needle covers three whole eight-byte words that are aligned in the searched bytes. So the search knows
each needle by the words at its first eight offsets. It looks only at the aligned words of the bytes: about a gigabyte a
second with NumPy. Text may hold bytes in encoded form, so the search in text also decodes base64, hexadecimal digits,
escapes and transfer encodings.
"""

import base64
import binascii
import quopri
import re
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

SIZE = 32
MAX_FOUND = 1_000
"""The search stops after so many hits in one piece of data: that many are a leak already."""
_WORD = 8
_DISTINCT = 8
"""A needle with fewer different bytes, such as 32 zeros, is found anywhere and proves nothing."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
"""Fibonacci hashing (Knuth, TAOCP 3, §6.4): 2^64 divided by the golden ratio."""
_BITS = 23

Words = NDArray[np.uint64]


def cut(data: bytes) -> list[bytes]:
    """Return the adjacent needles of some bytes; any 63 consecutive bytes contain a whole needle."""
    parts = (data[i : i + SIZE] for i in range(0, len(data) - SIZE + 1, SIZE))
    return [part for part in parts if is_needle(part)]


def one_of(row: bytes, turn: int) -> bytes | None:
    """Return one needle of a picture's row, a different one for each `turn`; None if the row is flat."""
    count = len(row) // SIZE
    places = (SIZE * ((turn + step) % count) for step in range(count))
    return next((row[at : at + SIZE] for at in places if is_needle(row[at : at + SIZE])), None)


def is_needle(part: bytes) -> bool:
    """Return whether these 32 bytes are too varied to occur by chance."""
    return len(set(part)) >= _DISTINCT


class Needles:
    """A set of needles, each with a label; a hit carries its label."""

    def __init__(self, needles: Mapping[bytes, object] | Iterable[bytes]) -> None:
        self.labels = dict(needles) if isinstance(needles, Mapping) else dict.fromkeys(needles)
        assert self.labels, "nothing to search for"
        assert {len(needle) for needle in self.labels} == {SIZE}
        whole = np.frombuffer(b"".join(self.labels), np.uint8).reshape(-1, SIZE)
        self._words = [_Words(_shifted(whole, start)) for start in (0, _WORD, 2 * _WORD)]

    def __len__(self) -> int:
        return len(self.labels)

    def within(self, data: bytes | bytearray | memoryview) -> list[int]:
        """Return the offsets at which `data` holds a needle, in order; at most `MAX_FOUND`."""
        words = np.frombuffer(data, "<u8", count=len(data) // _WORD)
        if len(words) < 3:
            return []
        first, second, third = self._words
        places = first.places(words[:-2])
        places = places[second.has(words[places + 1])]
        places = places[third.has(words[places + 2])]
        return sorted(_first(self._compared(memoryview(data), places)))

    def found(self, data: bytes | bytearray | memoryview) -> list[tuple[int, object]]:
        """Return the offset and the label of each needle in `data`."""
        view = memoryview(data)
        return [(at, self.labels[bytes(view[at : at + SIZE])]) for at in self.within(data)]

    def _compared(self, data: memoryview, places: NDArray[np.int64]) -> Iterator[int]:
        """Yield the offsets of whole needles. Candidates may share a needle, and one candidate may have several."""
        for place in places.tolist():
            for start in range(max(0, place * _WORD - _WORD + 1), place * _WORD + 1):
                if bytes(data[start : start + SIZE]) in self.labels:
                    yield start


class _Words:
    """A set of words. A table of hashes that fits a cache rejects most other words, an exact look-up the rest."""

    def __init__(self, words: Words) -> None:
        self._sorted = np.sort(words)
        self._table = np.zeros(1 << _BITS, np.bool_)
        self._table[_hashes(self._sorted)] = True

    def places(self, words: Words) -> NDArray[np.int64]:
        """Return the indices of those words that are in the set."""
        maybe = np.flatnonzero(self._table[_hashes(words)])
        return maybe[self.has(words[maybe])]

    def has(self, words: Words) -> NDArray[np.bool_]:
        """Return for each of these words whether it is in the set."""
        at = np.minimum(np.searchsorted(self._sorted, words), len(self._sorted) - 1)
        return np.asarray(self._sorted[at] == words)


def _hashes(words: Words) -> Words:
    return (words * _MIX) >> np.uint64(64 - _BITS)


def _shifted(whole: NDArray[np.uint8], start: int) -> Words:
    """Return the words of every needle at `start` and the seven offsets after it."""
    parts = [np.ascontiguousarray(whole[:, start + shift : start + shift + _WORD]) for shift in range(_WORD)]
    return np.concatenate(parts).view("<u8").ravel()


def _first(found: Iterator[int]) -> set[int]:
    some: set[int] = set()
    for one in found:
        some.add(one)
        if len(some) >= MAX_FOUND:
            break
    return some


_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{44,}")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){32,}")
_FOLDED = re.compile(rb"(?<=[A-Za-z0-9+/])\r?\n(?=[A-Za-z0-9+/=])")
"""A line break within base64 (RFC 2045 §6.8)."""
_ESCAPE = re.compile(rb"\\(?:(?:x|u00)([0-9a-fA-F]{2})|([0-7]{3})|(.))", re.DOTALL)
_BYTE = re.compile(rb"\\x([0-9a-fA-F]{2})")
"""Python's form of bytes that are no text (`backslashreplace`), which does not escape backslashes."""
_PERCENT = re.compile(rb"%([0-9a-fA-F]{2})")
_SHORT = dict(zip(b"abfnrtv", b"\a\b\f\n\r\t\v", strict=True))
"""The byte for a letter after a backslash (ISO C, Python, JSON). Any other character stands for itself."""
_NUMBERS = re.compile(rb"(?:\b\d{1,3}\b[,;\s]{1,4}){31,}\d{1,3}\b")
_URLSAFE = bytes.maketrans(b"-_", b"+/")


def forms(data: bytes) -> Iterator[bytes]:
    """Yield the bytes themselves, and every decoding of them as text. A needle in any of these counts as found."""
    yield data
    if b"\\" in data:
        yield _unescaped(data)
        yield _BYTE.sub(_byte, data)
    if b"%" in data or b"=" in data:
        yield from _quoted(data)
    for match in _BASE64.finditer(_FOLDED.sub(b"", data)):
        yield from _from_base64(match[0])
    for match in _HEX.finditer(data):
        yield bytes.fromhex(match[0].decode())
    for match in _NUMBERS.finditer(data):
        numbers = [int(one) for one in re.findall(rb"\d+", match[0])]
        if max(numbers) < 256:
            yield bytes(numbers)


def _unescaped(data: bytes) -> bytes:
    def byte(match: re.Match[bytes]) -> bytes:
        if match[3]:
            return bytes([_SHORT.get(match[3][0], match[3][0])])
        return bytes([int(match[1], 16) if match[1] else int(match[2], 8) & 0xFF])

    return _ESCAPE.sub(byte, data)


def _quoted(data: bytes) -> Iterator[bytes]:
    """Yield the bytes decoded as in URLs and forms (RFC 3986 §2.1), and as in mails (RFC 2045 §6.7)."""
    yield _PERCENT.sub(_byte, data)
    yield quopri.decodestring(data)


def _byte(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 16)])


def _from_base64(run: bytes) -> Iterator[bytes]:
    """Decode from all four possible starts of a group, because the text before the run may use the same letters."""
    for start in range(4):
        part = run[start:].translate(_URLSAFE)
        try:
            yield base64.b64decode(part[: len(part) // 4 * 4])
        except binascii.Error:
            continue
