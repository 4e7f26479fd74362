"""Cameras over real RTSP: GStreamer's server, killed, frozen, restarted, with passwords."""

import asyncio
import logging
import time

import av
import clips
import pytest
import rtsp
from structlog.testing import capture_logs
from tls_proxy import TlsProxy
from watched_camera import LIMIT_S, MS, NOISE_S, last, take, watching

from services.ingest import decoder, playback
from services.ingest.lavlog import install

PASSWORD = "s3cret-hunter2"

pytestmark = pytest.mark.xdist_group("rtsp")


@pytest.fixture(name="ffmpeg_log")
def _ffmpeg_log():
    """FFmpeg's lines go to structlog during the test."""
    root = logging.getLogger("libav")
    before = (list(root.handlers), root.propagate, root.level)
    install()
    yield
    root.handlers[:], root.propagate = before[0], before[1]
    root.setLevel(before[2])
    av.logging.set_level(None)


@pytest.fixture(name="serve")
def _serve(tmp_path):
    """Starts real RTSP servers; `serve(auth, ...)`. Skipped by name without the packages."""
    rtsp.require()
    clip = clips.make_clip(tmp_path / "clip.mp4", width=640, height=360, pictures=50, key_every=25)
    clips.make_clip(tmp_path / "h265.mp4", width=640, height=360, pictures=50, codec="libx265")
    clips.make_clip(tmp_path / "small.mp4", width=320, height=240, pictures=25)
    servers = []

    def start(auth="none", password=""):
        servers.append(rtsp.RtspServer(clip, auth, "cam", password).start())
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.mark.parametrize(
    ("path", "transport", "codec"),
    [("cam", "tcp", "h264"), ("cam", "udp", "h264"), ("h265", "tcp", "hevc"), ("mjpeg", "tcp", "mjpeg")],
)
async def test_a_live_stream_is_sampled(serve, path, transport, codec):
    """H.264 over TCP and UDP, H.265, MJPEG: five pictures a second of the analysis size, young, in UTC."""
    async with watching(serve().url(path), transport=transport) as (camera, states):
        kept = await take(camera, 11)
        stats = camera.stats()
        drift = time.time_ns() - kept[-1][1]
    assert [s.state for s in states] == ["connecting", "live"]
    assert {size for *_, size in kept} == {(320, 180)}
    assert 1.6 < (kept[-1][1] - kept[0][1]) / 1e9 < 2.6 + NOISE_S
    assert sorted(age for _, _, age, _ in kept)[5] < 100 * MS
    assert abs(drift) < 1000 * MS
    assert (stats.decoder, stats.width, stats.height) == (codec, 640, 360)
    assert stats.fps == pytest.approx(15 if path == "mjpeg" else 25, rel=0.25)


async def test_a_size_that_changes_in_mid_stream(serve):
    """A camera that sends another size or shape goes on in the same connection, each picture of its own size."""
    async with watching(serve().url("resized")) as (camera, states):
        assert {size for *_, size in await take(camera, 16)} == {(320, 180), (320, 240)}
        assert [s.state for s in states] == ["connecting", "live"]


async def test_a_stream_without_key_frames(serve, wait_until, monkeypatch):
    """It is `undecodable` by name, tried for ever, and live once key frames come."""
    monkeypatch.setattr(decoder, "PATIENCE", 25)
    monkeypatch.setattr(playback, "UNDECODABLE_NS", 500 * MS)
    server = serve()
    async with watching(server.url("keyless"), open_timeout_s=10) as (camera, states):
        await wait_until(lambda: last(states) == ("backing-off", "undecodable"), LIMIT_S)
        server.give_keys()
        await take(camera, 2)
        assert last(states) == ("live", None)


