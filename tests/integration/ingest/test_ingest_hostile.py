"""Cameras that mean harm, beside a good one in a real ingest: each costs itself alone."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import bombs
import clips
import huge
import pytest
from command_line import moretta
from http_camera import HttpCamera
from lying_rtsp import Lie, LyingRtsp, at_pace, units_of, without_end
from patience import until
from site_process import Site

from operate.identities import settings_file
from proto.subjects import CAMERA_EVENTS, CAMERAS
from services.ingest.core.packets import MAX_SLICES

LIMIT_S = 90
MIB = 1 << 20
MJPEG = {"codec": "mjpeg", "pixel_format": "yuvj420p"}


class Beside:
    """An ingest with the camera `good` and the camera `bad`."""

    def __init__(self, site, aggregate, subscriber, good):
        self.site, self.aggregate, self.subscriber, self._good = site, aggregate, subscriber, good
        self.ingest = None

    def settings(self, url=None, **more):
        """Put settings in force; without an address there is no camera `bad`."""
        cameras = [{"id": "good", "url": self._good.url("mjpeg"), "long_side": 160}]
        if url is not None:
            cameras.append({"id": "bad", "url": url, "long_side": 160} | more)
        limits = {"log": {"format": "json"}, "ingest": {"stuck_limit_s": 1, "stop_limit_s": 0.5, "report_s": 0.5}}
        self.site.write({"sites": [{"id": "cannes", "profile": "lab", "cameras": cameras}], **limits})

    async def start(self):
        """Start ingest, and wait until the good camera is live."""
        before = len(await self.told("good"))
        self.ingest = self.site.start("ingest")
        await self.until("good", ("live", None), after=before)

    async def told(self, camera):
        """All states and reasons of a camera since the beginning."""
        events = await self.aggregate.history(CAMERA_EVENTS, site="cannes")
        return [(one.message.state, one.message.reason) for one in events if one.message.camera == camera]

    async def until(self, camera, told, after=0):
        async def is_told():
            return told in (await self.told(camera))[after:]

        await until(is_told, self.last_words, LIMIT_S, every_s=0.2)

    async def public(self, camera="bad"):
        last = await self.subscriber.last(CAMERAS, site="cannes", camera=camera)
        return (last.message.state, last.message.reason)

    def last_words(self):
        return self.ingest.words[-12:]

    def memory(self):
        """The most memory that ingest ever had, in bytes."""
        status = Path(f"/proc/{self.ingest.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    async def is_well(self, starts=1):
        """The same process runs, and the good camera was never anything but live after it had connected."""
        assert not self.ingest.is_over
        kept = [state for state, _ in itertools.groupby(await self.told("good"))]
        # A busy machine may keep pictures for a moment; a connection that was lost would begin with `connecting`.
        assert [state for state, _ in kept].count("connecting") == starts
        assert {state for state, _ in kept} <= {"connecting", "live", "stalled"}


@pytest.fixture(name="good")
async def _good(tmp_path):
    mjpeg = clips.make_clip(tmp_path / "good.mjpeg", **MJPEG)
    async with HttpCamera(mjpeg=mjpeg) as camera:
        yield camera


@pytest.fixture(name="beside")
async def _beside(tmp_path, good):
    site = Site(tmp_path)
    site.server.start()
    try:
        async with site.bus("aggregate") as aggregate, site.bus("operator") as subscriber:
            await aggregate.ensure_streams(["SIGHTINGS", "CAMERAS"])
            yield Beside(site, aggregate, subscriber, good)
    finally:
        site.close()


@contextlib.asynccontextmanager
async def sending(tmp_path, jpeg, every_s) -> AsyncIterator[HttpCamera]:
    path = tmp_path / "bad.mjpeg"
    path.write_bytes(jpeg)
    async with HttpCamera(mjpeg=path, every_s=every_s) as camera:
        yield camera


async def test_a_picture_of_very_many_scans_is_not_decoded(tmp_path, beside):
    """6 MB that a decoder would work on for a minute: `undecodable` like any other that is damaged, and why is said."""
    async with sending(tmp_path, bombs.jpeg(120_000), 0.5) as bad:
        beside.settings(bad.url("mjpeg"), open_timeout_s=5, read_timeout_s=5)
        await beside.start()
        await beside.until("bad", ("backing-off", "undecodable"))
        (line, *_) = await beside.ingest.heard("camera backing-off", camera="bad")
        assert line["why"].endswith("the last packet was refused: a JPEG with more than 100 scans")
        await beside.is_well()


LARGE, SMALL = 4096, 416


def slow(tmp_path):
    """Two seconds of usual pictures, and one within all bounds that takes longer than `stuck_limit_s` here allows.

    It has 8 kB, and took 6.2 s of processor time.
    """
    clip = clips.make_clip(tmp_path / "large.h264", width=LARGE, height=LARGE, pictures=1, picture=grey)
    (usual,) = units_of(clip.read_bytes())
    long = bombs.slices(MAX_SLICES, LARGE, LARGE)
    return Lie(lambda: at_pace(itertools.chain([usual] * 20, itertools.repeat(long)), 10))


def grey(width, height, _index):
    return clips.flat(width, height, 90)


@pytest.mark.first
async def test_a_picture_of_very_many_slices_is_not_decoded(tmp_path, beside):
    """Among pictures as usual: it has one slice too many. Four times as many took half a minute, at 4096x4096."""
    clip = clips.make_clip(tmp_path / "small.h264", width=SMALL, height=SMALL, pictures=1, picture=grey)
    (usual,), long = units_of(clip.read_bytes()), bombs.slices(MAX_SLICES + 1, SMALL, SMALL)
    film = Lie(lambda: at_pace(itertools.chain([usual] * 10, itertools.repeat(long)), 5))
    async with LyingRtsp({"bad": film}) as server:
        beside.settings(server.url("bad"), open_timeout_s=30, read_timeout_s=30)
        await beside.start()
        await beside.until("bad", ("backing-off", "undecodable"))
        (line, *_) = await beside.ingest.heard("camera backing-off", camera="bad")
        assert line["why"].endswith("the last packet was refused: a packet with more than 600 slices")
        await beside.is_well()


SHORT = {"open_timeout_s": 0.5, "read_timeout_s": 0.5}


async def test_a_stuck_decoder_costs_its_camera_alone(tmp_path, beside):
    """Ingest goes on. No later one opens the camera, until an operator resumes it."""
    async with LyingRtsp({"bad": slow(tmp_path)}) as server:
        beside.settings(server.url("bad"), **SHORT)
        await beside.start()
        await beside.until("bad", ("failed-config", "stuck"))
        await until(lambda: beside.ingest.said("stuck cameras are left out", cameras=["bad"]))
        await beside.is_well()
        assert await asyncio.to_thread(beside.ingest.stop) == 0

        before, asked = len(await beside.told("bad")), server.asked["bad"]
        await beside.start()
        await beside.until("bad", ("failed-config", "stuck"), after=before)
        await beside.is_well(starts=2)
        assert (await beside.told("bad"))[before:] == [("failed-config", "stuck")]
        assert await beside.public() == ("failed-config", "stuck")
        assert server.asked["bad"] == asked

        server.lies["bad"] = of_many_sizes(tmp_path)
        path = beside.site.identities.write("operator.yaml", settings_file(beside.site.server.url, "operator"))
        run = await asyncio.to_thread(moretta, "resume", "cannes", "bad", "-c", path, "--operator", "ana")
        assert run.returncode == 0, run.stderr
        await beside.until("bad", ("live", None), after=before)
        await beside.is_well(starts=2)


async def test_another_replica_leaves_a_stuck_camera_out(tmp_path, beside):
    """It takes the camera over from one that ends, with its thread still busy, and opens nothing."""
    async with LyingRtsp({"bad": slow(tmp_path)}) as server:
        beside.settings(server.url("bad"), **SHORT)
        await beside.start()
        await beside.until("bad", ("failed-config", "stuck"))
        first, before, asked = beside.ingest, len(await beside.told("bad")), server.asked["bad"]
        beside.ingest = beside.site.start("ingest")
        await until(lambda: beside.ingest.running)
        assert await asyncio.to_thread(first.stop) == 0
        await until(lambda: len(beside.ingest.said("camera in service")) == 2, beside.last_words)
        await beside.until("bad", ("failed-config", "stuck"), after=before)
        assert set((await beside.told("bad"))[before:]) == {("failed-config", "stuck")}
        assert server.asked["bad"] == asked


async def test_new_settings_try_a_stuck_camera_again(tmp_path, beside):
    """Its thread may still be busy with the old ones; nobody is asked to resume it, now or after a restart."""
    async with LyingRtsp({"bad": slow(tmp_path), "mended": of_many_sizes(tmp_path)}) as server:
        beside.settings(server.url("bad"), **SHORT)
        await beside.start()
        await beside.until("bad", ("failed-config", "stuck"))
        before = len(await beside.told("bad"))
        beside.settings(server.url("mended"))
        await beside.until("bad", ("live", None), after=before)
        await beside.is_well()
        await until(lambda: beside.ingest.said("stuck cameras are left out", cameras=[]))
        assert await asyncio.to_thread(beside.ingest.stop) == 0
        before = len(await beside.told("bad"))
        await beside.start()
        await beside.until("bad", ("live", None), after=before)


def pictures(tmp_path, *sizes):
    """Key pictures of these sizes, one each, as units."""
    found = []
    for width, height in sizes:
        clip = clips.make_clip(tmp_path / "part.h264", width=width, height=height, pictures=1)
        found += units_of(clip.read_bytes())
    return found


def of_many_sizes(tmp_path):
    """A thousand changes of size, to forty sizes, at 50 a second; then on with the last."""
    different = pictures(tmp_path, *((64 + 16 * n, 640 - 8 * n) for n in range(40)))
    return Lie(lambda: at_pace((different[n % 40] if n < 1000 else different[0] for n in itertools.count()), 50))


def of_claimed_size(tmp_path, side):
    film = huge.h264(tmp_path / "large.h264", side, side)
    return Lie(lambda: at_pace(itertools.cycle(units_of(film.read_bytes()))))


def long_answer(length):
    """A description that says this length, and never ends."""
    head = ["Content-Type: application/sdp", f"Content-Length: {length}", ""]
    return Lie(method="DESCRIBE", head=head, forever=b"a=more:and more\r\n")


NETWORK = {"unauthorised", "timeout", "undecodable", "end-of-stream", "other", "refused", "bad-source"}
LIES = {
    "endless-headers": (lambda _: Lie(method="DESCRIBE", forever=b"X-More: and more\r\n"), {"timeout"}, 64),
    "endless-description": (lambda _: long_answer(2_000_000_000), {"undecodable", "other"}, 96),
    "length-beyond-32-bits": (lambda _: long_answer(4_294_967_296), {"timeout", "undecodable", "no-video"}, 96),
    "length-of-31-bits": (lambda _: long_answer(2_147_483_647), {"undecodable", "other"}, 96),
    "a-file": (
        lambda _: Lie(method="DESCRIBE", status="302 Found", head=["Location: file:///etc/passwd"]),
        NETWORK,
        64,
    ),
    "round-and-round": (
        lambda _: Lie(method="DESCRIBE", status="302 Found", head=["Location: {own}"]),
        {"timeout", "other"},
        64,
    ),
    "a-metadata-service": (
        lambda _: Lie(method="DESCRIBE", status="302 Found", head=["Location: rtsp://169.254.169.254/latest"]),
        NETWORK,
        64,
    ),
    "channels-never-set-up": (lambda _: Lie(lambda: without_end(channel=8)), {"timeout"}, 64),
    "channels-that-stay-empty": (lambda _: Lie(), {"timeout"}, 64),
    "a-unit-that-never-ends": (lambda _: Lie(without_end), {"timeout", "undecodable"}, 448),
    "sps-of-16384": (lambda tmp_path: of_claimed_size(tmp_path, 16_384), {"timeout", "undecodable"}, 96),
    "sps-of-12288": (lambda tmp_path: of_claimed_size(tmp_path, 12_288), {"undecodable"}, 96),
}


@pytest.mark.parametrize("name", LIES)
async def test_an_rtsp_server_that_lies(tmp_path, beside, name):
    """The camera says why there is no picture, memory grows by no more than so many MiB, nobody else cares."""
    lie_of, reasons, most_mib = LIES[name]
    async with LyingRtsp({"bad": lie_of(tmp_path)}) as server:
        server.lies["bad"].head = [line.replace("{own}", server.url("bad")) for line in server.lies["bad"].head]
        beside.settings()
        await beside.start()
        before = beside.memory()
        beside.settings(server.url("bad"), open_timeout_s=2, read_timeout_s=2)

        async def is_told():
            return [one for one in await beside.told("bad") if one[1] in reasons]

        await until(is_told, beside.last_words, LIMIT_S, every_s=0.2)
        ((state, reason), *_) = await is_told()
        print(f"{name}: {state}, {reason}, {(beside.memory() - before) // MIB} MiB more")
        assert state in {"backing-off", "failed-config", "stalled"}
        assert (beside.memory() - before) / MIB < most_mib
        assert [line for line in beside.ingest.words if "root:" in line] == []
        await beside.is_well()


async def test_a_thousand_changes_of_size(tmp_path, beside):
    """It plays them all; memory grows by no more than 128 MiB."""
    async with LyingRtsp({"bad": of_many_sizes(tmp_path)}) as server:
        beside.settings(server.url("bad"), open_timeout_s=5, read_timeout_s=5)
        await beside.start()
        await beside.until("bad", ("live", None))
        before = beside.memory()
        await until(lambda: beside.ingest.metric("moretta_ingest_frames_total", camera="bad") > 90, limit_s=LIMIT_S)
        assert (beside.memory() - before) / MIB < 128
        await beside.is_well()
