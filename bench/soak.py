"""Memory, descriptors and threads while cameras lose their connections, one every ten seconds."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

import av
import psutil
from aiohttp import web

from bench.clip import SMALL, make_clip
from bench.system import PROGRAMS, Progress, require_same, running
from bench.verdicts import growth, slope
from operate.box.box import Box

CUT_EVERY_S = 10.0
_CAMERAS = 7
"""With a cut every 10 s each connection lives for over a minute, so that the camera's next attempt comes at once."""
_SAMPLE_S = 5.0
_WARM_UP_S, _WARM_UP_SHARE = 300.0, 1 / 3
_MIB = 1 << 20
_TS_PACKET, _HEAD_START_S = 188, 0.5
_ENOUGH = 0.8
"""The share of cut connections that must come back: a camera that stays away leaks nothing."""


@dataclass
class Trace:
    """The samples of one program: memory as (hours since the start, MiB), descriptors and threads."""

    memory: list[tuple[float, float]] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)


@dataclass
class Soak:
    """All programs' traces after the warm-up, and how often a camera was connected."""

    minutes: float
    connections: int = 0
    traces: dict[str, Trace] = field(default_factory=lambda: {name: Trace() for name in PROGRAMS})

    @property
    def reconnects(self) -> int:
        """How often a camera came back."""
        return self.connections - _CAMERAS

    @property
    def enough(self) -> int:
        """The number of reconnects that valid figures need; the camera cut last may still be on its way."""
        return ceil(_ENOUGH * (60 * self.minutes / CUT_EVERY_S - 1))

    def slopes(self) -> dict[str, float]:
        """Return each program's growth in MiB an hour; nats-server's stream of an hour's sightings fills meanwhile."""
        return {name: slope(trace.memory) for name, trace in self.traces.items()}

    def grown(self) -> dict[str, float]:
        """Return the descriptors and threads that grew: the last third's median minus the first third's."""
        counts = {}
        for name, trace in self.traces.items():
            counts[f"{name} descriptors"] = growth(trace.descriptors)
            counts[f"{name} threads"] = growth(trace.threads)
        return {name: by for name, by in counts.items() if by > 0}


class LiveServer:
    """Sends a clip as a camera would, over and over, by HTTP; `cut` breaks one connection off."""

    def __init__(self, clip: Path, seconds: float) -> None:
        self._data, self._seconds = clip.read_bytes(), seconds
        self._open: list[web.Request] = []
        self.connections = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve, and yield the address."""
        app = web.Application()
        app.router.add_get("/{camera}.ts", self._send)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    def cut(self) -> None:
        """Break off the connection that has lived longest."""
        if self._open and (transport := self._open[0].transport) is not None:
            transport.abort()

    async def _send(self, request: web.Request) -> web.StreamResponse:
        self.connections += 1
        self._open.append(request)
        answer = web.StreamResponse(headers={"Content-Type": "video/mp2t"})
        try:
            await answer.prepare(request)
            began, sent = time.monotonic(), 0
            while True:
                wanted = (time.monotonic() - began + _HEAD_START_S) / self._seconds * len(self._data)
                count = max(0, int(wanted - sent)) // _TS_PACKET * _TS_PACKET
                await answer.write(self._slice(sent, count))
                sent += count
                await asyncio.sleep(0.04)
        except (ConnectionError, asyncio.CancelledError):
            return answer
        finally:
            self._open.remove(request)

    def _slice(self, sent: int, count: int) -> bytes:
        """Return the next `count` bytes of the clip that is repeated for ever."""
        start = sent % len(self._data)
        return (self._data[start:] + self._data)[:count]


async def soak(folder: Path, minutes: float, progress: Progress) -> Soak:
    """Return the traces of so many minutes; the first third, five minutes at most, warms up and is not kept.

    Restarted if a program ends.
    """
    seconds = 60.0 * minutes
    server = LiveServer(_transport_stream(folder), seconds=10.0)
    async with server.serving() as address:
        cameras = [{"id": f"c{n}", "url": f"{address}/c{n}.ts"} for n in range(_CAMERAS)]
        site = {"id": "bench", "profile": "lab", "window_s": 10.0, "cameras": cameras}
        async with running({"sites": [site], "log": {"level": "error"}}) as box:
            found = await _observe(box, server, seconds, progress)
    found.connections = server.connections
    return found


async def _observe(box: Box, server: LiveServer, seconds: float, progress: Progress) -> Soak:
    found, began, cut = Soak(seconds / 60), time.monotonic(), CUT_EVERY_S
    warm, pids = min(_WARM_UP_S, _WARM_UP_SHARE * seconds), dict[str, int]()
    while (now := time.monotonic() - began) < seconds:
        progress(now / seconds)
        if now >= cut:
            server.cut()
            cut += CUT_EVERY_S
        if now >= _SAMPLE_S:
            pids = pids or box.pids()
            require_same(pids, box.pids())
        if now >= warm:
            _sample(pids, found, now)
        await asyncio.sleep(_SAMPLE_S)
    require_same(pids, box.pids())
    return found


def _sample(pids: dict[str, int], found: Soak, now: float) -> None:
    for name, pid in pids.items():
        with contextlib.suppress(psutil.Error):  # it ended just now, and the next look finds that
            _sample_one(psutil.Process(pid), found.traces[name], now)


def _sample_one(process: psutil.Process, trace: Trace, now: float) -> None:
    trace.memory.append((now / 3600, process.memory_info().rss / _MIB))
    trace.descriptors.append(process.num_fds())
    trace.threads.append(process.num_threads())


def _transport_stream(folder: Path) -> Path:
    """Return the small clip as an MPEG transport stream: it may be cut and joined anywhere."""
    clip, target = make_clip(folder / "soak.mp4", SMALL, 10.0), folder / "soak.ts"
    with av.open(str(clip)) as source, av.open(str(target), "w", format="mpegts") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                sink.mux(packet)
    return target
