"""The clock for ages and leases: it goes on while the host is suspended.

On Linux, CLOCK_MONOTONIC stops during a suspend, and CLOCK_BOOTTIME goes on (clock_gettime(2)). A key, a picture or a
lease that slept with its host must not look young. asyncio's timers stay on the monotonic clock: after a resume they
fire late by the time that was left. So an age is looked at whenever something is used, and never left to a timer alone.
"""

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Where a system has no CLOCK_BOOTTIME, its monotonic clock."""


def boottime_ns() -> int:
    """Return nanoseconds since an arbitrary moment, time in suspend included; never less than before."""
    return time.clock_gettime_ns(_CLOCK)


def boottime() -> float:
    """Return the same in seconds."""
    return boottime_ns() / 1e9
