"""How well figures tell two scenes apart: the area under the ROC curve of simple classifiers, with numpy alone."""

from dataclasses import dataclass

import numpy as np

_DRAWS = 400
"""Resamplings for a bound (the bootstrap of Efron 1979)."""
Figures = np.ndarray
"""A row for each report, a column for each figure of it."""


@dataclass(frozen=True)
class Separation:
    """The best classifier, its area under the curve, and the upper end of that one's 95 % interval."""

    by: str
    area: float
    upper: float

    def __str__(self) -> str:
        return f"AUC {self.area:.3f} (at most {self.upper:.3f}) by {self.by}"


def area(empty: np.ndarray, full: np.ndarray) -> float:
    """Return the area under the curve of one score, whichever way it points: 0.5 tells nothing, 1 everything."""
    ordered = np.sort(empty)
    below = np.searchsorted(ordered, full, "left") + np.searchsorted(ordered, full, "right")
    found = float(below.mean()) / 2 / len(empty)
    return max(found, 1 - found)


def separation(names: list[str], empty: Figures, full: Figures, seed: int = 1) -> Separation:
    """Return how well the best of these tells the reports of two scenes apart.

    Each figure alone, the sum of all ranks, and a logistic regression over all figures, their squares included, which
    learns from every second report and is judged by the others.
    """
    scores = {name: (empty[1::2, at], full[1::2, at]) for at, name in enumerate(names)}
    scores["the sum of ranks"] = _ranks(empty, full)
    scores["logistic regression"] = _logistic(empty, full)
    by = max(scores, key=lambda name: area(*scores[name]))
    return Separation(by, area(*scores[by]), _upper(*scores[by], seed))


def _ranks(empty: Figures, full: Figures) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of each report's ranks among all; equal figures have equal ranks."""
    total = np.zeros(len(empty) + len(full))
    for column in np.vstack([empty, full]).T:
        ordered = np.sort(column)
        total += np.searchsorted(ordered, column, "left") + np.searchsorted(ordered, column, "right")
    return total[: len(empty)][1::2], total[len(empty) :][1::2]


def _upper(empty: np.ndarray, full: np.ndarray, seed: int) -> float:
    source = np.random.default_rng(seed)
    draws = [area(source.choice(empty, len(empty)), source.choice(full, len(full))) for _ in range(_DRAWS)]
    return float(np.quantile(draws, 0.975))


def _logistic(empty: Figures, full: Figures) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of the reports that it did not learn from (Newton's method, a small ridge)."""
    both = np.vstack([empty, full]).astype(float)
    both = np.hstack([both, both**2])
    spread = both.std(axis=0)
    whole = np.hstack([np.ones((len(both), 1)), (both - both.mean(axis=0)) / np.where(spread > 0, spread, 1)])
    truth = np.r_[np.zeros(len(empty)), np.ones(len(full))]
    learnt = np.r_[np.arange(len(empty)) % 2, np.arange(len(full)) % 2] == 0
    weights = np.zeros(whole.shape[1])
    for _ in range(25):
        chance = 1 / (1 + np.exp(-np.clip(whole[learnt] @ weights, -30, 30)))
        slope = whole[learnt].T @ (truth[learnt] - chance) - 1e-3 * weights
        bend = (whole[learnt] * (chance * (1 - chance))[:, None]).T @ whole[learnt] + 1e-3 * np.eye(len(weights))
        weights += np.linalg.solve(bend, slope)
    score = np.round(whole @ weights, 9)  # equal reports have equal scores
    return score[~learnt & (truth == 0)], score[~learnt & (truth == 1)]
