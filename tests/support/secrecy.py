"""No secret in anything that is written while the tests run: standard output and error, log lines, log files.

Every password of a test is unmistakable: it has one of MARKS in it, or is made known with `keep`. What processes say is
handed over with `said`; what a test itself captures pytest hands over.
"""

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

MARKS = ("hunter2", "s3cret")
_SHORTEST = 8
_guard = threading.Lock()
_kept: set[str] = set()
_said: list[str] = []


def keep(secret: str) -> None:
    """Search for this one too; random ones are made at run time."""
    if len(secret) >= _SHORTEST:
        with _guard:
            _kept.add(secret)


def said(line: str) -> None:
    """Take a line that a process of the running test has written."""
    if found(line):
        with _guard:
            _said.append(line)


def found(text: str) -> list[str]:
    """Return the secrets in the text."""
    with _guard:
        secrets = [*MARKS, *_kept]
    return re.findall("|".join(map(re.escape, secrets)), text)


def _leaks(item: pytest.Item, report: pytest.TestReport) -> list[str]:
    with _guard:
        lines, _said[:] = list(_said), []
    for title, text in report.sections:
        # What pytest's own handler hears of `libav` is FFmpeg's, before services.ingest.sources.ffmpeg scrubs it.
        raw = "libav." if title.startswith("Captured log") else None
        lines += [f"{title}: {line}" for line in text.splitlines() if found(line) and not (raw and raw in line)]
    folder = item.funcargs.get("tmp_path") if hasattr(item, "funcargs") else None
    for file in logs(folder) if folder else ():
        with contextlib.suppress(FileNotFoundError):
            lines += [f"{file}: {line}" for line in file.read_text(errors="replace").splitlines() if found(line)]
    return lines


def logs(folder: Path) -> Iterator[Path]:
    """Yield the log files below a folder. A server that still runs may remove folders meanwhile; `rglob` fails then."""
    for place, _, names in os.walk(folder):
        yield from (Path(place) / name for name in names if name.endswith(".log"))


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_makereport(item, call):
    """Fail a test during which a secret was written, whatever else it did."""
    report = yield
    if leaks := _leaks(item, report):
        report.outcome = "failed"
        report.longrepr = "a secret was written:\n" + "\n".join(leaks)
    return report
