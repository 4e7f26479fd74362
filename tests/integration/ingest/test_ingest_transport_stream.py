"""An MPEG-TS camera leaves nothing of its packets on its thread's stack, where FFmpeg reads their beginning."""

import asyncio
import contextlib
import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest

from operate.box.programs import MALLOC
from services.ingest.core.picture import i420_size
from services.ingest.sources.address import SourceError
from services.ingest.sources.decoder import Decoder
from services.ingest.sources.source import open_source
from services.sites.settings import CameraSettings
from testbed.proof import memory
from testbed.proof.core.needles import Needles, cut
from testbed.proof.secret import FilmNeedles
from testbed.proof.site import make_film, make_stream, rate
from testbed.servers.http_camera import stream_camera
from testbed.servers.server import TcpServer

LONG_SIDE = 320
OVERWRITE_FREED = {"MALLOC_PERTURB_": "85"}
CHILD = """
import sys, threading, time
from services.ingest.sources import source
from services.ingest.sources.decoder import Decoder
from services.sites.settings import CameraSettings

def camera():
    opened = source.open_source(CameraSettings(id="c", url=sys.argv[1]))
    decoder = Decoder(opened.stream, 320)
    for _, packet in zip(range(int(sys.argv[2])), opened.packets()):
        decoder.decode(packet)
    packet = None
    decoder.discard()
    opened.close()
    opened = decoder = None
    print("closed", flush=True)
    time.sleep(600)

threading.Thread(target=camera, daemon=True).start()
sys.stdin.readline()
"""


@pytest.fixture(name="stream", scope="module")
def _stream(tmp_path_factory):
    """The film of the proof as a camera sends it."""
    folder = tmp_path_factory.mktemp("stream")
    return make_stream(make_film(folder / "film.mp4", seed=3), folder / "stream.ts")


class SmallParts:
    """Sends a stream over HTTP in parts of a few hundred bytes; whoever listens reads each by itself."""

    def __init__(self, stream: Path, *, chunked: bool) -> None:
        self._stream, self._chunked = stream, chunked
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}/stream.ts"

    def __exit__(self, *_: object) -> None:
        self._thread.join(60)
        self._listening.close()

    def _serve(self) -> None:
        connection, _ = self._listening.accept()
        with connection, self._stream.open("rb") as film, contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.recv(4096)
            way = "Transfer-Encoding: chunked" if self._chunked else "Connection: close"
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n{way}\r\n\r\n".encode())
            for turn in itertools.count():
                part = film.read((300, 450, 600, 900)[turn % 4])
                connection.sendall(b"%x\r\n%b\r\n" % (len(part), part) if self._chunked else part)
                time.sleep(0.001)


def left_of(stream: Path, url: str | None = None, packets: int = 5, env: dict[str, str] = OVERWRITE_FREED) -> int:
    """Return how many pieces of the first packets are in the memory of a process that has closed the camera."""
    with open_source(CameraSettings(id="c", url=str(stream))) as source:
        first = [bytes(packet) for _, packet in zip(range(packets), source.packets(), strict=False)]
    # What an encoder says of itself is no picture.
    search = Needles(piece for packet in first for piece in cut(packet) if not piece.isascii())
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, url or str(stream), str(packets)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | env,
    )
    try:
        assert process.stdout.readline() == b"closed\n"
        return sum(len(search.within(data)) for data in memory.chunks(process.pid))
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.mark.skipif(memory.may_read() is not None, reason="only root reads another process's memory")
def test_nothing_of_the_first_packets_stays_on_the_stack(stream):
    """The thread lives on, as a camera's does that is paused."""
    assert left_of(stream) == 0


@pytest.mark.skipif(memory.may_read() is not None, reason="only root reads another process's memory")
@pytest.mark.parametrize("chunked", [False, True])
def test_what_came_in_small_parts_does_not_stay_in_freed_blocks(stream, chunked):
    """Of small blocks that are freed neither Python nor glibc overwrites any."""
    with SmallParts(stream, chunked=chunked) as url:
        assert left_of(stream, url) == 0


@pytest.fixture(name="still")
def _still(tmp_path):
    """A scene in which little moves, in packets of a few hundred bytes."""
    random, path = np.random.default_rng(1), tmp_path / "still.ts"
    scene = random.integers(20, 230, (540, 640), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "30", "preset": "fast", "g": "50", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for index in range(200):
            picture = scene.copy()
            picture[index * 7 % 300 :][:8, 100:140] = random.integers(0, 255, (8, 40), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.skipif(memory.may_read() is not None, reason="only root reads another process's memory")
def test_nothing_of_small_packets_stays(still):
    """With what `moretta up` sets, neither in the small blocks that they were in nor on the stack."""
    assert left_of(still, packets=150, env=MALLOC) == 0


async def test_ingest_reads_the_proofs_camera_and_notices_its_end(stream):
    """The pictures are the film's, as the needles have them; a stream that ends is a camera that is gone."""
    secret = FilmNeedles()
    secret.take(stream, LONG_SIDE, 6)
    search = secret.search()
    async with TcpServer(stream_camera(stream, rate(stream)).connected) as camera:
        loop = asyncio.get_running_loop()
        found = await asyncio.to_thread(_watch, camera, loop)
    buffers, pictures, reason = found
    assert pictures >= 6
    assert all(any(label.kind == "scaled" for _, label in search.found(buffer)) for buffer in buffers)
    assert reason in {"end-of-stream", "ended"}


def _watch(camera: TcpServer, loop: asyncio.AbstractEventLoop) -> tuple[list[bytes], int, str]:
    """Decode six pictures, let the camera end, and read on: returns the pictures, their number, and how it ended."""
    buffers: list[bytes] = []
    with open_source(
        CameraSettings(id="c", url=f"http://127.0.0.1:{camera.port}/proof.ts", long_side=LONG_SIDE)
    ) as source:
        decoder = Decoder(source.stream, LONG_SIDE)
        try:
            for packet in source.packets():
                for frame in decoder.decode(packet) if packet is not None else ():
                    buffer = bytearray(i420_size(LONG_SIDE, LONG_SIDE))
                    decoder.convert(frame, memoryview(buffer))
                    buffers.append(bytes(buffer))
                if len(buffers) == 6:
                    asyncio.run_coroutine_threadsafe(camera.end(), loop).result(10)
        except SourceError as error:
            return buffers[:6], len(buffers), error.reason
        finally:
            decoder.discard()
    return buffers[:6], len(buffers), "ended"
