"""`moretta count`: sends a recorded file through the real services on a private bus, as fast as they go."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from msgspec import structs

from operate.box.box import Box
from operate.box.machine import BoxError
from proto.public import CameraV1, GapReason, WindowV1
from proto.sightings import SightingsV1
from proto.stats import StatsReplyV1
from proto.subjects import CAMERAS, SIGHTINGS, WINDOWS
from proto.types import WHOLE_SITE
from services.aggregate.core.counting.coverage import Coverage
from services.bus import Bus
from services.ingest.sources.address import SourceError
from services.ingest.sources.source import open_source
from services.kernel.settings import SettingsError
from services.sites.profiles import TRIAL
from services.sites.settings import CameraSettings
from services.statistics.calendar import TimeRange
from services.statistics.figures import observed, rates
from services.statistics.rate_interval import Judged
from services.statistics.roll_ups import Tally

SITE, CAMERA = "count", "file"
_DAY_S = 86_400.0
_AROUND: frozenset[GapReason] = frozenset({"started-late", "camera-down"})
"""Gaps of windows before and after a film, not of the film."""


def settings_of(source: str, fps: float) -> dict[str, Any]:
    """Return the settings of a private run: the file is read unpaced, and its windows close when it has ended."""
    camera = {"id": CAMERA, "url": source, "fps": fps, "paced": False}
    site = {"id": SITE, "profile": TRIAL, "window_s": 3_600.0, "lateness_s": _DAY_S, "close_on_end": True}
    return {"sites": [{**site, "cameras": [camera]}], "log": {"level": "warning"}, "aggregate": {"tick_s": 0.2}}


def length_of(source: str) -> float | None:
    """Return a file's length in seconds, None if its container has none; SettingsError if it is no recording."""
    settings = CameraSettings(id=CAMERA, url=source)
    try:
        with open_source(settings) as opened:
            if not opened.is_file:
                raise SettingsError(source, [("", "is a live source; `moretta up --camera NAME=URL` counts it")])
            return opened.duration_s
    except SourceError as error:
        raise SettingsError("moretta count", [("", f"{error.message}{_remedy(source, error)}")]) from None


def _remedy(source: str, error: SourceError) -> str:
    if error.reason == "not-found" and "://" not in source:
        return f"; a relative path begins in {Path.cwd()}"
    return "; MP4, MOV, MKV, WebM and AVI can be counted" if "FFmpeg" in error.message else ""


class CountError(Exception):
    """The film was not counted as a whole; the text says why."""


@dataclass
class FilmCount:
    """Collects what the bus tells about the run."""

    windows: dict[int, WindowV1] = field(default_factory=dict)
    frames: int = 0
    first: int | None = None
    last: int = 0
    period: int = 0
    ended: CameraV1 | None = None
    watch: Coverage | None = None

    def sightings(self, message: SightingsV1) -> None:
        """Count an analysed picture."""
        self.frames += 1
        self.first = message.at if self.first is None else self.first
        self.watch = self.watch or Coverage(self.first, "frames-lost")
        self.watch.picture(message.at, message.period)
        self.last, self.period = max(self.last, message.at), message.period

    def window(self, message: WindowV1) -> None:
        """Keep a closed window of the whole site."""
        if message.zone == WHOLE_SITE:
            self.windows[message.start] = message

    def seconds(self) -> float:
        """Return the event time that the pictures span, in seconds."""
        return 0.0 if self.first is None else (self.last - self.first + self.period) / 1e9

    def complete(self) -> bool:
        """Return whether the camera has ended and every window of its pictures is closed."""
        if self.ended is None:
            return False
        return self.frames == 0 or any(window.end > self.last for window in self.windows.values())

    def result(self) -> dict[str, Any]:
        """Return the sum over all windows, as the JSON of `moretta count`."""
        windows = self.windows.values()
        counts = {
            name: sum(getattr(window, name) or 0 for window in windows)
            for name in ("masked", "unmasked", "incorrect", "unknown")
        }
        groups = [
            Judged((one.masked or 0) + (one.unmasked or 0) + (one.incorrect or 0), one.model_errors) for one in windows
        ]
        found = rates(counts["masked"], groups)
        return {
            "passages": sum(window.persons or 0 for window in windows),
            **counts,
            "rate": found.rate,
            "interval": list(found.interval) if found.interval else None,
            "sampling_interval": list(found.sampling_interval) if found.sampling_interval else None,
            "frames": self.frames,
            "seconds": round(self.seconds(), 3),
        }

    def reply(self) -> StatsReplyV1:
        """Return the film as one period, as `moretta stats` would; without a period if no picture was analysed.

        It begins when the film was read, and is as long as the film. `coverage` is the film's, not its windows'.
        """
        start = self.first or 0
        span = TimeRange(start, start + round(self.seconds() * 1e9))
        tally = Tally(span)
        for window in sorted(self.windows.values(), key=lambda one: one.start):
            tally.add(window)
        whole = tally.period(SITE, WHOLE_SITE)
        period = structs.replace(
            whole, coverage=self._coverage(span), gaps=[gap for gap in whole.gaps if gap not in _AROUND]
        )
        return StatsReplyV1(
            site=SITE, zone=WHOLE_SITE, step="total", timezone="UTC", since=span.start, until=span.end,
            periods=[period] if self.frames else [],
        )  # fmt: skip

    def _coverage(self, film: TimeRange) -> float | None:
        """Return the observed share of the film, by the rule of windows: theirs is rounded to seconds of an hour."""
        if self.watch is None:
            return None
        seen = sum(one.end - one.start for one in self.watch.settle(film.end) if one.reason is None)
        return observed(seen / (film.end - film.start))


