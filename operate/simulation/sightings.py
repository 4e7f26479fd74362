"""A simulation as ingest and inference would tell it: `SightingsV1`, five a second and camera, `CameraEventV1`.

Pure.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from heapq import merge

import msgspec
import numpy as np

from operate.simulation.demo.scene import HEIGHT, WIDTH
from operate.simulation.detector import Look
from operate.simulation.plan import Plan
from operate.simulation.scenario import RATE, Scenario
from proto.sightings import CameraEventV1, SightingsV1, SightingV1
from proto.types import CameraReason, CameraState

SECOND = 1_000_000_000
PERIOD = round(SECOND / RATE)
MODEL = "simulated"
"""What windows name as their model, so that nobody takes them for measured ones."""


class SimulatedCamera:
    """One camera of a simulation: its plan, and what inference says of its pictures."""

    def __init__(self, scenario: Scenario, number: int, plan: Plan) -> None:
        self._scenario, self._plan = scenario, plan
        source = np.random.default_rng([scenario.seed, number, 1])
        self._look = Look(scenario.detector, scenario.classifier, source)
        self._shown, self._said = -1.0, list[SightingV1]()

    def picture(self, at_s: float) -> list[SightingV1] | None:
        """Return what is said of the picture of a moment, later than all before; None if there is none.

        Of a frozen picture always the same is said.
        """
        if self._scenario.is_out(at_s):
            return None
        shown = self._scenario.shown_s(at_s)
        if shown != self._shown:
            self._shown, self._said = shown, self._look.at(at_s, self._plan.faces(at_s), self._scenario.light(at_s))
        return self._said


def plans(scenario: Scenario, cameras: list[str]) -> dict[str, Plan]:
    """Return a plan for each camera, each with people of its own."""
    return {name: Plan.drawn(scenario, number) for number, name in enumerate(cameras)}


def sightings(
    scenario: Scenario, plans: Mapping[str, Plan], *, site: str, began: int, lease: int
) -> Iterator[SightingsV1]:
    """Yield what inference says of every picture, in the order of event time; the cameras take turns within a period.

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
    """Yield sightings and camera events in the order of event time: live, stalled in outages, and ended in the end."""
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
