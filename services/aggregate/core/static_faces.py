"""Where faces hang on a site's walls: learnt from the windows, one after the other, and kept as coarse cells (ADR 42).

A place is learnt when a face was seen there in each of so many windows in a row, within the detector's noise. What is
learnt holds from the close of a window to that of the next one. It is a message at each window's border, so that a
replay begins with it: `StaticFacesV1` is all that is needed to go on.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import structs

from proto.sightings import StaticCameraV1, StaticCellV1, StaticFacesV1
from services.aggregate.core.config import SECOND
from services.aggregate.core.motion import Location
from services.aggregate.core.places import NOWHERE, Cell, Places, cell_of

WINDOWS = 3
"""A place is learnt after at least so many windows in a row ..."""
LEARN = 3_600 * SECOND
"""... and so much observed time."""
FORGET = 24 * 3_600 * SECOND
"""A learnt place at which no static face was seen for so much observed time is forgotten."""
MOST = 32
"""Cells that are kept of a camera at most: those of a thousand cameras fit in one message of NATS (1 MiB)."""

Seen = Mapping[str, Sequence[Location] | None]
"""By camera: the places at which a face lasted in a window; None: the window says nothing of this camera."""


def is_learnt(cell: StaticCellV1) -> bool:
    """Return whether a face at this place is nobody."""
    return cell.windows >= WINDOWS and cell.held >= LEARN


def is_learning(camera: StaticCameraV1) -> bool:
    """Return whether a camera was not observed for long enough to know its static faces."""
    return camera.windows < WINDOWS or camera.observed < LEARN


def place_of(cell: StaticCellV1) -> Cell:
    """Return the cell of the grid."""
    return Cell(cell.octave, cell.column, cell.row)


def learnt(message: StaticFacesV1) -> dict[str, Places]:
    """Return the places that are learnt, by camera; a camera without any is missing."""
    found = {c.camera: [place_of(cell) for cell in c.cells if is_learnt(cell)] for c in message.cameras}
    return {camera: Places.of(cells) for camera, cells in found.items() if cells}


class StaticFaces:
    """What one site has learnt. It changes when a window closes, and at no other moment."""

    def __init__(self, site: str) -> None:
        self._known = StaticFacesV1(site=site, until=0)
        self._places: dict[str, Places] = {}
        self._fresh: dict[str, Places] = {}
        self._stored: dict[int, StaticFacesV1] = {}

    def restore(self, stored: Iterable[StaticFacesV1]) -> None:
        """Take what was stored before a start: it holds again from the same borders."""
        self._stored = {message.until: message for message in stored}

    def begin(self, start: int, reach: int) -> None:
        """Begin with the window of this start, or go on with it after a hole in the series.

        What ended more than `reach` before is forgotten: a start could not read it any more.
        """
        ready = [until for until in self._stored if self._known.until < until <= start]
        if ready:
            self._adopt(self._stored[max(ready)])
        if start - self._known.until > reach:
            self._adopt(StaticFacesV1(site=self._known.site, until=0))

    def forget(self) -> None:
        """Learn again, from a stream that has nothing of what was learnt."""
        self._adopt(StaticFacesV1(site=self._known.site, until=0))
        self._stored.clear()

    def places(self, camera: str) -> Places:
        """Return where static faces of a camera are known to be."""
        return self._places.get(camera, NOWHERE)

    def fresh(self, camera: str) -> Places:
        """Return those of them that the last window to close has added."""
        return self._fresh.get(camera, NOWHERE)

    def is_learning(self, camera: str) -> bool:
        """Return whether a camera was not observed for long enough to know its static faces."""
        known = next((one for one in self._known.cameras if one.camera == camera), None)
        return known is None or is_learning(known)

    def close(self, end: int, window: int, seen: Seen) -> StaticFacesV1 | None:
        """Learn from a window of this end and length, ns.

        Return what is to be stored: None if it was already, or if there is no camera.

        `seen` has the cameras of the window's configuration: others are forgotten.
        """
        newest = max(self._stored, default=0)
        stored = self._stored.pop(end, None)
        before = {camera.camera: camera for camera in self._known.cameras}
        cameras = [_camera(before.get(name), name, window, places) for name, places in sorted(seen.items())]
        self._adopt(stored or structs.replace(self._known, until=end, cameras=cameras))
        return self._known if end > newest and (before or seen) else None

    def _adopt(self, message: StaticFacesV1) -> None:
        before, self._known, self._places = self._places, message, learnt(message)
        self._fresh = {
            name: Places.of(set(places.cells) - set(before.get(name, NOWHERE).cells))
            for name, places in self._places.items()
        }


def _camera(before: StaticCameraV1 | None, name: str, window: int, places: Sequence[Location] | None) -> StaticCameraV1:
    known = before or StaticCameraV1(camera=name, windows=0, observed=0)
    if places is None:
        return known
    held, fresh = _assigned(known.cells, places)
    cells = [_again(cell, window) if cell in held else _missed(cell, window) for cell in known.cells]
    cells += [StaticCellV1(*cell, 1, min(window, LEARN)) for cell in fresh]
    return StaticCameraV1(
        camera=name,
        windows=min(known.windows + 1, WINDOWS),
        observed=min(known.observed + window, LEARN),
        cells=_kept(cell for cell in cells if cell is not None),
    )


def _assigned(cells: Sequence[StaticCellV1], places: Sequence[Location]) -> tuple[list[StaticCellV1], list[Cell]]:
    """Return the known cells in which faces lasted, each for one face, and the new cells of the other faces."""
    left, held, fresh = sorted(cells, key=_rank), list[StaticCellV1](), list[Cell]()
    for where in places:
        known = next((cell for cell in left if place_of(cell).fits(where)), None)
        if known is not None:
            left.remove(known)
            held.append(known)
        elif (cell := cell_of(where)) not in {*fresh, *map(place_of, cells)}:
            fresh.append(cell)
    return held, fresh


def _again(cell: StaticCellV1, window: int) -> StaticCellV1:
    windows, held = min(cell.windows + 1, WINDOWS), min(cell.held + window, LEARN)
    return structs.replace(cell, windows=windows, held=held, missed=0)


def _missed(cell: StaticCellV1, window: int) -> StaticCellV1 | None:
    """Return a cell in which no face lasted; None if it is a place no more: one that is not learnt yet begins anew."""
    missed = cell.missed + window
    return structs.replace(cell, missed=missed) if is_learnt(cell) and missed < FORGET else None


def _kept(cells: Iterable[StaticCellV1]) -> list[StaticCellV1]:
    """Return at most so many cells, those held longest, in the order of the grid."""
    return sorted(sorted(cells, key=_rank)[:MOST], key=place_of)


def _rank(cell: StaticCellV1) -> tuple[int, int, int, Cell]:
    """Return the order in which cells are kept: learnt ones first, of these the one seen last."""
    return (-cell.held, -cell.windows, cell.missed, place_of(cell))
