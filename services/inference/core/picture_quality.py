"""Measures how good a picture is for finding faces: light and sharpness of its luma; sizes of faces, never verdicts.

Sharpness is the energy of the Laplacian over the energy of the gradient, two focus measures of Subbarao, Choi and
Nikzad, "Focusing techniques" (Optical Engineering 32, 1993). Either alone grows with a scene's contrast; their ratio
does not. By Parseval's theorem the ratio is the mean squared spatial frequency, weighted by the gradient's energy, 8 at
most. Flat areas add to neither energy. A pixel that is black or beside a black one adds to neither: the edge of a
privacy area is sharper than anything a lens draws. On photos of crowds at 640 pixels the ratio, divided by 8, is 0.19
to 0.34 as they are. It is 0.06 to 0.08 after a Gaussian blur of one pixel, and 0.03 to 0.04 after one of 1.5 pixels.
Noise raises it: a dark, noisy picture may look sharp.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from services.inference.core.faces import Face, face_px

NoVerdict = Literal["too-small", "unsure"]

_BLACK, _SPAN = 16.0, 219.0
"""Luma of black, and from there to white (ITU-R BT.601, limited range)."""
_NEARLY_BLACK, _NEARLY_WHITE = 32.0, 230.0
_ROWS = 32
"""Pixels are copied at most this many rows at a time."""
_MAX_EIGEN = 8.0
_NO_CONTRAST = 0.05
"""Below this mean squared gradient, a picture holds nothing but rounding errors."""


@dataclass(frozen=True, slots=True)
class PictureLight:
    """Shares and means over a picture, all 0 to 1; `sharpness` is None where there is no contrast."""

    brightness: float
    dark: float
    clipped: float
    sharpness: float | None


class Meter:
    """Measures luma planes up to `widest` pixels wide. It copies pixels only to its own buffers and overwrites them."""

    def __init__(self, widest: int) -> None:
        self._strip = np.zeros((_ROWS + 2) * widest, np.float32)
        self._work = np.zeros(_ROWS * widest, np.float32)
        self._mask = np.zeros(_ROWS * widest, np.bool_)
        self._black = np.zeros((_ROWS + 2) * widest, np.bool_)

    def measure(self, luma: NDArray[np.uint8]) -> PictureLight:
        """Return the light and sharpness of a luma plane [rows, columns], both at least 3; its edge pixels don't count.

        ValueError for another shape.
        """
        if luma.ndim != 2 or min(luma.shape) < 3 or luma.shape[1] * (_ROWS + 2) > len(self._strip):
            raise ValueError(f"a luma plane of {luma.shape} can't be measured")
        sums = np.zeros(5)
        try:
            for top in range(1, luma.shape[0] - 1, _ROWS):
                sums += self._sums(luma[top - 1 : top + _ROWS + 1])
        finally:
            for buffer in (self._strip, self._work, self._mask, self._black):
                buffer.fill(0)
        bright, dark, clipped, laplacian, gradient = sums / ((luma.shape[0] - 2) * (luma.shape[1] - 2))
        sharpness = laplacian / (_MAX_EIGEN * gradient) if gradient > _NO_CONTRAST else None
        return PictureLight(
            _share(bright), _share(dark), _share(clipped), None if sharpness is None else _share(sharpness)
        )

    def _sums(self, luma: NDArray[np.uint8]) -> tuple[float, float, float, float, float]:
        """Return brightness, dark and clipped pixels, energies of Laplacian and gradient; sums over the inner rows."""
        strip = self._strip[: luma.size].reshape(luma.shape)
        np.copyto(strip, luma)  # no arithmetic on bytes: numpy would copy them to buffers that nobody overwrites
        middle = strip[1:-1, 1:-1]
        work, mask = (flat[: middle.size].reshape(middle.shape) for flat in (self._work, self._mask))
        np.copyto(work, middle)
        brightness = (float(work.sum()) - _BLACK * work.size) / _SPAN
        dark = int(np.count_nonzero(np.less_equal(middle, _NEARLY_BLACK, out=mask)))
        clipped = int(np.count_nonzero(np.greater_equal(middle, _NEARLY_WHITE, out=mask)))
        hidden = self._beside_black(strip)
        gradient = self._energy(np.subtract(middle, strip[1:-1, :-2], out=work), hidden)
        gradient += self._energy(np.subtract(middle, strip[:-2, 1:-1], out=work), hidden)
        np.multiply(middle, 4.0, out=work)
        for neighbour in _neighbours(strip):
            np.subtract(work, neighbour, out=work)
        return brightness, dark, clipped, self._energy(work, hidden), gradient

    def _beside_black(self, strip: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which inner pixels are black, as privacy areas are made, or have a black neighbour."""
        black = np.equal(strip, _BLACK, out=self._black[: strip.size].reshape(strip.shape))
        middle = black[1:-1, 1:-1]
        found = self._mask[: middle.size].reshape(middle.shape)
        np.copyto(found, middle)
        for neighbour in _neighbours(black):
            np.logical_or(found, neighbour, out=found)
        return found

    @staticmethod
    def _energy(values: NDArray[Any], without: NDArray[np.bool_]) -> float:
        np.multiply(values, values, out=values)
        np.copyto(values, 0.0, where=without)
        return float(values.sum())


def _neighbours(plane: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Return the upper, lower, left and right neighbours of a plane's inner pixels."""
    return plane[:-2, 1:-1], plane[2:, 1:-1], plane[1:-1, :-2], plane[1:-1, 2:]


def _share(value: float) -> float:
    return min(1.0, max(0.0, float(value)))


@dataclass(frozen=True, slots=True)
class FaceSize:
    """One face without its verdict: corners in shares of the picture, size in pixels, why it got no verdict."""

    box: tuple[float, float, float, float]
    px: float
    unknown: NoVerdict | None


def size_of(face: Face, width: int, height: int, smallest_px: float) -> FaceSize:
    """Return a face's size in a picture of `width` x `height`, where faces under `smallest_px` are not judged."""
    px = face_px((face.x2 - face.x1) * width, (face.y2 - face.y1) * height)
    unknown: NoVerdict | None = None
    if face.verdict == "unknown":
        unknown = "too-small" if px < smallest_px else "unsure"
    return FaceSize((face.x1, face.y1, face.x2, face.y2), px, unknown)
