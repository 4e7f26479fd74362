"""The doctor's findings as a table for a console."""

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from operate.doctor.core.findings import Finding, State, counts

_STYLES: dict[State, str] = {"ok": "green", "warn": "yellow", "fail": "bold red", "left out": "dim"}


def findings_table(findings: Iterable[Finding], title: str) -> RenderableType:
    """Return all findings as a table, with a line that sums them up."""
    all_of_them = list(findings)
    shown = Table(box=SIMPLE_HEAD, title=title, title_justify="left")
    for name, ratio in (("check", 3), ("state", 1), ("found", 6), ("what to do", 5)):
        shown.add_column(name, ratio=ratio, overflow="fold")
    for one in all_of_them:
        style = _STYLES[one.state]
        shown.add_row(Text(one.check), Text(one.state, style), Text(one.found), Text(one.todo))
    summary = ", ".join(f"{count} {state}" for state, count in counts(all_of_them).items() if count)
    return Group(shown, Text(summary, "bold"))
