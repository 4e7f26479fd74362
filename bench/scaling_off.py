"""For how long cameras were off, and how evenly replicas shared them. Pure.

A camera is off from one period after a picture that was analysed until the next one that is: so a gap between two
sightings counts less one period, and no camera may be off for longer than 5 s. For a killed replica's cameras the time
from the kill to their next sighting is known exactly, whatever the period, and that one counts. A camera whose replica
stayed the same was not off but shed: too little processor time was left to analyse its pictures within 100 ms.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from bench.scaling_crew import Event
from bench.scaling_seen import Held, Share, Sighted

LIMIT_S = 5.0
SLACK_S = 2.5
"""A film of one picture in two seconds gives the one after a due moment so much later; that is not called off."""
EVEN = 1
SHED = "shed"


class Off(NamedTuple):
    """A camera was off from `start` to `end` (unix s); `cause`: what became of its replica, a move, or SHED."""

    camera: str
    start: float
    end: float
    cause: str

    @property
    def seconds(self) -> float:
        """How long."""
        return self.end - self.start


class Takeover(NamedTuple):
    """How long after a kill, or a SIGTERM, of its replica a camera had a picture of its new one analysed."""

    camera: str
    event: int
    seconds: float


def offs(
    sightings: Mapping[str, Sequence[Sighted]], cameras: Sequence[str], period_s: float, began: float, ended: float
) -> list[tuple[str, float, float]]:
    """Return when each camera was off between two moments, by gaps of its sightings less the period."""
    found = []
    for camera in cameras:
        moments = sorted(one.at for one in sightings.get(camera, []) if began - period_s <= one.at <= ended)
        edges = [began - period_s if not moments or moments[0] > began else moments[0], *moments, ended]
        for before, after in pairwise(edges):
            start = max(began, before + period_s)
            if after - start > SLACK_S:
                found.append((camera, start, after))
    return found


def holder_at(log: Sequence[Held], moment: float) -> str:
    """Return who held a lease at a moment; empty for nobody."""
    index = bisect_right([held.at for held in log], moment) - 1
    return log[index].holder if index >= 0 else ""


def caused(
    spans: Sequence[tuple[str, float, float]],
    leases: Mapping[str, Sequence[Held]],
    events: Sequence[Event],
    before_s: float,
) -> list[Off]:
    """Return these times with their causes: the camera's replica was killed or removed shortly before, or none was."""
    found = []
    for camera, start, end in spans:
        near = [one for one in events if one.service == "ingest" and start - before_s <= one.at <= end]
        hit = [one for one in near if holder_at(leases.get(camera, []), one.at) == one.name]
        moved = any(start - before_s <= held.at <= end for held in leases.get(camera, []))
        cause = f"{hit[0].act} {hit[0].name}" if hit else "moved" if moved else SHED
        found.append(Off(camera, start, end, cause))
    return found


def takeovers(
    sightings: Mapping[str, Sequence[Sighted]], leases: Mapping[str, Sequence[Held]], events: Sequence[Event], act: str
) -> list[Takeover]:
    """Return, for each camera of each replica of ingest that was killed (or removed), how long its new one took."""
    found = []
    for number, event in enumerate(events):
        if event.service != "ingest" or event.act != act:
            continue
        for camera, log in leases.items():
            if holder_at(log, event.at) == event.name:
                found.append(Takeover(camera, number, _taken(sightings.get(camera, []), event.at) - event.at))
    return found


def _taken(seen: Sequence[Sighted], moment: float) -> float:
    """Return the time of the first sighting after a moment under a later lease; infinite without one."""
    before = max((one.lease for one in seen if one.at <= moment), default=-1)
    return min((one.at for one in seen if one.at > moment and one.lease > before), default=float("inf"))


@dataclass(frozen=True)
class Settled:
    """How long after an event of ingest all cameras were held, and replicas differed by one at most, for good.

    None if that never was before the next event of ingest.
    """

    event: int
    seconds: float | None


def settled(shares: Sequence[Share], events: Sequence[Event], ended: float) -> list[Settled]:
    """Return for each event of ingest when the share was even again, and stayed so until the next one."""
    numbers = [number for number, event in enumerate(events) if event.service == "ingest"]
    found = []
    for number, following in zip(numbers, [*numbers[1:], None], strict=True):
        at, until = events[number].at, ended if following is None else events[following].at
        within = [share for share in shares if at <= share.at < until]
        uneven = [share.at for share in within if share.free or share.spread > EVEN]
        since = min((share.at for share in within if not uneven or share.at > uneven[-1]), default=None)
        found.append(Settled(number, None if since is None else since - at))
    return found


def off_at(spans: Sequence[Off], moment: float) -> int:
    """Return how many cameras were off at a moment."""
    return sum(span.start <= moment < span.end for span in spans)
