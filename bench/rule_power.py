"""How often does a rule fire that should, and that should not? `python -m bench.rule_power [--model DIR] [--json]`.

Computed exactly: the number of people judged masked is binomial around what the model makes of the true share. Once at
a place where the model errs as expected, and once as the mean over places, whose errors are those of all windows. Both
with the interval of chance alone and with the whole one (ADR 41).
"""

import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
from msgspec import structs
from rich.table import Table
from scipy.special import expit, logit
from scipy.stats import binom
from scipy.stats import t as student

from operate import show
from proto.model_errors import ModelErrors
from services.inference.errors import read_errors
from services.inference.model import MODELS, ModelError, load_model
from services.sites.figures import rates
from services.sites.measurement import Judged, expected

FIRE_BELOW = 0.7
PEOPLE = (50, 100, 200, 400)
SHARES = (0.55, 0.65, 0.72, 0.8)
_NODES = 9


class Power(NamedTuple):
    """The chance that a rule fires within two windows, 0 to 1: where one window suffices, and where both must breach.

    `typical`: where the model errs as expected; `places`: the mean over places. `whole`: with the model's errors in the
    interval; else by chance alone.
    """

    share: float
    people: int
    whole: bool
    typical: tuple[float, float]
    places: tuple[float, float]


def places(errors: ModelErrors) -> Iterator[tuple[float, ModelErrors]]:
    """Yield places and how much of all they stand for: Gauss-Hermite's nodes on the scales of the estimate."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    reach = 2 * float(student.ppf(0.975, errors.sources - 1))
    spreads = [np.diff(scale(limits))[0] / reach for scale, limits in (
        (logit, errors.sensitivity_limits), (logit, errors.specificity_limits), (np.log, errors.recall_ratio_limits)
    )]  # fmt: skip
    for marks in product(zip(nodes, weights / weights.sum(), strict=True), repeat=3):
        (a, b, c), share = (mark for mark, _ in marks), float(np.prod([weight for _, weight in marks]))
        yield (
            share,
            structs.replace(
                errors,
                sensitivity=float(expit(logit(errors.sensitivity) + a * spreads[0])),
                specificity=float(expit(logit(errors.specificity) + b * spreads[1])),
                recall_ratio=float(np.exp(np.log(errors.recall_ratio) + c * spreads[2])),
            ),
        )


def most_that_breach(people: int, errors: ModelErrors | None) -> int:
    """Return the most people judged masked with whom a window breaches; -1 if it never does."""
    ends = (rates(masked, [Judged(people, errors)]).interval for masked in range(people + 1))
    return sum(end is not None and end[1] < FIRE_BELOW for end in ends) - 1


def _twice(breach: float) -> tuple[float, float]:
    return 1 - (1 - breach) ** 2, breach**2


def power(share: float, people: int, errors: ModelErrors, *, whole: bool) -> Power:
    """Return how often a rule fires at this true share of masks, with so many judged people a window."""
    most = most_that_breach(people, errors if whole else None)

    def breach(here: ModelErrors) -> tuple[float, float]:
        return _twice(float(binom.cdf(most, people, expected(share, here, up=True).share)))

    sums = np.sum([weight * np.array(breach(here)) for weight, here in places(errors)], axis=0)
    return Power(share, people, whole, breach(errors), (float(sums[0]), float(sums[1])))


def table(rows: list[Power]) -> Table:
    """Return the chances as a table."""
    shown = Table(title=f"a rule with fire_below {FIRE_BELOW:.0%} fires within two windows")
    for head in ("masked", "people", "interval", "for_windows 1", "mean of places", "for_windows 2", "mean of places"):
        shown.add_column(head, justify="right")
    for row in rows:
        chances = (row.typical[0], row.places[0], row.typical[1], row.places[1])
        name = "whole" if row.whole else "chance"
        shown.add_row(f"{row.share:.0%}", str(row.people), name, *(f"{chance:.1%}" for chance in chances))
    return shown


def run(
    model: Annotated[Path | None, typer.Option(help="a model's folder (default: the shipped one)")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Tell how often a rule fires that should, and that should not."""
    try:
        errors = read_errors(model or MODELS, load_model(model).sha256)
    except (ModelError, ValueError) as error:
        print(f"bench.rule_power: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    if errors is None:
        print(f"bench.rule_power: {model or MODELS}: no errors.json: python -m bench.model_errors", file=sys.stderr)
        raise typer.Exit(2)
    cases = product(SHARES, PEOPLE, (False, True))
    rows = [power(share, people, errors, whole=whole) for share, people, whole in cases]
    show.result(rows, table, as_json=as_json, width=110)


if __name__ == "__main__":
    typer.run(run)
