"""The learning rate over a training run: a short rise, then half a cosine."""

from __future__ import annotations

import math

_RISE = 0.04
_LAST = 0.01


def rate_at(done: float, highest: float) -> float:
    """The learning rate when the share `done` (0 to 1) of the run is over."""
    if done < _RISE:
        return highest * (0.05 + 0.95 * done / _RISE)
    fall = min(1.0, (done - _RISE) / (1 - _RISE))
    return highest * (_LAST + (1 - _LAST) * (1 + math.cos(math.pi * fall)) / 2)
