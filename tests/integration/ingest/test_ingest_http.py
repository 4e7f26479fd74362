"""Cameras over real HTTP: MJPEG as multipart, HLS, MPEG-TS whose codec changes or that goes on with sound alone."""

import asyncio
import gc
import itertools
import statistics
import time
import weakref

import clips
import pytest
from http_camera import HttpCamera, segments, with_sound
from patience import until
from states_in_order import in_order
from watched_camera import MS, NOISE_S, last, take, watching

from services.ingest.camera import playback, sharing
from services.ingest.core.timeline import TOLERANCE_NS
from services.ingest.sources.source import open_source
from services.sites.settings import CameraSettings, PrivacySettings


async def test_mjpeg_as_multipart(tmp_path):
    """Pictures of a multipart stream are sampled; cut off, it is `end-of-stream` and comes back."""
    mjpeg = clips.make_clip(tmp_path / "clip.mjpeg", codec="mjpeg", pixel_format="yuvj420p", width=640, height=360)
    async with HttpCamera(mjpeg=mjpeg) as server, watching(server.url("mjpeg")) as (camera, states):
        began = time.monotonic_ns()
        kept = await take(camera, 8)
        took = time.monotonic_ns() - began
        assert {size for *_, size in kept} == {(320, 180)}
        # Five a second of event time, on its grid; it may be ahead of the monotonic clock by its tolerance.
        assert 1_000 * MS < kept[-1][1] - kept[0][1] < took + TOLERANCE_NS
        assert camera.stats().decoder == "mjpeg"
        server.cut()
        await until(lambda: "end-of-stream" in [s.reason for s in states])
        await take(camera, 2)
        # The first may be one from before; a picture is handed over before its camera says that it is live.
        await until(lambda: last(states) == ("live", None), lambda: states)


async def test_hls_plays_at_its_own_pace(tmp_path):
    """Segments come whole, pictures do not: five a second, evenly, fewer shed than taken, in one connection."""
    clip = clips.make_clip(tmp_path / "clip.mp4", pictures=25 * 24)
    server = HttpCamera(hls=segments(clip, tmp_path / "hls"))
    async with server, watching(server.url("live.m3u8"), open_timeout_s=10) as (camera, states):
        await take(camera, 2)
        taken = [time.monotonic()]
        for _ in range(20):
            await take(camera, 1)
            taken.append(time.monotonic())
        assert 3.0 < taken[-1] - taken[0] < 6.0 + NOISE_S
        # A machine that does something else holds some up; in bursts most would come at once, or be shed.
        gaps = [b - a for a, b in itertools.pairwise(taken)]
        assert statistics.median(gaps) > 0.1, gaps
        assert camera.stats().shed < 2 + len(gaps)
        # What holds a picture up for long enough is a stall, and the connection goes on.
        await until(lambda: last(states) == ("live", None))
        told = [s.state for s in states]
        assert in_order(told, "connecting", "live")
        assert (told.count("connecting"), set(told) - {"stalled"}) == (1, {"connecting", "live"})


async def test_a_codec_that_changes_in_mid_stream(tmp_path, monkeypatch):
    """H.264 turns into H.265 in one stream: `undecodable` by name, and with the next connection it is live again."""
    monkeypatch.setattr(playback, "UNDECODABLE_NS", 1_000 * MS)
    h264 = clips.make_clip(tmp_path / "a.ts", pictures=100)
    h265 = clips.make_clip(tmp_path / "b.ts", pictures=300, codec="libx265")
    both = tmp_path / "both.ts"
    both.write_bytes(h264.read_bytes() + h265.read_bytes())
    server = HttpCamera(streams=[(both, 16), (h265, 12)])
    async with server, watching(server.url("stream.ts"), open_timeout_s=10) as (camera, states):
        await take(camera, 2)
        assert camera.stats().decoder == "h264"
        taking = asyncio.create_task(_drain(camera))
        await until(lambda: ("backing-off", "undecodable") in [(s.state, s.reason) for s in states])
        await until(lambda: (last(states), camera.stats().decoder) == (("live", None), "hevc"))
        taking.cancel()


