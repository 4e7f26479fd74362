"""The analysed picture's geometry: planar I420 (YUV 4:2:0, 8 bit, limited range), rows without padding."""

SMALLEST = 32
MOST_PIXELS = 8192 * 4320
"""The largest picture that is decoded: what 8K cameras and panoramas have. One takes 53 MB, and a codec may keep 16."""
_ALIGNED = 32
_SUBSAMPLED = 4
_ASPECT_ERROR = 0.03


def analysis_size(width: int, height: int, long_side: int) -> tuple[int, int]:
    """Return (width, height) of the analysed picture: the longer side is `long_side`, the aspect is kept.

    Both are multiples of 4 and 32 at least. A width that is a multiple of 32 is taken where it changes the aspect by
    3 % at most, because then FFmpeg's rows have no padding. ValueError if a side isn't positive or `long_side` isn't a
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
