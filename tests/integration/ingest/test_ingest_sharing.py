"""Cameras shared by replicas of ingest: real processes, a real server, a real RTSP camera."""

import asyncio
import contextlib
import itertools
import signal

import aiohttp
import clips
import nats.errors
import pytest
import rtsp
import whip
from site_process import Site

from proto.control import PauseRequestV1
from proto.subjects import CAMERA_EVENTS, CAMERA_LEASES, PAUSE, PAUSE_STATE, SIGHTINGS

SECOND = 1_000_000_000
LIMIT_S = 30
NAMES = [f"cam-{n}" for n in range(6)]


class Scene:
    """A site of six cameras, inference, and replicas by name."""

    def __init__(self, site, url, aggregate, ingest):
        self.site, self.aggregate, self.ingest = site, aggregate, ingest
        self.replicas = {}
        self.settings(url)

    def settings(self, url, **camera):
        cameras = [{"id": name, "url": url, "fps": 5, "long_side": 160, **camera} for name in NAMES]
        self.site.write({"log": {"format": "json"}, "sites": [{"id": "cannes", "cameras": cameras}]})

    def start(self, *names):
        for name in names:
            self.replicas[name] = self.site.start("ingest", MORETTA_INGEST__REPLICA=name)

    async def holders(self):
        """Each camera's holder, by what the bucket says."""
        entries = [await self.ingest.streams.entry(CAMERA_LEASES, f"$KV.LEASES.v1.camera.cannes.{n}") for n in NAMES]
        return {name: message.holder for name, (_, message) in zip(NAMES, entries, strict=True) if message}

    async def until(self, condition, limit_s=LIMIT_S):
        found = None
        async with asyncio.timeout(limit_s):
            while not found:
                await asyncio.sleep(0.1)
                with contextlib.suppress(nats.errors.Error):  # while the server is away
                    found = await condition()
        return found

    async def shared(self, *names):
        """Wait until every camera is live, and the replicas of these names have even shares."""

        async def even():
            held = list((await self.holders()).values())
            live = sum(self.replicas[n].metric("moretta_camera_state", state="live") for n in names)
            counts = [held.count(name) for name in names]
            return len(held) == live == len(NAMES) and max(counts) - min(counts) <= 1 and sum(counts) == len(NAMES)

        async def running():
            return all(self.replicas[name].running for name in names)

        async def counting():
            return all([await self.counted(name) for name in NAMES])

        for step in (running, even, counting):
            await self.until(step)

    async def counted(self, camera):
        """The pictures that aggregate would count: none older than (lease, sequence) of one before it."""
        stored = await self.aggregate.history(SIGHTINGS, site="cannes", camera=camera)
        events = await self.aggregate.history(CAMERA_EVENTS, site="cannes")
        fence, counted = (-1, -1), []
        for item in sorted([*stored, *events], key=lambda each: each.sequence):
            message = item.message
            position = (message.lease, getattr(message, "sequence", -1))
            if message.camera == camera and position > fence:
                fence = position
                counted += [message] if item.row is SIGHTINGS else []
        return counted

    async def longest_gap_s(self, since):
        """The longest time without a counted picture of any camera, since an event time."""
        gaps = []
        for camera in NAMES:
            times = sorted(m.at for m in await self.counted(camera) if m.at >= since - SECOND)
            gaps += [after - before for before, after in itertools.pairwise(times)]
        return max(gaps) / SECOND

    async def now(self):
        return max([m.at for m in await self.counted(NAMES[0])])


@pytest.fixture(name="scene")
async def _scene(tmp_path):
    rtsp.require()
    server = rtsp.RtspServer(clips.make_clip(tmp_path / "clip.mp4", pictures=50)).start()
    site = Site(tmp_path)
    site.server.start()
    try:
        async with site.bus("aggregate") as aggregate, site.bus("ingest") as ingest:
            await aggregate.ensure_streams(["SIGHTINGS", "KV_LEASES_INGEST"])
            scene = Scene(site, server.url(), aggregate, ingest)
            site.start("inference")
            yield scene
    finally:
        site.close()
        server.kill()


async def test_three_replicas_one_killed_one_drained(scene):
    """Even shares; a killed one's cameras are back within 5 s, a drained one's within 2 s, and so on the way back."""
    scene.start("one", "two", "three")
    await scene.shared("one", "two", "three")
    since = await scene.now()
    scene.replicas["one"].stop(signal.SIGKILL)
    await scene.shared("two", "three")
    await asyncio.sleep(1)
    taken_over = await scene.longest_gap_s(since)
    since = await scene.now()
    assert scene.replicas["two"].stop() == 0
    await scene.shared("three")
    await asyncio.sleep(1)
    handed_over = await scene.longest_gap_s(since)
    scene.start("one")
    since = await scene.now()
    await scene.shared("one", "three")
    await asyncio.sleep(1)
    balanced = await scene.longest_gap_s(since)
    # 5 and 2 s are promised; a busy machine adds to them, and without an overlap it would be 3 s and more.
    assert (taken_over < 7, handed_over < 3, balanced < 3) == (True, True, True), (taken_over, handed_over, balanced)
    assert not [line for s in scene.replicas.values() for line in s.lines if line.get("level") == "error"]


