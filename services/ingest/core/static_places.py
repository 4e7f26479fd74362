"""A camera's static faces in shares of its picture. Aggregate knows them in picture widths, whatever the aspect."""

from proto.aiming import PictureSize, StaticPlaces, StaticPlacesReplyV1, StaticPlaceV1
from proto.types import Box

_DIGITS = 6


def in_shares(reply: StaticPlacesReplyV1, analysed: PictureSize) -> StaticPlaces:
    """Return the cells as rectangles in shares of the analysed picture.

    A cell may reach beyond the picture's edge and is cut there. One that is outside altogether was learnt from a
    picture of another shape, and is left out.
    """
    boxes = [_box(place, analysed.width / analysed.height) for place in reply.places]
    return StaticPlaces(reply.at, [(x1, y1, x2, y2) for x1, y1, x2, y2 in boxes if x1 < x2 and y1 < y2])


def _box(place: StaticPlaceV1, aspect: float) -> Box:
    side = 2.0**place.octave
    return (
        _share(side * place.column),
        _share(side * place.row * aspect),
        _share(side * (place.column + 1)),
        _share(side * (place.row + 1) * aspect),
    )


def _share(length: float) -> float:
    return round(min(1.0, length), _DIGITS)
