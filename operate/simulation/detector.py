"""What inference says of pictures whose truth is known: it misses faces, sees some that are none, errs on masks. Pure.

How easily a face is found is a normal number: a part of it is the person's own, the rest wanders within about a second
(an Ornstein-Uhlenbeck process), so that misses come in runs. Above 0 the score is above the operating point; hidden,
turned and badly lit faces lie lower. Evidence about a mask is a normal number too, of mean m and variance 2m: then the
logistic function of it is a calibrated probability.

What is hard-wired here, and the defaults of a scenario, are near what the shipped model does with films of cut-out
heads (`medium` and `dense`, `--people`): found by size, by how much is hidden, again after a miss, scores, boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, sqrt
from statistics import NormalDist

import numpy as np

from operate.simulation.demo.scene import HEIGHT, WIDTH
from operate.simulation.plan import Face
from operate.simulation.scenario import Classifier, Detector
from proto.sightings import SightingV1
from proto.types import Box, Verdict

WANDER_S, ASIDE_S, ALARM_S = 0.8, 0.8, 0.6
"""How long luck lasts, how long somebody looks aside, and how long a false alarm flickers, on average."""
HIDDEN, ASIDE, DARK = 2.6, 2.5, 2.0
"""How much harder, in standard deviations, it is to find a face wholly hidden, turned aside, or in no light at all."""
CEILING = 0.64
"""How far from the operating point to 1 scores rise at most."""
SPOTS, FLICKER = 3, 0.6
"""At how many places of a scene false alarms come, and in what share of the pictures one shows."""
_NORMAL = NormalDist()
_LARGEST_PX = 400
_SUREST = 0.9999


@dataclass(slots=True)
class _Luck:
    """What is peculiar to one person while in view."""

    found: float
    judged: float
    wander: float
    at: float
    aside_until: float = 0.0


@dataclass(frozen=True, slots=True)
class _Alarm:
    """A thing that is taken for a face for a moment."""

    box: Box
    evidence: float
    until: float


class Look:
    """One camera's detector and classifier; asked for one picture after the other, in order."""

    def __init__(self, detector: Detector, classifier: Classifier, source: np.random.Generator) -> None:
        self._detector, self._classifier, self._source = detector, classifier, source
        self._ease = [_NORMAL.inv_cdf(min(max(share, 0.001), 0.999)) for share in _by_px(detector.recall)]
        self._evidence = [_mean_evidence(accuracy) for accuracy in _by_px(classifier.accuracy)]
        self._spots = [_spot(source) for _ in range(SPOTS)]
        self._people: dict[int, _Luck] = {}
        self._alarms: list[_Alarm] = []
        self._at = 0.0

    def at(self, moment_s: float, faces: Sequence[Face], light: float = 1.0) -> list[SightingV1]:
        """Return what is said of a picture with these faces; `light` is a share of the usual."""
        found = [self._face(face, moment_s, light) for face in faces]
        found += self._false_alarms(moment_s)
        self._at = moment_s
        if len(self._people) > 2 * len(faces) + 64:  # whoever was not in view for a minute does not come back
            self._people = {seed: luck for seed, luck in self._people.items() if luck.at > moment_s - 60}
        return [sighting for sighting in found if sighting is not None]

    def _face(self, face: Face, now: float, light: float) -> SightingV1 | None:
        step, picture, *shifts = self._source.standard_normal(6).tolist()
        start, apart = self._source.random(2).tolist()
        luck = self._luck(face.walker.seed, now, step, start)
        own = self._detector.alike
        ease = self._ease[_index(face.size)] + sqrt(own) * luck.found + sqrt(1 - own) * luck.wander
        ease -= HIDDEN * (1 - face.visible) + ASIDE * (now < luck.aside_until) + DARK * max(0.0, 1 - light)
        score = self._score(ease)
        box = _moved(face.box, self._detector.jitter * (1 + 2 * (1 - face.visible)), shifts)
        if score < self._detector.told_from or box is None:
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

    def _evidence_of(self, face: Face, luck: float) -> float:
        """Return the log-odds for the right side, masked or not; below 0 the picture misleads."""
        mean = self._evidence[_index(face.size)]
        if face.walker.verdict == "incorrect":
            mean = min(mean, _mean_evidence(self._classifier.incorrect))
        mean *= face.visible
        return mean + sqrt(2 * mean) * luck

    def _judged(self, box: Box, score: float, masked: float, face: Face | None, apart: float) -> SightingV1:
        """Return the sighting; `masked` is the evidence for a mask, in log-odds."""
        confidence = min(1 / (1 + exp(-min(abs(masked), 30.0))), _SUREST)
        small = sqrt((box[2] - box[0]) * WIDTH * (box[3] - box[1]) * HEIGHT) < self._classifier.smallest_px
        if small or confidence < self._classifier.unknown_below:
            return SightingV1(box, "unknown", score, confidence)
        bare: Verdict = "incorrect" if face is not None and face.walker.verdict == "incorrect" else "unmasked"
        if apart >= self._classifier.apart:
            bare = "incorrect" if bare == "unmasked" else "unmasked"
        return SightingV1(box, "masked" if masked > 0 else bare, score, confidence)

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
        if shows >= FLICKER or score < self._detector.told_from or box is None:
            return None
        return self._judged(box, score, alarm.evidence + 0.5 * picture, None, apart)


def _by_px(table: Sequence[tuple[float, float]]) -> list[float]:
    """Return the share for each whole size, interpolated."""
    sizes, shares = zip(*table, strict=True)
    return [float(share) for share in np.interp(np.arange(_LARGEST_PX + 1), sizes, shares)]


def _index(size: float) -> int:
    return min(round(size), _LARGEST_PX)


def _mean_evidence(accuracy: float) -> float:
    """Return the mean m of evidence with variance 2m whose sign is right this often: the normal share above 0."""
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
