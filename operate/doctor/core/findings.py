"""What the doctor says of one thing, and what follows from all of it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "warn", "fail", "left out"]
"""`left out`: it could not be looked at from here, for lack of a secret or of an identity."""
_WORST: tuple[State, ...] = ("fail", "warn", "ok", "left out")


@dataclass(frozen=True)
class Finding:
    """One line of the table. Neither text holds a secret, or an address of a person."""

    check: str
    state: State
    found: str
    todo: str = ""
    """What to do about it; empty where there is nothing to do."""


def ok(check: str, found: str) -> Finding:
    """Return that all is well with it."""
    return Finding(check, "ok", found)


def warn(check: str, found: str, todo: str) -> Finding:
    """Return that it works, and somebody should look at it."""
    return Finding(check, "warn", found, todo)


def fail(check: str, found: str, todo: str) -> Finding:
    """Return that it does not work."""
    return Finding(check, "fail", found, todo)


def left_out(check: str, found: str, todo: str = "") -> Finding:
    """Return that it was not looked at, and why."""
    return Finding(check, "left out", found, todo)


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 1 if anything fails, else 0: a warning is no failure, and neither is what was left out."""
    return int(any(one.state == "fail" for one in findings))


def worst(findings: Iterable[Finding]) -> State:
    """Return the state that is to be told first; `left out` of none."""
    states = {one.state for one in findings}
    return next((state for state in _WORST if state in states), "left out")


def counts(findings: Iterable[Finding]) -> dict[State, int]:
    """Return how many findings are in each state, the worst first."""
    states = [one.state for one in findings]
    return {state: states.count(state) for state in _WORST}


def figures(findings: Iterable[Finding]) -> dict[str, Any]:
    """Return it for a program."""
    all_of_them = list(findings)
    return {
        "healthy": exit_code(all_of_them) == 0,
        "counts": counts(all_of_them),
        "checks": [asdict(one) for one in all_of_them],
    }