async def count(folder: Path, source: str, fps: float, progress: Callable[[float], None]) -> FilmCount:
    """Return what was counted in a file; `progress` is called with the seconds of it that are done.

    CountError if ingest or NATS started again meanwhile: people would be counted twice, or not at all.
    """
    settings_file = folder / "settings.yaml"
    settings_file.write_text(yaml.safe_dump(settings_of(source, fps)), encoding="utf-8")
    tally, lines = FilmCount(), list[str]()
    async with Box(folder, settings_file, on_line=lambda name, line: lines.append(f"{name}: {line}")) as box:
        taps = [await _tap(box, "aggregate", tally, progress), await _tap(box, "subscriber", tally, progress)]
        failed = asyncio.create_task(box.failed())
        starts = _starts(box)
        try:
            while not (tally.complete() or _starts(box) > starts or failed.done()) and _usable(tally):
                await asyncio.wait([failed], timeout=0.1)
                starts = starts if tally.frames else _starts(box)
            begun_again = _starts(box) > starts
        finally:
            failed.cancel()
            for bus in taps:
                await bus.close()
        faults = box.faults()
    if faults:
        raise BoxError("\n".join(faults))
    if begun_again:
        raise CountError(
            "\n".join([f"{source}: ingest or NATS ended while it was counted; count it again", *lines[-5:]])
        )
    if not _usable(tally):
        raise BoxError("\n".join([f"{source}: cannot be read", *lines[-5:]]))
    return tally


def _starts(box: Box) -> int:
    """Return how often programs were started whose end loses pictures, or has the film read from its beginning.

    A lease's number says less: it also rises while the film goes on, as after a pause of the machine.
    """
    return box.children["ingest"].starts + box.children["nats-server"].starts


def _usable(tally: FilmCount) -> bool:
    return tally.ended is None or tally.ended.state == "ended"


async def _tap(box: Box, identity: Any, tally: FilmCount, progress: Callable[[float], None]) -> Bus:
    """Listen as one identity: only aggregate may read sightings; the subscriber reads the public subjects."""
    bus = await Bus.connect(box.nats(identity), "count")

    async def take(message: Any, _request: Any) -> None:
        if isinstance(message, SightingsV1):
            tally.sightings(message)
            progress(tally.seconds())
        elif isinstance(message, WindowV1):
            tally.window(message)
        elif isinstance(message, CameraV1) and message.state in {"ended", "failed-config"}:
            tally.ended = message

    rows = (SIGHTINGS,) if identity == "aggregate" else (WINDOWS, CAMERAS)
    for row in rows:
        await bus.serve(row, take, pending=100_000)
    return bus
