"""A real HTTP camera on the test's own loop: MJPEG as multipart, MPEG-TS without an end, HLS as live as a camera's."""

import asyncio
import time
from pathlib import Path
from typing import Self

import av
from aiohttp import web

CHUNK_S = 0.04
BOUNDARY = "next-picture"


class HttpCamera:
    """Serves /mjpeg (pictures of an .mjpeg file), /stream.ts and /live.m3u8; `cut` closes every stream at once.

    `streams` are the files that the first, second, ... connection to /stream.ts gets; the last one stays. Each is
    (file, seconds that it lasts). Something is sent `every_s`: of MJPEG a picture.
    """

    def __init__(self, *, mjpeg: Path | None = None, streams=(), hls: Path | None = None, every_s=CHUNK_S) -> None:
        self._every_s = every_s
        self._pictures = _pictures(mjpeg) if mjpeg else []
        self._streams, self._hls = list(streams), hls
        self._open: set[asyncio.Transport] = set()
        self._began = time.monotonic()
        self.sending = asyncio.Event()
        """Cleared, it says nothing more, and its connections stay open."""
        self.sending.set()
        app = web.Application()
        app.router.add_get("/mjpeg", self._mjpeg)
        app.router.add_get("/stream.ts", self._stream)
        app.router.add_get("/live.m3u8", self._playlist)
        app.router.add_get("/{name}.ts", self._segment)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        self.port = 0

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        self.sending.set()
        await self._runner.cleanup()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def turn(self, mjpeg: Path) -> None:
        """Send other pictures from now on, on new connections too."""
        self._pictures = _pictures(mjpeg)

    def cut(self) -> None:
        """Close all connections, as a camera that restarts does."""
        for transport in self._open:
            if not transport.is_closing():  # the client may have gone just before
                transport.abort()
        self._open.clear()

    async def _send(self, request: web.Request, kind: str, parts) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        self._open.add(request.transport)
        began = time.monotonic()
        try:
            for index, part in enumerate(parts):
                await response.write(part)
                await self.sending.wait()
                await asyncio.sleep(max(0.0, began + (index + 1) * self._every_s - time.monotonic()))
        except (OSError, ConnectionError):
            pass  # the camera was left, or cut
        return response

    async def _mjpeg(self, request: web.Request) -> web.StreamResponse:
        def parts():
            while True:
                for jpeg in self._pictures:
                    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    yield head.encode() + jpeg + b"\r\n"

        return await self._send(request, f"multipart/x-mixed-replace; boundary={BOUNDARY}", parts())

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        file, lasts_s = self._streams[0]
        if len(self._streams) > 1:
            del self._streams[0]
        data = file.read_bytes()
        size = -(-len(data) // round(lasts_s / CHUNK_S))
        return await self._send(request, "video/mp2t", (data[i : i + size] for i in range(0, len(data), size)))

    async def _playlist(self, _request: web.Request) -> web.Response:
        """The last three segments of those that are complete: one more every second."""
        first = int(time.monotonic() - self._began)
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
        for index in range(first, first + 3):
            lines += ["#EXTINF:1.0,", f"part{index}.ts"]
        return web.Response(text="\n".join(lines) + "\n", content_type="application/vnd.apple.mpegurl")

    async def _segment(self, request: web.Request) -> web.Response:
        assert self._hls is not None
        file = self._hls / f"{request.match_info['name']}.ts"
        return web.Response(body=file.read_bytes() if file.exists() else b"", content_type="video/mp2t")


def _pictures(file: Path) -> list[bytes]:
    start = b"\xff\xd8\xff"
    return [start + part for part in file.read_bytes().split(start)[1:]]


def segments(clip: Path, folder: Path) -> Path:
    """Cut a clip with a key frame every second into HLS segments `part0.ts`, ...; returns the folder."""
    folder.mkdir()
    options = {"hls_time": "1", "hls_list_size": "0", "hls_segment_filename": str(folder / "part%d.ts")}
    _remux([clip], folder / "all.m3u8", options)
    return folder


def with_sound(clip: Path, sound: Path, into: Path) -> Path:
    """Put a clip and a sound that may last longer into one MPEG-TS; returns its path."""
    _remux([clip, sound], into, {})
    return into


def _remux(sources: list[Path], into: Path, options: dict[str, str]) -> None:
    inputs = [av.open(str(source)) for source in sources]
    with av.open(str(into), "w", options=options) as output:
        packets = []
        for one in inputs:
            stream = output.add_stream_from_template(one.streams[0])
            for packet in one.demux(one.streams[0]):
                if packet.dts is not None:
                    packet.stream = stream
                    packets.append(packet)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            output.mux(packet)
    for one in inputs:
        one.close()