async def _drain(camera):
    while True:
        await take(camera, 1)


@pytest.mark.parametrize("stop_early", [False, True])
async def test_sound_is_ignored_and_no_sign_of_life(tmp_path, stop_early):
    """With sound the video is analysed as ever; sound that goes on without it is silence, and keeps no thread."""
    clip = clips.make_clip(tmp_path / "clip.mp4", pictures=75)
    mixed = with_sound(clip, clips.make_sound(tmp_path / "sound.mp4", 14), tmp_path / "mixed.ts")
    server = HttpCamera(streams=[(mixed, 14)])
    async with server, watching(server.url("stream.ts"), open_timeout_s=10, stop_limit_s=2) as (camera, states):
        await take(camera, 3)
        await until(lambda: last(states) == ("stalled", "timeout"))
        if not stop_early:
            await until(lambda: last(states) == ("backing-off", "timeout"))
            assert "without video" in states[-1].message


async def test_a_picture_that_was_another_one_stops_the_camera(tmp_path):
    """Turned, and turned back: nothing is analysed before a new Camera is made, and it moves to no other replica."""
    kind = {"codec": "mjpeg", "pixel_format": "yuvj420p"}
    lying = clips.make_clip(tmp_path / "lying.mjpeg", **kind)
    upright = clips.make_clip(tmp_path / "upright.mjpeg", width=180, height=320, **kind)
    areas = PrivacySettings(drawn_for=(320, 180), areas=[[(0.0, 0.0), (0.5, 0.0), (0.5, 1.0)]])
    async with HttpCamera(mjpeg=lying) as server:
        async with watching(server.url("mjpeg"), privacy=areas, slow_retry_s=0.1) as (camera, states):
            await take(camera, 2)
            assert not sharing._stays(camera)
            server.turn(upright)
            server.cut()
            await until(lambda: last(states) == ("failed-config", "picture-changed"))
            assert "180x320" in states[-1].message
            server.turn(lying)
            pictures, told = camera.stats().pictures, len(states)
            await asyncio.sleep(1)
            camera.pause()
            camera.resume()
            await until(lambda: len(states) >= told + 2)
            await asyncio.sleep(1)
            assert [status.state for status in states[told:]] == ["paused", "failed-config"]
            assert camera.stats().pictures == pictures
            assert sharing._stays(camera)
        async with watching(server.url("mjpeg"), privacy=areas) as (camera, states):
            await take(camera, 2)


async def test_a_codec_that_no_camera_uses_is_refused(tmp_path):
    """Only cameras' codecs have bounds; a file of an operator's own may have any."""
    clip = clips.make_clip(tmp_path / "clip.mkv", codec="ffv1", pictures=25)
    server = HttpCamera(streams=[(clip, 4)])
    async with server, watching(server.url("stream.ts"), open_timeout_s=10) as (_, states):
        await until(lambda: last(states) == ("backing-off", "undecodable"))
        assert "its codec is ffv1; set the camera to H.264" in states[-1].message
    async with watching(str(clip)) as (camera, _):
        await take(camera, 1)


async def test_a_closed_connection_leaves_nothing_for_the_collector(tmp_path):
    """Its opener and handlers are a circle, which held a TLS context of 0.8 MB until Python's collector came."""
    mjpeg = clips.make_clip(tmp_path / "clip.mjpeg", codec="mjpeg", pixel_format="yuvj420p", width=640, height=360)

    def once(url: str) -> weakref.ref:
        with open_source(CameraSettings(id="c", url=url)) as source:
            next(source.packets())
            assert "context" not in vars(source._web), "plain HTTP needs none"
            return weakref.ref(source._web)

    async with HttpCamera(mjpeg=mjpeg) as server:
        gc.disable()
        try:
            left = await asyncio.to_thread(once, server.url("mjpeg"))
            assert left() is None
        finally:
            gc.enable()
