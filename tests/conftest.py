"""Fixtures of all tests, and the guard against what a test leaves behind."""

import asyncio
import functools
import gc
import inspect
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

import examples
import psutil
import pytest
import recorded
import seeds  # noqa: F401 - the first is drawn before the workers start
import stage_times
import structlog
import warm
from groups import pytest_collection_modifyitems  # noqa: F401 - a hook of pytest
from nats_process import NatsProcess
from open_files import open_files
from patience import PATIENCE, patient
from secrecy import pytest_runtest_makereport  # noqa: F401 - a hook of pytest
from suspended import _suspend  # noqa: F401 - a fixture

from proto.subjects import STREAMS
from services.bus import Bus, NatsSettings

examples.load()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the plugins of tests/support, in each worker too."""
    config.pluginmanager.register(examples)
    stage_times.pytest_configure(config)
    recorded.pytest_configure(config)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give a test as much longer as this machine's patience says."""
    if PATIENCE != 1:
        mark = item.get_closest_marker("timeout")
        seconds = mark.args[0] if mark else float(item.config.getoption("timeout") or item.config.getini("timeout"))
        item.add_marker(pytest.mark.timeout(seconds * PATIENCE), append=False)


@pytest.fixture(name="_data_home", scope="session", autouse=True)
def _data_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give what tests start a user's data folder of its own: `moretta up` keeps its numbers there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data-home")))
        yield


_lasting: list[NatsProcess] = []
"""The server that this worker's tests have one after the other, once one has asked for it."""


@pytest.fixture(name="_nats_of_this_worker", scope="session")
def _nats_of_this_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsProcess]:
    server = NatsProcess(tmp_path_factory.mktemp("nats")).start()
    _lasting.append(server)
    yield server
    _lasting.remove(server)
    server.stop()


@pytest.fixture(name="nats_server")
def _nats_server(_nats_of_this_worker: NatsProcess) -> Iterator[NatsProcess]:
    """A real NATS server with JetStream and nothing in it: this test's alone while it runs, to be killed, too."""
    yield _nats_of_this_worker
    _nats_of_this_worker.empty()


@pytest.fixture(name="bus")
async def _bus(nats_server: NatsProcess) -> AsyncIterator[Bus]:
    """A connected bus with every stream of the table."""
    bus = await Bus.connect(NatsSettings(url=nats_server.url), "aggregate")
    await bus.ensure_streams(s.name for s in STREAMS)
    yield bus
    await bus.close()


@pytest.fixture(autouse=True)
def _nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread, a child process, a file or a socket; a coroutine test also one with a task."""
    threads, processes, forked = set(threading.enumerate()), children(), warm.running()
    is_coroutine = inspect.iscoroutinefunction(getattr(request.node, "obj", None))
    if is_coroutine:
        request.getfixturevalue("_nothing_left_in_the_loop")
    files = open_files()
    yield
    left = [t for t in threading.enumerate() if t not in threads and t.is_alive() and not t.daemon]
    lasting = ("asyncio_", *(f"reads {one.folder}" for one in _lasting))  # a loop's own end with it, after this
    left = [t for t in left if not t.name.startswith(lasting)]
    for thread in left:
        thread.join(2)
    still = [t.name for t in left if t.is_alive()]
    assert not still, f"threads left behind: {still}"
    settle(lambda: not children() - processes or _children_since.cache_clear())
    running = [psutil.Process(process).cmdline() for process in children() - processes]
    assert not running, f"processes left behind: {running}"
    assert not (more := [one.args for one in warm.running() - forked]), f"processes left behind: {more}"
    if not is_coroutine and open_files() - files:
        settle(lambda: not open_files() - files)
        assert not open_files() - files, f"left open: {sorted(open_files() - files)}"


@pytest.fixture(name="_nothing_left_in_the_loop")
async def _nothing_left_in_the_loop() -> AsyncIterator[None]:
    """Torn down last, with the loop running: what was cancelled or closed may end."""
    files = open_files()  # with the event loop's own
    yield
    # A refused TLS connection is closed after 30 s if its peer doesn't say goodbye (asyncio's `ssl_shutdown_timeout`).
    mine, end = asyncio.current_task(), time.monotonic() + patient(35)
    while (len(asyncio.all_tasks()) > 1 or open_files() - files) and time.monotonic() < end:
        await asyncio.sleep(0.01)
    left = asyncio.all_tasks() - {mine}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    assert not left, f"tasks left behind: {[str(task.get_coro()) for task in left]}"
    assert not open_files() - files, f"left open: {sorted(open_files() - files)}"


def children() -> set[int]:
    """Return the processes that nobody waited for, but those that fork others all the time."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()  # which is much faster to know than who they are
    return _children_since(stage_times.started()) - warm.servers() - {one.pid for one in _lasting}


@functools.lru_cache(maxsize=1)
def _children_since(_started: int) -> set[int]:
    """Return the processes that were there when so many had been started: looking costs milliseconds."""
    return {process.pid for process in psutil.Process().children()}


def settle(condition: Callable[[], bool]) -> None:
    """Give a condition a moment; what is being closed is closed a little later."""
    end = time.monotonic() + patient(10)
    while not condition() and time.monotonic() < end:
        gc.collect()
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def _logging_is_reset() -> Iterator[None]:
    """Logging that a test configured must not reach the next one."""
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
