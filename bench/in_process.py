"""The yardstick: decode and inference of a file in one process and one loop, no bus, no sealing, no threads of ours.

Run as `python -m bench.in_process FILE FPS SECONDS LONG_SIDE`; prints one JSON object.
"""

import json
import sys
import time
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from services.inference.model import FaceModel, load_model
from services.ingest.core.picture import analysis_size


def measure(file: str, fps: float, seconds: float, long_side: int) -> dict[str, Any]:
    """Return `analysed`, and processor and wall milliseconds per analysed picture, over `seconds` of wall time."""
    model = load_model()
    model.warm_up(640, 360)
    analysed, cpu, wall = 0, time.process_time(), time.monotonic()
    while time.monotonic() - wall < seconds:
        analysed += _play(file, fps, long_side, model, wall + seconds)
    spent, lasted = time.process_time() - cpu, time.monotonic() - wall
    return {"analysed": analysed, "cpu_ms": 1e3 * spent / analysed, "wall_ms": 1e3 * lasted / analysed}


def _play(file: str, fps: float, long_side: int, model: FaceModel, until: float) -> int:
    """Decode the file once; returns how many pictures were analysed."""
    reformatter, analysed, due = VideoReformatter(), 0, 0.0
    with av.open(file) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        width, height = analysis_size(stream.width, stream.height, long_side)
        for frame in container.decode(stream):
            at = float(frame.time or 0.0)
            if at + 1e-6 < due:
                continue
            due = max(due + 1 / fps, at)
            small = reformatter.reformat(frame, width, height, "yuv420p", interpolation=Interpolation.AREA, threads=1)
            model.find(_i420(small, width, height))
            analysed += 1
            if time.monotonic() > until:
                break
    return analysed


def _i420(frame: Any, width: int, height: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    planes = []
    for plane, columns in zip(frame.planes, (width, width // 2, width // 2), strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        planes.append(rows[:, :columns].reshape(-1))
    return np.concatenate(planes).reshape(height * 3 // 2, width)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))))
