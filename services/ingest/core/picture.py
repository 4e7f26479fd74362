"""The analysed picture: its geometry, and the pixels that may contain part of a privacy area.

Planar I420 (YUV 4:2:0, 8 bit, limited range), rows without padding. Areas are polygons in shares of the picture's width
and height. A pixel counts as covered if its middle lies inside a polygon or within reach of its edge. The picture was
averaged down (or scaled up) from the camera's, so pixels near the edge contain part of the inside.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SMALLEST = 32
MAX_PIXELS = 8192 * 4320
"""The largest picture that is decoded, as from 8K cameras and panoramas. One takes 53 MB; a codec may keep 16."""
_ALIGNED = 32
_SUBSAMPLED = 4
_ASPECT_ERROR = 0.03


def analysis_size(width: int, height: int, long_side: int) -> tuple[int, int]:
    """Return (width, height) of the analysed picture: the longer side is `long_side`, the aspect is kept.

    Both are multiples of 4 and at least 32. A width that is a multiple of 32 is preferred if it changes the aspect by
    at most 3 %, because then FFmpeg's rows have no padding. ValueError if a side isn't positive or `long_side` isn't a
    multiple of 4.
    """
    if width <= 0 or height <= 0:
        raise ValueError(f"a picture of {width}x{height} has no size; both sides are 1 at least")
    if long_side < SMALLEST or long_side % _SUBSAMPLED:
        raise ValueError(f"long_side is {long_side}; it is a multiple of {_SUBSAMPLED}, {SMALLEST} at least")
    if width >= height:
        return long_side, _multiple(long_side * height / width, _SUBSAMPLED)
    return _short_width(long_side * width / height), long_side


def i420_size(width: int, height: int) -> int:
    """Return the bytes of an I420 picture with even sides: Y, then U and V at a quarter each."""
    return width * height * 3 // 2


def plane_shapes(width: int, height: int) -> tuple[tuple[int, int], ...]:
    """Return (rows, columns) of the planes Y, U and V."""
    half = (height // 2, width // 2)
    return (height, width), half, half


def _short_width(exact: float) -> int:
    aligned = _multiple(exact, _ALIGNED)
    return aligned if abs(aligned - exact) <= _ASPECT_ERROR * exact else _multiple(exact, _SUBSAMPLED)


def _multiple(exact: float, of: int) -> int:
    return max(SMALLEST, round(exact / of) * of)


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
    """The sizes before and after scaling: the decoded luma plane, its chroma planes, and the analysed picture."""

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
    """[rows, columns]: the points that the polygon goes round, in any direction, any number of times (non-zero rule).

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
    """[rows, columns]: the points that have an edge within `reach` (along x and along y)."""
    result = np.zeros((len(y), len(x)), dtype=np.bool_)
    for (ax, ay), (bx, by) in _edges(polygon):
        columns, rows = _between(x, ax, bx, reach[0]), _between(y, ay, by, reach[1])
        # Scaled so that both reaches are 1.
        px, py = (x[None, columns] - ax) / reach[0], (y[rows, None] - ay) / reach[1]
        along = ((bx - ax) / reach[0], (by - ay) / reach[1])
        length = along[0] ** 2 + along[1] ** 2
        share = np.clip((px * along[0] + py * along[1]) / length, 0.0, 1.0) if length else 0.0
        result[rows, columns] |= np.hypot(px - share * along[0], py - share * along[1]) <= _CORNER
    return result


def _edges(polygon: Polygon) -> list[tuple[Point, Point]]:
    # Round to a billionth of the picture: a smaller difference is no edge, and dividing by it would overflow.
    corners = [(round(x, 9), round(y, 9)) for x, y in polygon]
    return list(zip(corners, corners[1:] + corners[:1], strict=True))


def _between(values: NDArray[np.float64], one: float, other: float, reach: float) -> slice:
    low, high = min(one, other) - _CORNER * reach, max(one, other) + _CORNER * reach
    return slice(int(np.searchsorted(values, low)), int(np.searchsorted(values, high, side="right")))


def _covered(rows: int, columns: int, source: Size, polygons: tuple[Polygon, ...]) -> NDArray[np.intp]:
    """Return the pixels of a plane that contain part of a polygon when scaled from a `source` plane.

    They are counted row by row.
    """
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
        """Raise PictureChanged unless the picture, in square pixels, has the size that the areas were drawn on."""
        if shown != self._drawn_for:
            sizes = [f"{width}x{height}" for width, height in (shown, self._drawn_for)]
            raise PictureChanged(
                f"the picture is {sizes[0]} and the privacy areas were drawn for {sizes[1]}; look whether they still"
                " cover what they should, then set privacy.drawn_for; until the camera's settings change, or ingest"
                " is started anew, it is stopped"
            )

    def mask(self, grid: Grid) -> Mask:
        """Return the mask for this grid. It is made once, and making it may take longer than a picture may live."""
        if self._mask is None or grid != self._grid:
            self._grid, self._mask = grid, Mask(self._areas, grid)
        return self._mask
