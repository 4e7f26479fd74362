"""The messages of a simulation: `SightingsV1`, five a second for each camera, and `CameraEventV1`. Pure.

This module imitates inference on pictures whose truth is known. It misses faces, reports false alarms, and errs on
masks. A normal random number says how easily a face is found. A part of it belongs to the person; the rest wanders
within about a second (an Ornstein-Uhlenbeck process), so that misses come in runs. If it is above 0, the score is above
the operating point; hidden, turned and badly lit faces lie lower. The evidence about a mask is a normal random number
too, with mean m and variance 2m. Its logistic function is then a calibrated probability.

The constants here and the defaults of a scenario are near the results of the shipped model on films of cut-out heads
(`medium` and `dense`, `--people`). This holds for: faces found by size, found by how much is hidden, found again after
a miss; scores; boxes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from heapq import merge
from math import exp, sqrt
from statistics import NormalDist

import msgspec
import numpy as np

from proto.sightings import CODES, CameraEventV1, SightingsV1, SightingV1
from proto.types import Box, CameraReason, CameraState, Verdict
from testbed.simulation.crowd_plan import Plan, PlannedFace
from testbed.simulation.scenario import RATE, Classifier, Detector, Scenario
from testbed.simulation.walkers import HEIGHT, WIDTH

WANDER_S, ASIDE_S, ALARM_S = 0.8, 0.8, 0.6
"""How long luck lasts, how long somebody looks aside, and how long a false alarm flickers, on average."""
HIDDEN, ASIDE, DARK = 2.6, 2.5, 2.0
"""How much harder, in standard deviations, it is to find a face wholly hidden, turned aside, or in no light at all."""
CEILING = 0.64
"""The highest score, as a share of the way from the operating point to 1."""
STILL = 0.01
"""The same as a detector's `jitter`, of a face that hangs still: measured on the shipped model (ADR 42)."""
SPOTS, FLICKER = 3, 0.6
"""The number of places in a scene with false alarms, and the share of the pictures in which one shows."""
_NORMAL = NormalDist()
_LARGEST_PX = 400
_SUREST = 0.9999


@dataclass(slots=True)
class _Luck:
    """The luck of one person while in view."""

    found: float
    judged: float
    wander: float
    at: float
    aside_until: float = 0.0


@dataclass(frozen=True, slots=True)
class _Alarm:
    """A thing that the detector takes for a face for a moment."""

    box: Box
    evidence: float
    until: float


