"""The try-out's cameras as FFmpeg reads them, and its door, over real connections."""

import asyncio
import contextlib
import io

import av
import pytest
from PIL import Image

from operate.simulation.film import encode
from operate.tryout import films, mjpeg, rtsp
from operate.tryout.door import Backend, Door
from operate.tryout.films import Film
from operate.tryout.serving import serving

FPS = 25


def drawn(count=10):
    """Pictures that tell which one they are by their grey."""
    return [Image.new("RGB", (640, 360), (20 * number, 20 * number, 20 * number)) for number in range(count)]


@pytest.fixture
def film(tmp_path):
    return Film(films.packed(encode(tmp_path / "film.mp4", drawn(), FPS)), FPS)


def read(url, count, **options):
    """Return the greys of the first pictures of a stream."""
    with av.open(url, timeout=20, **options) as container:
        pictures = container.decode(video=0)
        return [int(next(pictures).to_ndarray(format="gray").mean()) for _ in range(count)]


async def test_rtsp_begins_anew_for_each_client_and_after_its_end(film):
    async with serving(rtsp.RtspCamera(film).connected, "127.0.0.1", 0) as port:
        wanted = {"options": {"rtsp_transport": "tcp"}}
        reading = [asyncio.to_thread(read, f"rtsp://127.0.0.1:{port}/gate", 15, **wanted) for _ in range(2)]
        for greys in await asyncio.gather(*reading):
            assert greys[:10] == pytest.approx([20 * number for number in range(10)], abs=6)
            assert greys[10:] == pytest.approx([20 * number for number in range(5)], abs=6)


async def test_mjpeg_begins_anew_after_its_end():
    jpegs = []
    for picture in drawn():
        picture.save(coded := io.BytesIO(), "JPEG")
        jpegs.append([coded.getvalue()])
    async with serving(mjpeg.MjpegCamera(Film(jpegs, FPS)).connected, "127.0.0.1", 0) as port:
        greys = await asyncio.to_thread(read, f"http://127.0.0.1:{port}/hall.mjpeg", 12, format="mpjpeg")
    assert greys == pytest.approx([20 * (number % 10) for number in range(12)], abs=6)


@pytest.mark.parametrize("words", [b"nonsense\r\n\r\n", b"$\0\0\4abcd", b"G" * 40_000, b""])
async def test_what_is_no_request_ends_its_own_connection_alone(film, words):
    async with serving(rtsp.RtspCamera(film).connected, "127.0.0.1", 0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(words)
        if not words.startswith(b"n"):
            writer.write_eof()
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        writer.close()


async def test_the_door_leads_to_both_and_says_who_is_away():
    asked: list[bytes] = []

    async def page(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\npage")
        await writer.drain()
        writer.write_eof()
        await reader.read()

    async def echo(reader, writer):
        while part := await reader.read(100):
            writer.write(part)

    async with serving(page, "127.0.0.1", 0) as there, serving(echo, "127.0.0.1", 0) as numbers:
        door = Door(Backend("127.0.0.1", there), Backend("127.0.0.1", numbers))
        async with serving(door.connected, "127.0.0.1", 0) as port:
            assert (await said(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")).endswith(b"page")
            assert b"Connection: close" in asked[0]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for part in (b"GET /nats HTTP/1.1\r\n\r\n", b"\x81\x05hello", b"\x88\x00"):
                writer.write(part)
                assert await asyncio.wait_for(reader.readexactly(len(part)), 20) == part
            writer.close()
    closed = Door(Backend("127.0.0.1", there), Backend("127.0.0.1", numbers))
    async with serving(closed.connected, "127.0.0.1", 0) as port:
        answer = await said(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 502 ")
        assert b"kubectl get pods" in answer


async def said(port, request):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answer
