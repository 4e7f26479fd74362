"""What is true of a simulation, as a file beside it."""

from collections import Counter
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from operate.simulation.plan import Passage, Plan
from operate.simulation.scenario import Scenario
from proto.types import Fraction, Nanoseconds


class Process(Struct, frozen=True, kw_only=True):
    """The process by which people came between two moments: what a rate estimates, beside the luck of who came."""

    start: float
    end: float
    arrivals_per_minute: float
    masked: Fraction
    incorrect: Fraction


class Truth(Struct, frozen=True, kw_only=True):
    """All times are seconds from the beginning, but for `began`."""

    scenario: str
    seed: int
    seconds: float
    began: Nanoseconds | None = None
    """When second 0 was, on the bus."""
    masked_share: Fraction | None
    """Of those who come, by the whole process."""
    process: list[Process]
    passages: list[Passage]
    """Everybody who counts as seen; `at` decides the window, as in the windows that are published."""

    @property
    def counts(self) -> dict[str, int]:
        """How many people count as seen, by what they wear."""
        counted = Counter(passage.verdict for passage in self.passages)
        return {name: counted[name] for name in ("masked", "unmasked", "incorrect")}

    def encoded(self) -> bytes:
        """Return it as indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def truth(name: str, scenario: Scenario, plans: Mapping[str, Plan], began: int | None = None) -> Truth:
    """Return what is true of these plans, by camera."""
    passages = [passage for camera, plan in plans.items() for passage in plan.passages(camera)]
    return Truth(
        scenario=name,
        seed=scenario.seed,
        seconds=scenario.length_s,
        began=began,
        masked_share=scenario.masked_share(),
        process=[
            Process(
                start=start,
                end=end,
                arrivals_per_minute=phase.arrivals_per_minute,
                masked=phase.masked,
                incorrect=phase.incorrect,
            )
            for start, end, phase in scenario.process()
        ],
        passages=sorted(passages, key=lambda passage: (passage.at, passage.camera)),
    )
