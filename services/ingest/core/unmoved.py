"""Leaves out pictures of a scene in which nothing moves: one a second is analysed, and the first that differs.

What is compared is 80x45 brightnesses of each sampled picture with those of the last analysed one, of which the latest
stay in memory. Somebody who stands still is in every analysed picture, so a track does not end (`max_gap_s`). Outside a
trial this would tell from a picture's rate whether anybody is there, so settings refuse it (docs/privacy.md).
"""

from typing import Any

import numpy as np

SECOND_NS = 1_000_000_000
EVERY_NS = SECOND_NS
"""The time between two analysed pictures of a scene that is still."""
SETTLE_NS = 2 * SECOND_NS
"""After the last change every picture is analysed for so long."""
GRID = 45, 80
LEAST_STEP, _MOST_STEP = 12.0, 40.0
"""Brightness must change by more than this, of 255, and by more than `_NOISES` times the picture's own noise. The
noise is what most places change by: where half the picture has changed it is no noise, so it counts up to a limit."""
_NOISES = 6.0
_ALL_STEP = 3.0
LEAST_PLACES = 3
"""In so many places; a face of 8 pixels with its shoulders covers more."""
_SEEN = 0.9

Luma = np.ndarray[Any, np.dtype[np.uint8]]
Grid = np.ndarray[Any, np.dtype[np.int16]]


def grid_of(luma: Luma) -> Grid:
    """Return 45x80 brightnesses, each the mean of four pixels of its part of the picture; shape (45, 80)."""
    rows, columns = (np.linspace(0, size, count, endpoint=False) for size, count in zip(luma.shape, GRID, strict=True))
    across, down = luma.shape[1] / GRID[1] / 4, luma.shape[0] / GRID[0] / 4
    at = [((rows + y * down).astype(int), (columns + x * across).astype(int)) for y in (1, 3) for x in (1, 3)]
    total = sum((luma[np.ix_(*places)].astype(np.int16) for places in at), start=np.zeros(GRID, np.int16))
    return total >> 2


def differs(before: Grid, now: Grid) -> bool:
    """Return whether something has moved between two pictures: more than noise, in several places.

    All of it together counts too: a light, or somebody before the lens.
    """
    if abs(float(np.mean(now - before))) > _ALL_STEP:
        return True
    step = np.abs(now - before)
    limit = min(max(LEAST_STEP, _NOISES * float(np.median(step))), _MOST_STEP)
    return int(np.count_nonzero(step > limit)) >= LEAST_PLACES


class Unmoved:
    """Decides for one camera, in the order of its pictures."""

    def __init__(self) -> None:
        self._grid: Grid | None = None
        self._size: tuple[int, ...] = ()
        self._moved_at = self._analysed_at = 0
        self.is_still = False
        """Whether the next picture after the last analysed one comes in a second, if nothing moves."""

    def leaves_out(self, luma: Luma, event_ns: int) -> bool:
        """Return whether this picture need not be analysed; `luma` has shape (height, width), time is event time."""
        grid = grid_of(luma)
        moved = self._grid is None or luma.shape != self._size or differs(self._grid, grid)
        moved = moved or event_ns < self._analysed_at
        if moved:
            self._moved_at = event_ns
        vouched, self.is_still = self.is_still, not moved and event_ns - self._moved_at >= SETTLE_NS
        if self.is_still and vouched and event_ns - self._analysed_at < _SEEN * EVERY_NS:
            return True
        self._grid, self._size, self._analysed_at = grid, luma.shape, event_ns
        return False

    def forget(self) -> None:
        """Begin anew: after another connection, or a picture that was lost on its way; nothing stays in memory."""
        self._grid, self.is_still = None, False
