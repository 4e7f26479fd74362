"""Lanes: one thread, one model and one preallocated buffer each; the only place where a worker holds plain pixels."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from proto.frames import FrameV1
from services.frames.sealing.seal import SealError, i420_bytes, open_into, wipe
from services.inference.core.faces import Face
from services.inference.core.lane_count import Width
from services.inference.core.picture_quality import FaceSize, Meter, PictureLight, size_of
from services.inference.core.stuck import START_NS, StuckWatch, limit_ns
from services.inference.model import FaceModel
from services.kernel.clock import boottime_ns

LONGEST_SIDE = 1920
LARGEST_PIXELS = LONGEST_SIDE * LONGEST_SIDE
"""A lane's buffer holds the largest analysed picture that settings allow."""
LOOK_S = 0.5
_R = TypeVar("_R")


class StuckError(RuntimeError):
    """A lane's thread does not come back: only the end of the process gets rid of it. The text names the lane."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a frame is for finding faces: its light, the smallest size that is judged, and the faces' sizes."""

    light: PictureLight
    smallest_px: float
    sizes: list[FaceSize]


@dataclass(frozen=True, slots=True)
class Analysed:
    """The result of a frame, whose pixels are overwritten by now. `quality` is set if the frame asked for it."""

    faces: list[Face]
    service_ns: int
    quality: Quality | None = None
    opened: int = 0
    judged: int = 0
    """When it was decrypted, and when both networks had looked at it; ns, `boottime_ns`."""
    wiped: int = 0
    """When its pixels were overwritten; ns, `boottime_ns`."""
    cpu_ns: int = 0
    """The processor's time from taking it to overwriting its pixels."""


class Lane:
    """Opens, analyses and overwrites one frame at a time."""

    def __init__(self, model: FaceModel, number: int, clock: Callable[[], int] = boottime_ns) -> None:
        self.model, self._clock = model, clock
        self.busy = self.is_stuck = False
        self._run: asyncio.Future[Any] | None = None
        self._runs = 0
        self._pixels = memoryview(bytearray(i420_bytes(LARGEST_PIXELS, 1)))
        self._meter = Meter(LONGEST_SIDE)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"lane-{number}")

    async def warm_up(self, width: int, height: int) -> int:
        """Run the model on a grey picture; returns how long the second, warm run took in ns."""
        await self._on_thread(partial(self.model.warm_up, width, height))
        started = self._clock()
        await self._on_thread(partial(self.model.warm_up, width, height))
        return self._clock() - started

    async def analyse(self, frame: FrameV1, cipher: AESGCM) -> Analysed:
        """Return the faces of a sealed frame; SealError if it does not open, StuckError if the thread does not return.

        The pixels are overwritten either way.
        """
        self.busy = True
        try:
            return await self._on_thread(partial(self._analyse, frame, cipher))
        finally:
            self.busy = self.is_stuck

    @property
    def run(self) -> int | None:
        """The number of what the thread does now; None if it does nothing."""
        return None if self._run is None else self._runs

    async def _on_thread(self, function: Callable[[], _R]) -> _R:
        self._runs += 1
        # By no local name: an error that it raises would keep this frame, and so itself, with the frame's cipher.
        self._run = asyncio.get_running_loop().run_in_executor(self._executor, function)
        try:
            return cast("_R", await self._run)
        except asyncio.CancelledError:
            if self.is_stuck:
                raise StuckError from None
            raise
        finally:
            self._run = None

    def give_up(self) -> None:
        """Wait for the thread no longer: overwrite the pixels under it, and end what awaits it with StuckError."""
        self.is_stuck = True
        wipe(self._pixels)
        if self._run is not None:
            self._run.cancel()

    def _analyse(self, frame: FrameV1, cipher: AESGCM) -> Analysed:
        started, cpu = self._clock(), time.thread_time_ns()
        size = i420_bytes(frame.width, frame.height)
        if size > len(self._pixels):
            raise SealError(f"{frame.width}x{frame.height} is larger than settings allow")
        pixels = self._pixels[:size]
        try:
            open_into(cipher, frame, pixels)
            opened = self._clock()
            picture = np.frombuffer(pixels, np.uint8).reshape(frame.height * 3 // 2, frame.width)
            faces = self.model.find(picture)
            judged = self._clock()
            light = self._meter.measure(picture[: frame.height]) if frame.aim else None
        finally:
            wipe(pixels)
        wiped, spent = self._clock(), time.thread_time_ns() - cpu
        quality = None if light is None else self._quality(light, faces, frame)
        return Analysed(faces, wiped - started, quality, opened, judged, wiped, spent)

    def _quality(self, light: PictureLight, faces: list[Face], frame: FrameV1) -> Quality:
        smallest = self.model.manifest.min_face_px
        return Quality(light, smallest, [size_of(face, frame.width, frame.height, smallest) for face in faces])

    def close(self) -> None:
        """End the thread; the frame in hand is finished first, unless the lane is stuck."""
        self._executor.shutdown(wait=not self.is_stuck)
        wipe(self._pixels)


class Lanes:
    """All lanes of a worker: `count` of them, of which as many are used as `Width` says; all, if `always`."""

    def __init__(
        self,
        load: Callable[[], FaceModel],
        count: int,
        clock: Callable[[], int] = boottime_ns,
        *,
        always: bool = True,
    ) -> None:
        self._lanes = [Lane(load(), number, clock) for number in range(count)]
        self._width, self._clock = Width(count, count if always else 1), clock
        self._always, self._limit = always, START_NS
        self.model = self._lanes[0].model

    @property
    def used(self) -> int:
        """How many lanes are used now."""
        return self._width.now

    def done(self, analysed: Analysed) -> None:
        """Count a lane's work; the number of lanes in use may change."""
        if not self._always:
            self._width.done(analysed.service_ns, analysed.cpu_ns, self._clock())

    def is_used(self, lane: Lane) -> bool:
        """Return whether a lane may take another frame."""
        return any(lane is one for one in self._lanes[: self.used])

    def free(self) -> Lane | None:
        """Return a lane in use without a frame in hand, or None."""
        return next((lane for lane in self._lanes[: self.used] if not lane.busy), None)

    def busy(self) -> int:
        """Return how many frames are in hand."""
        return sum(lane.busy for lane in self._lanes)

    async def warm_up(self, width: int, height: int) -> int:
        """Warm every lane up for a picture size; returns the slowest warm run in ns."""
        warm = max([await lane.warm_up(width, height) for lane in self._lanes])
        self._limit = limit_ns(warm)
        return warm

    async def watch(self) -> None:
        """Look after the threads, for ever. StuckError, with a lane's name, once one is stuck; its pixels are zeros."""
        watch = StuckWatch(len(self._lanes))
        while True:
            await asyncio.sleep(LOOK_S)
            number = watch.look(self._clock(), [lane.run for lane in self._lanes], self._limit)
            if number is not None:
                self._lanes[number].give_up()
                raise StuckError(f"lane-{number} has been at one picture for {self._limit / 1e9:.0f} s")

    def close(self) -> None:
        """End all threads and overwrite all buffers."""
        for lane in self._lanes:
            lane.close()
