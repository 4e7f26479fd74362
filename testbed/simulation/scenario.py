"""The scenario of a simulation, checked as strictly as all user input. The folder `scenarios` has the built-in ones.

Sizes of faces are the root of a box's area, in pixels of a picture that is 640 wide, as everywhere in this project.
"""

from collections.abc import Iterator
from importlib import resources
from itertools import cycle, pairwise
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field

from proto.types import Fraction, Verdict
from services.kernel.settings import Problem, SettingsError, convert, problems
from services.kernel.settings.source import read
from services.sites.settings import Polygon

SCENES = (
    "distance",
    "lights",
    "queue",
    "queue-hidden",
    "turning",
    "meeting",
    "crossing",
    "crowd",
    "mirror",
    "mirror-ignored",
    "posters",
    "screen",
)
"""Scenarios of what is hard to count, each one difficulty."""
BUILT_IN = ("sparse", "medium", "dense", "day", "market", *SCENES)
RATE = 5.0
"""Analysed pictures a second: ingest's default sampling rate."""

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Moment = Annotated[float, Meta(ge=0, le=86_400)]
FacePx = Annotated[float, Meta(ge=1, le=400)]
BySize = Annotated[list[tuple[FacePx, Fraction]], Meta(min_length=1)]
"""A share by the size of a face: [[px, share], ...], sizes rising, interpolated between them."""


