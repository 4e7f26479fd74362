"""Perceptual hash of a photo: 64 bits that survive scaling and recompression.

Zauner: "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010), the DCT hash: the signs of the
64 lowest frequencies of a 32x32 grey picture against their median.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIDE = 32
_KEPT = 8


def _cosines() -> NDArray[np.float64]:
    """[8, 32]: the lowest rows of the DCT-II matrix, the constant one left out."""
    frequency = np.arange(1, _KEPT + 1)[:, None]
    return np.asarray(np.cos(np.pi * frequency * (2 * np.arange(SIDE)[None] + 1) / (2 * SIDE)))


_COSINES = _cosines()


def phash(grey: NDArray[np.floating]) -> int:
    """The hash of a 32x32 grey picture (any scale of brightness) as a 64-bit integer."""
    if grey.shape != (SIDE, SIDE):
        raise ValueError(f"a grey picture of {SIDE}x{SIDE} is needed, not {grey.shape}")
    frequencies = _COSINES @ grey.astype(np.float64) @ _COSINES.T
    bits = (frequencies > np.median(frequencies)).flatten()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_pairs(hashes: list[int], others: list[int], most_bits: int) -> list[tuple[int, int]]:
    """Every (i, j) with hashes[i] and others[j] at most `most_bits` bits apart."""
    right = np.array(others, dtype=np.uint64)
    found = []
    for index, value in enumerate(np.array(hashes, dtype=np.uint64)):
        near = np.flatnonzero(np.bitwise_count(value ^ right) <= most_bits)
        found.extend((index, int(other)) for other in near)
    return found
