"""The table of `python -m bench counts`: each scenario against its target."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from msgspec import Struct
from rich.table import Table

from bench.counts import Counted
from testbed.simulation.scenario import SCENES

PERSONS_LIMIT = {"sparse": 0.03, "medium": 0.05, "dense": 0.10, **dict.fromkeys(SCENES, 0.10)}
"""How far a count may be off, as a share of the truth, in the built-in scenarios."""
RATE_LIMIT = 2.0
"""How far the rates of runs with enough people may be off on average, in points."""
ENOUGH = 30
COVERED = (0.93, 0.97)
"""The share of the windows' 95 % intervals that should hold the share of masks in the process of arrivals."""
MANY = 500
"""With fewer windows that share is itself uncertain by more than 2 points (a standard error is 1): no verdict."""


class Summary(Struct, frozen=True, kw_only=True):
    """All runs of one scenario: the error in people over all runs and in the worst run; the rates' mean error."""

    scenario: str
    runs: int
    persons: int
    counted: int
    persons_error: float
    """The error of all runs together, because one person may be some per cent of a single run."""
    persons_worst: float
    rate_error: float | None
    rate_worst: float | None
    windows: int
    covered: float | None

    @property
    def is_met(self) -> dict[str, bool | None]:
        """Whether each target is met; None without a target or a verdict."""
        limit = PERSONS_LIMIT.get(self.scenario)
        return {
            "persons": None if limit is None else abs(self.persons_error) <= limit,
            "rate": None if self.rate_error is None else self.rate_error <= RATE_LIMIT,
            "covered": None
            if self.covered is None or self.windows < MANY
            else COVERED[0] <= self.covered <= COVERED[1],
        }


def summary(name: str, runs: Sequence[Counted]) -> Summary:
    """Return the summary of all runs of one scenario."""
    persons = [run.persons_error for run in runs]
    rates = [run.rate_error for run in runs if run.persons >= ENOUGH]
    windows = sum(run.windows for run in runs)
    true, found = sum(run.persons for run in runs), sum(run.counted for run in runs)
    return Summary(
        scenario=name,
        runs=len(runs),
        persons=true,
        counted=found,
        persons_error=found / true - 1 if true else 0.0,
        persons_worst=max(persons, key=abs),
        rate_error=fmean(map(abs, rates)) if rates else None,
        rate_worst=max(rates, key=abs) if rates else None,
        windows=windows,
        covered=sum(run.covered for run in runs) / windows if windows else None,
    )


def summaries(runs: Sequence[Counted]) -> list[Summary]:
    """Return a summary for each scenario, in their order."""
    names = list(dict.fromkeys(run.scenario for run in runs))
    return [summary(name, [run for run in runs if run.scenario == name]) for name in names]


def figures(found: Summary) -> dict[str, Any]:
    """Return a summary as JSON data."""
    return {**{name: getattr(found, name) for name in found.__struct_fields__}, "met": found.is_met}


def shown(found: Sequence[Summary]) -> Table:
    """Return the table."""
    table = Table(title="Counts of simulated people (in brackets the worst run, which is not judged)")
    for heading in (
        "scenario",
        "runs",
        "people",
        "counted",
        "people off by",
        "mask rate off by",
        "intervals that hold",
    ):
        table.add_column(heading, justify="left" if heading == "scenario" else "right", overflow="fold")
    for one in found:
        table.add_row(*_cells(one))
    low, high = COVERED
    table.caption = (
        f"ok: people of all runs within 3 / 5 / 10 % (sparse / medium / others), rate within {RATE_LIMIT:g} points on"
        f" average of runs of at least {ENOUGH} people, 95 % intervals of {MANY} windows or more hold in {low:.0%} to"
        f" {high:.0%}"
    )
    return table


def _cells(one: Summary) -> list[str]:
    met = one.is_met
    worst = "" if one.runs == 1 else f" ({one.persons_worst:+.1%})"
    rate = "–" if one.rate_error is None else f"{one.rate_error:.1f} points ({one.rate_worst:+.1f})"
    covered = "–" if one.covered is None else f"{one.covered:.1%} of {one.windows}"
    return [
        one.scenario,
        str(one.runs),
        str(one.persons),
        str(one.counted),
        _marked(f"{one.persons_error:+.1%}{worst}", met["persons"]) if one.persons else "–",
        _marked(rate, met["rate"]),
        _marked(covered, met["covered"]),
    ]


def _marked(text: str, met: bool | None) -> str:
    return text if met is None else f"[{'green' if met else 'bold red'}]{text} {'ok' if met else 'missed'}[/]"
