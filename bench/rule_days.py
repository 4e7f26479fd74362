"""At how many places does a rule fire within five days? `python -m bench.rule_days [--json]`.

Places are drawn: at each the shipped model errs in its own way, as its errors vary between places (ADR 41). At one
place windows and people are independent, so all that happens in its windows is computed exactly, as a Markov chain.
"""

from typing import Annotated, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table
from scipy.special import expit, logit
from scipy.stats import binom
from scipy.stats import t as student

from operate import output
from proto.model_errors import ModelErrors
from services.inference.errors import read_errors
from services.inference.model import MODELS, load_model
from services.statistics.figures import rates
from services.statistics.rate_interval import Judged

FIRE_BELOW, CLEAR_ABOVE = 0.7, 0.75
PEOPLE, WINDOWS_A_DAY, DAYS = 100, 72, 5
SHARES = (0.5, 0.6, 0.66, 0.69, 0.72, 0.75)
PLACES, SEED = 4_000, 7
Chances = NDArray[np.float64]
"""A number for each place, mostly a chance, 0 to 1."""


class Alarms(NamedTuple):
    """A rule at a true share: the share of places with an alert within the days, and the alerts a place and day."""

    share: float
    for_windows: int
    places: float
    alerts: float


def judged_masked(share: float, errors: ModelErrors) -> Chances:
    """Return the chance that a judged person at each place is judged masked: places by Student's t, as the limits."""
    rng = np.random.default_rng(SEED)
    reach = float(student.ppf(0.975, errors.sources - 1))

    def draw(middle: float, limits: Chances) -> Chances:
        away: Chances = rng.standard_t(errors.sources - 1, PLACES) * np.diff(limits)[0] / 2 / reach
        return middle + away

    sensitivity = expit(draw(logit(errors.sensitivity), logit(errors.sensitivity_limits)))
    specificity = expit(draw(logit(errors.specificity), logit(errors.specificity_limits)))
    ratio = np.exp(draw(float(np.log(errors.recall_ratio)), np.log(errors.recall_ratio_limits)))
    masked = share * ratio / (share * ratio + 1 - share)
    return np.asarray(masked * sensitivity + (1 - masked) * (1 - specificity))


def judgements(masked: Chances, errors: ModelErrors) -> tuple[Chances, Chances]:
    """Return the chance that a window breaches, and that it clears, at each place."""
    seen = [rates(count, [Judged(PEOPLE, errors)]) for count in range(PEOPLE + 1)]
    below = [r.rate < FIRE_BELOW and r.interval[1] < FIRE_BELOW for r in seen if r.rate is not None and r.interval]
    above = [r.rate > CLEAR_ABOVE for r in seen if r.rate is not None]
    chances = np.asarray(binom.pmf(np.arange(PEOPLE + 1)[:, None], PEOPLE, masked[None, :]))
    return chances[np.array(below)].sum(0), chances[np.array(above)].sum(0)


def fired(breach: Chances, clear: Chances, for_windows: int, windows: int) -> tuple[Chances, Chances]:
    """Return the chance of an alert within so many windows, and the number of alerts, at each place."""
    rows = np.zeros((2, for_windows, len(breach)))  # not firing, firing; and how long the row is
    rows[0, 0] = 1
    never, alerts = rows[0].copy(), np.zeros(len(breach))
    for _ in range(windows):
        fires, ends = rows[0, -1] * breach, rows[1, -1] * clear
        alerts += fires
        never = _next(never, breach)
        rows = np.stack([_next(rows[0], breach), _next(rows[1], clear)])
        rows[0, 0] += ends
        rows[1, 0] += fires
    return 1 - never.sum(0), alerts


def _next(rows: Chances, longer: Chances) -> Chances:
    """Return the chances of each length of a row after a window that lengthens it with the chance `longer`."""
    found = np.zeros_like(rows)
    found[0] = rows.sum(0) * (1 - longer)
    found[1:] = rows[:-1] * longer
    return found


def alarms(share: float, for_windows: int, errors: ModelErrors) -> Alarms:
    """Return how often a rule fires where this share wears a mask."""
    breach, clear = judgements(judged_masked(share, errors), errors)
    ever, alerts = fired(breach, clear, for_windows, DAYS * WINDOWS_A_DAY)
    return Alarms(share, for_windows, float(ever.mean()), float(alerts.mean()) / DAYS)


def table(rows: list[Alarms]) -> Table:
    """Return the figures as a table."""
    shown = Table(title=f"a rule with fire_below {FIRE_BELOW:.0%}, {DAYS} days of {WINDOWS_A_DAY} windows")
    for head in ("masked", "for_windows", "places with an alert", "alerts a place and day"):
        shown.add_column(head, justify="right")
    for row in rows:
        shown.add_row(f"{row.share:.0%}", str(row.for_windows), f"{row.places:.1%}", f"{row.alerts:.2f}")
    return shown


def run(as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False) -> None:
    """Tell at how many places a rule fires."""
    errors = read_errors(MODELS, load_model(None).sha256)
    assert errors is not None, "errors.json is shipped"
    rows = [alarms(share, windows, errors) for windows in (1, 2) for share in SHARES]
    output.result(rows, table, as_json=as_json, width=80)


if __name__ == "__main__":
    typer.run(run)
