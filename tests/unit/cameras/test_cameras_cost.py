"""What a stream costs ingest, and when another one is worth its while."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operate.cameras.core.cost import cost_ms, part, saving

SIDES = st.integers(16, 8192)
RATES = st.floats(0.5, 60)


@pytest.mark.parametrize(
    ("stream", "least", "most"),
    [((640, 360, 8), 3, 3), ((1280, 720, 8), 7, 7), ((1920, 1080, 25), 21, 28)],
)
def test_it_is_near_what_was_measured(stream, least, most):
    """Within a third of each measured figure, for five analysed pictures a second."""
    assert least * 2 / 3 <= cost_ms(*stream, 5.0) <= most * 4 / 3


@pytest.mark.parametrize(
    ("stream", "long_side", "found"),
    [
        ((1920, 1080, 25), 640, (640, 360, 9)),
        ((1280, 720, 25), 640, (640, 360, 4)),
        ((1080, 1920, 25), 640, (360, 640, 9)),
        ((1920, 1080, 25), 1280, (1280, 720, 5)),
        ((1280, 720, 10), 640, None),
        ((640, 360, 25), 640, None),
        ((640, 360, 8), 640, None),
        ((0, 0, 25), 640, None),
        ((1920, 1080, 0), 640, None),
    ],
)
def test_another_stream_is_named_where_it_saves_much(stream, long_side, found):
    """1080p is; what docs/cameras.md recommends, 640x360 and 720p at up to 10 pictures, is not."""
    assert saving(*stream, analysed_fps=5.0, long_side=long_side) == found


@given(SIDES, SIDES, RATES, st.floats(0.5, 30), st.integers(160, 1920))
def test_what_is_named_is_smaller_and_cheaper(width, height, fps, analysed, long_side):
    """It has the analysed picture's longer side and costs at most a third."""
    found = saving(width, height, fps, analysed_fps=analysed, long_side=long_side)
    if found is not None:
        second = found[:2]
        assert max(second) <= max(width, height)
        assert max(second) == min(long_side, max(width, height))
        assert found[2] >= 3
        assert cost_ms(*second, min(fps, 8.0), analysed) * 2.9 < cost_ms(width, height, fps, analysed)


@pytest.mark.parametrize(
    ("divisor", "words"),
    [(1, "as much"), (2, "half"), (3, "a third"), (4, "a quarter"), (6, "a sixth"), (8, "an eighth"), (11, "1/11")],
)
def test_a_part_in_words(divisor, words):
    """As people say it."""
    assert part(divisor) == words
