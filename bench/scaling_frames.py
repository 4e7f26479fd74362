"""What became of pictures, and of windows: analysed, shed, lost in hand; missing, doubled. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.scaling_crew import Event
from bench.scaling_scrapes import Scrape
from bench.scaling_seen import Sighted

Outcomes = dict[str, float]


def increase(before: Scrape, after: Scrape) -> Outcomes:
    """Return the pictures of ingest by outcome between two scrapes.

    A process that is in the later one alone began at 0; what one did that is in the earlier one alone is unknown.
    """
    found: Counter[str] = Counter()
    for name, frames in after.frames.items():
        earlier = before.frames.get(name, {})
        for key, value in frames.items():
            found[key[1]] += value - earlier.get(key, 0.0)  # type: ignore[assignment]
    return dict(found)


def holes(sightings: Mapping[str, Sequence[Sighted]], start: float, end: float) -> int:
    """Return how many numbers are missing within each lease, between sightings of which the later is in this time."""
    found = 0
    for seen in sightings.values():
        ordered = sorted(seen, key=lambda one: (one.lease, one.sequence))
        for before, after in pairwise(ordered):
            if before.lease == after.lease and start <= after.at < end:
                found += max(0, after.sequence - before.sequence - 1)
    return found


@dataclass(frozen=True)
class InHand:
    """What an event of inference did to pictures in hand, between the scrape before it and one soon after."""

    event: int
    unconfirmed: float
    """Pictures that no worker answered in time."""
    failed: float
    """Pictures that a worker could not analyse."""
    shed: float
    holes: int
    """Numbers without sightings: a picture that was shed late, was unconfirmed, or whose sightings were lost."""
    lost: float
    """Of these, the pictures that were in hand: not answered, failed, or missing without having been shed."""


def in_hand(
    sightings: Mapping[str, Sequence[Sighted]], scrapes: Sequence[Scrape], events: Sequence[Event]
) -> list[InHand]:
    """Return the account of each event of inference."""
    found = []
    for number, event in enumerate(events):
        earlier = [one for one in scrapes if one.at <= event.at]
        later = [one for one in scrapes if one.at > event.at]
        if event.service != "inference" or not earlier or not later:
            continue
        counts = increase(earlier[-1], later[0])
        missing = holes(sightings, earlier[-1].at, later[0].at)
        unconfirmed, failed, shed = (counts.get(one, 0.0) for one in ("unconfirmed", "error", "shed"))
        lost = unconfirmed + failed + max(0.0, missing - unconfirmed - failed - shed)
        found.append(InHand(number, unconfirmed, failed, shed, missing, lost))
    return found


@dataclass(frozen=True)
class Windows:
    """What was published of the windows that lie in the run."""

    expected: int
    missing: list[str]
    doubled: list[str]
    coverage_least: float
    coverage_mean: float


def windows(
    published: Iterable[tuple[str, float, float | None]],
    zones: Sequence[str],
    window_s: float,
    began: float,
    ended: float,
) -> Windows:
    """Return what is missing or doubled of (zone, start, coverage), for windows from `began` up to `ended`."""
    first = -(-began // window_s)
    starts = [one * window_s for one in range(int(first), int(ended // window_s))]
    counts: Counter[tuple[str, float]] = Counter()
    covered = []
    for zone, start, coverage in published:
        counts[zone, start] += 1
        if start in starts and coverage is not None:
            covered.append(coverage)
    due = [(zone, start) for zone in zones for start in starts]
    missing = [f"{zone} {start:.0f}" for zone, start in due if not counts[zone, start]]
    doubled = [f"{zone} {start:.0f}" for zone, start in due if counts[zone, start] > 1]
    mean = sum(covered) / len(covered) if covered else 0.0
    return Windows(len(due), missing, doubled, min(covered, default=0.0), mean)
