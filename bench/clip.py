"""The bench's own source: a clip with moving texture at a given size and rate, encoded once."""

from pathlib import Path

import av
import numpy as np


def make_clip(path: Path, width: int = 1920, height: int = 1080, fps: int = 25, seconds: int = 4) -> Path:
    """Write an H.264 clip of about 4 Mb/s in which everything moves and flickers; returns its path."""
    random = np.random.default_rng(1)
    texture = random.integers(60, 200, (height // 8, width // 4, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    rate = {"preset": "veryfast", "b": "4M", "maxrate": "4M", "bufsize": "4M"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(fps * seconds):
            shift = number * 4 % width
            # Flicker, so that the encoder cannot just move blocks: that is what makes decoding cost what it does.
            flicker = random.integers(0, 40, (height // 20, width // 20, 1), dtype=np.uint8).repeat(20, 0).repeat(20, 1)
            picture = texture[:, shift : shift + width] + flicker
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")))
        container.mux(stream.encode(None))
    return path
