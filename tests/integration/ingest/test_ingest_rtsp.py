"""Cameras over real RTSP: GStreamer's server, killed, frozen, restarted, with passwords."""

import asyncio
import contextlib
import logging
import time

import av
import clips
import pytest
import rtsp
from patience import until
from states_in_order import in_order
from structlog.testing import capture_logs
from tls_proxy import TlsProxy
from watched_camera import LIMIT_S, MS, NOISE_S, last, seen, take, watching

from services.ingest.camera import playback
from services.ingest.sources import decoder
from services.ingest.sources.ffmpeg import forward_log
from services.kernel.settings import Secret

PASSWORD = "s3cret-hunter2"
ANY_CHARACTERS = "s3c@ret#100%:/? é"

whole = pytest.mark.xdist_group("rtsp")
"""For tests that share the servers which nobody breaks."""


@pytest.fixture(name="ffmpeg_log")
def _ffmpeg_log():
    """FFmpeg's lines go to structlog during the test."""
    root = logging.getLogger("libav")
    before = (list(root.handlers), root.propagate, root.level)
    forward_log()
    yield
    root.handlers[:], root.propagate = before[0], before[1]
    root.setLevel(before[2])
    av.logging.set_level(None)


@pytest.fixture(name="clip", scope="module")
def _clip(tmp_path_factory):
    """What the cameras show. Skipped by name without the packages."""
    rtsp.require()
    return clips.make_clip(
        tmp_path_factory.mktemp("clips") / "clip.mp4", width=640, height=360, pictures=50, key_every=25
    )


@contextlib.contextmanager
def serving(clip, auth="none", password=""):
    server = rtsp.RtspServer(clip, auth, "cam", password).start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(name="server", scope="module")
def _server(clip):
    """A real RTSP server that nobody breaks; no client that is just leaving disturbs the next one at /alone."""
    clips.make_clip(clip.with_name("h265.mp4"), width=640, height=360, pictures=50, codec="libx265")
    clips.make_clip(clip.with_name("small.mp4"), width=320, height=240, pictures=25)
    with serving(clip) as server:
        yield server


@pytest.fixture(name="basic", scope="module")
def _basic(clip):
    """The same with a password."""
    with serving(clip, "basic", PASSWORD) as server:
        yield server


@pytest.fixture(name="digest", scope="module")
def _digest(clip):
    """The same with a password that does not travel."""
    with serving(clip, "digest", PASSWORD) as server:
        yield server


@pytest.fixture(name="own")
def _own(clip):
    """A real RTSP server for this test alone, which may break it."""
    with serving(clip) as server:
        yield server


SLOW = {"open_timeout_s": 30.0, "read_timeout_s": 20.0}
"""A server that many tests share is silent for seconds on a machine that does something else."""


def in_one_connection(states, *wanted):
    """Whether a camera went through these states in this order, others between, and connected once."""
    told = [s.state for s in states]
    return in_order(told, *wanted) and told.count("connecting") == 1 and "backing-off" not in told


@pytest.mark.parametrize(
    ("path", "transport", "codec"),
    [("alone", "tcp", "h264"), ("alone", "udp", "h264"), ("h265", "tcp", "hevc"), ("mjpeg", "tcp", "mjpeg")],
)
@whole
async def test_a_live_stream_is_sampled(server, path, transport, codec):
    """H.264 over TCP and UDP, H.265, MJPEG: five pictures a second of the analysis size, young, in UTC."""
    async with watching(server.url(path), transport=transport, **SLOW) as (camera, states):
        kept = await take(camera, 11)
        drift = time.time_ns() - kept[-1][1]
        rate = pytest.approx(15 if path == "mjpeg" else 25, rel=0.25)
        await until(lambda: camera.stats().fps == rate, camera.stats)  # over the last seconds
        stats = camera.stats()
        ages = [age for _, _, age, _ in kept]
        async with asyncio.timeout(LIMIT_S):  # three that no other work delayed
            while sum(age < 100 * MS for age in ages) < 3:
                ages += [age for _, _, age, _ in await take(camera, 1)]
    assert in_one_connection(states, "connecting", "live")
    assert {size for *_, size in kept} == {(320, 180)}
    assert 1.6 < (kept[-1][1] - kept[0][1]) / 1e9 < 2.6 + NOISE_S
    assert abs(drift) < (1 + NOISE_S) * 1e9
    assert (stats.decoder, stats.width, stats.height) == (codec, 640, 360)


