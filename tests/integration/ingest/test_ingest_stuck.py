"""A decode thread that is stuck: the process is replaced, in order, and says why."""

import asyncio
import contextlib
import socket
import threading
import time

import clips
import pytest
from patience import until
from site_process import Site
from watched_camera import last, watching

from proto.subjects import CAMERA_EVENTS
from services.ingest import camera as sut
from services.ingest.core.reconnect import SECOND_NS, stuck_after


class Endless:
    """A source whose second read waits for `free`; FFmpeg has time limits against that, so it is a mock."""

    def __init__(self, clip):
        self._open, self._clip = sut.open_source, clip
        self.waits, self.free = threading.Event(), threading.Event()

    @contextlib.contextmanager
    def open(self, settings):
        with self._open(settings) as source:
            packets = source.packets

            def some():
                yield next(packets())
                self.waits.set()
                self.free.wait()
                yield from packets()

            source.packets = some
            yield source


async def test_a_read_that_never_comes_back(tmp_path, monkeypatch):
    """Beyond the camera's own limits it is reported, once, with the camera's name; not before."""
    clip = clips.make_clip(tmp_path / "clip.mp4")
    endless, said = Endless(clip), []
    monkeypatch.setattr(sut, "open_source", endless.open)
    own = {"open_timeout_s": 0.2, "read_timeout_s": 0.3, "stuck_limit_s": 1.0, "on_stuck": said.append}
    async with watching(str(clip), **own):
        began = time.monotonic()
        try:
            await until(lambda: said)
            assert time.monotonic() - began > stuck_after(0.2, 0.3, 1.0) / SECOND_NS - 0.2
            await asyncio.sleep(1)
            assert [words.partition(" is stuck")[0] for words in said] == ["the thread of camera site/cam"]
        finally:
            endless.free.set()


@pytest.fixture(name="silent")
def _silent():
    """A peer that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as peer:
        yield f"http://127.0.0.1:{peer.getsockname()[1]}/mjpeg"


async def test_a_removed_camera_whose_thread_stays_ends_the_process_in_order(tmp_path, silent):
    """The other camera plays on until its orderly end; then exit code 1, with the reason, although a thread hangs."""
    site = Site(tmp_path)
    clip = clips.make_clip(tmp_path / "clip.mp4", pictures=100)
    gate = {"id": "gate", "url": str(clip), "long_side": 160, "loop": True}
    hung = {"id": "hung", "url": silent, "open_timeout_s": 3600}
    limits = {"log": {"format": "json"}, "ingest": {"stop_limit_s": 0.5, "stuck_limit_s": 1}}

    def settings(*cameras):
        site.write({"sites": [{"id": "cannes", "cameras": list(cameras)}], **limits})

    site.server.start()
    try:
        async with site.bus("aggregate") as bus:
            await bus.ensure_streams(["SIGHTINGS"])
            settings(gate, hung)
            ingest = site.start("ingest")
            await until(lambda: ingest.said("camera live"), ingest.last_words)
            settings(gate)
            assert await asyncio.to_thread(ingest.ended) == 1
            (fault,) = ingest.said("a fault that only a new process mends")
            assert fault["why"].startswith("the thread of camera cannes/hung is stuck: it has not ended for ")
            assert [line["camera"] for line in ingest.said("camera out of service")] == ["hung", "gate"]
            assert [line["code"] for line in ingest.said("stopped")] == [1]
            (left,) = ingest.said("leaving threads that do not end")
            assert left["threads"] == ["camera cannes/hung"]
            states = [event.message.state for event in await bus.history(CAMERA_EVENTS, site="cannes")]
            assert "live" in states
    finally:
        site.close()


async def test_a_device_that_hangs_costs_itself_alone(monkeypatch):
    """No new process is asked for, which it would hang as well: its state says it, until it answers again."""
    free, said = threading.Event(), []

    def hang(_settings):  # provoked, as above: what the kernel does when a driver is stuck
        free.wait(60)
        raise sut.SourceError("not-found", "unplugged")

    monkeypatch.setattr(sut, "open_source", hang)
    own = {"open_timeout_s": 0.2, "read_timeout_s": 0.3, "stuck_limit_s": 1.0, "on_stuck": said.append}
    async with watching("/dev/video97", **own) as (_, states):
        try:
            await until(lambda: last(states) == ("stalled", "timeout"))
        finally:
            free.set()
        await until(lambda: last(states) == ("backing-off", "not-found"))
    assert said == []


async def test_a_pause_within_one_read(tmp_path, monkeypatch):
    """Resumed before the blocked read came back: `connecting` at once, and live with the next picture."""
    endless = Endless(clips.make_clip(tmp_path / "clip.mp4", pictures=100, key_every=5))
    monkeypatch.setattr(sut, "open_source", endless.open)
    async with watching(str(tmp_path / "clip.mp4")) as (camera, states):
        try:
            await until(endless.waits.is_set)
            camera.pause()
            await asyncio.sleep(0.5)
            camera.resume()
            assert camera.status.state == "connecting"
        finally:
            endless.free.set()
        await until(lambda: last(states) == ("live", None))
    told = [status.state for status in states]
    assert told[told.index("paused") :] == ["paused", "connecting", "live"]
