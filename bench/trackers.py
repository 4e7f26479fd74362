"""Compares our tracker with others on simulated people: `python -m bench.trackers`.

They are no dependencies of Moretta: run `pip install norfair`, `pip install trackers` or both first, best in an
environment of their own. The result is in docs/adr/0016-own-tracker.md. All trackers get the same sightings, five
pictures a second, and count the people they saw three times. The bench searches the best settings of each other tracker
on one seed of some scenarios, and measures them on other seeds. Our tracker has its shipped settings.
"""

import itertools
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from statistics import fmean
from typing import Any

import numpy as np
from msgspec import structs
from rich.console import Console
from rich.table import Table

from proto.sightings import SightingsV1, SightingV1
from services.aggregate.core.counting.motion import place
from services.aggregate.core.counting.tracking import Tracker
from services.sites.settings import TrackingSettings
from testbed.simulation.crowd_plan import truth
from testbed.simulation.scenario import load_scenario
from testbed.simulation.sightings import plans, sightings

NAMES = ("sparse", "medium", "dense", "distance", "lights", "queue", "turning", "meeting", "crossing", "crowd")
SEARCHED = ("sparse", "medium", "dense", "lights", "turning")
SEEDS = 5
_PICTURE = (640, 360)
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


def iou(said: Iterable[SightingsV1], kind: str, threshold: float, patience: int, grown: float) -> int:
    """Count with a tracker of the package `trackers`; boxes are `grown` times as large, or they would not overlap."""
    import supervision  # type: ignore[import-not-found]
    import trackers  # type: ignore[import-not-found]

    found = getattr(trackers, kind)(
        lost_track_buffer=patience,
        frame_rate=30.0,  # the buffer is in pictures at 30 a second
        minimum_consecutive_frames=1,
        minimum_iou_threshold=threshold,
    )
    hits: Counter[int] = Counter()
    for one in said:
        boxes = np.array([_grown(face, grown) for face in one.faces]).reshape(-1, 4)
        scores, classes = np.array([face.score for face in one.faces]), np.zeros(len(one.faces), dtype=int)
        told = found.update(supervision.Detections(xyxy=boxes, confidence=scores, class_id=classes))
        hits.update(int(name) for name in told.tracker_id if name is not None and name >= 0)
    return sum(count >= HITS for count in hits.values())


def _grown(face: SightingV1, by: float) -> list[float]:
    x1, y1, x2, y2 = face.box
    x, y, half_x, half_y = (x1 + x2) / 2, (y1 + y2) / 2, by * (x2 - x1) / 2, by * (y2 - y1) / 2
    return [
        (x - half_x) * _PICTURE[0],
        (y - half_y) * _PICTURE[1],
        (x + half_x) * _PICTURE[0],
        (y + half_y) * _PICTURE[1],
    ]


OTHERS: dict[str, tuple[Callable[..., int], list[Sequence[Any]]]] = {
    "norfair": (theirs, [(1.2, 1.6, 2.2, 3.0, 4.0), (5, 8, 12, 16), (1.0, 4.0), (0.1, 1.0, 10.0)]),
    "trackers": (iou, [("ByteTrackTracker", "OCSORTTracker"), (0.1, 0.3), (8, 15), (2.0, 4.0)]),
}
"""Each other tracker, and the settings to be searched."""


def searched(name: str, films: Sequence[Film]) -> tuple[Any, ...]:
    """Return the best settings of another tracker on these films: the least mean error."""
    count, grid = OTHERS[name]
    return min(
        itertools.product(*grid), key=lambda own: fmean(abs(count(said, *own) / true - 1) for said, true in films)
    )


def main() -> None:
    """Search, measure, show."""
    others = [name for name in OTHERS if find_spec(name)]
    if not others:
        sys.exit("bench.trackers: needs norfair or trackers; install one with: pip install norfair")
    logging.disable(logging.WARNING)
    tried = [film(name, 100) for name in SEARCHED]
    best = {name: searched(name, tried) for name in others}
    told = "; ".join(f"{name} with {settings}" for name, settings in best.items())
    table = Table(title=f"Mean error of {SEEDS} seeds (ms of processor time a sighting); {told}")
    for heading in ("scenario", "people", "ours", *others):
        table.add_column(heading)
    for name in NAMES:
        films = [film(name, seed) for seed in range(1, SEEDS + 1)]
        cells = [_measured(films, ours), *(_measured(films, OTHERS[other][0], *best[other]) for other in others)]
        table.add_row(name, str(sum(true for _, true in films)), *cells)
    Console().print(table)


def _measured(films: Sequence[Film], count: Callable[..., int], *settings: Any) -> str:
    began = time.process_time()
    errors = [count(said, *settings) / true - 1 for said, true in films]
    ms = 1e3 * (time.process_time() - began) / sum(len(said) for said, _ in films)
    return f"{fmean(map(abs, errors)):.1%} ({max(errors, key=abs):+.1%}), {ms:.2f} ms"


if __name__ == "__main__":
    main()
