"""What stays of pictures in memory: in ingest and inference when a camera stalls, and in the model after each."""

import asyncio
import os
import subprocess
import sys
from functools import partial

import av
import numpy as np
import picture_memory
import pytest
from http_camera import HttpCamera
from patience import until
from site_process import Site

from services.ingest.core.picture import i420_size
from services.ingest.sources.decoder import Decoder

WIDTH, HEIGHT, LONG, PICTURES, PIECE = 640, 360, 320, 40, 32
LARGE_THRESHOLDS = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "134217728"}

MODEL = """
import sys
import numpy as np
from services.inference.model import load_model
from services.sandbox import process

def say(phase):
    print(phase, flush=True)
    sys.stdin.readline()

assert process.overwrite_freed().state == "applied"
model = load_model()
buffer = bytearray(640 * 540)
picture = np.frombuffer(buffer, np.uint8).reshape(540, 640)
boxes, worn = np.array([[10, 10, 60, 60], [100, 100, 350, 350]], np.float32), np.zeros((2, 3), np.float32)
for seed in range(3):
    picture[:] = np.random.default_rng(seed).integers(0, 256, picture.shape, np.uint8)
    model.find(picture)
    model._classifier.run(None, {"i420": picture, "boxes": boxes, "worn": worn})
    if seed == 2:
        say("held")
    picture[:] = 0
say("over")
"""


@pytest.fixture(autouse=True)
def _may_look():
    picture_memory.require()


@pytest.fixture(name="noise")
def _noise(tmp_path):
    """A film of noise, so that a few bytes of a row name one picture."""
    random, path = np.random.default_rng(7), tmp_path / "noise.ts"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"qp": "24", "preset": "ultrafast", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(PICTURES):
            planes = random.integers(20, 230, (HEIGHT * 3 // 2, WIDTH), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def pieces(path):
    """A piece of the middle of each picture as decoded, as analysed, and of each packet."""
    decoded, analysed, packets = set(), set(), set()
    buffer = memoryview(bytearray(i420_size(LONG, LONG)))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder = Decoder(stream, LONG)
        for packet in container.demux(stream):
            data = bytes(packet)
            packets |= {data[len(data) // 2 :][:PIECE]} if packet.size else set()
            for frame in decoder.decode(packet if packet.size else None):
                plane = frame.planes[0]
                rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
                decoded.add(rows[HEIGHT // 2, 100 : 100 + PIECE].tobytes())
                width, height = decoder.convert(frame, buffer)
                start = height // 2 * width + 100
                analysed.add(bytes(buffer[start : start + PIECE]))
    assert len(decoded) == len(analysed) == PICTURES
    return decoded, analysed, packets


async def test_a_camera_that_stalls_leaves_no_picture(tmp_path, noise):
    """Once it counts as stalled, its connection still open, no picture is anywhere in ingest or inference.

    What the demuxer has of encoded packets goes with the connection.
    """
    decoded, analysed, packets = pieces(noise)
    site = Site(tmp_path, cold=True)
    site.server.start()
    try:
        async with HttpCamera(streams=[(noise, 4.0)]) as camera:
            gate = {"id": "gate", "url": camera.url("stream.ts"), "long_side": LONG, "read_timeout_s": 20}
            site.write({"sites": [{"id": "cannes", "profile": "lab", "cameras": [gate]}], "log": {"format": "json"}})
            inference = site.start("inference")
            await until(lambda: inference.running, "inference runs", limit_s=40)
            ingest = site.start("ingest")
            await until(lambda: ingest.running, "ingest runs", limit_s=40)
            done = partial(inference.metric, "moretta_inference_frames_total", outcome="done")

            async def holds_some():
                return done() and await asyncio.to_thread(picture_memory.found, ingest.pid, decoded)

            await until(holds_some, "the search finds what is there", 90, every_s=0.5)
            before = len(ingest.said("camera live"))  # the film begins again and again
            await until(lambda: len(ingest.said("camera live")) > before, "a fresh connection", limit_s=60)
            camera.sending.clear()
            await until(lambda: ingest.said("camera stalled"), "stalled", limit_s=30)
            for service in (ingest, inference):
                left = await asyncio.to_thread(picture_memory.found, service.pid, decoded | analysed)
                assert left == set()
            gone = len(ingest.said("camera backing-off"))
        await until(lambda: len(ingest.said("camera backing-off")) > gone, "the connection is gone", limit_s=30)
        assert await asyncio.to_thread(picture_memory.found, ingest.pid, packets) == set()
    finally:
        site.close()


def test_the_model_keeps_nothing_of_a_picture():
    """Once a picture was analysed and overwritten, no row of any is left in onnxruntime, as bytes or as numbers.

    While the last one is in its buffer, it is found.
    """
    rows = {
        plane[row, 100 : 100 + PIECE // plane.itemsize].tobytes()
        for seed in range(3)
        for picture in [np.random.default_rng(seed).integers(0, 256, (540, 640), np.uint8)]
        for plane in (picture, picture.astype(np.float32))
        for row in (5, 60, 180, 300)
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    pipe = subprocess.PIPE
    command = [sys.executable, "-P", "-c", MODEL]
    child = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment | LARGE_THRESHOLDS)
    seen = {}
    try:
        for phase in child.stdout:
            seen[phase.strip()] = len(picture_memory.found(child.pid, rows))
            child.stdin.write("\n")
            child.stdin.flush()
    finally:
        child.communicate()
    assert seen == {"held": 4, "over": 0}
