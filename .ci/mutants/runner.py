"""Runs chosen tests again and again, each time in a fork of one Python that has imported everything but Moretta.

Reads jobs from standard input, a JSON object a line, and writes a result for each on standard output. A job with
`source` runs with that text in place of a module's: the import is changed, and no file. A job with `lines` says which
tests run which lines of the files in it, with few examples of each property.
"""

import contextlib
import ctypes
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import coverage
import hypothesis
import pytest

Job = dict[str, Any]
_HEAVY = (
    "aiohttp", "aiosmtplib", "av", "babel.messages.pofile", "cryptography.x509", "jinja2", "msgspec", "nats", "numpy",
    "opentelemetry", "PIL.Image", "prometheus_client", "psutil", "rich.progress", "rich.table", "scipy.optimize",
    "scipy.stats", "structlog", "trustme", "typer", "yaml",
)  # fmt: skip
_PDEATHSIG = 1
"""prctl(2): the signal that a process gets when its parent ends."""
_MEMORY = 6 << 30
"""Bytes of address space: a loop that only collects ends before the machine suffers."""
_ARGUMENTS = (
    "--continue-on-collection-errors",  # leaves out a file that cannot be imported, and no other
    *(f"-pno:{name}" for name in ("randomly", "cacheprovider", "xdist")), "-q", "--tb=short",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",  # of what was imported before
)  # fmt: skip


class Changed(importlib.abc.MetaPathFinder):
    """Finds one module with another text."""

    def __init__(self, module: str, path: str, source: str) -> None:
        self.module, self.path, self.source = module, path, source

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        if name != self.module:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=_Loader(name, self.path, self.source))


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, _name: str) -> Any:
        return compile(self._source, self.path, "exec", dont_inherit=True)


class Chosen:
    """A plugin of pytest: runs the chosen tests in their order, and notes which one failed and what each cost."""

    def __init__(self, job: Job, tracer: coverage.Coverage | None) -> None:
        self.order, self.tracer = job.get("tests"), tracer
        self.failed: list[str] = []
        self.cost_s: dict[str, float] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self) -> None:
        """The same examples each time, and no shrinking: that one fails is enough."""
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        examples = 10 if self.tracer else hypothesis.settings().max_examples
        hypothesis.settings.register_profile(
            "mutants", derandomize=True, database=None, phases=phases, max_examples=examples
        )
        hypothesis.settings.load_profile("mutants")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self.order is not None:
            found = {item.nodeid: item for item in items}
            items[:] = [found[test] for test in self.order if test in found]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        if self.tracer:
            self.tracer.switch_context(item.nodeid)
        began = time.process_time()
        try:
            return (yield)
        finally:
            self.cost_s[item.nodeid] = round(time.process_time() - began, 4)
            if self.tracer:
                self.tracer.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed.append(f"import of {report.nodeid}")


def run(job: Job) -> Job:
    """Run one job in this process, which ends with it."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    if "cpu_s" in job:
        resource.setrlimit(resource.RLIMIT_CPU, (job["cpu_s"], job["cpu_s"] + 5))
    changed = Changed(job["module"], job["path"], job["source"]) if "source" in job else None
    if changed:
        sys.meta_path.insert(0, changed)
    tracer = None
    if job.get("lines"):
        tracer = coverage.Coverage(
            data_file=None, config_file=False, include=[str(Path(name).absolute()) for name in job["lines"]]
        )
        tracer.start()
    chosen = Chosen(job, tracer)
    until = ["--maxfail=1"] if changed else []
    code = int(pytest.main([*_ARGUMENTS, *until, *job["files"]], plugins=[chosen]))
    result = {"code": code, "failed": chosen.failed, "cost_s": chosen.cost_s}
    if tracer:
        tracer.stop()
        result["lines"] = _lines(tracer.get_data(), list(chosen.cost_s))
    return result


def _lines(data: coverage.CoverageData, tests: list[str]) -> dict[str, dict[int, list[int]]]:
    """Return by file and line which tests run it, by their number; -1 stands for an import."""
    number = {test: i for i, test in enumerate(tests)} | {"": -1}
    found = {}
    for file in data.measured_files():
        lines = data.contexts_by_lineno(file).items()
        name = Path(file).relative_to(Path.cwd()).as_posix()
        found[name] = {line: [number[test] for test in by] for line, by in lines}
    return found


def forked(job: Job, said: Path) -> Job:
    """Run one job in a fork; what it prints goes into a file."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        _child(job, said, write)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    status = os.waitpid(child, 0)[1]
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what a killed test left behind
    if text:
        return dict(json.loads(text))
    timed_out = os.WIFSIGNALED(status) and os.WTERMSIG(status) in {signal.SIGXCPU, signal.SIGKILL}
    return {"code": -1, "failed": [], "cost_s": {}, "timed_out": timed_out, "status": status}


def _child(job: Job, said: Path, write: int) -> None:
    os.setsid()
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)  # else it would outlive a runner that is ended
    with said.open("w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    code = 1
    try:
        answer = json.dumps(run(job)).encode()
        with os.fdopen(write, "wb") as out:
            out.write(answer)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    said = Path(sys.argv[1])
    for name in _HEAVY:
        importlib.import_module(name)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(forked(json.loads(line), said)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
