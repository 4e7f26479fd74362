"""Which operating point analyses which camera: services.inference.core.points."""

from hypothesis import given
from hypothesis import strategies as st

from services.inference.core.points import Points
from services.sites.settings import CameraSettings, SiteSettings

ANALYSES = st.lists(st.sampled_from(["accurate", "fast"]), max_size=4)


def sites(analyses):
    """Return sites whose cameras have these settings."""
    return [
        SiteSettings(
            id=f"s{number}",
            cameras=[CameraSettings(id=f"c{n}", url="x.mp4", analysis=one) for n, one in enumerate(some)],
        )
        for number, some in enumerate(analyses)
    ]


@given(st.lists(ANALYSES, max_size=3), st.booleans())
def test_each_camera_has_one_point_and_each_site_those_of_its_cameras(analyses, has_fast):
    """A model without the second point has the first alone, whatever is asked for."""
    points, asked = Points(sites(analyses), has_fast), set()
    for number, some in enumerate(analyses):
        asked |= {(f"s{number}", f"c{n}") for n, one in enumerate(some) if one == "fast"}
        expected = set(some) if has_fast else {"accurate"} if some else set()
        assert points.by_site()[f"s{number}"] == expected
    assert points.wanted == asked
    assert points.fast == (asked if has_fast else set())


def test_accurate_is_the_default():
    """A camera that says nothing is analysed as well as can be."""
    assert CameraSettings(id="gate", url="x.mp4").analysis == "accurate"