async def test_a_killed_camera_comes_back(serve, wait_until):
    """Killed (the stream just ends) it is backing-off; restarted it is live again, in the same lease and order."""
    server = serve()
    async with watching(server.url()) as (camera, states):
        before = await take(camera, 3)
        server.kill()
        await wait_until(
            lambda: last(states) in {("backing-off", "end-of-stream"), ("backing-off", "refused")}, LIMIT_S
        )
        await wait_until(lambda: ("backing-off", "refused") in [(s.state, s.reason) for s in states], LIMIT_S)
        server.start()
        after = await take(camera, 3)
        assert last(states) == ("live", None)
    assert [k[0] for k in before + after] == sorted({k[0] for k in before + after})
    assert [k[1] for k in before + after] == sorted({k[1] for k in before + after})
    assert after[0][1] - before[-1][1] > 200 * MS


async def test_a_frozen_camera_is_stalled_then_timed_out(serve, wait_until):
    """Frozen it is stalled within 2 s, the codec's pictures are dropped, the read times out; thawed it comes back."""
    server = serve()
    async with watching(server.url(), read_timeout_s=3.0) as (camera, states):
        await take(camera, 6)
        server.freeze()
        began = time.monotonic()
        try:
            await wait_until(lambda: last(states) == ("stalled", "timeout"), LIMIT_S)
            assert time.monotonic() - began < 2.5 + NOISE_S
            assert camera._play.decoder._context is None
            assert not any(any(buffer) for buffer in camera._play._pool._free)
            await wait_until(lambda: last(states) == ("backing-off", "timeout"), LIMIT_S)
            assert 2.5 < time.monotonic() - began < 8 + NOISE_S
        finally:
            server.thaw()
        await take(camera, 2)
        assert last(states) == ("live", None)


async def test_a_short_freeze_is_survived_without_reconnecting(serve, wait_until):
    """A camera that is silent for 2 s and goes on is stalled and live again, in the same connection."""
    server = serve()
    async with watching(server.url(), read_timeout_s=8.0) as (camera, states):
        await take(camera, 3)
        server.freeze()
        try:
            await wait_until(lambda: last(states) == ("stalled", "timeout"), LIMIT_S)
        finally:
            server.thaw()
        kept = await take(camera, 4)
        assert [s.state for s in states] == ["connecting", "live", "stalled", "live"]
        assert [k[1] for k in kept] == sorted({k[1] for k in kept})


@pytest.mark.parametrize("method", ["basic", "digest"])
async def test_right_password(serve, method):
    """Basic and Digest authentication with the URL's user and password."""
    server = serve(method, PASSWORD)
    async with watching(server.url(userinfo=f"cam:{PASSWORD}")) as (camera, states):
        await take(camera, 2)
        assert last(states) == ("live", None)


async def test_wrong_password_is_said_and_never_shown(serve, wait_until, capfd, ffmpeg_log):
    """A wrong password is failed-config, tried slowly; no password is in a state, a log line or on the terminal."""
    server = serve("basic", PASSWORD)
    with capture_logs() as logs:
        async with watching(server.url(userinfo="cam:wr0ng-s3cret")) as (_, states):
            await wait_until(lambda: last(states) == ("failed-config", "unauthorised"), LIMIT_S)
            await asyncio.sleep(1)
            assert [s.state for s in states] == ["connecting", "failed-config"]
            assert f"127.0.0.1:{server.port}: " in states[-1].message
    written = capfd.readouterr()
    for text in (str(logs), str(states), written.out, written.err):
        assert "wr0ng-s3cret" not in text
        assert PASSWORD not in text
    assert any("401" in str(entry) for entry in logs)


async def test_an_unknown_path_is_tried_again(serve, wait_until):
    """A stream that the camera doesn't know (yet) is backing-off with not-found."""
    async with watching(serve().url("nothing")) as (_, states):
        await wait_until(lambda: last(states) == ("backing-off", "not-found"), LIMIT_S)
        await wait_until(lambda: [s.state for s in states].count("backing-off") >= 2, LIMIT_S)


