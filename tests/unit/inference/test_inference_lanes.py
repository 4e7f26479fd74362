"""Threads and buffers of a worker: services.inference.lanes."""

import asyncio
import threading

import numpy as np
import pytest

from services.inference.core.stuck import START_NS, limit_ns
from services.inference.lanes import LARGEST_PIXELS, Analysed, Lane, Lanes, StuckError


class Model:
    """Counts its warm-ups; the first is slow, as a cold model's is, by a clock that stands still beside it."""

    id, sha256 = "stub-1", "ab" * 32

    def __init__(self):
        self.now, self.warmed, self.threads = 0, [], []

    def warm_up(self, width, height):
        self.now += 3 if self.warmed else 300
        self.warmed.append((width, height))
        self.threads.append(threading.current_thread())


@pytest.fixture(name="lanes")
def _lanes():
    lanes = Lanes(Model, 3)
    yield lanes
    lanes.close()


async def test_the_first_run_does_not_count():
    """The warm run is measured, not the slow first one."""
    model = Model()
    lane = Lane(model, 0, lambda: model.now)
    try:
        assert await lane.warm_up(64, 32) == 3
        assert lane.model.warmed == [(64, 32)] * 2
    finally:
        lane.close()


async def test_every_lane_is_warmed_on_its_own_thread(lanes):
    """The slowest of the lanes' warm runs comes back."""
    assert await lanes.warm_up(64, 32) > 0
    threads = [set(lane.model.threads) for lane in lanes._lanes]
    assert all(len(each) == 1 for each in threads)
    assert len(set.union(*threads)) == 3
    assert threading.current_thread() not in set.union(*threads)


async def test_a_free_lane_is_one_without_a_frame(lanes):
    """As lanes are taken the next free one is another, and then there is none."""
    taken = []
    while (lane := lanes.free()) is not None:
        lane.busy = True
        taken.append(lane)
    assert (len(set(map(id, taken))), lanes.busy()) == (3, 3)
    taken[1].busy = False
    assert lanes.free() is taken[1]
    assert lanes.busy() == 2


async def test_a_lane_that_is_not_used_takes_no_frame():
    """One at first; another once the first had no time left, and only the first ones while fewer are used."""
    now = [0]
    lanes = Lanes(Model, 2, lambda: now[0], always=False)
    try:
        first = lanes.free()
        first.busy = True
        assert (lanes.used, lanes.free(), lanes.is_used(first)) == (1, None, True)
        now[0] = 2_000_000_000
        lanes.done(Analysed([], 1_900_000_000, cpu_ns=1_800_000_000))
        second = lanes.free()
        assert (lanes.used, second is not first, lanes.is_used(second)) == (2, True, True)
        now[0] = 4_000_000_000
        lanes.done(Analysed([], 100_000_000, cpu_ns=90_000_000))
        assert (lanes.used, lanes.free(), lanes.is_used(second)) == (1, None, False)
    finally:
        lanes.close()


async def test_each_lane_has_a_model_and_a_buffer_of_its_own(lanes):
    """No two pictures share memory, and each buffer has room for the largest one."""
    assert len({id(lane.model) for lane in lanes._lanes}) == 3
    assert len({np.frombuffer(lane._pixels, np.uint8).__array_interface__["data"][0] for lane in lanes._lanes}) == 3
    assert {len(lane._pixels) for lane in lanes._lanes} == {LARGEST_PIXELS * 3 // 2}


async def test_close_ends_the_threads_and_overwrites_the_buffers(lanes):
    """Nothing is left of a worker's last picture, not even one that it never got to overwrite."""
    await lanes.warm_up(64, 32)
    threads = [lane.model.threads[0] for lane in lanes._lanes]
    for lane in lanes._lanes:
        lane._pixels[1_000:1_005] = b"faces"
    lanes.close()
    assert not any(np.frombuffer(lane._pixels, np.uint8).any() for lane in lanes._lanes)
    assert not any(thread.is_alive() for thread in threads)


async def test_a_lane_that_is_stuck_while_it_warms_up_ends_both(monkeypatch):
    """What waits for the warm-up, and the watch, with the lane's name; its pixels are zeros, and closing waits not."""
    monkeypatch.setattr("services.inference.lanes.LOOK_S", 0)
    times, open_gate = iter(range(0, 10**15, 10**9)), threading.Event()

    class Hanging(Model):
        def warm_up(self, width, height):
            assert open_gate.wait(60)

    lanes = Lanes(Hanging, 1, lambda: next(times))
    watching = asyncio.create_task(lanes.watch())
    lanes._lanes[0]._pixels[1_000:1_005] = b"faces"
    try:
        with pytest.raises(StuckError):
            await lanes.warm_up(64, 32)
        with pytest.raises(StuckError, match=f"lane-0 .* for {START_NS // 10**9} s"):
            await watching
        assert not np.frombuffer(lanes._lanes[0]._pixels, np.uint8).any()
        lanes.close()
        assert [thread.is_alive() for thread in lanes._lanes[0]._executor._threads] == [True]
    finally:
        open_gate.set()
        for thread in lanes._lanes[0]._executor._threads:
            thread.join()


async def test_a_warm_up_sets_the_limit(lanes):
    """The first, cold runs may take longer than any later picture."""
    assert lanes._limit == START_NS
    warm_ns = await lanes.warm_up(64, 32)
    assert lanes._limit == limit_ns(warm_ns)
