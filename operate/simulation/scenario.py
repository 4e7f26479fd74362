"""What is simulated: a scenario, strict as all that people write. The built-in ones are in the folder `scenarios`.

Sizes of faces are the root of a box's area, in pixels of a picture that is 640 wide, as everywhere in this project.
"""

from collections.abc import Iterator
from importlib import resources
from itertools import cycle, pairwise
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field

from proto.types import Fraction
from services.kernel.settings import Problem, SettingsError, convert, problems
from services.kernel.settings.source import read

BUILT_IN = ("sparse", "medium", "dense", "day")
RATE = 5.0
"""Analysed pictures a second, as ingest samples unless told otherwise."""

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Moment = Annotated[float, Meta(ge=0, le=86_400)]
FacePx = Annotated[float, Meta(ge=1, le=400)]
BySize = Annotated[list[tuple[FacePx, Fraction]], Meta(min_length=1)]
"""A share by the size of a face: [[px, share], ...], sizes rising, interpolated between them."""


class Phase(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part in which people come at one rate (a Poisson process) and wear masks in these shares, the rest none."""

    seconds: Seconds
    arrivals_per_minute: Annotated[float, Meta(ge=0, le=600)] = 0.0
    masked: Fraction = 0.5
    incorrect: Fraction = 0.0


class People(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How they walk. Who goes neither towards the camera nor away from it goes across, to the left or to the right."""

    towards: Fraction = 0.2
    away: Fraction = 0.1
    """They show their backs and hide others."""
    stopping: Fraction = 0.1
    stop_s: Annotated[float, Meta(ge=1, le=600)] = 4.0
    """How long they stand, on average."""
    speed: Annotated[float, Meta(ge=0.2, le=5)] = 1.2
    """Metres a second, on average."""


class View(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the camera sees: how large the farthest and the nearest faces of those who walk across are, and how it is
    tilted.
    """

    farthest_px: FacePx = 16.0
    nearest_px: FacePx = 70.0
    horizon: Annotated[float, Meta(ge=-1, le=0.6)] = 0.14
    """Where faces far away would be, as a share of the picture's height; below 0 they come in at the upper edge."""
    drop: Annotated[float, Meta(ge=1.5, le=6)] = 2.75
    """How many face sizes a face is below that."""


class ScenarioPeriod(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the time."""

    start: Moment
    seconds: Seconds

    def holds(self, at_s: float) -> bool:
        """Whether the moment lies in it."""
        return self.start <= at_s < self.start + self.seconds


class Light(ScenarioPeriod, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the time in which the light is this much of what it is otherwise."""

    level: Annotated[float, Meta(ge=0, le=2)]


class Detector(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What inference gets wrong about faces (for the bus alone)."""

    recall: BySize = field(
        default_factory=lambda: [(8, 0.05), (12, 0.6), (17, 0.89), (22, 0.95), (48, 0.955), (96, 0.97)]
    )
    """Share of the wholly visible faces found at the operating point."""
    threshold: Annotated[float, Meta(gt=0, lt=1)] = 0.72
    """The operating point's score: the one of the model that is shipped."""
    told_from: Annotated[float, Meta(gt=0, lt=1)] = 0.72
    """The lowest score that is told. Lower than `threshold`, weak sightings are told too."""
    alike: Fraction = 0.4
    """How much of the luck is the person's own and lasts; the rest wanders within about a second."""
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0.05
    """Standard deviation of a box's centre and sides, in its size."""
    turns_per_minute: Annotated[float, Meta(ge=0, le=60)] = 4.0
    """How often somebody looks aside, for most of a second."""
    false_alarms_per_minute: Annotated[float, Meta(ge=0, le=600)] = 1.0


class Classifier(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What inference gets wrong about masks (for the bus alone). Its confidences are calibrated where half the people
    wear a mask.
    """

    accuracy: BySize = field(default_factory=lambda: [(10, 0.85), (16, 0.94), (24, 0.975), (48, 0.99)])
    """Share of the single sightings whose side, masked or not, is right."""
    incorrect: Annotated[float, Meta(ge=0.5, le=1)] = 0.78
    """The same for badly worn masks, whatever their size."""
    apart: Fraction = 0.9
    """How often bare and badly masked faces are told apart."""
    alike: Fraction = 0.6
    """How much of a mistake is the person's own and lasts; the rest is each picture's."""
    smallest_px: FacePx = 10.0
    unknown_below: Annotated[float, Meta(ge=0.5, lt=1)] = 0.6


class Counting(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who counts as seen: whose face was at least so large and half free for so long, all in all."""

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
    people: People = People()
    view: View = View()
    freezes: list[ScenarioPeriod] = field(default_factory=list)
    """The picture stands still, and goes on with what is then."""
    outages: list[ScenarioPeriod] = field(default_factory=list)
    """There is no picture; a black one in a film."""
    lights: list[Light] = field(default_factory=list)
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
        """Return the share of masks among those who come, by the process itself and not by its luck; None of nobody."""
        rates = [((end - start) * phase.arrivals_per_minute, phase.masked) for start, end, phase in self.process()]
        total = sum(rate for rate, _ in rates)
        return sum(rate * share for rate, share in rates) / total if total else None

    def shown_s(self, at_s: float) -> float:
        """Return the moment that the picture shows: a frozen one shows its beginning."""
        return min((freeze.start for freeze in self.freezes if freeze.holds(at_s)), default=at_s)

    def is_out(self, at_s: float) -> bool:
        """Whether there is no picture."""
        return any(outage.holds(at_s) for outage in self.outages)

    def light(self, at_s: float) -> float:
        """Return the light as a share of the usual one."""
        return next((light.level for light in self.lights if light.holds(at_s)), 1.0)

    def problems(self) -> list[Problem]:
        """Return what no single field shows."""
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
