"""Records how long pictures with no, one and six faces live in the real pipeline.

`python tests/support/record_lifetimes.py FILE MINUTES`. A box with one camera plays a film in which the number of
people changes every few seconds. Each picture's lifetime is its span's (ingest.frame), and its number of faces that of
the sightings of the same trace: what was found, not what was drawn. The test tests/unit/ingest/
test_ingest_side_channel.py reads the file. Record it while little else runs.
"""

import asyncio
import contextlib
import itertools
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml
from otlp import Collector
from PIL import Image
from separation import area

from operate.box.box import Box
from proto.codec import decode
from proto.public import CameraV1
from proto.subjects import CAMERAS, SIGHTINGS
from services.bus import Bus
from testbed.simulation.backdrop import backdrop
from testbed.simulation.film import encode
from testbed.simulation.people import Appearance, PersonDrawing
from testbed.simulation.walkers import HEIGHT, WIDTH

CLASSES = (0, 6, 1)
FPS, SEGMENT_S = 12, 5
"""Pictures a second, all of which are analysed, and how long the number of people stays."""
SCALE, TOP = 0.55, 150
UNIT_NS = 10_000
SITE = "record"


def scene(empty: Image.Image, people: int, index: int, source: np.random.Generator) -> Image.Image:
    """Return a hall with so many people in a row, who sway, and the noise of a sensor."""
    picture = empty.copy()
    for place in range(people):
        person = PersonDrawing(Appearance.drawn(place, masked=place % 2 == 0), SCALE, HEIGHT).picture()
        x = round((place + 0.5) * WIDTH / people - person.width / 2 + 6 * np.sin(index / 7 + place))
        picture.paste(person, (x, TOP), person)
    noise = source.integers(-9, 10, (HEIGHT, WIDTH, 1), dtype=np.int16)
    return Image.fromarray(np.clip(np.asarray(picture).astype(np.int16) + noise, 0, 255).astype(np.uint8))


def film() -> Iterator[Image.Image]:
    """Yield one turn of the film: every class once."""
    source, empty = np.random.default_rng(1), backdrop(1)
    for people in CLASSES:
        for index in range(FPS * SEGMENT_S):
            yield scene(empty, people, index, source)


@dataclass
class Recording:
    """What was seen: by trace, and second by second."""

    faces: dict[str, int] = field(default_factory=dict)
    lived: dict[str, int] = field(default_factory=dict)
    """ns."""
    seen: list[tuple[float, int]] = field(default_factory=list)
    """When sightings came, and their number of faces."""
    cpu: list[tuple[float, float]] = field(default_factory=list)
    """Seconds of processor time of inference so far, second by second."""
    reports: list[float] = field(default_factory=list)
    """When the camera's public state came."""

    def people(self, since: float, until: float) -> int | None:
        """Return the number of faces in all pictures of this time; None if it changed, or nothing came."""
        found = {faces for at, faces in self.seen if since <= at < until}
        return found.pop() if len(found) == 1 else None

    def by_class(self, moments: list[tuple[float, float]]) -> dict[int, list[float]]:
        """Return the differences of values between neighbouring moments by the number of faces meanwhile."""
        found: dict[int, list[float]] = {people: [] for people in CLASSES}
        for (since, before), (until, after) in itertools.pairwise(moments):
            people = self.people(since, until)
            if people in found:
                found[people].append(after - before)
        return found


async def record(folder: Path, minutes: float) -> Recording:
    """Run the box and return what was seen."""
    camera = {"id": "gate", "url": str(encode(folder / "film.mp4", film(), FPS)), "fps": FPS, "loop": True}
    found = Recording()
    with contextlib.suppress(PermissionError):  # the box inherits it: other work on the machine hardly disturbs it then
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    async with Collector().start() as collector:
        site = {"id": SITE, "profile": "lab", "window_s": 60, "cameras": [camera]}
        tracing = {"endpoint": collector.url, "ratio": 1.0}
        (folder / "settings.yaml").write_text(yaml.safe_dump({"sites": [site], "tracing": tracing}))
        async with Box(folder, folder / "settings.yaml", on_line=lambda _name, _line: None) as box:
            bus = await Bus.connect(box.nats("aggregate"), "aggregate")
            public = await Bus.connect(box.nats("subscriber"), "subscriber")

            async def sighted(message: Any) -> None:
                faces = len(decode(SIGHTINGS, message.data).faces)
                found.seen.append((time.time(), faces))
                if trace := (message.headers or {}).get("traceparent", ""):
                    found.faces[trace.split("-")[1]] = faces

            async def told(message: CameraV1, _request: Any) -> None:
                found.reports.append(message.at / 1e9)

            await bus.client.subscribe(SIGHTINGS.wildcard(site=SITE), cb=sighted)
            await public.serve(CAMERAS, told)
            await asyncio.sleep(20)  # the first pictures are slow
            found.faces.clear()
            inference = psutil.Process(box.pids()["inference"])
            until = time.time() + 60 * minutes
            while time.time() < until:
                await asyncio.sleep(1)
                spent = inference.cpu_times()
                found.cpu.append((time.time(), spent.user + spent.system))
            await bus.close()
            await public.close()
            await asyncio.sleep(6)  # the last spans
        found.lived = {one.trace: one.lasted_ns for one in collector.named("ingest.frame", outcome="done")}
    return found


def main(into: Path, minutes: float) -> None:
    """Record, and write the file."""
    busy, began = psutil.cpu_times(), time.time()
    with tempfile.TemporaryDirectory(prefix="moretta-record-") as name:
        got = asyncio.run(record(Path(name), minutes))
    now = psutil.cpu_times()
    share = 1 - (now.idle - busy.idle) / (sum(now) - sum(busy))
    found: dict[str, list[int]] = {str(people): [] for people in sorted(CLASSES)}
    for trace, people in got.faces.items():  # in the order in which they came
        if trace in got.lived and str(people) in found:
            found[str(people)].append(round(got.lived[trace] / UNIT_NS))
    cpu, moments = got.by_class(got.cpu), got.by_class([(at, at) for at in got.reports])
    about = {
        "unit": "10 microseconds",
        "recorded": time.strftime("%Y-%m-%d", time.gmtime(began)),
        "machine": f"{psutil.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "busy": round(share, 3),
        "real_time_priority": os.sched_getscheduler(0) == os.SCHED_RR,
        "pictures": {people: len(times) for people, times in found.items()},
        "median_ms": {people: round(float(np.median(times)) / 100, 2) for people, times in found.items() if times},
        "other_counts": sum(str(people) not in found for people in got.faces.values()),
        "processor_ms_each_second": {str(people): round(1e3 * float(np.median(some))) for people, some in cpu.items()},
        "area_by_processor_time": {str(one): round(area(np.array(cpu[0]), np.array(cpu[one])), 3) for one in (1, 6)},
        "area_by_moments_of_reports": {
            str(one): [round(area(np.array(moments[0]), np.array(moments[one])), 3), len(moments[one])]
            for one in (1, 6)
        },
    }
    into.write_text(json.dumps({"about": about, "lifetimes": found}, separators=(",", ":")) + "\n")
    print(json.dumps(about, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
