"""Runs `moretta rules test`, and shows a table of each rule of a test, and every difference in words.

It folds windows with the same code as aggregate.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from operate.output import percent
from operate.rules.file import Case, Expectation
from proto.public import AlertV1, RuleStateName, RuleStateV1, WindowV1
from services.aggregate.core.rules.rate_rules import Judgement, judge
from services.aggregate.core.rules.rulebook import RuleBook
from services.kernel.settings import Problem
from services.sites.settings import RuleSettings


@dataclass(frozen=True)
class JudgedWindow:
    """One window and what it did to a rule."""

    window: WindowV1
    judgement: Judgement
    state: RuleStateName
    change: RuleStateV1 | None
    alert: AlertV1 | None

    def got(self, name: str) -> str:
        """Return the actual value, with which an expectation of this name is compared."""
        reason = self.change.reason if self.change else "no-change"
        alert = self.alert.state if self.alert else "none"
        return {"state": self.state, "reason": reason, "alert": alert}[name]


@dataclass
class Outcome:
    """The effects on a test's rules, by rule and window's end, and all unexpected differences: place and words."""

    case: Case
    lines: dict[str, dict[int, JudgedWindow]] = field(default_factory=dict)
    differences: list[Problem] = field(default_factory=list)
    missed: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    """What was expected instead, by rule and window's end."""


def run(case: Case) -> Outcome:
    """Return the effects of a test's windows on its rules, compared with the expectations."""
    book, outcome = RuleBook(), Outcome(case, {rule.id: {} for rule in case.rules})
    for window in case.windows:
        for rule in case.rules:
            if rule.zone == window.zone:
                outcome.lines[rule.id][window.end] = _line(book, rule, window)
    _compare(outcome)
    return outcome


def _line(book: RuleBook, rule: RuleSettings, window: WindowV1) -> JudgedWindow:
    decisions = book.take([rule], window)
    alert = next((d for d in decisions if isinstance(d, AlertV1)), None)
    change = next((d for d in decisions if isinstance(d, RuleStateV1)), None)
    return JudgedWindow(window, judge(rule, window), book.state(rule).name, change, alert)


def _compare(outcome: Outcome) -> None:
    named: set[tuple[str, int]] = set()
    for expected in outcome.case.expect:
        line, rule = outcome.lines[expected.rule.id][expected.end], expected.rule.id
        if expected.what.alert is not None:
            named.add((rule, expected.end))
        for name, want in _wanted(expected.what):
            if want != (got := line.got(name)):
                why = f"{want} expected of {rule} at {expected.what.at}, got {got}"
                outcome.differences.append((f"{expected.path}.{name}", why))
                outcome.missed.setdefault((rule, expected.end), []).append(f"{name} {want}")
    outcome.differences += _unexpected(outcome, named)


def _wanted(expected: Expectation) -> Iterator[tuple[str, str]]:
    for name in ("state", "reason", "alert"):
        want = getattr(expected, name)
        if want is not None:
            yield name, want


def _unexpected(outcome: Outcome, named: set[tuple[str, int]]) -> Iterator[Problem]:
    for rule, lines in outcome.lines.items():
        for end, line in lines.items():
            if line.alert is not None and (rule, end) not in named:
                at = text(outcome.case.at(end))
                outcome.missed.setdefault((rule, end), []).append("no alert")
                alert = line.alert.state
                add = f"add {{at: {at}, rule: {rule}, alert: {alert}}} if that is right"
                yield f"{outcome.case.path}.expect", f"{rule} is {alert} at {at}, which nothing expects: {add}"


def text(length: timedelta) -> str:
    """Return a length of time in the file's notation."""
    hours, rest = divmod(round(length.total_seconds()), 3_600)
    parts = ((hours, "h"), (rest // 60, "m"), (rest % 60, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


_COLUMNS = ("at", "ends", "people", "rate (95 %)", "observed", "says", "state", "because", "alert", "but expected")
_WIDTH = 140
"""Columns of the output if it is no terminal."""


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
    return people, rate, percent(window.coverage), line.judgement, line.state, because, alert


def summary(outcomes: list[Outcome]) -> str:
    """Return how many tests were good, in words."""
    different = sum(bool(outcome.differences) for outcome in outcomes)
    tests = "1 test" if len(outcomes) == 1 else f"{len(outcomes)} tests"
    return f"{tests}: {len(outcomes) - different} good, {different} different"
