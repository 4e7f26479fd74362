"""The yardstick: the same work in one process and one thread. No bus, no sealing, no hand-over, no tracking.

The same N cameras, each decoding its file at the file's own pace and analysing as many pictures a second, one after the
other as they fall due, just as one process that did it all would. (Decoding one file flat out instead keeps its
reference pictures in the processor's cache, which no installation with several live cameras can.)

Run as `python -m bench.in_process FILE CAMERAS FPS SECONDS LONG_SIDE`; prints one JSON object.
"""

import heapq
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from services.inference.model import FaceModel, load_model
from services.ingest.core.picture import analysis_size

Picture = np.ndarray[Any, np.dtype[np.uint8]]


def pictures(file: str) -> Iterator[tuple[float, VideoFrame]]:
    """Yield the file's pictures with their time in seconds, for ever."""
    start = 0.0
    while True:
        with av.open(file) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            at, step = 0.0, 1 / float(stream.average_rate or 25)
            for frame in container.decode(stream):
                at = float(frame.time or 0.0)
                yield start + at, frame
            start += at + step


class BenchCamera:
    """One looped file: which picture is next, when, and whether it is to be analysed."""

    def __init__(self, file: str, fps: float, phase: float) -> None:
        self._pictures, self._period, self._due, self._phase = pictures(file), 1 / fps, 0.0, phase
        self._reformatter = VideoReformatter()

    def step(self, long_side: int, model: FaceModel) -> tuple[float, bool]:
        """Decode one picture, analyse it if it is due; returns when the next one is to be decoded."""
        at, frame = next(self._pictures)
        due = at + 1e-6 >= self._due
        if due:
            self._due = max(self._due + self._period, at)
            width, height = analysis_size(frame.width, frame.height, long_side)
            small = self._reformatter.reformat(
                frame, width, height, "yuv420p", interpolation=Interpolation.AREA, threads=1
            )
            model.find(_i420(small, width, height))
        return self._phase + at, due


def measure(file: str, cameras: int, fps: float, seconds: float, long_side: int) -> dict[str, Any]:
    """Return `analysed`, and `cpu_ms` a picture, over `seconds` of wall time."""
    model = load_model()
    model.warm_up(640, 360)
    fleet = [BenchCamera(file, fps, number / fps / cameras) for number in range(cameras)]
    turns = [(0.0, number) for number in range(cameras)]
    analysed, cpu, wall = 0, time.process_time(), time.monotonic()
    while (now := time.monotonic() - wall) < seconds:
        due, number = heapq.heappop(turns)
        time.sleep(max(0.0, due - now))
        at, was_analysed = fleet[number].step(long_side, model)
        analysed += was_analysed
        heapq.heappush(turns, (at, number))
    return {"analysed": analysed, "cpu_ms": 1e3 * (time.process_time() - cpu) / analysed}


def _i420(frame: Any, width: int, height: int) -> Picture:
    planes = []
    for plane, columns in zip(frame.planes, (width, width // 2, width // 2), strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        planes.append(rows[:, :columns].reshape(-1))
    return np.concatenate(planes).reshape(height * 3 // 2, width)


if __name__ == "__main__":
    name, cameras, fps, seconds, side = sys.argv[1:]
    print(json.dumps(measure(name, int(cameras), float(fps), float(seconds), int(side))))
