"""What a run of pytest said about each test, as tests/support/recorded.py wrote it."""

import contextlib
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

BLAMES_OTHERS = ("left behind", "left open", "PytestUnraisable", "PytestUnhandledThread")
"""Words of an error that another test may be to blame for."""


@dataclass
class Result:
    """What became of one test in one run: the outcome of each phase, and the first line of its first error."""

    id: str
    phases: dict[str, str] = field(default_factory=dict)
    error: str = ""
    blames_others: bool = False

    @property
    def file(self) -> str:
        """The file that holds the test."""
        return self.id.partition("::")[0]

    @property
    def ended(self) -> bool:
        """Whether all was heard of it; a test that ended its worker has no teardown."""
        return "teardown" in self.phases or self.crashed

    @property
    def failed(self) -> bool:
        """Whether any phase failed."""
        return "failed" in self.phases.values()

    @property
    def crashed(self) -> bool:
        """Whether it ended its interpreter; pytest-xdist gives it to another worker, where it may pass."""
        return "crash" in self.phases

    @property
    def skipped(self) -> bool:
        """Whether it was skipped, or failed as its `xfail` says."""
        return "skipped" in self.phases.values()

    @property
    def passed(self) -> bool:
        """Whether setup, call and teardown passed, and nothing failed; a skip is no pass."""
        return not self.failed and [self.phases.get(phase) for phase in ("setup", "call", "teardown")] == ["passed"] * 3


@dataclass
class Run:
    """All that one run of pytest said."""

    tests: dict[str, Result]
    missing: set[str]
    """Tests that were collected and of which no end was heard."""
    not_collected: str = ""
    """The first line of the first error of collection."""
    broken: dict[str, str] = field(default_factory=dict)
    """Tests that are left out because they are marked `broken`, with the reason."""

    @property
    def failed(self) -> list[Result]:
        """The tests that failed, in order."""
        return [one for one in self.tests.values() if one.failed]


def read(folder: Path) -> Run:
    """Return what lies in a folder of records; an empty run if pytest wrote nothing."""
    collected: dict[str, str] = {}
    broken: dict[str, str] = {}
    for file in sorted(folder.glob("collected-*.json")):
        found = json.loads(file.read_text("utf-8"))
        collected |= found["ids"]
        broken |= found["broken"]
    reports = folder / "reports.jsonl"
    said = list(_lines(reports.read_text("utf-8"))) if reports.exists() else []
    tests: defaultdict[str, Result] = defaultdict(lambda: Result(""))
    for one in said:
        if one["phase"] != "collect":
            _take(tests[collected.get(one["id"], one["id"])], collected.get(one["id"], one["id"]), one)
    errors = [one for one in said if one["phase"] == "collect"]
    missing = {one for one in collected.values() if one not in tests or not tests[one].ended}
    not_collected = f"{errors[0]['id']}: {errors[0]['error']}" if errors else ""
    return Run(dict(tests), missing, not_collected, broken)


def _lines(text: str) -> Iterator[dict[str, str]]:
    """Yield the records; the last line of a process that was ended may be half written."""
    for line in text.splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            yield json.loads(line)


def _take(test: Result, name: str, said: dict[str, str]) -> None:
    test.id = name
    if test.phases.get(said["phase"]) != "failed":
        test.phases[said["phase"]] = said["outcome"]
    if said["outcome"] == "failed":
        test.error = test.error or said["error"]
        test.blames_others |= any(word in said["text"] for word in BLAMES_OTHERS)
