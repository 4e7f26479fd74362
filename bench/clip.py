"""The bench's own source: a clip with moving texture at a given size and rate, encoded once."""

from pathlib import Path

import av
import numpy as np


def make_clip(path: Path, width: int = 1920, height: int = 1080, fps: int = 25, seconds: int = 10) -> Path:
    """Write an H.264 clip of about 4 Mb/s whose every picture differs; returns its path."""
    noise = np.random.default_rng(1).integers(0, 256, (height // 8, width // 8 * 2, 3), dtype=np.uint8)
    texture = noise.repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=fps, options={"preset": "veryfast", "b": "4M", "maxrate": "4M", "bufsize": "4M"}
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(fps * seconds):
            shift = number * 4 % width
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(texture[:, shift : shift + width]), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
