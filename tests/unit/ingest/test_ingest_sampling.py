"""Which pictures are analysed: services.ingest.core.sampling."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.core.sampling import Sampler, StreamPace, phase_of

MS = 1_000_000
SECOND = 1_000_000_000
BASE = 1_780_000_000 * SECOND


def picked(sampler, events):
    return [event for event in events if sampler.wants(event)]


@pytest.mark.parametrize("source", [10, 12, 15, 25, 29.97, 30, 50])
@pytest.mark.parametrize("fps", [0.5, 2, 5, 7.5, 10])
def test_rate_is_kept_over_an_hour(source, fps):
    """A faster camera is sampled at exactly the wanted rate: nothing drifts over an hour."""
    sampler = Sampler(fps)
    count = sum(sampler.wants(BASE + round(i * SECOND / source)) for i in range(round(3600 * source)))
    assert abs(count - 3600 * min(fps, source)) <= 3


@given(st.floats(0.1, 30), st.integers(0, 10 * SECOND), st.floats(1.0, 20.0), st.data())
def test_slower_camera_has_every_picture_picked(fps, phase, slowness, data):
    """A camera whose pictures are never closer than the period loses none, whatever its jitter above that."""
    sampler = Sampler(fps, phase)
    gaps = data.draw(
        st.lists(st.integers(sampler.period_ns, round(sampler.period_ns * slowness) + 1), min_size=1, max_size=40)
    )
    events = [BASE + at for at in itertools.accumulate(gaps)]
    assert picked(sampler, events) == events


@given(st.floats(0.1, 30), st.integers(0, 10 * SECOND), st.lists(st.integers(0, 400 * MS), max_size=120))
def test_never_more_than_the_rate(fps, phase, gaps):
    """In any span T there are at most T / period + 3 samples, for any pattern of arrivals."""
    sampler = Sampler(fps, phase)
    chosen = picked(sampler, [BASE + at for at in itertools.accumulate(gaps)])
    for i, first in enumerate(chosen):
        for j in range(i, len(chosen)):
            assert j - i + 1 <= (chosen[j] - first) / sampler.period_ns + 3


@given(st.lists(st.integers(0, 400 * MS), max_size=60))
def test_one_picture_is_never_picked_twice(gaps):
    """A second picture of the same event time (time stood still) is not picked."""
    sampler = Sampler(30)
    chosen = picked(sampler, [BASE + at for at in itertools.accumulate(gaps)])
    assert len(chosen) == len(set(chosen))


def test_jitter_of_a_camera_at_the_same_rate_loses_nothing():
    """A 5 fps camera on the grid's border, sampled at 5 fps, loses no picture to +-10 ms of jitter."""
    sampler = Sampler(5)
    events = [BASE + i * 200 * MS + (9 * MS if i % 3 else -9 * MS) for i in range(500)]
    assert picked(sampler, events) == events


def test_phases_spread_cameras_over_the_period():
    """Twelve cameras of the same pace are sampled at twelve different moments, evenly spread."""
    period = 200 * MS
    phases = [phase_of(i, 12, period) for i in range(12)]
    assert phases == [i * period // 12 for i in range(12)]
    firsts = []
    for phase in phases:
        sampler = Sampler(5, phase)
        chosen = picked(sampler, [BASE + i * 5 * MS for i in range(200)])
        assert {b - a for a, b in itertools.pairwise(chosen[1:])} == {period}
        firsts.append(chosen[1] % period)
    assert [0 <= first - phase < 5 * MS for first, phase in zip(firsts, phases, strict=True)] == [True] * 12


@given(st.integers(0, 1000), st.integers(0, 100), st.integers(1, 10 * SECOND))
def test_a_phase_lies_within_the_period(index, count, period):
    """Any index and count give a phase in 0..period, also no camera at all."""
    assert 0 <= phase_of(index, count, period) < period


def test_time_standing_still_or_jumping_is_survived():
    """After a jump of an hour the next picture is picked, and the one after it is not."""
    sampler = Sampler(5)
    assert sampler.wants(BASE)
    assert not sampler.wants(BASE)
    assert sampler.wants(BASE + 3600 * SECOND)
    assert not sampler.wants(BASE + 3600 * SECOND + 40 * MS)


@given(st.integers(5, 1000))
def test_rate_is_measured(interval_ms):
    """The measured rate is the inverse of the mean interval, and a reconnection's gap does not count."""
    rate = StreamPace()
    assert rate.per_second == 0
    for i in range(50):
        rate.add(BASE + i * interval_ms * MS)
    rate.restarted()
    for i in range(50):
        rate.add(BASE + 3600 * SECOND + i * interval_ms * MS)
    assert rate.per_second == pytest.approx(1000 / interval_ms, rel=1e-6)
    assert rate.interval_ns == pytest.approx(interval_ms * MS, rel=1e-6)


@pytest.mark.parametrize(("fps", "period_ns"), [(1.0, 1_000_000_000), (5.0, 200_000_000), (3.0, 333_333_333)])
def test_a_period_is_a_second_by_the_rate(fps: float, period_ns: int):
    """To the nearest nanosecond."""
    assert Sampler(fps).period_ns == period_ns
