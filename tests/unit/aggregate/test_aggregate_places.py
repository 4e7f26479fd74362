"""The coarse grid: cells of about a face, by octave of size."""

from hypothesis import given
from hypothesis import strategies as st

from services.aggregate.core.motion import Location
from services.aggregate.core.places import NOWHERE, Cell, Places, cell_of

SIZES = st.floats(0.001, 1.0)
SHARES = st.floats(0.0, 1.0)


@given(SHARES, SHARES, SIZES)
def test_a_face_fits_its_own_cell_and_no_cell_is_finer_than_half_a_face(x, y, size):
    """That is all that is kept of a place."""
    where = Location(x, y, size)
    cell = cell_of(where)
    assert cell.fits(where)
    assert 0.5 * size < 2.0**cell.octave <= size


@given(SHARES, SHARES, SIZES, st.floats(-0.1, 0.1), st.floats(-0.1, 0.1), st.floats(0.9, 1.1))
def test_a_face_on_a_border_still_fits(x, y, size, right, down, larger):
    """A tenth of a face away, or a tenth larger, it is the same place: noise changes no cell."""
    cell = cell_of(Location(x, y, size))
    assert cell.fits(Location(x + right * size / 2, y + down * size / 2, size * larger))


def test_a_face_beside_it_does_not_fit():
    """One that is a face away, half as large or twice as large is another."""
    cell = cell_of(Location(0.5, 0.5, 0.05))
    assert cell == Cell(-5, 16, 16)
    others = [Location(0.56, 0.5, 0.05), Location(0.5, 0.44, 0.05), Location(0.5, 0.5, 0.02), Location(0.5, 0.5, 0.1)]
    assert not any(cell.fits(where) for where in others)


def test_places_hold_what_one_of_their_cells_fits():
    """And nothing where there is none."""
    here, there = Location(0.5, 0.5, 0.05), Location(0.2, 0.2, 0.1)
    places = Places.of([cell_of(here), cell_of(there)])
    assert (places.hold(here), places.hold(there), places.hold(Location(0.8, 0.5, 0.05))) == (True, True, False)
    assert not NOWHERE.hold(here)
