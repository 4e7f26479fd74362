"""Compares our tracker with norfair's on simulated people: `python -m bench.trackers`.

norfair is no dependency of ours: `pip install norfair` first. What came of it is in docs/adr/0016-own-tracker.md. Both
get the same sightings, five pictures a second, and count whom they saw three times. norfair's settings are searched on
one seed of each scenario and then measured on others; ours are those that are shipped.
"""

import itertools
import logging
import sys
import time
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from msgspec import structs
from rich.console import Console
from rich.table import Table

from operate.simulation.scenario import load_scenario
from operate.simulation.sightings import plans, sightings
from operate.simulation.truth import truth
from proto.sightings import SightingsV1, SightingV1
from services.aggregate.core.geometry import place
from services.aggregate.core.tracking import Tracker
from services.sites.settings import TrackingSettings

NAMES = ("sparse", "medium", "dense")
SEEDS = 5
HITS, GAP = TrackingSettings().min_hits, round(TrackingSettings().max_gap_s * 1e9)
Film = tuple[Sequence[SightingsV1], int]


def film(name: str, seed: int) -> Film:
    """Return a scenario's sightings, and how many people pass."""
    scenario = structs.replace(load_scenario(name), seed=seed)
    drawn = plans(scenario, ["one"])
    said = list(sightings(scenario, drawn, site="simulated", began=0, lease=1))
    return said, len(truth(name, scenario, drawn).passages)


def ours(said: Iterable[SightingsV1]) -> int:
    """Count with the tracker that is shipped."""
    tracker, found = Tracker(), 0
    for one in said:
        closed = tracker.step(one.at, one.aspect, one.faces, one.model_sha256, GAP)
        found += sum(track.hits >= HITS for track in closed)
    return found + sum(track.hits >= HITS for track in tracker.close_before(None))


def theirs(said: Iterable[SightingsV1], threshold: float, patience: int, r: float = 4.0, q: float = 0.1) -> int:
    """Count with norfair: distance in face sizes, `patience` pictures without a hit, measurement and process noise."""
    from norfair import Tracker as Norfair  # type: ignore[import-not-found]
    from norfair.filter import OptimizedKalmanFilterFactory  # type: ignore[import-not-found]

    tracker = Norfair(
        distance_function=_distance,
        distance_threshold=threshold,
        hit_counter_max=patience,
        initialization_delay=min(HITS - 1, patience - 1),
        filter_factory=OptimizedKalmanFilterFactory(R=r, Q=q),
        detection_threshold=0.1,
    )
    seen: set[int] = set()
    for one in said:
        alive = tracker.update([_detection(face, one.aspect) for face in one.faces])
        seen.update(found.id for found in alive if found.id is not None)
    return len(seen)


def _detection(face: SightingV1, aspect: float) -> Any:
    from norfair import Detection

    where = place(face.box, aspect)
    # In units of a thousandth of the picture's width, as norfair's noise is made for pixels.
    return Detection(points=np.array([[1e3 * where.x, 1e3 * where.y]]), scores=np.array([face.score]), data=where.size)


def _distance(detection: Any, known: Any) -> float:
    gap = float(np.linalg.norm(detection.points - known.estimate))
    size = (detection.data + known.last_detection.data) / 2 * 1e3
    return float(gap / size + 2 * abs(np.log(detection.data / known.last_detection.data)))


def searched(films: Sequence[Film]) -> tuple[float, int, float, float]:
    """Return norfair's best settings on these films: the least mean error."""
    grid = itertools.product((1.2, 1.6, 2.2, 3.0, 4.0), (5, 8, 12, 16), (1.0, 4.0), (0.1, 1.0, 10.0))
    return min(grid, key=lambda own: fmean(abs(theirs(said, *own) / true - 1) for said, true in films))


def main() -> None:
    """Search, measure, show."""
    try:
        import norfair  # noqa: F401
    except ModuleNotFoundError:
        sys.exit("bench.trackers: needs norfair; install it with: pip install norfair")
    logging.disable(logging.WARNING)
    settings = searched([film(name, 100) for name in NAMES])
    table = Table(title=f"Mean error of {SEEDS} seeds (ms of processor time a sighting); norfair with {settings}")
    for heading in ("scenario", "people", "ours", "norfair"):
        table.add_column(heading)
    for name in NAMES:
        films = [film(name, seed) for seed in range(1, SEEDS + 1)]
        cells = [_measured(films, count) for count in (ours, lambda said: theirs(said, *settings))]
        table.add_row(name, str(sum(true for _, true in films)), *cells)
    Console().print(table)


def _measured(films: Sequence[Film], count: Any) -> str:
    began = time.process_time()
    errors = [count(said) / true - 1 for said, true in films]
    ms = 1e3 * (time.process_time() - began) / sum(len(said) for said, _ in films)
    return f"{fmean(map(abs, errors)):.1%} ({max(errors, key=abs):+.1%}), {ms:.2f} ms"


if __name__ == "__main__":
    main()
