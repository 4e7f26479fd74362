"""A message that the server stored with a wrong clock: its place in time, and whether it is counted as left out."""

from dataclasses import replace

import pytest
from fair_clock import fair_host

from services.aggregate.clock_skew import ClockSkewGate, ClockSteppedBack

SECOND = 1_000_000_000
DAY = 86_400 * SECOND


@pytest.fixture(name="place")
def _place(make):
    """A site whose clock and the server's agree now, at the hour; its configurations; a None for each message left."""
    configs, dropped = [make.config()], []
    ahead = ClockSkewGate(lambda: configs[-1], fair_host(utc=lambda: make.hour), lambda: dropped.append(None))
    return ahead, configs, dropped


async def test_what_is_in_time_stays(make, place):
    """Up to two seconds ahead it is the clocks' difference, and nothing is left out."""
    ahead, _, dropped = place
    for stored in make.stream().ticks(-60, 2).messages:
        assert await ahead.placed(make.hour - 60 * SECOND, stored) is stored
    assert dropped == []


async def test_a_tick_of_tomorrow_is_of_now(make, place):
    """Time stands still; at a site's start there is no time yet, and the tick is left out and counted."""
    ahead, _, dropped = place
    [tick] = make.stream().tick(86_400).messages
    assert await ahead.placed(make.hour - SECOND, tick) == replace(tick, time=make.hour - SECOND)
    assert dropped == []
    assert await ahead.placed(0, tick) is None
    assert len(dropped) == 1


async def test_a_picture_of_tomorrow_is_left_out_and_counted(make, place):
    """Its people would count in a window that is to come. Of a recording event times are not the clock's."""
    ahead, configs, dropped = place
    seen = make.stream().watch(86_400, 86_401).messages
    for stored in seen:
        assert await ahead.placed(make.hour, stored) is None
    assert len(dropped) == len(seen) > 0
    configs.append(make.config(close_on_end=True))
    assert await ahead.placed(make.hour, seen[0]) == replace(seen[0], time=make.hour)
    assert len(dropped) == len(seen)


async def test_a_site_that_is_ahead_of_both_clocks_begins_anew(make, place):
    """By more than two seconds: both were ahead, and were set back."""
    ahead, _, _ = place
    [stored, *_] = make.stream().ticks(0, 1).messages
    assert await ahead.placed(make.hour + 2 * SECOND, stored) is stored
    with pytest.raises(ClockSteppedBack, match=r"^3 s$"):
        await ahead.placed(make.hour + 3 * SECOND, stored)


@pytest.mark.parametrize("later_s", [0, 2 * 86_400])
async def test_a_servers_clock_that_is_ahead_holds_nothing_back_and_moves_no_time(make, later_s):
    """Each message is of when it was sent, whether it is read at once or much later, when that time has come."""
    host = fair_host(utc=lambda: make.hour + 10 * SECOND + later_s * SECOND)
    ahead, now, times = ClockSkewGate(make.config, host, list), 0, []
    for stored in make.stream().watch(0, 1).tick(1).watch(1.2, 2).messages:
        placed = await ahead.placed(now, replace(stored, time=stored.time + DAY * (make.hour < stored.time)))
        now = placed.time
        times.append((now - stored.time) / SECOND)
    assert all(0 <= one <= 0.5 for one in times)
