"""One camera's thread, states and hand-over with files: services.ingest.camera."""

import asyncio
import itertools
import os
import statistics
import threading
import time
from contextlib import asynccontextmanager

import clips
import numpy as np
import pytest
from patience import patient, until

from services.ingest.camera.camera import DECODE_NICE, Camera
from services.ingest.core.picture import i420_size
from services.ingest.core.reconnect import Backoff
from services.ingest.sources.decoder import Decoder
from services.kernel.clock import boottime_ns
from services.sites.settings import CameraSettings, PrivacySettings

MS = 1_000_000
LIMIT_S = patient(20)


class Watch:
    """Collects a camera's states."""

    def __init__(self):
        self.seen = []
        self.threads = set()

    def __call__(self, status):
        self.threads.add(threading.current_thread())
        self.seen.append(status)

    @property
    def states(self):
        return [status.state for status in self.seen]


def settings(url, **more):
    return CameraSettings(**{"id": "cam", "url": str(url), "fps": 5.0, "long_side": 160} | more)


@asynccontextmanager
async def running(url, *, lease=1, phase_ns=0, slow_retry_s=30.0, utc=time.time_ns, **more):
    """A started camera with its states; stopped at the end, and its thread must be gone."""
    watch = Watch()
    camera = Camera(
        "site",
        settings(url, **more),
        lease=lease,
        phase_ns=phase_ns,
        on_state=watch,
        utc=utc,
        backoff=Backoff(first_ns=20 * MS, limit_ns=50 * MS),
        slow_retry_s=slow_retry_s,
    )
    camera.start(asyncio.get_running_loop())
    try:
        yield camera, watch
    finally:
        assert await camera.stop(LIMIT_S)


async def take_all(camera, hold_s=0.0):
    """Take and release until the camera has ended; returns what can be kept of the pictures."""
    kept = []
    while (picture := await asyncio.wait_for(camera.take(), LIMIT_S)) is not None:
        kept.append((picture.sequence, picture.at, picture.width, picture.height, bytes(picture.pixels)))
        if hold_s:
            await asyncio.sleep(hold_s)
        picture.release()
    return kept


async def test_an_unpaced_file_gives_every_sample(tmp_path):
    """50 pictures at 25 fps sampled at 5 fps are exactly 10, in order, none shed, 200 ms of event time apart."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=50)
    async with running(path, paced=False, utc=lambda: 10**18) as (camera, watch):
        kept = await take_all(camera)
        stats = camera.stats()
    assert [sequence for sequence, *_ in kept] == list(range(10))
    assert {b[1] - a[1] for a, b in itertools.pairwise(kept)} == {200 * MS}
    assert watch.states == ["connecting", "live", "ended"]
    assert (stats.pictures, stats.sampled, stats.shed, stats.undecodable) == (50, 10, 0, 0)
    assert (stats.decoder, stats.width, stats.height) == ("h264", 320, 180)
    assert stats.fps == pytest.approx(25, rel=0.01)


async def test_pictures_that_no_other_needs_are_left_undecoded(tmp_path):
    """Of a live stream with B-pictures, once it has been looked at; as many are analysed, and its rate stays known.

    A recording that is read at once is decoded whole: what is counted in it may not depend on this.
    """
    given = {"fps": 60, "pictures": 300, "b_frames": 2, "width": 160, "height": 96, "preset": "veryfast"}
    path = clips.make_clip(tmp_path / "clip.mp4", **given)
    async with running(path) as (camera, _):
        paced = await take_all(camera)
        stats = camera.stats()
    assert 150 < stats.pictures < 275
    assert stats.undecodable == 0
    assert (stats.fps, stats.decoded) == (pytest.approx(60, rel=0.1), "referenced")
    assert len(paced) + stats.shed >= 24
    async with running(path, paced=False) as (camera, _):
        await take_all(camera)
        assert (camera.stats().pictures, camera.stats().decoded) == (300, "all")


async def test_an_unpaced_file_waits_for_a_slow_taker(tmp_path):
    """However long each picture is held, nothing is shed, and the pictures are the same ones."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=50, b_frames=2)
    async with running(path, paced=False) as (camera, _):
        quick = await take_all(camera)
    async with running(path, paced=False) as (camera, _):
        slow = await take_all(camera, hold_s=0.12)
        assert camera.stats().shed == 0
    assert [kept[4] for kept in slow] == [kept[4] for kept in quick]
    assert len(slow) == 10


