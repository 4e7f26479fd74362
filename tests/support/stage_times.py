"""A pytest plugin that says where a run's time went: processor, processes that were started, waiting.

Each test gets the properties `own_s` (processor seconds of the worker while it ran), `children_s` (of processes that
ended meanwhile), `started` (how many it started) and `starting_s` (seconds in which it waited for them to be started)
in the JUnit XML; the terminal shows the sums, the slowest tests and the files that cost most.
"""

import resource
import subprocess
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from warm import Warm

_SLOWEST = 20
_NAMES = ("wall_s", "own_s", "children_s", "started", "starting_s")


@dataclass
class _Spent:
    """What this process has used since it began: processor seconds, its own and its children's, and processes."""

    wall_s: float
    own_s: float
    children_s: float
    started: int
    starting_s: float

    def since(self, before: "_Spent") -> dict[str, float]:
        return {name: round(getattr(self, name) - getattr(before, name), 4) for name in _NAMES}


class _Starts:
    """How many processes this one has started, and how long that took; asyncio starts its own by subprocess, too."""

    count, seconds = 0, 0.0

    @classmethod
    def watch(cls) -> None:
        plain = subprocess.Popen.__init__

        def counted(popen: subprocess.Popen, *args, **kwargs) -> None:
            began = time.monotonic()
            try:
                plain(popen, *args, **kwargs)
            finally:
                cls.count += 1
                cls.seconds += time.monotonic() - began

        subprocess.Popen.__init__ = counted


def started() -> int:
    """Return how many processes this one has started."""
    return _Starts.count


def _spent() -> _Spent:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    used = [one.ru_utime + one.ru_stime for one in (own, children)]
    return _Spent(time.monotonic(), used[0], used[1] + Warm.used_s, _Starts.count, _Starts.seconds)


@dataclass(eq=False)
class StageTimes:
    """Counts in each worker, adds up where the terminal is."""

    began: float = field(default_factory=time.monotonic)
    tests: dict[str, dict[str, float]] = field(default_factory=dict)
    _before: dict[str, _Spent] = field(default_factory=dict)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._before[nodeid] = _spent()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo):
        if call.when == "teardown" and (before := self._before.pop(item.nodeid, None)):
            item.user_properties += _spent().since(before).items()
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            self.tests[report.nodeid] = {k: v for k, v in report.user_properties if k in _NAMES}

    def pytest_terminal_summary(self, terminalreporter, config: pytest.Config) -> None:
        if not config.option.xmlpath:
            return  # a test or two, by hand
        wall = time.monotonic() - self.began
        workers = int(getattr(config.option, "numprocesses", 0) or 1)
        for line in summary(self.tests, wall, workers):
            terminalreporter.write_line(line)


def summary(tests: dict[str, dict[str, float]], wall_s: float, workers: int) -> list[str]:
    """Return the lines that the terminal shows of these tests."""
    total: dict[str, float] = defaultdict(float)
    files: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for nodeid, spent in tests.items():
        for name, value in spent.items():
            total[name] += value
            files[nodeid.partition("::")[0]][name] += value
    used = total["own_s"] + total["children_s"]
    sums = (
        f"wall {wall_s:.0f} s with {workers} workers: tests {total['wall_s']:.0f} s, of which processor {used:.0f} s"
        f" ({total['own_s']:.0f} their own, {total['children_s']:.0f} of {total['started']:.0f} processes),"
        f" waiting {max(0.0, total['wall_s'] - used):.0f} s"
    )
    lines = [sums, "slowest tests (wall, processor, processes):"]
    slow = sorted(tests.items(), key=lambda item: -item[1].get("wall_s", 0.0))[:_SLOWEST]
    lines += [_line(nodeid, spent) for nodeid, spent in slow]
    lines.append("files that cost most (wall, processor, processes):")
    costly = sorted(files.items(), key=lambda item: -(item[1]["own_s"] + item[1]["children_s"]))[:_SLOWEST]
    return lines + [_line(Path(name).as_posix(), spent) for name, spent in costly]


def _line(name: str, spent: dict[str, float]) -> str:
    used = spent.get("own_s", 0.0) + spent.get("children_s", 0.0)
    return f"  {spent.get('wall_s', 0.0):7.2f} s {used:7.2f} s {spent.get('started', 0):4.0f}  {name}"


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin, in each worker too."""
    _Starts.watch()
    config.pluginmanager.register(StageTimes(), "stage-times-of-this-run")
