"""The Wilson score interval (Wilson 1927, J. Am. Stat. Assoc. 22:209-212)."""

from math import sqrt

Z_95 = 1.959963984540054
"""The normal distribution's two-sided 95 % quantile."""


def interval(successes: int, trials: int) -> tuple[float, float] | None:
    """Return the 95 % interval of a share, 0..1, or None when there was no trial."""
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
