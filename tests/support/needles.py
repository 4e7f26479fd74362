"""Searches bytes for any of very many 32-byte needles at any offset: rows of pictures, parts of packets."""

from collections.abc import Iterable

import numpy as np

SIZE = 32
_DISTINCT = 8
"""A needle with fewer different bytes, such as 32 zeros, is found anywhere and proves nothing."""


def cut(data: bytes) -> list[bytes]:
    """The needles of some bytes, side by side: whoever holds 63 bytes in a row of them holds a whole needle."""
    parts = (data[i : i + SIZE] for i in range(0, len(data) - SIZE + 1, SIZE))
    return [part for part in parts if len(set(part)) >= _DISTINCT]


class Needles:
    """A set of needles. Candidates are found by their first eight bytes, then compared whole."""

    def __init__(self, needles: Iterable[bytes]) -> None:
        self._all = set(needles)
        assert self._all, "nothing to search for"
        assert {len(needle) for needle in self._all} == {SIZE}
        self._heads = np.unique(np.frombuffer(b"".join(self._all), "<u8")[:: SIZE // 8])

    def __len__(self) -> int:
        return len(self._all)

    def within(self, data: bytes) -> list[int]:
        """The offsets at which `data` holds a needle."""
        found = []
        for shift in range(8):
            words = np.frombuffer(data, "<u8", count=max(0, len(data) - shift) // 8, offset=min(shift, len(data)))
            places = np.searchsorted(self._heads, words)
            hits = self._heads[np.minimum(places, len(self._heads) - 1)] == words
            found += [int(i) * 8 + shift for i in np.flatnonzero(hits)]
        return sorted(i for i in found if data[i : i + SIZE] in self._all)
