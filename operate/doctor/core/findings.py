"""The doctor's finding on one thing, and the sums and the exit code of all findings."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "warn", "fail", "left out"]
"""`left out`: it could not be checked from here, because a secret or an identity is lacking."""
_WORST: tuple[State, ...] = ("fail", "warn", "ok", "left out")


@dataclass(frozen=True)
class Finding:
    """One line of the table. Its texts hold no secret and no person's address."""

    check: str
    state: State
    found: str
    todo: str = ""
    """What to do about it; empty where there is nothing to do."""


def ok(check: str, found: str) -> Finding:
    """Return the finding that all is well."""
    return Finding(check, "ok", found)


def warn(check: str, found: str, todo: str) -> Finding:
    """Return the finding that it works, but somebody should look at it."""
    return Finding(check, "warn", found, todo)


def fail(check: str, found: str, todo: str) -> Finding:
    """Return the finding that it does not work."""
    return Finding(check, "fail", found, todo)


def left_out(check: str, found: str, todo: str = "") -> Finding:
    """Return the finding that it was not checked, and why."""
    return Finding(check, "left out", found, todo)


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 1 if anything fails, else 0: warnings and left-out checks are no failures."""
    return int(any(one.state == "fail" for one in findings))


def worst(findings: Iterable[Finding]) -> State:
    """Return the most important state; `left out` if there are no findings."""
    states = {one.state for one in findings}
    return next((state for state in _WORST if state in states), "left out")


def counts(findings: Iterable[Finding]) -> dict[State, int]:
    """Return how many findings are in each state, the worst first."""
    states = [one.state for one in findings]
    return {state: states.count(state) for state in _WORST}


def figures(findings: Iterable[Finding]) -> dict[str, Any]:
    """Return the findings as values for a program."""
    all_of_them = list(findings)
    return {
        "healthy": exit_code(all_of_them) == 0,
        "counts": counts(all_of_them),
        "checks": [asdict(one) for one in all_of_them],
    }