async def test_an_unpaced_file_is_sampled_the_same_each_time(tmp_path):
    """Which pictures of a recording are analysed does not depend on when it is played."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=50)
    runs = []
    for start in (10**18, 10**18 + 77 * MS, 10**18 + 199 * MS):
        async with running(path, paced=False, utc=lambda start=start: start) as (camera, _):
            runs.append([data for *_, data in await take_all(camera)])
    assert runs[0] == runs[1] == runs[2]


async def test_a_picture_has_the_promised_form(tmp_path):
    """Analysis size, tight I420, lease, a decode time of our monotonic clock, the period, and event time of the UTC."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=25)
    async with running(path, paced=False, lease=42, utc=lambda: 1_780_000_000_000_000_000) as (camera, _):
        picture = await asyncio.wait_for(camera.take(), LIMIT_S)
        now = boottime_ns()
        assert (picture.width, picture.height) == (160, 88)
        assert len(picture.pixels) == i420_size(160, 88)
        assert len(set(bytes(picture.pixels))) > 20
        assert (picture.lease, picture.sequence) == (42, 0)
        assert 0 <= now - picture.decoded_ns < 5_000 * MS
        assert picture.at == 1_780_000_000_000_000_000
        assert picture.period_ns == 200 * MS
        picture.release()


async def test_pixels_are_zeros_after_release(tmp_path):
    """The memory of a released picture is zeros, until the same buffer has the next picture."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=5)
    async with running(path, paced=False) as (camera, _):
        picture = await asyncio.wait_for(camera.take(), LIMIT_S)
        memory = picture.pixels
        assert any(memory)
        picture.release()
        assert await asyncio.wait_for(camera.take(), LIMIT_S) is None
        assert not any(memory)


async def test_no_buffer_holds_a_picture_after_the_end(tmp_path):
    """When a camera has ended every buffer of its pool is zeros."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=50)
    async with running(path, paced=False) as (camera, _):
        await take_all(camera)
    assert len(camera._play._sampler._pool._free) == 3
    assert not any(any(buffer) for buffer in camera._play._sampler._pool._free)


@pytest.mark.alone
async def test_a_paced_file_plays_by_its_time_stamps(tmp_path):
    """One second of video takes about a second, and event time keeps to the clock."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=26)
    async with running(path) as (camera, watch):
        began = time.monotonic()
        kept = await take_all(camera)
        took = time.monotonic() - began
    assert 0.9 < took < patient(8)
    assert 3 <= len(kept) <= 7
    span = (kept[-1][1] - kept[0][1]) / 1e9
    assert 0.35 < span <= took
    assert watch.states == ["connecting", "live", "ended"]


async def test_a_looped_file_goes_on(tmp_path):
    """At its end a looped file begins again without a change of state; sequence and event time keep growing."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=10)
    async with running(path, loop=True, paced=False, fps=25.0) as (camera, watch):
        taken = []
        for _ in range(35):
            picture = await asyncio.wait_for(camera.take(), LIMIT_S)
            taken.append((picture.sequence, picture.at))
            picture.release()
    assert [sequence for sequence, _ in taken] == list(range(35))
    assert {b[1] - a[1] for a, b in itertools.pairwise(taken)} == {40 * MS}
    assert watch.states == ["connecting", "live"]


async def test_the_newest_picture_wins(tmp_path):
    """Who takes late gets the newest picture; the untaken ones were wiped and are counted as shed."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=100)
    async with running(path, fps=25.0) as (camera, _):
        first = await asyncio.wait_for(camera.take(), LIMIT_S)
        first.release()
        await until(lambda: camera.stats().shed > 8)
        second = await asyncio.wait_for(camera.take(), LIMIT_S)
        assert second.sequence > first.sequence + 5
        assert second.sequence >= camera._play._sampler._sequence - 3, "the first of those that waited would be older"
        second.release()
        assert camera.stats().shed >= second.sequence - first.sequence - 1


async def test_a_held_picture_does_not_stop_the_camera(tmp_path):
    """While one picture is in flight the camera goes on, in its other buffers; the held one stays whole."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=100)
    async with running(path, fps=25.0) as (camera, _):
        held = await asyncio.wait_for(camera.take(), LIMIT_S)
        before = bytes(held.pixels)
        for _ in range(5):
            picture = await asyncio.wait_for(camera.take(), LIMIT_S)
            picture.release()
        assert bytes(held.pixels) == before
        held.release()


