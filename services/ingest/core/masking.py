"""Privacy masks: which pixels of the analysed picture may hold anything of an area that is not to be seen.

Areas are polygons in shares of the picture's width and height. A pixel counts as covered if its middle lies inside a
polygon or within reach of its edge: the picture was averaged down (or drawn up) from the camera's, so that pixels near
the edge hold something of what lies inside.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.ingest.core.picture import plane_shapes

Point = tuple[float, float]
Polygon = tuple[Point, ...]
Size = tuple[int, int]
"""Width and height in pixels."""

_BLACK = (16, 128, 128)
"""Y, U and V of black (ITU-R BT.601, limited range)."""
_REACH = 1.5
"""How far FFmpeg's scaler looks beyond a pixel's middle, in pixels of the coarser of the two pictures."""
_COARSE = 128
_CORNER = math.sqrt(2.0)
"""A filter's window is a square, and an edge may pass through its corner."""


class PictureChanged(ValueError):
    """The camera's picture has another size than the one that the areas were drawn on."""


@dataclass(frozen=True)
class Grid:
    """What one picture is scaled from and to: the decoded luma plane, its chroma planes, and the analysed picture."""

    luma: Size
    chroma: Size
    analysed: Size


def hidden_share(areas: tuple[Polygon, ...]) -> float:
    """Return the share of the picture inside the areas, to within a few percent of itself."""
    middles = (np.arange(_COARSE) + 0.5) / _COARSE
    inside = np.zeros((_COARSE, _COARSE), dtype=np.bool_)
    for area in areas:
        inside |= _wound(middles, middles, area)
    return float(inside.mean())


def _wound(x: NDArray[np.float64], y: NDArray[np.float64], polygon: Polygon) -> NDArray[np.bool_]:
    """[rows, columns]: the points that the polygon goes round, in any direction and however often (non-zero rule).

    Sunday: "Inclusion of a Point in a Polygon" (2001). Where parts of one polygon overlap, the overlap is inside.
    """
    winding = np.zeros((len(y), len(x)), dtype=np.int16)
    for (ax, ay), (bx, by) in _edges(polygon):
        if ay == by:
            continue
        # The rows that the edge crosses; its lower end belongs to the next edge.
        first, last = np.searchsorted(y, sorted((ay, by)), side="left")
        at = (bx - ax) * (y[first:last, None] - ay) / (by - ay) + ax
        winding[first:last] += np.where(x[None] < at, 1 if by > ay else -1, 0).astype(np.int16)
    return np.not_equal(winding, 0)


def _near(x: NDArray[np.float64], y: NDArray[np.float64], polygon: Polygon, reach: Point) -> NDArray[np.bool_]:
    """[rows, columns]: the points of which an edge passes within `reach` (along x and along y)."""
    result = np.zeros((len(y), len(x)), dtype=np.bool_)
    for (ax, ay), (bx, by) in _edges(polygon):
        columns, rows = _between(x, ax, bx, reach[0]), _between(y, ay, by, reach[1])
        # In a space where both reaches are 1.
        px, py = (x[None, columns] - ax) / reach[0], (y[rows, None] - ay) / reach[1]
        along = ((bx - ax) / reach[0], (by - ay) / reach[1])
        length = along[0] ** 2 + along[1] ** 2
        share = np.clip((px * along[0] + py * along[1]) / length, 0.0, 1.0) if length else 0.0
        result[rows, columns] |= np.hypot(px - share * along[0], py - share * along[1]) <= _CORNER
    return result


def _edges(polygon: Polygon) -> list[tuple[Point, Point]]:
    # To a billionth of the picture: smaller differences are no edge, and dividing by one would overflow.
    corners = [(round(x, 9), round(y, 9)) for x, y in polygon]
    return list(zip(corners, corners[1:] + corners[:1], strict=True))


def _between(values: NDArray[np.float64], one: float, other: float, reach: float) -> slice:
    low, high = min(one, other) - _CORNER * reach, max(one, other) + _CORNER * reach
    return slice(int(np.searchsorted(values, low)), int(np.searchsorted(values, high, side="right")))


def _covered(rows: int, columns: int, source: Size, polygons: tuple[Polygon, ...]) -> NDArray[np.intp]:
    """The pixels of a plane, counted row by row, that hold something of a polygon when scaled from a `source` plane."""
    x, y = (np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows
    reach = (_REACH / min(columns, source[0]), _REACH / min(rows, source[1]))
    result = np.zeros((rows, columns), dtype=np.bool_)
    for polygon in polygons:
        result |= _wound(x, y, polygon) | _near(x, y, polygon, reach)
    return np.flatnonzero(result)


class Mask:
    """Blanks polygons in the I420 pictures of one grid."""

    def __init__(self, polygons: tuple[Polygon, ...], grid: Grid) -> None:
        self._planes: list[tuple[int, int, NDArray[np.intp], int]] = []
        start = 0
        sources = (grid.luma, grid.chroma, grid.chroma)
        for (rows, columns), source, black in zip(plane_shapes(*grid.analysed), sources, _BLACK, strict=True):
            self._planes.append((start, rows * columns, _covered(rows, columns, source, polygons), black))
            start += rows * columns

    def blank(self, picture: memoryview) -> None:
        """Make the covered pixels of a tight I420 picture black."""
        pixels = np.frombuffer(picture, np.uint8)
        for start, size, where, black in self._planes:
            pixels[start : start + size][where] = black


class Masking:
    """The masks of one camera: `areas` were drawn on a picture of `drawn_for`, in square pixels."""

    def __init__(self, areas: tuple[Polygon, ...], drawn_for: Size) -> None:
        self._areas, self._drawn_for = areas, drawn_for
        self._grid: Grid | None = None
        self._mask: Mask | None = None

    def check(self, shown: Size) -> None:
        """Raise PictureChanged unless the camera's picture, in square pixels, has the size that was drawn on."""
        if shown != self._drawn_for:
            sizes = [f"{width}x{height}" for width, height in (shown, self._drawn_for)]
            raise PictureChanged(
                f"the picture is {sizes[0]} and the privacy areas were drawn for {sizes[1]}; look whether they still"
                " cover what they should, then set privacy.drawn_for; until the camera's settings change, or ingest"
                " is started anew, it is stopped"
            )

    def mask(self, grid: Grid) -> Mask:
        """Return the mask for this grid; made once, which may take longer than a picture may live."""
        if self._mask is None or grid != self._grid:
            self._grid, self._mask = grid, Mask(self._areas, grid)
        return self._mask
