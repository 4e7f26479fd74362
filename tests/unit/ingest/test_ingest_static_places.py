"""Static faces in shares of the picture: services.ingest.core.static_places, from what aggregate's grid says."""

import pytest
from examples import examples
from hypothesis import assume, given
from hypothesis import strategies as st

from proto.aiming import PictureSize, StaticPlacesReplyV1, StaticPlaceV1
from services.aggregate.core.motion import place
from services.aggregate.core.places import cell_of
from services.ingest.core.static_places import in_shares

share = st.floats(0, 1)
side = st.integers(16, 4096)
HALF_A_DIGIT = 1e-6


def shares(*places, width=640, height=360, at=5):
    reply = StaticPlacesReplyV1(site="cannes", camera="gate", at=at, places=[StaticPlaceV1(*one) for one in places])
    return in_shares(reply, PictureSize(width, height))


@examples(200)
@given(st.tuples(share, share, share, share), side, side)
def test_a_face_that_aggregate_keeps_is_within_its_rectangle(corners, width, height):
    """Aggregate counts in picture widths, both ways: a picture that is wide or high must not move the place."""
    x1, x2 = sorted(corners[:2])
    y1, y2 = sorted(corners[2:])
    assume((x2 - x1) * width >= 1)
    assume((y2 - y1) * height >= 1)
    where = place((x1, y1, x2, y2), width / height)
    (left, top, right, bottom) = shares(cell_of(where), width=width, height=height).places[0]
    assert left - HALF_A_DIGIT <= (x1 + x2) / 2 <= right + HALF_A_DIGIT
    assert top - HALF_A_DIGIT <= (y1 + y2) / 2 <= bottom + HALF_A_DIGIT
    assert 0 <= left < right <= 1
    assert 0 <= top < bottom <= 1


@pytest.mark.parametrize(
    ("cell", "size", "expected"),
    [
        ((-3, 2, 1), (640, 640), [(0.25, 0.125, 0.375, 0.25)]),
        ((-3, 2, 1), (640, 320), [(0.25, 0.25, 0.375, 0.5)]),
        ((-1, 1, 0), (640, 360), [(0.5, 0.0, 1.0, 0.888889)]),
        ((-1, 1, 1), (640, 360), [(0.5, 0.888889, 1.0, 1.0)]),
        ((-1, 1, 2), (640, 360), []),
        ((-1, 2, 0), (640, 360), []),
    ],
    ids=["square", "wide", "whole", "cut", "below", "beside"],
)
def test_a_cell_is_cut_at_the_edge(cell, size, expected):
    """One that is outside, since the picture had another shape when it was learnt, is left out."""
    told = shares(cell, width=size[0], height=size[1])
    assert (told.at, told.places) == (5, expected)


def test_nothing_is_told_of_a_camera_that_is_learning():
    """Which is another thing than that it has no static face."""
    assert (shares(at=None).at, shares().at) == (None, 5)
