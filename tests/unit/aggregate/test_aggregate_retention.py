"""Whether the streams keep enough: services.aggregate.core.restart.retention."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.subjects import stream
from services.aggregate.core.config import SECOND, SiteConfig
from services.aggregate.core.restart.retention import MARGIN, Reach, loss, needed, shortfall
from services.sites.problems import problems
from services.sites.settings import SiteSettings

NOW = 10_000 * SECOND


def reach(max_age_s=4_200, first_s=1_000, *, dropped=True):
    """A stream of 256 MiB that goes back to `first_s` seconds before now."""
    return Reach(max_age_s * SECOND, 256 << 20, dropped, NOW - first_s * SECOND, NOW)


@given(
    st.sampled_from([300.0, 1_200.0, 1_800.0, 3_600.0]),
    st.floats(0.1, 3_600.0),
    st.sampled_from(["SIGHTINGS", "PASSAGES"]),
)
def test_what_the_settings_allow_the_table_keeps(window_s, lateness_s, name):
    """Any site that passes its checks survives a crash with the streams as they are made."""
    site = SiteSettings(id="market", window_s=window_s, lateness_s=lateness_s)
    if not problems([site]):
        made = Reach(round((stream(name).max_age_s or 0) * SECOND), 0, False, NOW, NOW)
        assert shortfall(name, made, SiteConfig.of(site)) is None


@pytest.mark.parametrize(
    ("max_age_s", "close_on_end", "enough"),
    [(1_505, False, True), (1_504, False, False), (0, False, True), (1_500, True, True)],
)
def test_too_little_age_is_told_with_what_would_do(make, max_age_s, close_on_end, enough):
    """Window, lateness and five minutes; no limit is enough, and a recording is read once."""
    config = make.config(window_s=1_200.0, lateness_s=5.0, close_on_end=close_on_end)
    assert needed(config) == (1_200 + (0 if close_on_end else 5)) * SECOND + MARGIN
    why = shortfall("SIGHTINGS", reach(max_age_s), config)
    assert (why is None) == enough
    assert enough or (why is not None and "SIGHTINGS keeps messages for 1504 s" in why and "max_age to 1505s" in why)


@pytest.mark.parametrize(
    ("stream_reach", "since_s", "words"),
    [
        (reach(first_s=1_000), 900, None),
        (reach(first_s=600, dropped=False), 900, None),
        (reach(first_s=600), 900, "dropped 300 s of the open window: its 256 MiB hold 600 s only; raise"),
        (reach(max_age_s=600, first_s=590), 900, "nobody has read it for longer than it keeps messages"),
        (reach(max_age_s=0, first_s=590), 900, "raise nats.streams.SIGHTINGS"),
    ],
)  # fmt: skip
def test_what_is_gone_is_told_with_the_reason(stream_reach, since_s, words):
    """Bytes or age: what the open window needs and the stream has dropped."""
    why = loss("SIGHTINGS", stream_reach, NOW - since_s * SECOND)
    assert (why is None) == (words is None)
    assert words is None or (why is not None and words in why)
