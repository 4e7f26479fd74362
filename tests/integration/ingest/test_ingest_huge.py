"""Pictures of any size that a camera claims to send: refused before memory is taken for them."""

import io
import subprocess
import sys
from pathlib import Path

import clips
import huge
import pytest
from patience import until
from PIL import Image
from watched_camera import watching

PROGRAM = """
import resource, sys
import av
from services.ingest.sources.address import SourceError
from services.ingest.sources.decoder import Decoder
from services.ingest.sources.source import open_source
from services.sites.settings import CameraSettings

small, large = sys.argv[1:]
source = open_source(CameraSettings(id="a", url=small))
decoder = Decoder(source.stream, 320)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    print(open_source(CameraSettings(id="a", url=large)).address.label)
except SourceError as error:
    print(error)
with av.open(large, options={"max_pixels": "1000"}) as container:  # so that only our decoder may take memory
    frames = [frame for packet in container.demux(video=0) for frame in decoder.decode(packet)]
print(max([frame.width for frame in frames], default=0))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("side", [8192, 12_288, 16_384])
def test_an_sps_that_claims_too_much_takes_no_memory(tmp_path: Path, side: int):
    """Neither at the start nor in mid-stream: 12288x12288 took 0.7 GB for five pictures."""
    small = clips.make_clip(tmp_path / "usual.h264", width=64, height=64, pictures=5)
    large = huge.h264(tmp_path / "large.h264", side, side)
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(small), str(large)], capture_output=True, text=True, timeout=100
    )
    told, largest, growth_mb = run.stdout.splitlines() or [run.stderr]
    # Of 16384x16384 FFmpeg says no size: it takes no such SPS, whatever the limit, and goes on with the one before.
    assert side == 16_384 or f"its pictures are {side}x{side}; at most 35 million pixels are taken" in told
    assert int(largest) == (64 if side == 16_384 else 0)
    assert int(growth_mb) < 150


async def test_a_camera_that_sends_too_large_pictures_says_so(tmp_path: Path):
    """`undecodable`, with the size and what is taken; nothing is analysed."""
    film = huge.h264(tmp_path / "large.h264", 12_288, 12_288)
    async with watching(str(film)) as (camera, states):
        await until(lambda: states and states[-1].state == "failed-config")
        assert states[-1].reason == "undecodable"
        assert "12288x12288" in states[-1].message
        assert camera.stats().sampled == 0


async def test_jpeg_pictures_that_are_too_large_are_undecodable(tmp_path: Path):
    """MJPEG says its size with each picture, whatever the ones before were."""
    film, picture = tmp_path / "large.mjpeg", io.BytesIO()
    Image.new("L", (8_192, 8_192)).save(picture, "JPEG")
    film.write_bytes(picture.getvalue() * 3)
    async with watching(str(film)) as (camera, states):
        await until(lambda: states and states[-1].state == "failed-config")
        assert states[-1].reason == "undecodable"
        assert camera.stats().sampled == 0
