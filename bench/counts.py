"""Counts simulated people, whose truth is known: `python -m bench counts`.

There is no picture and no bus. Simulated sightings go straight into aggregate's core, with the time stamps that a
stream would have given them. `moretta eval` measures the errors of the model on pictures.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

from msgspec import Struct, structs

from proto.public import WindowV1
from proto.sightings import CameraEventV1, SightingsV1, TickV1
from proto.types import WHOLE_SITE
from services.aggregate.core.config import SECOND, SiteConfig
from services.aggregate.core.counting.evidence import JUDGED
from services.aggregate.core.site import SiteCore
from services.sites.settings import CameraSettings, SiteSettings
from testbed.simulation.crowd_plan import Arrivals, Plan, truth
from testbed.simulation.scenario import Scenario
from testbed.simulation.sightings import plans, sightings

BEGAN = 1_800_000_000 // 3_600 * 3_600 * SECOND
"""A full hour, at which the simulation begins."""
_DELAY = 50_000_000
SITE, CAMERA = "simulated", "one"


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as a stream would hold it."""

    message: Any
    sequence: int
    time: int
    stream_created: int = BEGAN - SECOND


class Counted(Struct, frozen=True, kw_only=True):
    """The truth of one simulation, and its counts."""

    scenario: str
    seed: int
    persons: int
    masked: int
    """Among those who count as seen."""
    counted: int
    counted_masked: int
    judged: int
    """Counted people whose verdict is not unknown."""
    windows: int
    """The windows with a rate."""
    covered: int
    """The windows among these whose interval holds the share of masks in the process of arrivals."""

    @property
    def persons_error(self) -> float:
        """How far the count is off, as a share of the truth."""
        return self.counted / self.persons - 1 if self.persons else 0.0

    @property
    def rate_error(self) -> float:
        """How far the rate is off, in points."""
        if not self.persons or not self.judged:
            return 0.0
        return 100 * (self.counted_masked / self.judged - self.masked / self.persons)


def stored(messages: Iterable[SightingsV1], seconds: float) -> Iterator[Stored]:
    """Yield a stream of these messages, each stored a moment after its event, and the end of the recording."""
    number, last = 0, BEGAN
    for number, message in enumerate(messages, 1):
        last = max(last, message.at + _DELAY)
        yield Stored(message, number, last)
    end = max(last, BEGAN + round(seconds * SECOND))
    yield Stored(CameraEventV1(site=SITE, camera=CAMERA, lease=1, state="ended", at=end), number + 1, end)
    yield Stored(TickV1(site=SITE), number + 2, end + 10 * SECOND)


def windows_of(scenario: Scenario, drawn: Mapping[str, Plan], window_s: float) -> list[WindowV1]:
    """Return the windows of a simulation with these plans, counted as aggregate counts."""
    return published(sightings(scenario, drawn, site=SITE, began=BEGAN, lease=1), scenario, window_s)


def published(told: Iterable[SightingsV1], scenario: Scenario, window_s: float) -> list[WindowV1]:
    """Return the windows that aggregate's core makes of sightings.

    All tracking settings are the shipped ones, `lateness_s` included, which bounds `max_gap_s`.
    """
    camera = CameraSettings(id=CAMERA, url=SITE, ignore=scenario.ignore)
    site = SiteSettings(id=SITE, profile="lab", window_s=window_s, close_on_end=True, cameras=[camera])
    core = SiteCore(SiteConfig.of(site))
    outputs = (output for one in stored(told, scenario.length_s) for output in core.step(one))
    return [output for output in outputs if isinstance(output, WindowV1) and output.zone == WHOLE_SITE]


def share_within(process: Sequence[Arrivals], window: WindowV1) -> float:
    """Return the share of masks in the process during a window, not among the people who happened to come."""
    start, end = ((moment - BEGAN) / SECOND for moment in (window.start, window.end))
    parts = [(max(0.0, min(p.end, end) - max(p.start, start)) * p.arrivals_per_minute, p.masked) for p in process]
    total = sum(weight for weight, _ in parts)
    return sum(weight * share for weight, share in parts) / total if total else 0.0


def counted(name: str, scenario: Scenario, window_s: float = 60.0) -> Counted:
    """Count one simulation, and compare with its truth."""
    drawn = plans(scenario, [CAMERA])
    true = truth(name, scenario, drawn)
    passed = Counter(one.verdict for one in true.passages)
    windows = windows_of(scenario, drawn, window_s)
    rated = [(w.interval, share_within(true.process, w)) for w in windows if w.interval is not None]
    return Counted(
        scenario=name,
        seed=scenario.seed,
        persons=passed.total(),
        masked=passed["masked"],
        counted=sum(w.persons or 0 for w in windows),
        counted_masked=sum(w.masked or 0 for w in windows),
        judged=sum(sum(getattr(w, verdict) or 0 for verdict in JUDGED) for w in windows),
        windows=len(rated),
        covered=sum(low <= share <= high for (low, high), share in rated),
    )


def _counted(task: tuple[str, Scenario, float]) -> Counted:
    return counted(*task)


def count_all(
    scenarios: Sequence[tuple[str, Scenario]], seeds: int, window_s: float, told: Callable[[float], None]
) -> list[Counted]:
    """Count each scenario with so many seeds, its own and those after it; `told` gets the share done, 0 to 1."""
    tasks = [
        (name, structs.replace(scenario, seed=scenario.seed + number), window_s)
        for name, scenario in scenarios
        for number in range(seeds)
    ]
    found = []
    with ProcessPoolExecutor() as pool:
        for one in pool.map(_counted, tasks):
            found.append(one)
            told(len(found) / len(tasks))
    return found
