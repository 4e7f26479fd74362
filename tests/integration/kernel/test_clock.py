"""This host's clock against that of a real NATS server, and what readiness makes of it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import until

from services.bus import Bus, clock
from services.bus.clock import MOST_NS, offset_of
from services.kernel.app import App

SECOND = 1_000_000_000
moments = st.integers(0, 2**62)
spans = st.integers(0, 10 * SECOND)


@pytest.fixture(name="stream")
async def _stream(bus: Bus):
    await bus.ensure_streams(["CONTROL"])
    return "CONTROL"


async def test_the_same_clock_is_fair(bus: Bus, stream: str):
    """On one host the offset is what the answer's way takes, at most."""
    offset = await bus.clock_offset(stream)
    assert offset is not None
    assert abs(offset.ns) <= offset.uncertainty_ns + SECOND // 1000
    assert offset.is_fair


@pytest.mark.parametrize(("shift_s", "side"), [(3600, "ahead of"), (-2, "behind")])
async def test_a_wrong_clock_is_not_ready(bus: Bus, stream: str, shift_s: int, side: str):
    """An hour ahead, or two seconds behind: not ready, and the reason says how far, which way and what to do."""
    app = App("ingest")
    asked = clock.watch(lambda: bus.clock_offset(stream, lambda: time.time_ns() + shift_s * SECOND), app.probes.ready)
    app.spawn("watch the clock", asked)
    await until(lambda: "clock" in app.probes.reasons(), "a reason")
    assert f"clock is {abs(shift_s):.1f} s {side} the NATS server's" in app.probes.reasons()["clock"]
    assert await app.close() == 0


async def test_no_answer_is_no_offset(bus: Bus, stream: str, nats_server):
    """Of a server that is away nothing is known; its own condition tells that."""
    nats_server.kill()
    try:
        assert await bus.clock_offset(stream) is None
    finally:
        nats_server.start()


@given(moments, spans, spans, st.integers(-5 * SECOND, 5 * SECOND))
def test_the_true_offset_is_within_the_uncertainty(sent: int, there: int, back: int, true: int):
    """Whatever the two ways took, the offset lies within the uncertainty of the measured one."""
    asked, server, answered = sent + true, sent + there, sent + there + back + true
    found = offset_of(asked, server, answered)
    assert abs(found.ns - true) <= found.uncertainty_ns + 1


@given(st.integers(-5 * SECOND, 5 * SECOND), spans)
def test_only_a_proven_offset_counts(true: int, way: int):
    """A service is not ready only when the offset is too large whatever the ways took."""
    found = offset_of(SECOND + true, SECOND + way, SECOND + 2 * way + true)
    if abs(true) <= MOST_NS:
        assert found.is_fair
    elif abs(true) > MOST_NS + 2 * way + 1:
        assert not found.is_fair
