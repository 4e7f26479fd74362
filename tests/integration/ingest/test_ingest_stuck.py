"""A decode thread that is stuck: it costs its camera alone, and says why."""

import asyncio
import contextlib
import itertools
import os
import socket
import threading
import time

import clips
import pytest
from patience import until
from site_process import Site
from watched_camera import last, watching

from proto.subjects import CAMERA_EVENTS
from services.ingest.camera import connector as sut
from services.ingest.core.reconnect import SECOND_NS, stuck_after
from services.ingest.sources.decoder import Decoder


class Endless:
    """A source whose second read waits for `free`; FFmpeg has time limits against that, so it is a mock."""

    def __init__(self, clip):
        self._open, self._clip = sut.open_source, clip
        self.waits, self.free = threading.Event(), threading.Event()

    @contextlib.contextmanager
    def open(self, settings, resolve):
        with self._open(settings, resolve) as source:
            packets = source.packets

            def some():
                yield next(packets())
                self.waits.set()
                self.free.wait()
                yield from packets()

            source.packets = some
            yield source


def hanging(monkeypatch):
    """Let the decoder hang with its second packet until the returned event; only a fault of FFmpeg does, so a mock."""
    free, decode, calls = threading.Event(), Decoder.decode, itertools.count(1)

    def hang(decoder, packet):
        if next(calls) == 2:
            free.wait()
        return decode(decoder, packet)

    monkeypatch.setattr(Decoder, "decode", hang)
    return free


async def test_a_read_that_never_comes_back(tmp_path, monkeypatch):
    """Beyond the camera's own limits it is `stalled`, and nothing is recorded. Come back, it goes on."""
    endless, said = Endless(clips.make_clip(tmp_path / "clip.mp4")), []
    monkeypatch.setattr(sut, "open_source", endless.open)
    own = {"open_timeout_s": 0.2, "read_timeout_s": 0.3, "stuck_limit_s": 1.0, "on_stuck": said.append}
    async with watching(str(tmp_path / "clip.mp4"), **own) as (camera, states):
        try:
            await until(lambda: last(states) == ("stalled", "timeout"))
        finally:
            endless.free.set()
        await until(lambda: last(states) == ("ended", None))
        assert [s.state for s in states] == ["connecting", "live", "stalled", "live", "ended"]
        assert (said, camera.is_stuck) == ([], False)


async def test_a_resolver_without_an_answer(monkeypatch):
    """A look-up that takes longer than all limits is no stuck decoder: the camera is tried again and again."""
    looked_up, said = [], []

    def slow(host):  # provoked: what the system's resolver does while no name server answers
        looked_up.append(host)
        time.sleep(1.5)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr("services.ingest.sources.address._resolved", slow)
    own = {"open_timeout_s": 0.1, "read_timeout_s": 0.1, "stuck_limit_s": 0.6, "on_stuck": said.append}
    async with watching("rtsp://cam-1.example.invalid/s", **own) as (camera, states):
        await until(lambda: len(looked_up) >= 4)
        assert (said, camera.is_stuck) == ([], False)
        assert ("failed-config", "stuck") not in [(one.state, one.reason) for one in states]
    assert set(looked_up) == {"cam-1.example.invalid"}


async def test_a_decoder_that_never_comes_back(tmp_path, monkeypatch):
    """Beyond the camera's own limits it is `stuck`, once; not before. Come back, the thread ends without a picture."""
    clip, said, free = clips.make_clip(tmp_path / "clip.mp4"), [], hanging(monkeypatch)
    own = {"open_timeout_s": 0.2, "read_timeout_s": 0.3, "stuck_limit_s": 1.0, "on_stuck": said.append}
    async with watching(str(clip), **own) as (camera, states):
        began = time.monotonic()
        try:
            await until(lambda: said)
            assert time.monotonic() - began > stuck_after(0.2, 0.3, 1.0) / SECOND_NS - 0.2
            nice = os.getpriority(os.PRIO_PROCESS, camera._thread.native_id)
            await asyncio.sleep(1)
            assert [words.partition(" is stuck")[0] for words in said] == ["the thread of camera site/cam"]
            assert last(states) == ("failed-config", "stuck")
            sampled = camera.stats().sampled
        finally:
            free.set()
        await until(lambda: not camera._thread.is_alive())
        camera.pause()
        camera.resume()
        await until(lambda: len(states) >= 5)
        assert [s.state for s in states] == ["connecting", "live", "failed-config", "paused", "failed-config"]
        assert (camera.stats().sampled, camera.is_stuck, nice) == (sampled, True, 19)


@pytest.fixture(name="silent")
def _silent():
    """A peer that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as peer:
        yield f"http://127.0.0.1:{peer.getsockname()[1]}/mjpeg"


async def test_a_removed_camera_whose_thread_stays_disturbs_nobody(tmp_path, silent):
    """It is logged, and the other camera plays on. The end is in order, and soon, although a thread hangs."""
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
            why = "the thread of camera cannes/hung is stuck: it has not ended for "
            await until(lambda: [line for line in ingest.said("camera thread stuck") if line["reason"].startswith(why)])
            assert ingest.said("camera out of service") == ingest.said("camera out of service", camera="hung")
            assert await asyncio.to_thread(ingest.stop) == 0
            assert [line["camera"] for line in ingest.said("camera out of service")] == ["hung", "gate"]
            assert [line["code"] for line in ingest.said("stopped")] == [0]
            (left,) = ingest.said("unfinished threads left behind")
            assert left["threads"] == ["camera cannes/hung"]
            told = [event.message for event in await bus.history(CAMERA_EVENTS, site="cannes")]
            assert [one.state for one in told if one.camera == "gate"] == ["connecting", "live"]
            assert "stuck" not in [one.reason for one in told]
    finally:
        site.close()


async def test_a_device_that_hangs_costs_itself_alone(monkeypatch):
    """Its state says it, and not that it is stuck: it waits, until it answers again."""
    free, said = threading.Event(), []

    def hang(_settings, _resolve):  # provoked, as above: what the kernel does when a driver is stuck
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