class Phase(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the time. People come at one rate (a Poisson process); these shares wear masks, the rest none."""

    seconds: Seconds
    arrivals_per_minute: Annotated[float, Meta(ge=0, le=600)] = 0.0
    masked: Fraction = 0.5
    incorrect: Fraction = 0.0


class Walking(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How people walk: towards the camera, away from it, or else across, to the left or to the right."""

    towards: Fraction = 0.2
    away: Fraction = 0.1
    """They show their backs and hide others."""
    stopping: Fraction = 0.1
    stop_s: Annotated[float, Meta(ge=1, le=600)] = 4.0
    """How long they stand, on average."""
    speed: Annotated[float, Meta(ge=0.2, le=5)] = 1.2
    """Metres a second, on average."""
    sway_m: Annotated[float, Meta(ge=0, le=0.5)] = 0.0
    """How far people who stand move to and fro."""
    turning: Fraction = 0.0
    """They turn away or bend down now and then: the face is gone for 0.5 to 4 s."""
    leaving: Fraction = 0.0
    """Of those who stop, the share who turn their backs and walk on without a face."""
    meeting: Fraction = 0.0
    """Of those who stop, the share who are met there by somebody from the other side, who walks on with them."""


class Mirror(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An upright mirror on the right that faces left. Whoever is left of it is seen in it a second time.

    It begins and ends at these distances from the camera, in metres, and hides what is behind it.
    """

    beside_m: Annotated[float, Meta(ge=0.3, le=10)] = 1.2
    """How far to the right of the camera it is."""
    nearest_m: Annotated[float, Meta(ge=0.5, le=50)] = 1.5
    farthest_m: Annotated[float, Meta(ge=0.5, le=50)] = 8.0

    def covers(self, x: float, z: float) -> bool:
        """Whether the camera looks at a point behind the mirror's plane, in metres, through the mirror."""
        return x > self.beside_m and self.nearest_m <= z * self.beside_m / x <= self.farthest_m


class Portrait(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A face on the wall behind the people, who is nobody: a poster, or a screen that shows it now and then."""

    x: Fraction
    y: Fraction
    """The middle of the face, in shares of the picture's width and height."""
    px: FacePx
    verdict: Verdict = "unmasked"
    every_s: Seconds | None = None
    """A screen shows it for `for_s` at the beginning of each of these periods; None: a poster."""
    for_s: Seconds | None = None

    def is_shown(self, at_s: float) -> bool:
        """Whether it is there at a moment."""
        return self.every_s is None or self.for_s is None or at_s % self.every_s < self.for_s


class CameraView(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The camera's view: sizes of the farthest and the nearest faces of people who walk across, and its tilt."""

    farthest_px: FacePx = 16.0
    nearest_px: FacePx = 70.0
    horizon: Annotated[float, Meta(ge=-1, le=0.6)] = 0.14
    """The position of faces far away, as a share of the picture's height; below 0 they enter at the upper edge."""
    drop: Annotated[float, Meta(ge=1.5, le=6)] = 2.75
    """How far a face is below the horizon, in face sizes."""


class ScenarioPeriod(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the time."""

    start: Moment
    seconds: Seconds

    def holds(self, at_s: float) -> bool:
        """Whether the moment lies in it."""
        return self.start <= at_s < self.start + self.seconds


class LightPeriod(ScenarioPeriod, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the time with other light. `level` is a share of the usual light; at 0 nothing is seen."""

    level: Annotated[float, Meta(ge=0, le=2)]


class Detector(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The errors of inference about faces (for the bus alone)."""

    recall: BySize = field(
        default_factory=lambda: [(8, 0.05), (12, 0.6), (17, 0.89), (22, 0.95), (48, 0.955), (96, 0.97)]
    )
    """Share of the wholly visible faces found at the operating point."""
    threshold: Annotated[float, Meta(gt=0, lt=1)] = 0.72
    """The operating point's score, as in the shipped model."""
    min_score: Annotated[float, Meta(gt=0, lt=1)] = 0.72
    """The lowest score that is published. If it is below `threshold`, weak sightings are published too."""
    alike: Fraction = 0.4
    """The share of the luck that belongs to the person and lasts; the rest wanders within about a second."""
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0.05
    """Standard deviation of a box's centre and sides, in its size."""
    turns_per_minute: Annotated[float, Meta(ge=0, le=60)] = 4.0
    """How often somebody looks aside, for most of a second."""
    false_alarms_per_minute: Annotated[float, Meta(ge=0, le=600)] = 1.0


class Classifier(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The errors of inference about masks (for the bus alone).

    Its confidences are calibrated for the case that half the people wear a mask.
    """

    accuracy: BySize = field(default_factory=lambda: [(10, 0.85), (16, 0.94), (24, 0.975), (48, 0.99)])
    """Share of the single sightings in which the side, masked or not, is right."""
    incorrect: Annotated[float, Meta(ge=0.5, le=1)] = 0.78
    """The same for badly worn masks, whatever their size."""
    apart: Fraction = 0.9
    """How often bare and badly masked faces are told apart."""
    alike: Fraction = 0.6
    """The share of a mistake that belongs to the person and lasts; the rest changes with each picture."""
    smallest_px: FacePx = 10.0
    unknown_below: Annotated[float, Meta(ge=0.5, lt=1)] = 0.6


class Counting(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A person counts as seen if the face was at least so large and half visible for so long in total."""

    visible_s: Annotated[float, Meta(ge=0, le=60)] = 0.6
    smallest_px: FacePx = 12.0


class Scenario(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One scenario. Times are seconds from its beginning."""

    phases: Annotated[list[Phase], Meta(min_length=1)]
    seconds: Seconds | None = None
    """How long it lasts, the phases repeated; None: each phase once."""
    seed: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)] = 1
    fps: Annotated[float, Meta(ge=1, le=60)] = 10.0
    """Pictures a second of the film."""
    people: Walking = Walking()
    view: CameraView = CameraView()
    freezes: list[ScenarioPeriod] = field(default_factory=list)
    """The picture stands still. Afterwards it shows the current moment again."""
    outages: list[ScenarioPeriod] = field(default_factory=list)
    """There is no picture; a film shows black."""
    lights: list[LightPeriod] = field(default_factory=list)
    mirror: Mirror | None = None
    portraits: list[Portrait] = field(default_factory=list)
    ignore: list[Polygon] = field(default_factory=list)
    """Areas in which the camera's settings let nobody count (for `bench counts` alone)."""
    detector: Detector = Detector()
    classifier: Classifier = Classifier()
    counting: Counting = Counting()

    @property
    def length_s(self) -> float:
        """How long it lasts, in seconds."""
        return self.seconds or sum(phase.seconds for phase in self.phases)

    def process(self) -> Iterator[tuple[float, float, Phase]]:
        """Yield the phases with their beginnings and ends, up to the end of the scenario."""
        start = 0.0
        for phase in cycle(self.phases):
            end = min(start + phase.seconds, self.length_s)
            yield start, end, phase
            if end >= self.length_s:
                return
            start = end

    def masked_share(self) -> float | None:
        """Return the share of masks among those who come, by the process without chance; None if nobody comes."""
        rates = [((end - start) * phase.arrivals_per_minute, phase.masked) for start, end, phase in self.process()]
        total = sum(rate for rate, _ in rates)
        return sum(rate * share for rate, share in rates) / total if total else None

    def shown_s(self, at_s: float) -> float:
        """Return the moment that the picture shows: a frozen picture shows the beginning of the freeze."""
        return min((freeze.start for freeze in self.freezes if freeze.holds(at_s)), default=at_s)

    def is_out(self, at_s: float) -> bool:
        """Whether there is no picture."""
        return any(outage.holds(at_s) for outage in self.outages)

    def light(self, at_s: float) -> float:
        """Return the light as a share of the usual one."""
        return next((light.level for light in self.lights if light.holds(at_s)), 1.0)

    def is_dark(self, at_s: float) -> bool:
        """Whether there is no light at all: a picture, but nobody to be seen in it."""
        return self.light(at_s) == 0

    def problems(self) -> list[Problem]:
        """Return the problems that no single field shows."""
        return list(_problems(self))


def _problems(scenario: Scenario) -> Iterator[Problem]:
    for index, phase in enumerate(scenario.phases):
        if phase.masked + phase.incorrect > 1:
            yield f"phases[{index}].incorrect", f"{phase.incorrect:g} and masked {phase.masked:g} are more than 1"
    if scenario.length_s > 86_400:
        yield "phases", f"last {scenario.length_s:g} s; a scenario is at most a day, 86400 s"
    people, view = scenario.people, scenario.view
    if people.towards + people.away > 1:
        yield "people.away", f"{people.away:g} and towards {people.towards:g} are more than 1"
    if view.nearest_px <= view.farthest_px:
        yield "view.nearest_px", f"{view.nearest_px:g} is no larger than farthest_px {view.farthest_px:g}"
    mirror = scenario.mirror
    if mirror is not None and mirror.farthest_m <= mirror.nearest_m:
        yield "mirror.farthest_m", f"{mirror.farthest_m:g} is no farther than nearest_m {mirror.nearest_m:g}"
    for index, one in enumerate(scenario.portraits):
        if (one.every_s is None) != (one.for_s is None):
            yield f"portraits[{index}].for_s", "a screen has both every_s and for_s, a poster none of them"
    yield from _unsorted(scenario)


def _unsorted(scenario: Scenario) -> Iterator[Problem]:
    tables = {"detector.recall": scenario.detector.recall, "classifier.accuracy": scenario.classifier.accuracy}
    for path, table in tables.items():
        if any(a[0] >= b[0] for a, b in pairwise(table)):
            yield path, "sizes must rise from one to the next"


def load_scenario(name: str) -> Scenario:
    """Return a built-in scenario or that of a YAML file; SettingsError lists every problem with its path."""
    if name not in BUILT_IN and not Path(name).exists():
        why = f"{name!r} is no file here; give a YAML file or one of {', '.join(BUILT_IN)}"
        raise SettingsError("SCENARIO", [("", why)])
    with resources.as_file(resources.files(__package__) / "scenarios") as folder:
        return _load(folder / f"{name}.yaml" if name in BUILT_IN else Path(name))


def _load(file: Path) -> Scenario:
    raw = read(file, "phases:")
    found = list(problems(Scenario, raw))
    if found:
        raise SettingsError(file, found)
    scenario: Scenario = convert(raw, Scenario)
    if found := scenario.problems():
        raise SettingsError(file, found)
    return scenario
