"""CLOCK_BOOTTIME in a test's hand: a host that was suspended (CLOCK_MONOTONIC has not gone on), or ages stand still."""

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


@pytest.fixture(name="put_forward")
def _put_forward(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Ages stand still, so that a busy machine makes nothing old; `put_forward(0.3)`: all is 0.3 s older from now on.

    A test file that wants it imports it.
    """
    real = time.clock_gettime_ns
    now = [real(time.CLOCK_BOOTTIME)]

    def read(clock: int) -> int:
        return now[0] if clock == time.CLOCK_BOOTTIME else real(clock)

    def step(seconds: float) -> None:
        now[0] += round(seconds * 1e9)

    monkeypatch.setattr(time, "clock_gettime_ns", read)
    return step
