"""`moretta prove`: the run, its table, its report."""

import asyncio
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from operate.proof.core.verdicts import Findings
from operate.proof.isolation import isolate
from operate.proof.proof import Options
from operate.proof.proof import prove as run
from operate.proof.report import page, table
from operate.proof.search import PLACES, WITHOUT_CANARY
from services.kernel.log import LogSettings, configure
from services.kernel.settings import SettingsError

COMMAND = "moretta prove"
_WIDTH = 140


def prove(seconds: float, without: Sequence[str], report: Path | None, *, as_json: bool) -> int:
    """Run the proof; returns 0 if nothing was found and everything was searched, else 1. SettingsError: a mistake."""
    _require(without, report)
    configure("moretta", LogSettings(level="error"))  # that NATS is lost when it is killed is no news
    alone = isolate()
    said = Console(stderr=True, highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="moretta-proof-") as scratch:
        options = Options(seconds=seconds, without=tuple(without), isolated=alone is None)
        findings = asyncio.run(run(Path(scratch), options, said.print))
    show(findings, report, as_json=as_json)
    return 0 if findings.is_proven else 1


def show(findings: Findings, report: Path | None, *, as_json: bool) -> None:
    """Print the table or JSON, and write the report."""
    if report is not None:
        report.write_text(page(findings), encoding="utf-8")
    if as_json:
        print(json.dumps(findings.figures()))
        return
    console = Console()
    wide = console if console.is_terminal else Console(width=_WIDTH)
    wide.print(table(findings))


def _require(without: Sequence[str], report: Path | None) -> None:
    names = [*PLACES, *WITHOUT_CANARY]
    for name in without:
        if name not in names:
            raise SettingsError(COMMAND, [("--without", f"{name!r} is no place; there are {', '.join(names)}")])
    if report is None:
        return
    try:
        report.touch()
    except OSError as error:
        why = f"{str(report)!r} cannot be written: {error.strerror}; name a file in a folder that is there"
        raise SettingsError(COMMAND, [("--report", why)]) from None