@whole
async def test_a_size_that_changes_in_mid_stream(server):
    """A camera that sends another size or shape goes on in the same connection, each picture of its own size."""
    async with watching(server.url("resized"), **SLOW) as (camera, states):
        assert {size for *_, size in await take(camera, 16)} == {(320, 180), (320, 240)}
        assert in_one_connection(states, "connecting", "live")


async def test_a_stream_without_key_frames(own, monkeypatch):
    """It is `undecodable` by name, tried for ever, and live once key frames come."""
    monkeypatch.setattr(decoder, "PATIENCE", 30)
    monkeypatch.setattr(playback, "UNDECODABLE_NS", 1_000 * MS)
    async with watching(own.url("keyless"), open_timeout_s=10) as (camera, states):
        await until(lambda: ("backing-off", "undecodable") in seen(states), lambda: f"undecodable, not {seen(states)}")
        own.give_keys()
        await take(camera, 2)
        await until(lambda: last(states) == ("live", None), lambda: states)


async def test_a_killed_camera_comes_back(own):
    """Killed (the stream just ends) it is backing-off; restarted it is live again, in the same lease and order."""
    async with watching(own.url()) as (camera, states):
        before = await take(camera, 3)
        own.kill()
        await until(lambda: last(states) in {("backing-off", "end-of-stream"), ("backing-off", "refused")})
        await until(lambda: ("backing-off", "refused") in seen(states))
        started = time.time_ns()
        own.start()
        after = await take(camera, 3)
        await until(lambda: last(states) == ("live", None), lambda: states)
    assert [k[0] for k in before + after] == sorted({k[0] for k in before + after})
    assert [k[1] for k in before + after] == sorted({k[1] for k in before + after})
    assert after[-1][1] > started, "the first one may have waited since before it was killed"


async def test_a_frozen_camera_is_stalled_then_timed_out(own):
    """Frozen it is stalled within 2 s, the codec's pictures are dropped, the read times out; thawed it comes back."""
    async with watching(own.url(), read_timeout_s=3.0) as (camera, states):
        await take(camera, 6)
        own.freeze()
        began = time.monotonic()
        try:
            await until(lambda: last(states) == ("stalled", "timeout"))
            assert time.monotonic() - began < 2.5 + NOISE_S
            assert camera._play.decoder._context is None
            assert not any(any(buffer) for buffer in camera._play._sampler._pool._free)
            await until(lambda: last(states) == ("backing-off", "timeout"))
            assert time.monotonic() - began > 2.5
        finally:
            own.thaw()
        await take(camera, 2)
        await until(lambda: last(states) == ("live", None), lambda: states)


async def test_a_short_freeze_is_survived_without_reconnecting(own):
    """A camera that is silent for 2 s and goes on is stalled and live again, in the same connection."""
    async with watching(own.url(), read_timeout_s=8.0) as (camera, states):
        await take(camera, 3)
        own.freeze()
        try:
            await until(lambda: last(states) == ("stalled", "timeout"))
        finally:
            own.thaw()
        kept = await take(camera, 4)
        assert in_one_connection(states, "connecting", "live", "stalled", "live")
        assert [k[1] for k in kept] == sorted({k[1] for k in kept})


@pytest.mark.parametrize("method", ["basic", "digest"])
@whole
async def test_right_password(basic, digest, method):
    """Basic and Digest authentication with the URL's user and password."""
    server = {"basic": basic, "digest": digest}[method]
    async with watching(server.url(userinfo=f"cam:{PASSWORD}")) as (camera, states):
        await take(camera, 2)
        await until(lambda: last(states) == ("live", None), lambda: states)


@pytest.mark.parametrize("password", [ANY_CHARACTERS, 123 * "x"], ids=["any", "longest"])
@pytest.mark.parametrize("method", ["basic", "digest"])
@whole
async def test_a_password_in_any_characters(clip, method, password):
    """Beside the URL it is written as it is. The longest one that settings allow is not cut off."""
    with serving(clip, method, password) as server:
        async with watching(server.url(), user="cam", password=Secret(password)) as (camera, states):
            await take(camera, 2)
            await until(lambda: last(states) == ("live", None), lambda: states)