async def test_slow_answers_shed_before_conversion(tmp_path):
    """When round trips take longer than the budget, sampled pictures are not even converted, but tried now and then."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=100)
    async with running(path, fps=25.0) as (camera, _):
        (await asyncio.wait_for(camera.take(), LIMIT_S)).release()
        camera.shedding.answered(150 * MS)
        assert not camera.shedding.may_send(0)
        shed, converted = camera.stats().shed, camera._play._sampler._sequence
        await until(lambda: camera.stats().shed >= shed + 5)
        assert camera._play._sampler._sequence <= converted + 1
        picture = await asyncio.wait_for(camera.take(), LIMIT_S)
        picture.release()


async def test_states_come_on_the_loop_in_order(tmp_path):
    """on_state is called on the loop's thread only, with site, camera, lease and a time."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=5)
    async with running(path, paced=False, lease=9) as (camera, watch):
        await take_all(camera)
    assert watch.threads == {threading.current_thread()}
    assert {(s.site, s.camera, s.lease) for s in watch.seen} == {("site", "cam", 9)}
    assert [s.at for s in watch.seen] == sorted(s.at for s in watch.seen)


async def test_a_missing_file_is_tried_again_slowly(tmp_path):
    """A missing file is failed-config with its path, said once; when it appears the camera goes live."""
    path = tmp_path / "later.mp4"
    async with running(path, slow_retry_s=0.05, paced=False) as (camera, watch):
        await until(lambda: watch.states[-1:] == ["failed-config"])
        assert watch.seen[-1].reason == "not-found"
        assert str(path) in watch.seen[-1].message
        await asyncio.sleep(0.3)
        assert watch.states == ["connecting", "failed-config"]
        clips.make_clip(tmp_path / "made.mp4", pictures=25).rename(path)
        assert len(await take_all(camera)) == 5
        assert watch.states[-2:] == ["live", "ended"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [("text.mp4", b"no video" * 500, "undecodable"), ("empty.mp4", b"", "undecodable"), (".", None, "bad-source")],
)
async def test_a_useless_file_is_a_configuration_error(tmp_path, name, content, reason):
    """A file that is no video and a path that is no file are failed-config with a reason, and nothing is taken."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    async with running(tmp_path / name) as (camera, watch):
        await until(lambda: watch.states[-1:] == ["failed-config"])
        assert watch.seen[-1].reason == reason
        assert camera.stats().pictures == 0


async def test_a_bad_scheme_is_a_configuration_error():
    """A camera with an unsupported URL says which schemes are supported."""
    async with running("ftp://host/clip.mp4") as (_, watch):
        await until(lambda: watch.states[-1:] == ["failed-config"])
        assert watch.seen[-1].reason == "bad-source"


async def test_a_live_source_is_tried_for_ever():
    """A refused connection is backing-off and tried again, with growing but bounded delays."""
    async with running("rtsp://127.0.0.1:9/cam") as (_, watch):
        await until(lambda: watch.states.count("backing-off") >= 4)
        assert {s.reason for s in watch.seen if s.state == "backing-off"} == {"refused"}


async def test_a_damaged_recording_plays_and_ends(tmp_path):
    """A recording with noise in it, and one that is cut off, give the pictures they have, and end."""
    for path in (
        clips.make_damaged(tmp_path / "noise.ts", pictures=100, key_every=10),
        clips.make_truncated(tmp_path / "cut.ts", pictures=100),
    ):
        async with running(path, paced=False) as (camera, watch):
            kept = await take_all(camera)
        assert 5 <= len(kept) < 20, path
        assert watch.states == ["connecting", "live", "ended"]


async def test_a_size_change_is_survived(tmp_path):
    """A stream that changes its size goes on with pictures of the new size."""
    path = clips.make_resized(tmp_path / "clip.h264", (320, 180), (160, 120))
    async with running(path, paced=False, fps=25.0) as (camera, _):
        kept = await take_all(camera)
    assert {(width, height) for _, _, width, height, _ in kept} == {(160, 88), (160, 120)}
    assert all(len(data) == i420_size(width, height) for _, _, width, height, data in kept)


async def test_pause_wipes_refuses_and_resume_goes_on(tmp_path):
    """Pausing says so at once, wipes the waiting picture and gives none; resuming plays again, sequence growing."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=100)
    async with running(path, fps=25.0, loop=True) as (camera, watch):
        (await asyncio.wait_for(camera.take(), LIMIT_S)).release()
        await until(lambda: camera._slot._picture is not None)
        camera.pause()
        camera.pause()
        assert camera.status.state == "paused"
        await until(lambda: camera._play.decoder is None)
        last = camera._play._sampler._sequence
        assert not any(any(buffer) for buffer in camera._play._sampler._pool._free)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(camera.take(), 0.3)
        assert camera._play._sampler._sequence == last
        camera.resume()
        picture = await asyncio.wait_for(camera.take(), LIMIT_S)
        assert picture.sequence > last
        picture.release()
        await until(lambda: watch.states[-1] == "live")
    assert watch.states == ["connecting", "live", "paused", "connecting", "live"]
    assert watch.seen[2].reason == "operator"


