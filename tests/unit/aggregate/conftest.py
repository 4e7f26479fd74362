"""Messages, configurations and walkers for the tests of aggregate's core."""

import asyncio
import random
from dataclasses import dataclass
from math import sin
from types import SimpleNamespace

import pytest

from proto.model_errors import ModelErrors
from proto.public import HINTS
from proto.sightings import CODES, CameraEventV1, ModelV1, PassageV1, SightingsV1, SightingV1, TickV1
from proto.subjects import ALERTS, OPERATIONS, RULES, WINDOWS
from services.aggregate import published
from services.aggregate.core.config import CameraConfig, SiteConfig
from services.bus import Stored
from services.sites.settings import TrackingSettings

SECOND = 1_000_000_000
HOUR = 1_700_000_000 // 3_600 * 3_600 * SECOND
"""A full hour, so that every window begins there."""
PERIOD = 200_000_000
MODEL, MODEL_SHA = "masks-1", "a" * 64
ERRORS = ModelErrors(
    sensitivity=0.97, sensitivity_limits=(0.95, 0.98), specificity=0.9875, specificity_limits=(0.9375, 0.9975),
    recall_ratio=0.9844, recall_ratio_limits=(0.6875, 1.4063), overdispersion=1.25, sources=6,
)  # fmt: skip


