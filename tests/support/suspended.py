"""A host that was suspended, as a process on it sees that: CLOCK_BOOTTIME has gone on, CLOCK_MONOTONIC has not."""

import time
from collections.abc import Callable

import pytest


@pytest.fixture(name="suspend")
def _suspend(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """`suspend(60)`: from now on the host has slept for a minute more. Timers of the event loop know nothing of it."""
    slept, real = [0], time.clock_gettime_ns

    def read(clock: int) -> int:
        return real(clock) + (slept[0] if clock == time.CLOCK_BOOTTIME else 0)

    def sleep(seconds: float) -> None:
        slept[0] += round(seconds * 1e9)

    monkeypatch.setattr(time, "clock_gettime_ns", read)
    return sleep
