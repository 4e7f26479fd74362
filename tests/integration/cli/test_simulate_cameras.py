"""The simulated cameras as FFmpeg and a browser read them, over real connections."""

import asyncio
import contextlib
import io

import aiohttp
import av
import pytest
from PIL import Image

from testbed.servers.http_camera import jpeg_camera, stream_camera
from testbed.servers.rtsp_camera import RtspCamera, payloads
from testbed.servers.server import TcpServer
from testbed.simulation.film import encode

FPS = 25


def drawn(count=10):
    """Pictures that tell which one they are by their grey."""
    return [Image.new("RGB", (640, 360), (20 * number, 20 * number, 20 * number)) for number in range(count)]


@pytest.fixture
def gate(tmp_path):
    return RtspCamera(payloads(encode(tmp_path / "film.mp4", drawn(), FPS)), FPS)


def read(url, count, **options):
    """Return the greys of the first pictures of a stream."""
    with av.open(url, timeout=20, **options) as container:
        pictures = container.decode(video=0)
        return [int(next(pictures).to_ndarray(format="gray").mean()) for _ in range(count)]


async def test_rtsp_begins_anew_for_each_client_and_after_its_end(gate):
    async with TcpServer(gate.connected) as server:
        wanted = {"options": {"rtsp_transport": "tcp"}}
        reading = [asyncio.to_thread(read, f"rtsp://127.0.0.1:{server.port}/gate", 15, **wanted) for _ in range(2)]
        for greys in await asyncio.gather(*reading):
            assert greys[:10] == pytest.approx([20 * number for number in range(10)], abs=6)
            assert greys[10:] == pytest.approx([20 * number for number in range(5)], abs=6)


async def test_mjpeg_begins_anew_after_its_end():
    jpegs = []
    for picture in drawn():
        picture.save(coded := io.BytesIO(), "JPEG")
        jpegs.append(coded.getvalue())
    async with TcpServer(jpeg_camera(jpegs, FPS).connected) as server:
        greys = await asyncio.to_thread(read, f"http://127.0.0.1:{server.port}/hall.mjpeg", 12, format="mpjpeg")
    assert greys == pytest.approx([20 * (number % 10) for number in range(12)], abs=6)


@pytest.mark.parametrize("words", [b"nonsense\r\n\r\n", b"$\0\0\4abcd", b"G" * 40_000, b""])
async def test_what_is_no_request_ends_its_own_connection_alone(gate, words):
    async with TcpServer(gate.connected) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(words)
        if not words.startswith(b"n"):
            writer.write_eof()
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        writer.close()


def url(camera):
    return f"http://127.0.0.1:{camera.port}/"


async def test_a_transport_stream_comes_at_its_pace_and_can_be_made_to_end(tmp_path):
    """Each connection begins with the film's first byte, and gets so many bytes a second."""
    film = tmp_path / "film.ts"
    film.write_bytes(bytes(range(256)) * 4_000)
    async with TcpServer(stream_camera(film, 200_000.0).connected) as camera, aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.get(url(camera)) as answer:
                assert answer.content_type == "video/mp2t"
                assert await answer.content.readexactly(50_000) == film.read_bytes()[:50_000]
                await camera.end()
                with pytest.raises((aiohttp.ClientError, OSError, asyncio.IncompleteReadError)):
                    await answer.content.readexactly(800_000)


async def test_a_transport_stream_is_sent_to_its_end(tmp_path):
    """Its last bytes, too, before the connection closes."""
    film = tmp_path / "film.ts"
    film.write_bytes(bytes(range(256)) * 4_000)
    async with TcpServer(stream_camera(film, 10e6).connected) as camera, aiohttp.request("GET", url(camera)) as answer:
        assert await answer.read() == film.read_bytes()
