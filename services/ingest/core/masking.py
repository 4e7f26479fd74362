"""Privacy masks: which pixels of the analysed picture may hold anything of an area that is not to be seen.

Masks are polygons in shares of the picture's width and height. A pixel counts as covered if its middle lies inside a
polygon or within reach of its edge: the picture was averaged down (or drawn up) from the camera's, so that pixels near
the edge hold something of what lies inside.
"""

import numpy as np
from numpy.typing import NDArray

from services.ingest.core.picture import plane_shapes

Point = tuple[float, float]
Polygon = tuple[Point, ...]

_BLACK = (16, 128, 128)
"""Y, U and V of black (ITU-R BT.601, limited range)."""
_REACH = 1.5
"""How far FFmpeg's scaler looks beyond a pixel's middle, in pixels of the coarser of the two pictures."""


def _inside(x: NDArray[np.float64], y: NDArray[np.float64], polygon: Polygon) -> NDArray[np.bool_]:
    """Even-odd rule: Shimrat, "Algorithm 112: Position of point relative to polygon" (1962)."""
    result = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=np.bool_)
    for (ax, ay), (bx, by) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if ay == by:
            continue
        crosses = ((ay > y) != (by > y)) & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
        result ^= crosses
    return result


def _near(x: NDArray[np.float64], y: NDArray[np.float64], polygon: Polygon, reach: Point) -> NDArray[np.bool_]:
    """Whether an edge passes within `reach` (along x and along y): in a space where both reaches are 1."""
    px, py = x / reach[0], y / reach[1]
    result = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=np.bool_)
    for (ax, ay), (bx, by) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        start, along = (ax / reach[0], ay / reach[1]), ((bx - ax) / reach[0], (by - ay) / reach[1])
        length = along[0] ** 2 + along[1] ** 2
        share = ((px - start[0]) * along[0] + (py - start[1]) * along[1]) / length if length else 0.0
        share = np.clip(share, 0.0, 1.0)
        # Two: a filter's window is a square, and the edge may pass through its corner.
        result |= (px - start[0] - share * along[0]) ** 2 + (py - start[1] - share * along[1]) ** 2 <= 2.0
    return result


def _covered(rows: int, columns: int, source: tuple[int, int], polygons: tuple[Polygon, ...]) -> NDArray[np.bool_]:
    """[rows, columns]: the pixels of one plane that hold something of a polygon; `source` is (width, height)."""
    x = (np.arange(columns, dtype=np.float64)[None, :] + 0.5) / columns
    y = (np.arange(rows, dtype=np.float64)[:, None] + 0.5) / rows
    reach = (_REACH / min(columns, source[0]), _REACH / min(rows, source[1]))
    result = np.zeros((rows, columns), dtype=np.bool_)
    for polygon in polygons:
        result |= _inside(x, y, polygon) | _near(x, y, polygon, reach)
    return result


class PictureChanged(ValueError):
    """The camera's picture has another size than the one that the areas were drawn on."""


class Mask:
    """Blanks polygons in I420 pictures of one size that were scaled from a camera's picture of one size."""

    def __init__(self, polygons: tuple[Polygon, ...], width: int, height: int, source: tuple[int, int]) -> None:
        self._planes: list[tuple[int, int, NDArray[np.intp], int]] = []
        start = 0
        for (rows, columns), black in zip(plane_shapes(width, height), _BLACK, strict=True):
            # The camera's chroma has half its pixels as well.
            seen = source if (rows, columns) == (height, width) else (max(1, source[0] // 2), max(1, source[1] // 2))
            where = np.flatnonzero(_covered(rows, columns, seen, polygons))
            self._planes.append((start, rows * columns, where, black))
            start += rows * columns

    def blank(self, picture: memoryview) -> None:
        """Make the covered pixels of a tight I420 picture black."""
        pixels = np.frombuffer(picture, np.uint8)
        for start, size, where, black in self._planes:
            pixels[start : start + size][where] = black


class Masking:
    """The masks of one camera: `areas` were drawn on a picture of `drawn_for` (width, height)."""

    def __init__(self, areas: tuple[Polygon, ...], drawn_for: tuple[int, int]) -> None:
        self._areas, self._drawn_for = areas, drawn_for
        self._masks: dict[tuple[int, int], Mask] = {}

    def check(self, source: tuple[int, int]) -> None:
        """Raise PictureChanged unless the camera's picture, in square pixels, has the size that was drawn on."""
        if source != self._drawn_for:
            sizes = [f"{width}x{height}" for width, height in (source, self._drawn_for)]
            raise PictureChanged(
                f"the picture is {sizes[0]} and the privacy areas were drawn for {sizes[1]}; look whether they still"
                " cover what they should, then set privacy.drawn_for"
            )

    def blank(self, picture: memoryview, width: int, height: int) -> None:
        """Make the areas black in a tight I420 picture of this size."""
        size = (width, height)
        if size not in self._masks:
            self._masks = {size: Mask(self._areas, width, height, self._drawn_for)}
        self._masks[size].blank(picture)
