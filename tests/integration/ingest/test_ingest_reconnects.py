"""Memory of a process whose camera reconnects three hundred times: no more after the last than after the sixtieth."""

import asyncio
import contextlib
import itertools
import json
import os
import sys
from pathlib import Path

import clips
import pytest
from http_camera import HttpCamera
from lying_rtsp import Lie, LyingRtsp, at_pace, units_of
from patience import patient

from operate.box.programs import MALLOC

SCRIPT = Path(__file__).parents[2] / "support" / "reconnecting.py"
BEFORE, AFTER = 60, 300
MAX = 500_000
"""Bytes that it may grow by in 240 connections. It were 6 MB an hour once, some 20 kB a connection."""


@contextlib.asynccontextmanager
async def http(folder):
    """MJPEG over HTTP, cut off four times a second."""
    mjpeg = clips.make_clip(folder / "c.mjpeg", codec="mjpeg", pixel_format="yuvj420p", width=640, height=360)

    async def cutting(server):
        while True:
            await asyncio.sleep(0.25)
            server.cut()

    async with HttpCamera(mjpeg=mjpeg) as server:
        task = asyncio.create_task(cutting(server))
        try:
            yield server.url("mjpeg")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def rtsp(folder):
    """H.264 over RTSP, whose server breaks off after ten pictures."""
    clip = clips.make_clip(folder / "c.h264", width=640, height=360, pictures=1)
    (usual,) = units_of(clip.read_bytes())

    async def short():
        async for data in at_pace(itertools.repeat(usual, 10), 40):
            yield data
        raise ConnectionResetError

    async with LyingRtsp({"short": Lie(short)}) as server:
        yield server.url("short")


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("camera", [http, rtsp])
async def test_three_hundred_reconnects_take_no_memory(tmp_path, camera):
    """In a process of its own, with malloc as `moretta up` and the chart set it."""
    async with camera(tmp_path) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable, SCRIPT, url, str(BEFORE), str(AFTER),
            env=os.environ | MALLOC | {"PYTHONPATH": str(SCRIPT.parent)}, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(patient(300)):
            said, _ = await process.communicate()
    assert process.returncode == 0
    before, after = map(json.loads, said.splitlines())
    grown = {name: after[name] - before[name] for name in ("in_use", "resident")}
    print(f"{camera.__name__}, Python {sys.version.split()[0]}: {grown}")
    assert max(grown.values()) < MAX, grown
