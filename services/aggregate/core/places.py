"""The coarse grid on which a site keeps where static faces are: cells of about a face, by octave of size (ADR 42).

A face of the octave `n` is between 2 ** n and 2 ** (n + 1) picture widths large; a cell of that octave is 2 ** n wide
and high. Nothing finer is ever kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor, log2
from typing import NamedTuple

from services.aggregate.core.motion import Location

ROOM = 0.25
"""A face that is this much outside of a cell, in cells, still fits it: a face on a border must not change cells."""
SIZE_ROOM = 0.2
"""The same for the size, in octaves."""


class Cell(NamedTuple):
    """One cell of the grid."""

    octave: int
    column: int
    row: int

    def fits(self, where: Location) -> bool:
        """Return whether a face is in the cell, or hardly outside of it."""
        side = 2.0**self.octave
        across, down = where.x / side - self.column, where.y / side - self.row
        return (
            -ROOM <= across <= 1 + ROOM
            and -ROOM <= down <= 1 + ROOM
            and -SIZE_ROOM <= log2(where.size) - self.octave <= 1 + SIZE_ROOM
        )


def cell_of(where: Location) -> Cell:
    """Return the cell that a face is in."""
    octave = floor(log2(where.size))
    side = 2.0**octave
    return Cell(octave, max(0, floor(where.x / side)), max(0, floor(where.y / side)))


@dataclass(frozen=True, slots=True)
class Places:
    """The cells of one camera in which static faces are known to be."""

    cells: tuple[Cell, ...] = ()

    @classmethod
    def of(cls, cells: Iterable[Cell]) -> "Places":
        """Return the places of these cells."""
        return cls(tuple(sorted(cells)))

    def hold(self, where: Location) -> bool:
        """Return whether a face is where a static face is known to be."""
        return any(cell.fits(where) for cell in self.cells)


NOWHERE = Places()
"""No static face is known."""
