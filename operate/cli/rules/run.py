"""Running a test of rules: the same fold as in aggregate, and what came out otherwise than expected. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from operate.cli.rules.file import Case, Expectation
from proto.public import AlertV1, RuleStateName, RuleStateV1, WindowV1
from services.aggregate.core.rulebook import RuleBook
from services.aggregate.core.rules import Judgement, judge
from services.kernel.settings import Problem
from services.sites.settings import RuleSettings


@dataclass(frozen=True)
class JudgedWindow:
    """One window and what it did to a rule."""

    window: WindowV1
    says: Judgement
    state: RuleStateName
    change: RuleStateV1 | None
    alert: AlertV1 | None

    def got(self, name: str) -> str:
        """Return what an expectation of this name is compared with."""
        reason = self.change.reason if self.change else "no-change"
        alert = self.alert.state if self.alert else "none"
        return {"state": self.state, "reason": reason, "alert": alert}[name]


@dataclass
class Outcome:
    """What a test's rules did, by rule and window's end, and what of it was not expected: place and words."""

    case: Case
    lines: dict[str, dict[int, JudgedWindow]] = field(default_factory=dict)
    differences: list[Problem] = field(default_factory=list)
    missed: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    """What was expected instead, by rule and window's end."""


def run(case: Case) -> Outcome:
    """Return what the rules make of the windows."""
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
    """Return a length of time as the file has it."""
    hours, rest = divmod(round(length.total_seconds()), 3_600)
    parts = ((hours, "h"), (rest // 60, "m"), (rest % 60, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"