class SimulatedDetector:
    """One camera's detector and classifier. Pictures must come in order."""

    def __init__(self, detector: Detector, classifier: Classifier, source: np.random.Generator) -> None:
        self._detector, self._classifier, self._source = detector, classifier, source
        self._ease = [_NORMAL.inv_cdf(min(max(share, 0.001), 0.999)) for share in _by_px(detector.recall)]
        self._evidence = [_mean_evidence(accuracy) for accuracy in _by_px(classifier.accuracy)]
        self._spots = [_spot(source) for _ in range(SPOTS)]
        self._people: dict[int, _Luck] = {}
        self._alarms: list[_Alarm] = []
        self._at = 0.0

    def at(self, moment_s: float, faces: Sequence[PlannedFace], light: float = 1.0) -> list[SightingV1]:
        """Return the sightings of a picture with these faces; `light` is a share of the usual."""
        found = [self._face(face, moment_s, light) for face in faces]
        if light:  # a black picture shows nothing that looks like a face
            found += self._false_alarms(moment_s)
        self._at = moment_s
        if len(self._people) > 2 * len(faces) + 64:  # nobody comes back after a minute out of view
            self._people = {seed: luck for seed, luck in self._people.items() if luck.at > moment_s - 60}
        return [sighting for sighting in found if sighting is not None]

    def _face(self, face: PlannedFace, now: float, light: float) -> SightingV1 | None:
        step, picture, *shifts = self._source.standard_normal(6).tolist()
        start, apart = self._source.random(2).tolist()
        luck = self._luck(face.walker.seed, now, step, start)
        own = self._detector.alike
        ease = self._ease[_index(face.size)] + sqrt(own) * luck.found + sqrt(1 - own) * luck.wander
        aside = now < luck.aside_until and not face.walker.hangs
        ease -= HIDDEN * (1 - face.visible) + ASIDE * aside + DARK * max(0.0, 1 - light)
        score = self._score(ease)
        jitter = STILL if face.walker.hangs else self._detector.jitter
        box = _moved(face.box, jitter * (1 + 2 * (1 - face.visible)), shifts)
        if score < self._detector.min_score or box is None:
            return None
        own = self._classifier.alike
        luck_of_evidence = sqrt(own) * luck.judged + sqrt(1 - own) * picture
        evidence = self._evidence_of(face, luck_of_evidence)
        return self._judged(box, score, evidence if face.walker.verdict == "masked" else -evidence, face, apart)

    def _luck(self, seed: int, now: float, step: float, start: float) -> _Luck:
        luck = self._people.get(seed)
        if luck is None:
            found, judged = self._source.standard_normal(2).tolist()
            luck = self._people[seed] = _Luck(found, judged, step, now)
            return luck
        passed = now - luck.at
        stays = exp(-passed / WANDER_S)
        luck.wander, luck.at = stays * luck.wander + sqrt(1 - stays * stays) * step, now
        if now >= luck.aside_until and start < 1 - exp(-passed * self._detector.turns_per_minute / 60):
            luck.aside_until = now + float(self._source.exponential(ASIDE_S))
        return luck

    def _score(self, ease: float) -> float:
        """Return the score: the operating point at 0, rising to a ceiling and falling to 0."""
        point = self._detector.threshold
        return point + CEILING * (1 - point) * (1 - exp(-0.9 * ease)) if ease >= 0 else point * exp(0.9 * ease)

    def _evidence_of(self, face: PlannedFace, luck: float) -> float:
        """Return the log-odds for the right side, masked or not; below 0 the picture misleads."""
        mean = self._evidence[_index(face.size)]
        if face.walker.verdict == "incorrect":
            mean = min(mean, _mean_evidence(self._classifier.incorrect))
        mean *= face.visible
        return mean + sqrt(2 * mean) * luck

    def _judged(self, box: Box, score: float, masked: float, face: PlannedFace | None, apart: float) -> SightingV1:
        """Return the sighting; `masked` is the evidence for a mask, in log-odds."""
        confidence = min(1 / (1 + exp(-min(abs(masked), 30.0))), _SUREST)
        small = sqrt((box[2] - box[0]) * WIDTH * (box[3] - box[1]) * HEIGHT) < self._classifier.smallest_px
        if small or confidence < self._classifier.unknown_below:
            return SightingV1(box, CODES["unknown"], score, confidence)
        bare: Verdict = "incorrect" if face is not None and face.walker.verdict == "incorrect" else "unmasked"
        if apart >= self._classifier.apart:
            bare = "incorrect" if bare == "unmasked" else "unmasked"
        return SightingV1(box, CODES["masked" if masked > 0 else bare], score, confidence)

    def _false_alarms(self, now: float) -> list[SightingV1 | None]:
        self._begin_alarms(now)
        return [self._alarm(alarm) for alarm in self._alarms]

    def _begin_alarms(self, now: float) -> None:
        """End and begin false alarms up to this picture: a Poisson process."""
        self._alarms = [alarm for alarm in self._alarms if alarm.until > now]
        rate = self._detector.false_alarms_per_minute / 60
        for _ in range(int(self._source.poisson(rate * max(0.0, now - self._at))) if rate else 0):
            spot = self._spots[int(self._source.integers(SPOTS))]
            until = now + float(self._source.exponential(ALARM_S))
            self._alarms.append(_Alarm(spot, float(self._source.standard_normal()), until))

    def _alarm(self, alarm: _Alarm) -> SightingV1 | None:
        ease, picture, *shifts = self._source.standard_normal(6).tolist()
        shows, apart = self._source.random(2).tolist()
        score = self._score(0.6 * ease)
        box = _moved(alarm.box, 2 * self._detector.jitter, shifts)
        if shows >= FLICKER or score < self._detector.min_score or box is None:
            return None
        return self._judged(box, score, alarm.evidence + 0.5 * picture, None, apart)


def _by_px(table: Sequence[tuple[float, float]]) -> list[float]:
    """Return the share for each whole size, interpolated."""
    sizes, shares = zip(*table, strict=True)
    return [float(share) for share in np.interp(np.arange(_LARGEST_PX + 1), sizes, shares)]


def _index(size: float) -> int:
    return min(round(size), _LARGEST_PX)


def _mean_evidence(accuracy: float) -> float:
    """Return the mean m of a normal number with variance 2m that is above 0 with this probability."""
    return 2 * max(0.0, _NORMAL.inv_cdf(min(max(accuracy, 0.5), 0.9999))) ** 2