@whole
async def test_wrong_password_is_said_and_never_shown(basic, capfd, ffmpeg_log):
    """A wrong password is failed-config, tried slowly; no password is in a state, a log line or on the terminal."""
    with capture_logs() as logs:
        async with watching(basic.url(userinfo="cam:wr0ng-s3cret")) as (_, states):
            await until(lambda: last(states) == ("failed-config", "unauthorised"))
            await asyncio.sleep(1)
            told = [s.state for s in states]
            assert in_order(told, "connecting", "failed-config")
            # A machine that does something else may not answer in time; a password that is still wrong is no news.
            assert told.count("connecting") <= 1 + told.count("backing-off")
            assert f"127.0.0.1:{basic.port}: " in states[-1].message
    written = capfd.readouterr()
    for text in (str(logs), str(states), written.out, written.err):
        assert "wr0ng-s3cret" not in text
        assert PASSWORD not in text
    assert any("401" in str(entry) for entry in logs)


@whole
async def test_an_unknown_path_is_tried_again(server):
    """A stream that the camera doesn't know (yet) is backing-off with not-found."""
    async with watching(server.url("nothing")) as (_, states):
        await until(lambda: last(states) == ("backing-off", "not-found"))
        await until(lambda: [s.state for s in states].count("backing-off") >= 2)


@whole
async def test_pause_leaves_the_camera_and_resume_comes_back(server):
    """Pausing a live stream closes it and drops every picture; resuming connects again."""
    async with watching(server.url("alone")) as (camera, states):
        before = await take(camera, 2)
        camera.pause()
        await until(lambda: camera._play.decoder is None and last(states) == ("paused", "operator"))
        assert not any(any(buffer) for buffer in camera._play._sampler._pool._free)
        camera.resume()
        after = await take(camera, 2)
        # A server that has not yet let go of a connection before may refuse the first try of the new one.
        await until(lambda: last(states) == ("live", None), lambda: states)
    told = [s.state for s in states]
    paused = told.index("paused")
    assert "live" in told[:paused]
    assert told[paused + 1] == "connecting"
    assert after[0][0] > before[-1][0]


async def test_stop_with_a_frozen_camera_ends_within_the_read_timeout(own):
    """A thread that is blocked in a read leaves it when that times out: after twice the limit at most."""
    async with watching(own.url(), read_timeout_s=3.0) as (camera, states):
        await take(camera, 6)
        own.freeze()
        try:
            await until(lambda: last(states) == ("stalled", "timeout"))
            began = time.monotonic()
            assert not await camera.stop(0.1)
            assert await camera.stop(LIMIT_S)
            assert time.monotonic() - began < 6 + NOISE_S
        finally:
            own.thaw()


async def test_a_camera_that_is_frozen_from_the_start_times_out(own):
    """A server that accepts the connection and says nothing is `timeout`, not `undecodable`."""
    own.freeze()
    try:
        async with watching(own.url(), open_timeout_s=1.0) as (_, states):
            await until(lambda: last(states) == ("backing-off", "timeout"))
    finally:
        own.thaw()


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


@whole
async def test_rtsps_with_the_camera_s_certificate(digest, proxy):
    """Over TLS, with a password, from a camera whose certificate is known."""
    tls = proxy(digest)
    async with watching(secured(digest, tls), ca_file=str(tls.ca_file)) as (camera, states):
        assert len(await take(camera, 3)) == 3
        await until(lambda: last(states) == ("live", None), lambda: states)


@whole
async def test_an_unknown_certificate_gets_no_password(basic, proxy):
    """A certificate that nobody vouches for, or for another name: refused before anything is sent, and what to do."""
    strange, renamed = proxy(basic), proxy(basic, "another.example.org")
    for tls, more in ((strange, {}), (strange, {"ca_file": "system"}), (renamed, {"ca_file": str(renamed.ca_file)})):
        async with watching(secured(basic, tls), **more) as (_, states):
            await until(lambda states=states: last(states) == ("backing-off", "refused"))
            assert "set ca_file to the camera's certificate" in states[-1].message
            assert PASSWORD not in states[-1].message


@whole
async def test_verification_can_be_switched_off_by_hand(basic, proxy):
    """Only when the settings say so is any certificate taken."""
    async with watching(secured(basic, proxy(basic)), tls_verify=False) as (camera, _):
        assert len(await take(camera, 2)) == 2


async def test_a_certificate_file_that_is_not_there():
    """A missing ca_file is a mistake in the settings that names the file; nothing is connected."""
    async with watching("rtsps://cam:pw@127.0.0.1:1/x", ca_file="/nowhere/ca.pem") as (_, states):
        await until(lambda: last(states) == ("failed-config", "bad-source"))
        assert "/nowhere/ca.pem" in states[-1].message