def iou(a, b) -> float:
    """Return intersection over union, 0..1."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / (areas - width * height)


def _face(x=0.5, y=0.5, size=0.05, verdict="masked", score=0.9, confidence=0.9):
    """Return a sighting of a face with this centre (normalised) and size (share of the picture's width)."""
    box = tuple(min(1.0, max(0.0, v)) for v in (x - size / 2, y - size / 2, x + size / 2, y + size / 2))
    return SightingV1(box=box, code=CODES[verdict], score=score, confidence=confidence)


def _config(**changes):
    values = {"cameras": [CameraConfig(id="door")], "window_s": 60.0, "lateness_s": 2.0, "profile": "lab"}
    values["tracking"] = TrackingSettings(max_gap_s=1.0)
    return SiteConfig(site="market", **{**values, **changes})


@dataclass(frozen=True)
class Message:
    """A stored message, as far as the core looks at it."""

    message: object
    sequence: int
    time: int
    stream_created: int
    trace: str = ""


class Stream:
    """Writes a site's stream: each message is stored `delay` after its event."""

    def __init__(self, start=HOUR, created=HOUR - 100 * SECOND, delay=50_000_000, ordered=True):
        self.messages: list[Message] = []
        self.start, self.created, self.delay = start, created, delay
        self.ordered = ordered
        self.numbers: dict[str, int] = {}

    def put(self, message, time):
        last = self.messages[-1].time if self.messages and self.ordered else 0
        self.messages.append(Message(message, len(self.messages) + 1, max(last, time), self.created))
        return self

    def at(self, seconds):
        return self.start + round(seconds * SECOND)

    def tick(self, seconds):
        at = self.start + round(seconds * SECOND)
        return self.put(TickV1(site="market", sent=at), at)

    def ticks(self, first, last):
        for second in range(first, last + 1):
            self.tick(second)
        return self

    def seen(self, seconds, *faces, camera="door", lease=1, sequence=None, model=MODEL, sha=MODEL_SHA, delay=None):
        at = self.start + round(seconds * SECOND)
        number = self.numbers.get(camera, 0) + 1 if sequence is None else sequence
        self.numbers[camera] = max(number, self.numbers.get(camera, 0))
        message = SightingsV1(
            site="market", camera=camera, lease=lease, sequence=number, at=at, period=PERIOD, aspect=1.0,
            model=model, model_sha256=sha, faces=list(faces),
        )  # fmt: skip
        return self.put(message, at + (self.delay if delay is None else round(delay * SECOND)))

    def watch(self, first, last, camera="door", **options):
        """Nobody in view, a picture every 200 ms from `first` to before `last`."""
        for step in range(round((last - first) * 5)):
            self.seen(first + step / 5, camera=camera, **options)
        return self

    def passer(self, first, verdict="masked", camera="door", pictures=5, **options):
        """One person seen five times from `first` on, then nobody for 1.4 s."""
        for step in range(pictures):
            self.seen(first + step / 5, _face(0.3 + step / 20, verdict=verdict), camera=camera, **options)
        return self.watch(first + pictures / 5, first + pictures / 5 + 1.4, camera=camera, **options)

    def told(self, seconds, errors=ERRORS, model=MODEL, sha=MODEL_SHA):
        message = ModelV1(site="market", model=model, model_sha256=sha, errors=errors)
        return self.put(message, self.at(seconds))

    def event(self, seconds, state, camera="door", lease=1, reason=None):
        at = self.start + round(seconds * SECOND)
        message = CameraEventV1(site="market", camera=camera, lease=lease, state=state, reason=reason, at=at)
        return self.put(message, at + self.delay)


class Shelf:
    """A bus that holds what a site has published, as far as a start reads it."""

    def __init__(self, messages):
        rows = {row.message: row for row in (WINDOWS, ALERTS, RULES, OPERATIONS)}
        found = [(rows[type(m)], m) for m in messages if type(m) in rows]
        self.stored = [Stored(row, row.of(m), m, sequence, 0, 0) for sequence, (row, m) in enumerate(found, 1)]

    async def history_from(self, start, row, **tokens):
        return [s for s in self.stored if s.row is row and s.sequence >= start and self._fits(s.message, tokens)]

    async def latest(self, row, **tokens):
        return list({s.subject: s for s in await self.history_from(1, row, **tokens)}.values())

    async def first(self, row, **tokens):
        return next(iter(await self.history_from(1, row, **tokens)), None)

    async def last(self, row, **tokens):
        return next(reversed(await self.history_from(1, row, **tokens)), None)

    @staticmethod
    def _fits(message, tokens):
        return all(getattr(message, name) == value for name, value in tokens.items())


def _lacking(window):
    """Return why time is missing in a window: hints are left out, as of the faces that a camera does not know yet."""
    return [gap for gap in window.gaps if gap not in HINTS]


def _restore(core, stored, configs):
    """Restore a core from what a start reads of what is stored, in small bites; returns what was missing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published, "_BACK", 1)
        found = asyncio.run(published.read(Shelf(stored), "market", configs))
    passages = [message for message in stored if isinstance(message, PassageV1)]
    return core.restore(passages, found.windows, found.alerts, configs, found.states, found.operational)


def _passage(camera="door", at=HOUR):
    """Return a passage of somebody masked."""
    made = {"stream_created": HOUR, "stream_sequence": 1, "index": 0}
    return PassageV1(site="market", camera=camera, zone=None, code=CODES["masked"], at=at, **made)


@pytest.fixture(name="make", scope="session")
def _make():
    """Builders: `make.face(...)`, `make.config(...)`, `make.stream()`; `make.hour` and `make.second` in ns."""
    return SimpleNamespace(
        face=_face, config=_config, stream=Stream, hour=HOUR, second=SECOND, period=PERIOD,
        model=MODEL, model_sha=MODEL_SHA, errors=ERRORS, tracking=TrackingSettings, walkers=walkers,
        restore=_restore, shelf=Shelf, lacking=_lacking, passage=_passage,
    )  # fmt: skip


def walkers(seed, seconds, per_second, fps=5, miss=0.1, jitter=0.08, false=0.02):
    """Return (pictures, truth): people who cross the view at 1-2 face sizes a picture, both ways.

    They slow down and hurry by one face size a second. Some pictures miss a face, a nearer face hides a farther one,
    centres and sizes jitter, and some detections are of nobody. A person counts who was detected at least three times.
    """
    rng = random.Random(seed)
    people, when = [], 0.0
    while (when := when + rng.expovariate(per_second)) < seconds - 6:
        size, way = rng.uniform(0.02, 0.05), rng.choice((-1, 1))
        speed = way * size * rng.uniform(0.8, 2.0) * 5
        people.append([when, 0.02 if way > 0 else 0.98, rng.uniform(0.2, 0.8), size, speed, rng.uniform(-0.3, 0.3), 0])
        people[-1].append(rng.uniform(0, 6))
    pictures = []
    for step in range(round(seconds * fps)):
        now, faces = step / fps, []
        for person in people:
            start, x0, y0, size, speed, slope, _, phase = person
            if now < start:
                break  # and so are all who come after
            x = x0 + speed * (now - start) + 0.5 * size * (sin(2 * (now + phase)) - sin(2 * (start + phase)))
            if not 0 < x < 1:
                continue
            y = y0 + slope * speed * (now - start) * 0.3 + 0.1 * size * rng.uniform(-1, 1)
            if not 0.05 < y < 0.95:
                continue
            faces.append((person, x + rng.gauss(0, jitter) * size, y + rng.gauss(0, jitter) * size,
                          size * (1 + rng.gauss(0, 0.05))))  # fmt: skip
        pictures.append((step, _detections(rng, faces, miss, false)))
    return pictures, sum(1 for person in people if person[6] >= 3)


def _detections(rng, faces, miss, false):
    found = []
    for person, x, y, size in sorted(faces, key=lambda f: -f[3]):
        sighting = _face(min(1, max(0, x)), y, size, score=rng.choice((0.9, 0.8, 0.6, 0.3)))
        if rng.random() < miss or any(iou(sighting.box, other.box) > 0.3 for other in found):
            continue
        person[6] += 1
        found.append(sighting)
    if rng.random() < false:
        found.append(_face(rng.random(), rng.random(), 0.03, score=0.55))
    return found
