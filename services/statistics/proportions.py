"""Intervals for shares and for the difference of two shares.

Wilson 1927, J. Am. Stat. Assoc. 22:209-212; Newcombe 1998, Statistics in Medicine 17:873-890, method 10 (his "hybrid
score" interval, built from two of Wilson's). Both treat every face as independent of the others. Faces in one picture
are not quite independent, so the true intervals are somewhat wider.
"""

from __future__ import annotations

from math import hypot, sqrt

Z_95 = 1.959963984540054
"""The normal distribution's two-sided 95 % quantile."""

Interval = tuple[float, float]


def wilson(successes: int, trials: int) -> Interval | None:
    """Return the 95 % interval of a share, 0 to 1; None if there was no trial."""
    if trials == 0:
        return None
    share, z2 = successes / trials, Z_95 * Z_95
    scale = 1 + z2 / trials
    centre = (share + z2 / (2 * trials)) / scale
    half = Z_95 * sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials)) / scale
    # At 0 and n of n the bound is exact; rounding must not move it past the share itself.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return low, high


def newcombe(one: tuple[int, int], other: tuple[int, int]) -> Interval | None:
    """Return the 95 % interval of share `one` minus share `other`, -1 to 1; None if one of them had no trial.

    Each is (successes, trials).
    """
    first, second = wilson(*one), wilson(*other)
    if first is None or second is None:
        return None
    p, q = one[0] / one[1], other[0] / other[1]
    low = p - q - hypot(p - first[0], second[1] - q)
    high = p - q + hypot(first[1] - p, q - second[0])
    return max(-1.0, low), min(1.0, high)