async def test_pause_leaves_the_camera_and_resume_comes_back(serve, wait_until):
    """Pausing a live stream closes it and drops every picture; resuming connects again."""
    async with watching(serve().url()) as (camera, states):
        before = await take(camera, 2)
        camera.pause()
        await wait_until(lambda: camera._play.decoder is None and last(states) == ("paused", "operator"), LIMIT_S)
        assert not any(any(buffer) for buffer in camera._play._pool._free)
        camera.resume()
        after = await take(camera, 2)
    # A server that has not yet let go of the old connection may refuse the first try of the new one.
    assert [s.state for s in states][:4] == ["connecting", "live", "paused", "connecting"]
    assert last(states) == ("live", None)
    assert after[0][0] > before[-1][0]


async def test_stop_with_a_frozen_camera_ends_within_the_read_timeout(serve, wait_until):
    """A thread that is blocked in a read leaves it when that times out: after twice the limit at most."""
    server = serve()
    async with watching(server.url(), read_timeout_s=3.0) as (camera, states):
        await take(camera, 6)
        server.freeze()
        try:
            await wait_until(lambda: last(states) == ("stalled", "timeout"), LIMIT_S)
            began = time.monotonic()
            assert not await camera.stop(0.1)
            assert await camera.stop(LIMIT_S)
            assert time.monotonic() - began < 6
        finally:
            server.thaw()


async def test_a_camera_that_is_frozen_from_the_start_times_out(serve, wait_until):
    """A server that accepts the connection and says nothing is `timeout`, not `undecodable`."""
    server = serve()
    server.freeze()
    try:
        async with watching(server.url(), open_timeout_s=1.0) as (_, states):
            await wait_until(lambda: last(states) == ("backing-off", "timeout"), LIMIT_S)
    finally:
        server.thaw()


@pytest.fixture(name="proxy")
def _proxy(tmp_path):
    """Puts TLS in front of a camera."""
    proxies = []

    def start(server, name="127.0.0.1"):
        proxies.append(TlsProxy(server.port, tmp_path, name))
        return proxies[-1]

    yield start
    for proxy in proxies:
        proxy.close()


def secured(server, proxy, userinfo=f"cam:{PASSWORD}"):
    """The camera's rtsps address."""
    return server.url(userinfo=userinfo).replace("rtsp://", "rtsps://").replace(f":{server.port}/", f":{proxy.port}/")


async def test_rtsps_with_the_camera_s_certificate(serve, proxy):
    """Over TLS, with a password, from a camera whose certificate is known."""
    server = serve("digest", PASSWORD)
    tls = proxy(server)
    async with watching(secured(server, tls), ca_file=str(tls.ca_file)) as (camera, states):
        assert len(await take(camera, 3)) == 3
        assert last(states) == ("live", None)


async def test_an_unknown_certificate_gets_no_password(serve, proxy, wait_until):
    """A certificate that nobody vouches for, or for another name: refused before anything is sent, and what to do."""
    server = serve("basic", PASSWORD)
    strange, renamed = proxy(server), proxy(server, "another.example.org")
    for tls, more in ((strange, {}), (strange, {"ca_file": "system"}), (renamed, {"ca_file": str(renamed.ca_file)})):
        async with watching(secured(server, tls), **more) as (_, states):
            await wait_until(lambda states=states: last(states) == ("backing-off", "refused"), LIMIT_S)
            assert "set ca_file to the camera's certificate" in states[-1].message
            assert PASSWORD not in states[-1].message


async def test_verification_can_be_switched_off_by_hand(serve, proxy):
    """Only when the settings say so is any certificate taken."""
    server = serve("basic", PASSWORD)
    async with watching(secured(server, proxy(server)), tls_verify=False) as (camera, _):
        assert len(await take(camera, 2)) == 2


async def test_a_certificate_file_that_is_not_there(wait_until):
    """A missing ca_file is a mistake in the settings that names the file; nothing is connected."""
    async with watching("rtsps://cam:pw@127.0.0.1:1/x", ca_file="/nowhere/ca.pem") as (_, states):
        await wait_until(lambda: last(states) == ("failed-config", "bad-source"), LIMIT_S)
        assert "/nowhere/ca.pem" in states[-1].message