async def test_a_camera_can_be_paused_from_the_start(tmp_path):
    """Pausing before the start (it is sticky over restarts) opens nothing until it is resumed."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=5)
    watch = Watch()
    camera = Camera("site", settings(path, paced=False), lease=1, phase_ns=0, on_state=watch)
    camera.pause()
    camera.start(asyncio.get_running_loop())
    try:
        await asyncio.sleep(0.2)
        assert camera.stats().pictures == 0
        assert camera.status.state == "paused"
        camera.resume()
        assert len(await take_all(camera)) == 1
    finally:
        assert await camera.stop(LIMIT_S)


async def test_stop_is_quick_while_pacing_and_backing_off(tmp_path):
    """A thread that sleeps until the next picture, or the next attempt, is woken by stop; take returns None."""
    slow = clips.make_clip(tmp_path / "slow.mp4", pictures=10, fps=1)
    for url, state in ((slow, "live"), (tmp_path / "none.mp4", "failed-config")):
        async with running(url) as (camera, watch):
            await until(lambda watch=watch, state=state: watch.states[-1:] == [state])
            began = time.monotonic()
            assert await camera.stop(LIMIT_S)
            assert time.monotonic() - began < patient(5)
            assert await camera.take() is None


async def test_stop_while_unpaced_and_nobody_takes(tmp_path):
    """A thread that waits for its picture to be taken is let go by stop, and the picture is wiped."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=50)
    async with running(path, paced=False) as (camera, _):
        await until(lambda: camera._slot._picture is not None)
    assert not any(any(buffer) for buffer in camera._play._sampler._pool._free)
    assert len(camera._play._sampler._pool._free) == 3


async def test_stop_before_start_and_twice():
    """Stopping a camera that never started, and stopping again, are harmless."""
    camera = Camera("site", settings("/nowhere.mp4"), lease=1, phase_ns=0, on_state=Watch())
    assert await camera.stop(1)
    assert await camera.stop(1)
    assert await camera.take() is None


async def test_a_stuck_thread_is_reported_and_not_waited_for(tmp_path, monkeypatch):
    """A thread that hangs in FFmpeg (provoked: nothing real hangs for good) makes stop return False at its limit."""
    release, opening = threading.Event(), threading.Event()

    def hang(_settings, _resolve):
        opening.set()
        release.wait(30)
        raise AssertionError

    monkeypatch.setattr("services.ingest.camera.connector.open_source", hang)
    camera = Camera("site", settings(tmp_path / "x.mp4"), lease=1, phase_ns=0, on_state=Watch())
    camera.start(asyncio.get_running_loop())
    await until(opening.is_set)
    began = time.monotonic()
    assert not await camera.stop(0.2)
    assert time.monotonic() - began < patient(10)
    release.set()
    assert await camera.stop(LIMIT_S)


