"""The yardstick: the same work in one process and one thread. No bus, no sealing, no hand-over, no tracking.

It runs the same N cameras. Each decodes its file in real time and analyses the same number of pictures a second. One
thread takes the pictures in turn as they fall due, as a single-process system would. (Decoding one file as fast as
possible would keep its reference pictures in the processor's cache. No installation with several live cameras can.)

Run it as `python -m bench.in_process CAMERAS FPS SECONDS LONG_SIDE FILE...`; it prints one JSON object.
The cameras loop the files in turn, as the system's do.
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
    """One looped file: its next picture, the picture's time, and whether it is due for analysis."""

    def __init__(self, file: str, fps: float, phase: float) -> None:
        self._pictures, self._period, self._due, self._phase = pictures(file), 1 / fps, 0.0, phase
        self._reformatter = VideoReformatter()

    def step(self, long_side: int, model: FaceModel) -> tuple[float, int | None]:
        """Decode one picture, and analyse it if it is due; return the time of the next step, and how many faces it had.

        None if it was not due.
        """
        at, frame = next(self._pictures)
        found = None
        if at + 1e-6 >= self._due:
            self._due = max(self._due + self._period, at)
            width, height = analysis_size(frame.width, frame.height, long_side)
            small = self._reformatter.reformat(
                frame, width, height, "yuv420p", interpolation=Interpolation.AREA, threads=1
            )
            found = len(model.find(_i420(small, width, height)))
        return self._phase + at, found


def measure(files: list[str], cameras: int, fps: float, seconds: float, long_side: int) -> dict[str, Any]:
    """Return `analysed`, and `cpu_ms` and `faces` a picture, over `seconds` of wall time."""
    model = load_model()
    model.warm_up(640, 360)
    fleet = [BenchCamera(files[number % len(files)], fps, number / fps / cameras) for number in range(cameras)]
    turns = [(0.0, number) for number in range(cameras)]
    analysed, faces, cpu, wall = 0, 0, time.process_time(), time.monotonic()
    while (now := time.monotonic() - wall) < seconds:
        due, number = heapq.heappop(turns)
        time.sleep(max(0.0, due - now))
        at, found = fleet[number].step(long_side, model)
        analysed += found is not None
        faces += found or 0
        heapq.heappush(turns, (at, number))
    spent = time.process_time() - cpu
    return {"analysed": analysed, "cpu_ms": 1e3 * spent / analysed, "faces": faces / analysed}


def _i420(frame: Any, width: int, height: int) -> Picture:
    planes = []
    for plane, columns in zip(frame.planes, (width, width // 2, width // 2), strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        planes.append(rows[:, :columns].reshape(-1))
    return np.concatenate(planes).reshape(height * 3 // 2, width)


if __name__ == "__main__":
    cameras, fps, seconds, side, *files = sys.argv[1:]
    print(json.dumps(measure(files, int(cameras), float(fps), float(seconds), int(side))))