async def test_the_bus_restarts(scene):
    """Leases are lost with a memory bucket: the cameras play on where they are, under higher numbers."""
    scene.start("one", "two")
    await scene.shared("one", "two")
    before, pictures = await scene.holders(), await scene.counted(NAMES[0])
    started = [len(scene.replicas[name].said("camera in service")) for name in ("one", "two")]
    scene.site.server.kill()
    scene.site.server.start()

    async def back():
        after = await scene.counted(NAMES[0])
        return await scene.holders() == before and len(after) > 5 and after[-1].lease > pictures[-1].lease

    await scene.until(back)
    assert [len(scene.replicas[name].said("camera in service")) for name in ("one", "two")] == started


async def test_an_order_reaches_every_replica(scene):
    """One that was frozen when the order came obeys as soon as it runs again; the audit has the order once."""
    scene.start("one", "two")
    await scene.shared("one", "two")
    two = scene.replicas["two"]
    two.process.send_signal(signal.SIGSTOP)
    async with scene.site.bus("operator") as operator:
        order = PauseRequestV1(site="cannes", action="pause", operator="ana", why="objection")
        reply = await operator.request(PAUSE, order, timeout=10)
        assert (reply.paused, reply.cameras) == (True, len(NAMES))
        await asyncio.sleep(5)  # its cameras' leases expire, and the server gives its connection up
        two.process.send_signal(signal.SIGCONT)

        async def paused():
            return sum(scene.replicas[n].metric("moretta_camera_state", state="paused") for n in ("one", "two")) == 6

        await scene.until(paused)

        async def obeyed():
            # The order may have waited in its connection; if not, the record is obeyed.
            return bool(two.said("pause by an operator") or two.said("paused by an operator"))

        await scene.until(obeyed)
        assert len(await operator.history(PAUSE_STATE, site="cannes")) == 1
        assert (await operator.request(PAUSE, order, timeout=10)).paused
        await scene.until(paused)
        assert len(await operator.history(PAUSE_STATE, site="cannes")) == 2


async def test_a_reload_touches_only_what_changed(scene):
    """The same settings for all replicas, one camera of which is changed: it begins again, under a higher number."""
    scene.start("one", "two")
    await scene.shared("one", "two")
    before = {name: (await scene.counted(name))[-1].lease for name in NAMES}
    text = scene.site.file.read_text()
    first = text.index("fps: 5")
    scene.site.file.write_text(text[:first] + "fps: 4" + text[first + 6 :])

    async def reloaded():
        return all(scene.replicas[name].said("new settings in force") for name in ("one", "two"))

    await scene.until(reloaded)
    await scene.shared("one", "two")
    changed = []
    for name in NAMES:
        seen = len(await scene.counted(name))

        async def more(name=name, seen=seen):
            return len(await scene.counted(name)) > seen

        await scene.until(more)
        if (await scene.counted(name))[-1].lease != before[name]:
            changed.append(name)
            assert (await scene.counted(name))[-1].lease > before[name]
    assert changed == [NAMES[0]]


async def test_a_peer_may_come_to_any_replica(scene, tmp_path):
    """The one that answers takes the camera from the one that waits in vain, and from none where a peer is."""
    (tmp_path / "token").write_text(whip.TOKEN)
    phone = {"id": "phone", "url": "whip://", "token_file": str(tmp_path / "token"), "long_side": 160}
    web = {"port": 0, "host": "127.0.0.1"}
    scene.site.write(
        {"log": {"format": "json"}, "sites": [{"id": "cannes", "cameras": [phone]}], "ingest": {"web": web}}
    )
    scene.start("one", "two")

    async def holder():
        _, entry = await scene.ingest.streams.entry(CAMERA_LEASES, "$KV.LEASES.v1.camera.cannes.phone")
        return entry and entry.holder

    async def running():
        return all(replica.running for replica in scene.replicas.values())

    await scene.until(running)
    first = await scene.until(holder)
    (second,) = {"one", "two"} - {first}
    pages = {name: replica.said("camera page")[-1]["url"] for name, replica in scene.replicas.items()}
    headers = {"Authorization": f"Bearer {whip.TOKEN}", "Content-Type": "application/sdp"}
    publisher, late = whip.Publisher(), whip.Publisher()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False), headers=headers) as http:
        async with http.post(f"{pages[second]}whip/cannes/phone", data=await publisher.offer()) as answer:
            assert answer.status == 201
            await publisher.accept(await answer.text())

        async def counted():
            return len(await scene.counted("phone")) > 3 and await holder() == second

        await scene.until(counted)
        async with http.post(f"{pages[first]}whip/cannes/phone", data=await late.offer()) as answer:
            assert (answer.status, "another replica" in await answer.text()) == (503, True)

        async def let_go():
            return bool(scene.replicas[first].said("camera out of service"))

        await scene.until(let_go)
    await asyncio.gather(publisher.close(), late.close())