async def test_an_error_of_our_own_does_not_end_the_camera(tmp_path, monkeypatch):
    """An unforeseen exception in the thread is a state with reason `other`, and the camera is tried again."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=5)
    from services.ingest.sources.source import open_source  # the real one

    failures = [RuntimeError("unforeseen")]

    def flaky(camera_settings, _resolve):
        if failures:
            raise failures.pop()
        return open_source(camera_settings)

    monkeypatch.setattr("services.ingest.camera.connector.open_source", flaky)
    async with running(path, paced=False, slow_retry_s=0.02) as (camera, watch):
        assert len(await take_all(camera)) == 1
    assert watch.seen[1].reason == "other"
    assert "unforeseen" not in watch.seen[1].message


async def test_two_cameras_are_sampled_at_different_moments(tmp_path):
    """The phase decides which moment of a period is sampled."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=50)
    for phase in (0, 100 * MS):
        async with running(path, paced=False, phase_ns=phase) as (camera, _):
            kept = await take_all(camera)
        assert {at % (200 * MS) for _, at, *_ in kept} == {phase}


@pytest.mark.parametrize(
    ("device", "clip", "why"),
    [
        ("vaapi", {}, "decoder: vaapi is not built into this FFmpeg, which has "),
        ("cuda", {}, "decoder: cuda was asked for, but no such device can be opened here"),
        ("cuda", {"codec": "ffv1"}, "decoder: cuda can't decode ffv1; set decoder: software"),
    ],
)
async def test_a_graphics_card_that_is_not_there_stops_the_camera(tmp_path, device, clip, why):
    """Hardware decoding that was asked for and can't be had: failed-config, why in words, and not one picture."""
    path = clips.make_clip(tmp_path / "clip.mkv", pictures=25, **clip)
    async with running(path, decoder=device) as (camera, watch):
        await until(lambda: watch.states[-1:] == ["failed-config"])
        assert camera.stats().pictures == 0
    assert watch.seen[-1].reason == "no-decoder"
    assert watch.seen[-1].message.startswith(f"{path}: {why}")


async def test_decoding_gives_way(tmp_path):
    """The camera's thread has a lower priority than the loop, which ends pictures' lives; nobody else's is changed."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=50)
    before = os.getpriority(os.PRIO_PROCESS, 0)
    async with running(path, loop=True) as (camera, watch):
        await until(lambda: watch.states[-1:] == ["live"])
        assert os.getpriority(os.PRIO_PROCESS, camera._thread.native_id) == max(before, DECODE_NICE)
        assert os.getpriority(os.PRIO_PROCESS, threading.main_thread().native_id) == before


async def test_a_refused_priority_is_no_fault(tmp_path, monkeypatch):
    """Where threads may not change their priority (a container's seccomp profile), the camera plays all the same."""

    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "setpriority", refuse)
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=25)
    async with running(path, paced=False) as (camera, watch):
        assert len(await take_all(camera)) == 5
    assert watch.states == ["connecting", "live", "ended"]


