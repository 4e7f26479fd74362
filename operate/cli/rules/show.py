"""What `moretta rules test` shows: a table of each rule of a test, and every difference in words."""

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from operate.cli.rules.run import JudgedWindow, Outcome, text
from operate.show import percent
from services.sites.settings import RuleSettings

_COLUMNS = ("at", "ends", "people", "rate (95 %)", "observed", "says", "state", "because", "alert", "but expected")
_WIDTH = 140
"""Where the output is no terminal."""


def show(file: Path, outcomes: Iterable[Outcome]) -> None:
    """Print the tests of one file."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    for outcome in outcomes:
        verdict = Text("different", "bold red") if outcome.differences else Text("good", "green")
        console.print(Text.assemble(f"{file}: {outcome.case.name}: ", verdict), soft_wrap=True)
        for rule in outcome.case.rules:
            if outcome.lines[rule.id]:
                console.print(_table(outcome, rule))
        for path, why in outcome.differences:
            console.print(Text(f"{file}: {path}: {why}", "red"), soft_wrap=True)


def _table(outcome: Outcome, rule: RuleSettings) -> Table:
    thresholds = f"fires below {percent(rule.fire_below)}, clears above {percent(rule.clear_above)}"
    table = Table(title=f"{rule.id} on {rule.zone}: {thresholds}, {rule.for_windows} in a row", title_justify="left")
    for name in _COLUMNS:
        table.add_column(name, justify="right" if name in {"at", "people"} else "left")
    for end, line in outcome.lines[rule.id].items():
        at = outcome.case.at(end)
        missed = ", ".join(outcome.missed.get((rule.id, end), []))
        style = "red" if missed else None
        table.add_row(text(at), f"{outcome.case.start + at:%H:%M}", *_cells(line), missed, style=style)
    return table


def _cells(line: JudgedWindow) -> tuple[str, ...]:
    window, interval = line.window, line.window.interval
    rate = f"{percent(window.rate)} ({percent(interval[0])} to {percent(interval[1])})" if interval else "–"
    people = "–" if window.persons is None else str(window.persons)
    because = line.change.reason if line.change else ""
    alert = line.alert.state if line.alert else ""
    return people, rate, percent(window.coverage), line.says, line.state, because, alert


def summary(outcomes: list[Outcome]) -> str:
    """Return how many tests were good, in words."""
    different = sum(bool(outcome.differences) for outcome in outcomes)
    tests = "1 test" if len(outcomes) == 1 else f"{len(outcomes)} tests"
    return f"{tests}: {len(outcomes) - different} good, {different} different"
