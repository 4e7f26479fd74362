"""Histograms of face sizes and scores, and how far two of them differ (ADR 9)."""

from collections.abc import Sequence
from math import floor, log, log2

SIZE_BINS = 64
SIZE_BINS_PER_OCTAVE = 8
"""A bin's upper edge is 9 % above its lower one; the last one ends at the picture's longer side."""
SCORE_BINS = 50


def size_bin(area: float) -> int:
    """Return the bin of a face of this area, in squares of the picture's longer side."""
    if area <= 0:
        return 0
    return min(max(floor(SIZE_BINS_PER_OCTAVE / 2 * log2(area)) + SIZE_BINS, 0), SIZE_BINS - 1)


def size_at(position: float) -> float:
    """Return the size, as a share of the picture's longer side, at a position in bins."""
    return float(2 ** ((position - SIZE_BINS) / SIZE_BINS_PER_OCTAVE))


def quantile(counts: Sequence[int], tenths: int) -> float:
    """Return a quantile as a position in bins, interpolated within its bin; ValueError if nothing was counted."""
    rank, below = -(-tenths * sum(counts) // 10), 0
    for index, count in enumerate(counts):
        if count and below + count >= rank:
            return index + (rank - below - 0.5) / count
        below += count
    raise ValueError("nothing was counted")


def groups(baseline: Sequence[int]) -> list[slice]:
    """Return groups of neighbouring bins that each hold a tenth of the baseline.

    A bin that holds a tenth stands alone. In a group with empty neighbours, a move of faces into these would not be
    seen.
    """
    tenth, start, held, found = sum(baseline) / 10, 0, 0, []
    for index, count in enumerate(baseline):
        if count >= tenth and index > start:
            found.append(slice(start, index))
            start, held = index, 0
        held += count
        if held >= tenth:
            found.append(slice(start, index + 1))
            start, held = index + 1, 0
    return [*found, slice(start, len(baseline))] if start < len(baseline) else found


def stability_index(baseline: Sequence[int], recent: Sequence[int]) -> float:
    """Return the population stability index of two histograms: 0 where they agree; above 0.25 is a large change.

    The sum of (a - b) ln(a / b) over groups of about a tenth of the baseline (Siddiqi, "Credit Risk Scorecards", 2006;
    its distribution: Yurdakul & Naranjo 2020, J. Risk Model Validation 14(4)). Half a face is added to each group, so
    that an empty group causes no division by zero.
    """
    parts = groups(baseline)
    pairs = zip(_shares(baseline, parts), _shares(recent, parts), strict=True)
    return sum((a - b) * log(a / b) for b, a in pairs)


def _shares(counts: Sequence[int], parts: list[slice]) -> list[float]:
    total = sum(counts) + len(parts) / 2
    return [(sum(counts[part]) + 0.5) / total for part in parts]