PRIVACY = PrivacySettings(drawn_for=(320, 180), areas=[[(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]])


async def test_privacy_areas_are_black_in_every_picture(tmp_path):
    """The left half is black in each picture that leaves the camera's thread; the right half is not."""
    path = clips.make_clip(tmp_path / "clip.mp4", width=320, height=180, pictures=25)
    async with running(path, paced=False, privacy=PRIVACY) as (camera, _):
        pictures = await take_all(camera)
    assert len(pictures) == 5
    for _, _, width, height, data in pictures:
        luma = np.frombuffer(data, np.uint8)[: width * height].reshape(height, width)
        assert (luma[:, : width // 2] == 16).all()
        assert (luma[:, width // 2 + 4 :] != 16).any()


async def test_camera_stops_when_its_picture_changes(tmp_path):
    """A picture of another size than the areas were drawn on: nothing of it is handed over, and the state says why."""
    path = clips.make_resized(tmp_path / "clip.h264", (320, 180), (160, 120))
    async with running(path, paced=False, privacy=PRIVACY) as (camera, watch):
        taken = []

        async def take():
            while (picture := await camera.take()) is not None:
                taken.append((picture.width, picture.height))
                picture.release()

        reader = asyncio.create_task(take())
        await until(lambda: watch.states[-1:] == ["failed-config"])
        reader.cancel()
        await asyncio.wait([reader])
    assert taken
    assert set(taken) == {(160, 88)}
    assert watch.seen[-1].reason == "picture-changed"
    assert "160x120" in watch.seen[-1].message
    assert "320x180" in watch.seen[-1].message


async def test_no_picture_is_left_behind_when_it_is_refused(tmp_path, monkeypatch):
    """An MJPEG picture of the wrong size, to which no codec refers, is overwritten like any other."""
    finished = []
    monkeypatch.setattr(Decoder, "finish", lambda _self, frame: finished.append((frame.width, frame.height)))
    path = clips.make_clip(tmp_path / "clip.avi", codec="mjpeg", pixel_format="yuvj420p", width=64, height=64)
    async with running(path, paced=False, privacy=PRIVACY) as (camera, watch):
        assert await camera.take() is None
        await until(lambda: watch.states[-1:] == ["failed-config"])
    assert finished == [(64, 64)]
    assert watch.states == ["connecting", "failed-config"], "a file is not tried again: it would come to the same"


async def test_no_quick_pause_ends_a_film(tmp_path):
    """It goes on by the time the thread asks whether it was to leave: then it begins again, and is not over."""
    clip = clips.make_clip(tmp_path / "clip.mp4", pictures=600)
    async with running(clip) as (camera, watch):
        await until(lambda: "live" in watch.states)
        for number in range(300):
            camera.pause()
            await asyncio.sleep(0.000_1 * (number % 20))
            camera.resume()
            await asyncio.sleep(0.000_1 * (number % 7))
        await until(lambda: watch.states[-1] == "live")
        assert "ended" not in watch.states


async def test_what_has_ended_is_not_paused_any_more(tmp_path):
    """A film that is over stays `ended`: an order to pause it, taken back later, must not leave it looking paused."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=10)
    async with running(path, paced=False) as (camera, watch):
        await take_all(camera)
        await until(lambda: watch.states[-1:] == ["ended"] and camera._gone.is_set())
        camera.pause()
        camera.resume()
        assert camera.status.state == "ended"
    assert watch.states[-1] == "ended"


async def test_under_a_new_number_event_time_follows_a_clock_that_was_set_back(tmp_path):
    """By an hour: the next pictures have the earlier time and come as often as before."""
    path, off = clips.make_clip(tmp_path / "clip.mp4", pictures=50), [0]
    async with running(path, loop=True, utc=lambda: time.time_ns() + off[0]) as (camera, _):
        before = await taken(camera, 3)
        off[0] = -3_600 * 1000 * MS
        camera.renumber(7)
        after = [seen for seen in await taken(camera, 8) if seen[0] == 7]
    assert after[0][1] < before[-1][1] - 3_590 * 1000 * MS
    steps = [b[1] - a[1] for a, b in itertools.pairwise(after)]
    # A busy machine comes late with one, and then at once with the next: most come as often as before.
    assert all(step > 0 for step in steps), steps
    assert statistics.median(steps) == pytest.approx(200 * MS, abs=60 * MS), steps


async def test_within_a_lease_event_time_follows_a_clock_that_was_set_forward(tmp_path):
    """By an hour; the jump says nothing about the camera's pace."""
    path, off = clips.make_clip(tmp_path / "clip.mp4", pictures=50), [0]
    async with running(path, loop=True, utc=lambda: time.time_ns() + off[0]) as (camera, _):
        before = await taken(camera, 3)
        off[0] = 3_600 * 1000 * MS
        camera.read_clock_again()
        after = await taken(camera, 5)
    assert {lease for lease, _, _ in after} == {1}
    assert after[-1][1] > before[-1][1] + 3_590 * 1000 * MS
    assert all(period < 1000 * MS for _, _, period in after)


async def taken(camera, count):
    """Lease, event time and period of so many pictures."""
    seen = []
    for _ in range(count):
        picture = await asyncio.wait_for(camera.take(), LIMIT_S)
        seen.append((picture.lease, picture.at, picture.period_ns))
        picture.release()
    return seen
