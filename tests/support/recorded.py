"""A pytest plugin that writes which tests were collected and what became of each, for .ci/gate.

It works where MORETTA_RECORDS names a folder: each process that collects writes `collected-WORKER.json`, and the
process that reports writes `reports.jsonl`, a line a phase. MORETTA_ONLY names a file with the ids and files to run.
"""

import json
import os
from pathlib import Path

import pytest

_TEXT = 20_000
"""How many characters of an error are searched for who may be to blame."""


class Recorded:
    """Writes one run's records."""

    def __init__(self, folder: Path, worker: str | None, seed: object, only: Path | None) -> None:
        self._folder, self._worker, self._seed, self._only = folder, worker, seed, only
        self._ids: dict[int, str] = {}
        self._broken: dict[str, str] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the ids as they are before pytest-xdist adds a group to them; leave out what is not wanted."""
        if self._only is not None:
            only = json.loads(self._only.read_text("utf-8"))
            wanted = [i for i in items if i.nodeid in only["ids"] or i.nodeid.partition("::")[0] in only["files"]]
            config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
            items[:] = wanted
        self._ids = {id(item): item.nodeid for item in items}

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Name the tests that are left out because they are marked as broken."""
        for item in items:
            if (mark := item.get_closest_marker("broken")) is not None:
                self._broken[self._ids.get(id(item), item.nodeid)] = (
                    str(mark.args[0]) if mark.args else "no reason given"
                )

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write the collected tests: the id in reports, and the id to run it by."""
        ids = {item.nodeid: self._ids.get(id(item), item.nodeid) for item in session.items}
        text = json.dumps({"ids": ids, "broken": self._broken})
        (new := self._folder / f"new-{self._worker or 'main'}").write_text(text, "utf-8")
        new.rename(self._folder / f"collected-{self._worker or 'main'}.json")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Write that a file could not be collected."""
        if report.failed:
            self._line(report.nodeid, "collect", report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write what became of a phase of a test; a worker sends it to the process that reports."""
        self._line(report.nodeid, report.when if report.when in {"setup", "call", "teardown"} else "crash", report)

    def _line(self, nodeid: str, phase: str, report: pytest.CollectReport | pytest.TestReport) -> None:
        if self._worker is not None:
            return
        text = report.longreprtext if report.failed else ""
        line = {"id": nodeid, "phase": phase, "outcome": report.outcome, "seed": self._seed}
        line |= {"error": first_line(report) if report.failed else "", "text": text[-_TEXT:]}
        with (self._folder / "reports.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def first_line(report: pytest.CollectReport | pytest.TestReport) -> str:
    """Return the first line of an error's message."""
    crash = getattr(report.longrepr, "reprcrash", None)
    said = crash.message if crash is not None else report.longreprtext
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("[gw")]
    if crash is None:  # an error of collection, or a worker that was ended
        lines = [line for line in lines if line.startswith("E ")] or lines
    return lines[0].removeprefix("E ").strip()[:300] if lines else "no message"


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin where somebody wants the records; what the tests start by themselves writes none."""
    worker, spreads = os.environ.get("PYTEST_XDIST_WORKER"), getattr(config.option, "numprocesses", None)
    take = os.environ.get if worker is None and spreads else os.environ.pop  # workers are started with what is left
    folder, only = take("MORETTA_RECORDS", None), take("MORETTA_ONLY", None)
    if folder is not None:
        seed = getattr(config.option, "randomly_seed", None)
        plugin = Recorded(Path(folder), worker, seed, Path(only) if only else None)
        config.pluginmanager.register(plugin, "recorded-for-the-gate")
