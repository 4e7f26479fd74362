"""Fixtures of all tests, and the guard against what a test leaves behind."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings
from nats_process import NatsProcess

from proto.subjects import STREAMS
from services.bus import Bus, NatsSettings

# The machines are noisy: a slow example is no finding. Derandomised in CI, so that a red run can be repeated.
settings.register_profile("moretta", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("moretta")


@pytest.fixture(name="nats_server")
def _nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsProcess]:
    """A real NATS server with JetStream, for this test alone."""
    server = NatsProcess(tmp_path_factory.mktemp("nats")).start()
    yield server
    server.stop()


@pytest.fixture(name="bus")
async def _bus(nats_server: NatsProcess) -> AsyncIterator[Bus]:
    """A connected bus with every stream of the table."""
    bus = await Bus.connect(NatsSettings(url=nats_server.url), "aggregate")
    await bus.ensure_streams(s.name for s in STREAMS)
    yield bus
    await bus.close()


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a thread, and a child process that nobody waited for."""
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t not in before and t.is_alive() and not t.daemon]
    for thread in left:
        thread.join(2)
    still = [t.name for t in left if t.is_alive() and not t.name.startswith("asyncio_")]
    assert not still, f"threads left behind: {still}"


@pytest.fixture(autouse=True)
def _logging_is_reset() -> Iterator[None]:
    """Logging that a test configured must not reach the next one."""
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture(name="wait_until")
def _wait_until():
    """`await wait_until(lambda: condition, limit_s)`: polls; AssertionError past the limit."""

    async def wait(condition, limit_s: float = 10.0, what: str = "condition") -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while not condition():
                    await asyncio.sleep(0.02)
        assert condition(), f"not within {limit_s} s: {what}"

    return wait
