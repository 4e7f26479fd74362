"""What a camera leaves in memory: another process looks through the whole of it for the pictures it has shown."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import av
import numpy as np
import picture_memory
import pytest

from services.ingest.core.picture import i420_size
from services.ingest.sources.decoder import Decoder

WIDTH, HEIGHT, LONG = 960, 544, 640
OVERWRITE_FREED = {"MALLOC_PERTURB_": "85"}
"""Lets glibc overwrite what is freed: the codec's own pictures go back to it, and nobody else can reach them."""
NEEDLE = 32

CHILD = """
import asyncio, sys
from services.ingest.camera.camera import Camera
from services.sites.settings import CameraSettings

def say(phase):
    print(phase, flush=True)
    sys.stdin.readline()

async def main():
    fields = {"paced": False} if sys.argv[2] == "end" else {"loop": True}
    settings = CameraSettings(id="cam", url=sys.argv[1], fps=5, long_side=640, **fields)
    camera = Camera("site", settings, lease=1, phase_ns=0, on_state=lambda status: None)
    camera.start(asyncio.get_running_loop())
    picture = await camera.take()
    say("held")
    picture.release()
    if sys.argv[2] == "end":
        while (picture := await camera.take()) is not None:
            picture.release()
    else:
        (await camera.take()).release()
        camera.pause()
        while camera._play.decoder is not None:
            await asyncio.sleep(0.01)
    say("over")
    assert await camera.stop(10)

asyncio.run(main())
"""


@pytest.fixture(name="noise", scope="module")
def _noise(tmp_path_factory):
    """A lossless clip of noise, of which a few bytes of a row name one picture; and those bytes."""
    random = np.random.default_rng(7)
    path = tmp_path_factory.mktemp("noise") / "noise.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(25):
            planes = random.integers(20, 230, (HEIGHT * 3 // 2, WIDTH), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path, *needles(path)


def needles(path):
    """Return a piece of the middle row of every picture: as the codec has it, and as it is analysed."""
    decoded, analysed = [], []
    buffer = memoryview(bytearray(i420_size(LONG, LONG)))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder = Decoder(stream, LONG)
        for packet in container.demux(stream):
            for frame in decoder.decode(packet if packet.size else None):
                plane = frame.planes[0]
                rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
                decoded.append(rows[HEIGHT // 2, 100 : 100 + NEEDLE].tobytes())
                width, height = decoder.convert(frame, buffer)
                start = height // 2 * width + 100
                analysed.append(bytes(buffer[start : start + NEEDLE]))
    return decoded, analysed


@contextmanager
def frozen(pid):
    """Stop the process for a while, so that its memory holds still."""
    os.kill(pid, signal.SIGSTOP)
    os.waitpid(pid, os.WUNTRACED)
    yield
    os.kill(pid, signal.SIGCONT)


def look(noise, how, env):
    """Play the clip in a process of its own; returns {phase: (decoded, analysed) pieces found in it}."""
    path, decoded, analysed = noise
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")} | env,
    )
    seen = {}
    try:
        for phase in child.stdout:
            with frozen(child.pid):
                seen[phase.strip()] = tuple(
                    len(picture_memory.found(child.pid, wanted)) for wanted in (decoded, analysed)
                )
            child.stdin.write("\n")
            child.stdin.flush()
        assert child.wait(20) == 0
    finally:
        child.kill()
        child.wait(20)
        child.stdin.close()
        child.stdout.close()
    return seen


@pytest.mark.parametrize("how", ["end", "pause"])
def test_nothing_of_any_picture_is_left(noise, how):
    """After a camera has ended, and after it was paused, no piece of any picture is anywhere in the process."""
    seen = look(noise, how, OVERWRITE_FREED)
    assert seen["held"][1] >= 1, "the search finds a picture that is there"
    assert seen["over"] == (0, 0)


def test_no_analysed_picture_is_left_whatever_the_allocator_does(noise):
    """Our own copies are overwritten by ourselves: no analysed picture is left without the allocator's help either."""
    seen = look(noise, "end", {})
    assert seen["held"][1] >= 1
    assert seen["over"][1] == 0


def test_the_large_allocator_thresholds_need_the_overwriting(noise):
    """With the thresholds that make frames cheap, freed pictures stay in the heap, unless they are overwritten."""
    thresholds = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "134217728"}
    assert look(noise, "end", thresholds | OVERWRITE_FREED)["over"] == (0, 0)
