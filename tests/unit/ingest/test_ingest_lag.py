"""How far decoding is behind the camera: services.ingest.core.timeline."""

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.core.timeline import LONGEST_JUMP_NS, Lag

MS = 1_000_000
delays = st.lists(st.integers(0, 500 * MS), min_size=1, max_size=60)


def lags(arrivals):
    lag = Lag()
    return [lag.add(pts, now) for pts, now in arrivals]


@given(delays)
def test_lag_is_what_is_above_the_least_delay(values):
    """Never negative, 0 for the least delayed so far, and at most what the delays differ by."""
    found = lags([(n * 40 * MS, n * 40 * MS + delay) for n, delay in enumerate(values)])
    for n, lag in enumerate(found):
        above = values[n] - min(values[: n + 1])
        crept = (n * 40 + 500) * MS // 10_000
        assert max(0, above - crept) <= lag <= above


def test_a_queue_that_grows_shows():
    """Decoding at half the camera's pace: the lag grows by what is not decoded."""
    assert lags([(n * 40 * MS, n * 80 * MS) for n in range(4)])[-1] > 119 * MS


def test_clocks_that_drift_are_no_lag():
    """A camera whose clock is 50 millionths slow for an hour is no moment behind."""
    assert max(lags([(n * 40 * MS, n * 40 * MS + n * 2_000) for n in range(90_000)])) == 0


def test_another_beginning():
    """Time stamps that go back, jump or are missing begin anew; a picture without one has no lag."""
    far = 2 * LONGEST_JUMP_NS
    arrivals = [(0, 0), (40 * MS, 90 * MS), (0, 130 * MS), (far, 170 * MS), (None, 0), (far + 1, 10 * MS)]
    assert lags(arrivals) == [0, 50 * MS - 9_000, 0, 0, None, 0]
