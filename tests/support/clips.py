"""Video clips made at run time with PyAV: a moving pattern, so that every picture differs from the last.

A worker encodes each kind of clip once and writes copies of it.
"""

import functools
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

WHITE, BLACK, GREY = 235, 16, 128
"""Luma of limited range (BT.601 and BT.709), and neutral chroma."""


def pattern(width: int, height: int, index: int) -> np.ndarray:
    """Return picture `index` of the moving pattern as RGB: a white bar wanders over a gradient."""
    columns = np.arange(width, dtype=np.uint16)
    row = ((columns * 255) // max(1, width - 1)).astype(np.uint8)
    rgb = np.repeat(np.repeat(row[None, :, None], height, axis=0), 3, axis=2).copy()
    rgb[:, :, 1] = (np.arange(height, dtype=np.uint16) * 255 // max(1, height - 1)).astype(np.uint8)[:, None]
    start = (index * 7) % max(1, width - 4)
    rgb[:, start : start + 4] = 255
    return rgb


def flat(width: int, height: int, level: int) -> np.ndarray:
    """Return a grey RGB picture."""
    return np.full((height, width, 3), level, np.uint8)


def make_clip(
    path: Path,
    *,
    width: int = 320,
    height: int = 180,
    fps: int = 25,
    pictures: int = 50,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    key_every: int = 25,
    b_frames: int = 0,
    picture=pattern,
    sar: Fraction | None = None,
    preset: str = "ultrafast",
    turned: int = 0,
    mirrored: bool = False,
) -> Path:
    """Encode the moving pattern; returns the path. The container follows from the file's suffix.

    `turned` and `mirrored` mark the clip: a player turns it by so many degrees, anticlockwise, then mirrors it.
    """
    looks = (turned, mirrored, sar)
    kind = (width, height, fps, pictures, codec, pixel_format, key_every, b_frames, picture, looks, preset)
    path.write_bytes(_encoded(path.suffix, *kind))
    return path


@functools.lru_cache(maxsize=32)
def _encoded(
    suffix, width, height, fps, pictures, codec, pixel_format, key_every, b_frames, picture, looks, preset
) -> bytes:
    """Return a clip's bytes."""
    turned, mirrored, sar = looks
    options = {"libx264": {"preset": preset, "crf": "20"}, "libx265": {"preset": preset}}.get(codec, {})
    if codec == "libx265":
        options["x265-params"] = "log-level=none:pools=1"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"clip{suffix}"
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=fps, options=options)
            stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
            stream.gop_size = key_every
            stream.codec_context.thread_count = 1
            if turned or mirrored:
                stream.set_display_rotation(turned, hflip=mirrored)
            if sar is not None:
                stream.codec_context.sample_aspect_ratio = sar
            if codec.startswith("libx26") or codec == "mpeg4":
                stream.max_b_frames = b_frames
            for index in range(pictures):
                rgb = picture(width, height, index)
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pixel_format)
                frame.pts = index
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path.read_bytes()


def make_sound(path: Path, seconds: int = 1) -> Path:
    """Write a file with an audio stream only."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000)
        for index in range(seconds * 48_000 // 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48_000, index * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def make_truncated(path: Path, keep: float = 0.6, **kwargs) -> Path:
    """Write a clip in a stream format (MPEG-TS by suffix .ts, AVI, ...) and cut its end off."""
    make_clip(path, **kwargs)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path


def make_damaged(path: Path, **kwargs) -> Path:
    """Write an MPEG-TS clip and overwrite a part of its middle with noise."""
    make_clip(path, **kwargs)
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    data[third : third + third // 4] = np.random.default_rng(1).bytes(third // 4)
    path.write_bytes(bytes(data))
    return path


def make_resized(path: Path, first: tuple[int, int], second: tuple[int, int], pictures: int = 25) -> Path:
    """Write an H.264 elementary stream whose size changes in the middle."""
    parts = []
    for index, (width, height) in enumerate((first, second)):
        part = path.with_name(f"part{index}.h264")
        make_clip(part, width=width, height=height, pictures=pictures)
        parts.append(part.read_bytes())
    path.write_bytes(b"".join(parts))
    return path


def make_raw_picture(path: Path, *, levels: list[int], width: int = 64, height: int = 64, full: bool = False) -> Path:
    """Write an MJPEG (full range) or FFV1 (limited range) clip of flat grey pictures of these RGB levels."""
    return make_clip(
        path,
        width=width,
        height=height,
        pictures=len(levels),
        codec="mjpeg" if full else "ffv1",
        pixel_format="yuvj420p" if full else "yuv420p",
        picture=lambda w, h, i: flat(w, h, levels[i]),
    )