def _spot(source: np.random.Generator) -> Box:
    """Return a place where false alarms come."""
    width = float(source.uniform(0.02, 0.06))
    height = width * WIDTH / HEIGHT * 1.25
    x, y = float(source.uniform(0, 1 - width)), float(source.uniform(0, 1 - height))
    return x, y, x + width, y + height


def _moved(box: Box, jitter: float, luck: Sequence[float]) -> Box | None:
    """Return the box with its centre and sides off by `jitter` of its size, cut at the picture's edges; None if nothing
    of it is left.
    """
    x1, y1, x2, y2 = box
    width, height = x2 - x1, y2 - y1
    x = (x1 + x2) / 2 + jitter * width * luck[0]
    y = (y1 + y2) / 2 + jitter * height * luck[1]
    half_x, half_y = (side / 2 * max(0.2, 1 + jitter * shift) for side, shift in ((width, luck[2]), (height, luck[3])))
    x1, y1, x2, y2 = max(0.0, x - half_x), max(0.0, y - half_y), min(1.0, x + half_x), min(1.0, y + half_y)
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


SECOND = 1_000_000_000
PERIOD = round(SECOND / RATE)
MODEL = "simulated"
"""The model that windows name, so that nobody takes them for measured ones."""


class SimulatedCamera:
    """One camera of a simulation: its plan, and the sightings of its pictures."""

    def __init__(self, scenario: Scenario, number: int, plan: Plan) -> None:
        self._scenario, self._plan = scenario, plan
        source = np.random.default_rng([scenario.seed, number, 1])
        self._look = SimulatedDetector(scenario.detector, scenario.classifier, source)
        self._shown, self._last = -1.0, list[SightingV1]()

    def picture(self, at_s: float) -> list[SightingV1] | None:
        """Return the sightings of a moment's picture, None if there is no picture. Moments must come in order.

        A frozen picture always has the same sightings.
        """
        if self._scenario.is_out(at_s):
            return None
        shown = self._scenario.shown_s(at_s)
        if shown != self._shown:
            self._shown, self._last = shown, self._look.at(at_s, self._plan.faces(at_s), self._scenario.light(at_s))
        return self._last


def plans(scenario: Scenario, cameras: list[str]) -> dict[str, Plan]:
    """Return a plan for each camera, each with people of its own."""
    return {name: Plan.drawn(scenario, number) for number, name in enumerate(cameras)}


def sightings(
    scenario: Scenario, plans: Mapping[str, Plan], *, site: str, began: int, lease: int
) -> Iterator[SightingsV1]:
    """Yield the sightings of every picture in the order of event time; the cameras take turns within a period.

    `began` is the event time of second 0, ns UTC.
    """
    cameras = {name: SimulatedCamera(scenario, number, plan) for number, (name, plan) in enumerate(plans.items())}
    sha, count = sha256(msgspec.json.encode(scenario, order="sorted")).hexdigest(), len(cameras)
    for sequence in range(int(scenario.length_s * RATE)):
        for number, (name, camera) in enumerate(cameras.items()):
            at = sequence * PERIOD + number * PERIOD // count
            faces = camera.picture(at / SECOND)
            if faces is None:
                continue
            yield SightingsV1(
                site=site,
                camera=name,
                lease=lease,
                sequence=sequence,
                at=began + at,
                period=PERIOD,
                aspect=WIDTH / HEIGHT,
                model=MODEL,
                model_sha256=sha,
                faces=faces,
            )


def messages(
    scenario: Scenario, plans: Mapping[str, Plan], *, site: str, began: int, lease: int
) -> Iterator[SightingsV1 | CameraEventV1]:
    """Yield sightings and camera events in the order of event time: live, stalled in outages, and ended at the end."""
    turns: list[tuple[float, CameraState, CameraReason | None]] = [(0.0, "live", None)]
    for outage in sorted(scenario.outages, key=lambda outage: outage.start):
        turns += [(outage.start, "stalled", "timeout"), (outage.start + outage.seconds, "live", None)]
    turns = [turn for turn in turns if turn[0] < scenario.length_s] + [(scenario.length_s, "ended", "end-of-stream")]
    events: Iterator[SightingsV1 | CameraEventV1] = (
        CameraEventV1(site=site, camera=camera, lease=lease, state=state, reason=reason, at=began + round(at * SECOND))
        for at, state, reason in turns
        for camera in plans
    )
    pictures = sightings(scenario, plans, site=site, began=began, lease=lease)
    yield from merge(events, pictures, key=lambda message: message.at)
