"""Sightings of people of whom it is known to the last one how many there are, window by window, camera by camera."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import get_args

from messages import sightings

from proto.sightings import CODES, CameraEventV1, SightingsV1, SightingV1
from proto.subjects import CAMERA_EVENTS, SIGHTINGS
from proto.types import Verdict
from services.bus import Bus

SECOND = 1_000_000_000
WINDOW = 1_200 * SECOND
TRACKING = {"min_hits": 3, "max_gap_s": 1.0}
"""What a site's settings need: whoever stands in a place three seconds later is somebody else."""
Counts = tuple[int, int, int, int]
"""People masked, unmasked, incorrect, unknown."""
Windows = Sequence[Mapping[str, Counts]]
"""For each window, by camera."""
_VERDICTS: tuple[Verdict, ...] = ("masked", "unmasked", "incorrect", "unknown")
_ROWS, _COLUMNS = 4, 5
_AT_ONCE = 256
assert set(_VERDICTS) == set(get_args(Verdict))


def _group(verdicts: Sequence[Verdict]) -> list[SightingV1]:
    places = [(0.05 + 0.18 * column, 0.05 + 0.22 * row) for row in range(_ROWS) for column in range(_COLUMNS)]
    boxes = [(x, y, x + 0.06, y + 0.06) for x, y in places]
    return [
        SightingV1(box=box, code=CODES[verdict], score=0.9, confidence=0.5 if verdict == "unknown" else 0.95)
        for box, verdict in zip(boxes, verdicts, strict=False)
    ]


def _pictures(counts: Counts) -> Iterator[tuple[int, list[SightingV1]]]:
    """Yield a window's pictures of one camera with their times, ns from its start: twenty people at a time."""
    people = [verdict for verdict, number in zip(_VERDICTS, counts, strict=True) for _ in range(number)]
    yield 0, []
    at = 2 * SECOND
    for first in range(0, len(people), _ROWS * _COLUMNS):
        for hit in range(3):
            yield at + hit * SECOND // 5, _group(people[first : first + _ROWS * _COLUMNS])
        at += 3 * SECOND
    yield at, []
    yield from ((quiet * 100 * SECOND, []) for quiet in range(at // (100 * SECOND) + 1, 12))


def scene(site: str, start: int, windows: Windows, late: int) -> list[SightingsV1]:
    """Return the pictures of a site's cameras in order; a minute into the second window so many faces come too late."""
    found = [
        (start + number * WINDOW + at, start + number * WINDOW + at, camera, faces)
        for number, cameras in enumerate(windows)
        for camera, counts in cameras.items()
        for at, faces in _pictures(counts)
    ]
    last = start + WINDOW
    found.append((last + 60 * SECOND, last - 20 * SECOND, min(windows[0]), _group(["masked"] * late)))
    found.sort(key=lambda picture: picture[:3])
    lease, numbers = time.time_ns() // 1_000 + 10**12, count(1)  # above every lease of a real ingest
    return [
        sightings(*faces, site=site, camera=camera, lease=lease, sequence=next(numbers), at=at, period=40 * SECOND)
        for _, at, camera, faces in found
    ]


async def play(inference: Bus, ingest: Bus, pictures: Sequence[SightingsV1]) -> None:
    """Publish a scene as inference and ingest do; at its end every camera ends."""
    for first in range(0, len(pictures), _AT_ONCE):
        await asyncio.gather(*(inference.store(SIGHTINGS, p) for p in pictures[first : first + _AT_ONCE]))
    end, lease = max(picture.at for picture in pictures) + SECOND, pictures[0].lease
    for camera in sorted({picture.camera for picture in pictures}):
        site = pictures[0].site
        await ingest.store(CAMERA_EVENTS, CameraEventV1(site=site, camera=camera, lease=lease, state="ended", at=end))
