"""This host's clock against that of a real NATS server, and what readiness makes of it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import until

from services.bus import Bus
from services.bus.clock import FAR_NS, MAX_NS, HostClock, Offset, offset_of
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


@pytest.mark.parametrize(("shift_s", "side"), [(3600, "ahead of"), (-1.5, "behind")])
async def test_a_wrong_clock_is_not_ready(bus: Bus, stream: str, shift_s: float, side: str):
    """An hour ahead, or one second and a half behind: the reason says how far, which way and what to do."""
    app = App("ingest")
    offset = lambda: bus.clock_offset(stream, lambda: time.time_ns() + round(shift_s * SECOND))  # noqa: E731
    host = HostClock(offset, app.probes.ready)
    app.spawn("watch the clock", host.watch())
    await until(lambda: "clock" in app.probes.reasons(), "a reason")
    assert f"clock is {abs(shift_s):.1f} s {side} the NATS server's" in app.probes.reasons()["clock"]
    assert bool(host.wrong) == (abs(shift_s) > 2.5)
    assert host.number() is None
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
    if abs(true) <= MAX_NS:
        assert found.is_fair
    elif abs(true) > MAX_NS + 2 * way + 1:
        assert not found.is_fair


class Clocks:
    """Two clocks of a host, and what the server's says; all in ns."""

    def __init__(self) -> None:
        self.utc, self.steady, self.server = 1_700_000_000 * SECOND, 50 * SECOND, 1_700_000_000 * SECOND
        self.told: list[bool] = []
        self.host = HostClock(self._offset, self._ready, lambda: self.utc, lambda: self.steady)

    async def _offset(self) -> Offset | None:
        return Offset(self.utc - self.server, 0) if self.server else None

    def _ready(self, _name: str, ok: bool, _why: str) -> None:
        self.told.append(ok)

    async def passes(self, ns: int, step: int = 0) -> None:
        """Time passes, the wall clock is set by `step`, and the host looks."""
        self.utc, self.steady, self.server = self.utc + ns + step, self.steady + ns, self.server + ns
        self.host.look()
        await self.host.measure()


@given(st.integers(-(10**15), 10**15), st.integers(0, 3600 * SECOND))
async def test_a_step_is_noticed_and_which_way(step: int, ns: int):
    """By half a second and more, however long ago the last look was; a smaller one is none."""
    clocks = Clocks()
    await clocks.passes(ns, step)
    wrong = abs(step) > FAR_NS  # if it is right, that it is known counts as set back
    assert (clocks.host.forward, clocks.host.back) == (step > MAX_NS, (step < -MAX_NS) + (not wrong))


async def test_small_steps_add_up():
    """A clock that is corrected by a little each hour follows no other clock in the end."""
    clocks = Clocks()
    for _ in range(10):
        await clocks.passes(3_600 * SECOND, MAX_NS // 3)
        clocks.server += MAX_NS // 3
    assert clocks.host.forward == 2


async def test_after_a_step_nothing_is_known_until_the_next_answer():
    """A step to a wrong time, and no answer: nobody works by that clock meanwhile."""
    clocks = Clocks()
    await clocks.passes(SECOND)
    assert clocks.host.number() is not None
    server, clocks.server = clocks.server, 0
    clocks.utc += 3_000 * SECOND
    clocks.host.look()
    await clocks.host.measure()
    assert clocks.host.number() is None
    assert "not compared" in clocks.host.wrong
    clocks.server = server
    await clocks.host.measure()
    assert "ahead of" in clocks.host.wrong


@pytest.mark.parametrize("somebody_else", [False, True])
async def test_no_number_comes_from_a_clock_that_was_just_set(somebody_else: bool):
    """Not even before the next look; and an answer that was on its way across the step tells nothing.

    Nor if another task looks while the answer is on its way, and so notices the step first.
    """
    clocks = Clocks()
    await clocks.passes(SECOND)
    clocks.utc += 86_400 * SECOND
    assert clocks.host.number() is None
    assert clocks.host.forward == 1
    ask = clocks._offset

    async def across() -> Offset | None:
        clocks.utc -= 86_400 * SECOND
        if somebody_else:
            clocks.host.look()
        return Offset(43_200 * SECOND, 43_200 * SECOND)  # as wide as the step

    clocks.host._ask = across
    await clocks.host.measure()
    assert (clocks.host.number(), clocks.told[-1]) == (None, False)
    clocks.host._ask = ask
    await clocks.host.measure()
    assert clocks.host.number() == clocks.utc // 1000


async def test_a_clock_at_the_limit_does_not_flicker():
    """Wrong beyond two seconds, right again only well below."""
    clocks = Clocks()
    await clocks.passes(SECOND)
    told = []
    for off in (1.9, 2.1, 1.9, 1.7, 1.5, 1.7):
        clocks.server = clocks.utc - round(off * SECOND)
        await clocks.host.measure()
        told.append(bool(clocks.host.wrong))
    assert told == [False, True, True, True, False, False]


@given(st.integers(-(10**15), 10**15))
async def test_a_clock_that_was_wrong_and_is_right_again_counts_as_set_back(step: int):
    """By a step or slowly: what was under way by the wrong clock must end."""
    clocks = Clocks()
    await clocks.passes(SECOND)
    await clocks.passes(SECOND, step)
    before, wrong = clocks.host.back, bool(clocks.host.wrong)
    assert wrong == (abs(step) > FAR_NS)
    assert (clocks.host.number() is None) == (abs(step) > MAX_NS)
    await clocks.passes(SECOND, -step)
    assert clocks.host.wrong == ""
    assert clocks.host.number() == clocks.utc // 1000
    assert clocks.host.back - before == wrong + (step > MAX_NS)
    assert clocks.told == [True, abs(step) <= MAX_NS, True]


async def test_without_an_answer_the_last_offset_stands():
    """And nothing is known before the first: then nobody works by this clock."""
    clocks = Clocks()
    server, clocks.server = clocks.server, 0
    await clocks.host.measure()
    assert (clocks.host.number(), clocks.told) == (None, [False])
    assert "not compared" in clocks.host.wrong
    assert not await clocks.host.agrees()
    clocks.server = server
    await clocks.host.measure()
    clocks.server = 0
    await clocks.host.measure()
    assert clocks.host.wrong == ""


async def test_a_pause_of_the_process_is_no_step():
    """A busy machine may take seconds between two readings of its clocks."""
    clocks = Clocks()
    await clocks.passes(SECOND)
    before = clocks.host.forward, clocks.host.back
    readings = iter([clocks.steady, clocks.steady + 3 * SECOND])
    clocks.host._steady = lambda: next(readings)
    assert not clocks.host.look()
    assert (clocks.host.forward, clocks.host.back) == before
