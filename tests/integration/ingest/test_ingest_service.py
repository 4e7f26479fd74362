"""The whole of ingest, as a process, with the whole of inference, on a real server with the box's permissions."""

import asyncio
import contextlib
import itertools
import json
import signal
import time
from functools import partial

import aiohttp
import clips
import pytest
import whip
from patience import patient, until
from site_process import Site
from states_in_order import in_order

from proto.control import PauseReplyV1, PauseRequestV1
from proto.subjects import CAMERA_EVENTS, CAMERAS, PAUSE, PAUSE_STATE, SIGHTINGS
from services.bus import Bus, NatsSettings
from services.kernel.settings import Secret

SECOND = 1_000_000_000
PERIOD = SECOND // 5
LIMIT_S = 45
ANSWER_S = patient(10)
"""For what two services do that have just begun, on a machine that does something else."""


class StreamedSite:
    """A site with what its streams hold."""

    def __init__(self, site, aggregate, subscriber):
        self.site, self.aggregate, self.subscriber = site, aggregate, subscriber

    def settings(self, *cameras, close_on_end=False, **sections):
        defaults = {"log": {"format": "json"}, "ingest": {"report_s": 0.5}}
        site = {"id": "cannes", "profile": "lab", "window_s": 2, "cameras": list(cameras), "close_on_end": close_on_end}
        self.site.write({"sites": [site], **defaults, **sections})

    async def sightings_of_all(self):
        return await self.aggregate.history(SIGHTINGS, site="cannes")

    async def sightings(self, camera="gate"):
        return [s for s in await self.sightings_of_all() if s.message.camera == camera]

    async def events(self, camera="gate"):
        return [s for s in await self.aggregate.history(CAMERA_EVENTS, site="cannes") if s.message.camera == camera]

    async def states(self, camera="gate"):
        """Its states as they changed: one that is told again, with another lease's number, is no change."""
        return [state for state, _ in itertools.groupby(s.message.state for s in await self.events(camera))]

    async def went_live(self, camera="gate"):
        """Wait until it is live; returns its states up to then, as they changed."""

        async def live():
            states = await self.states(camera)
            return states if states[-1:] == ["live"] else None

        return await self.until(live)

    async def public(self, camera="gate"):
        last = await self.subscriber.last(CAMERAS, site="cannes", camera=camera)
        return last.message if last else None

    async def until(self, condition, **how):
        """Wait until `await condition()` is true; returns what it returned."""
        return await until(condition, self.last_words, LIMIT_S, every_s=0.2, **how)

    def last_words(self):
        return [line for service in self.site.services for line in service.words[-8:]]

    async def more_sightings(self, count=3, camera="gate"):
        """Wait until there are so many more than now; returns the new ones."""
        before = len(await self.sightings(camera))

        async def enough():
            found = await self.sightings(camera)
            return found[before:] if len(found) >= before + count else None

        return await self.until(enough)

    async def order(self, operator, action, timeout=ANSWER_S):
        request = PauseRequestV1(site="cannes", action=action, operator="ana@example.org")
        return await operator.request(PAUSE, request, timeout=timeout)

    @contextlib.asynccontextmanager
    async def admin(self):
        """A connection that may do everything."""
        bus = await Bus.connect(
            NatsSettings(url=self.site.server.url, user="admin", password=Secret("admin")), "ingest"
        )
        try:
            yield bus
        finally:
            await bus.close()

    async def running(self, *services):
        await until(lambda: all(service.running for service in services), self.last_words, LIMIT_S)


def with_admin(config):
    """The box's configuration, and one more user in MORETTA who may do everything."""
    whole = json.loads(config)
    whole["accounts"]["MORETTA"]["users"].append({"user": "admin", "password": "admin"})
    return json.dumps(whole)


@pytest.fixture(name="scene")
async def _scene(tmp_path):
    site = Site(tmp_path, extend=with_admin)
    site.server.start()
    try:
        async with site.bus("aggregate") as aggregate, site.bus("operator") as subscriber:
            await aggregate.ensure_streams(["SIGHTINGS"])
            yield StreamedSite(site, aggregate, subscriber)
    finally:
        site.close()


@pytest.fixture(name="clip", scope="module")
def _clip(tmp_path_factory):
    """Four seconds at 25 pictures a second."""
    return clips.make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", pictures=100)


def camera(clip, name="gate", **more):
    return {"id": name, "url": str(clip), "long_side": 160, "fps": 5.0, **more}


async def test_a_recorded_file_from_end_to_end(scene, clip):
    """Every sample is analysed once and in order, at its event time; `ended` follows the last sighting."""
    before = time.time_ns()
    scene.settings(camera(clip, paced=False), close_on_end=True)
    ingest, inference = scene.site.start("ingest"), scene.site.start("inference")

    async def ended():
        public = await scene.public()
        return "ended" in await scene.states() and public is not None and public.state == "ended"

    await scene.until(ended)
    sightings, events = await scene.sightings(), await scene.events()
    messages = [s.message for s in sightings]
    assert [m.sequence for m in messages] == list(range(20))
    assert {m.lease for m in messages} == {events[0].message.lease}
    assert {b.at - a.at for a, b in itertools.pairwise(messages)} == {PERIOD}
    assert before - SECOND < messages[0].at < time.time_ns()
    assert {(m.period, round(m.aspect, 1)) for m in messages} == {(PERIOD, 1.8)}
    assert {(m.model, m.model_sha256) for m in messages} == {(inference_model(inference), messages[0].model_sha256)}
    assert [e.message.state for e in events] == ["connecting", "live", "ended"]
    assert events[-1].sequence > sightings[-1].sequence
    public = await scene.public()
    assert (public.state, public.decoder, public.width, public.height) == ("ended", "h264", 320, 180)
    assert ingest.metric("moretta_ingest_frames_total", outcome="done") == 20
    assert ingest.metric("moretta_pixel_lifetime_seconds_count") == 20
    assert inference.metric("moretta_inference_sightings_lost_total") == 0


def inference_model(inference):
    (line,) = [line for line in inference.get("/metrics")[1].splitlines() if line.startswith("moretta_model_info{")]
    return line.split('id="')[1].split('"')[0]


async def test_a_camera_within_its_100_ms(scene, clip):
    """A playing camera: sightings rise, event time keeps to the clock, and the lifetime is measured and reported."""
    scene.settings(camera(clip, loop=True))
    ingest, inference = scene.site.start("ingest"), scene.site.start("inference")
    await scene.running(ingest, inference)
    await scene.more_sightings(3)
    new = [s.message for s in await scene.more_sightings(15)]
    assert all(b.sequence > a.sequence and b.at > a.at for a, b in itertools.pairwise(new))
    assert abs(time.time_ns() - new[-1].at) < 3 * SECOND

    async def measured():
        public = await scene.public()
        is_live = (public.state, public.reason) == ("live", None)
        return public if is_live and public.lifetime and public.lifetime.pictures >= 3 and public.analysed_fps else None

    public = await scene.until(measured)
    assert public.lifetime.end - public.lifetime.start == 2 * SECOND
    assert 20 <= public.fps <= 25, "less where the film begins again"
    assert in_order(await scene.went_live(), "connecting", "live")
    assert ingest.get("/readyz")[0] == inference.get("/readyz")[0] == 200
    within = partial(ingest.metric, "moretta_pixel_lifetime_seconds_bucket", le="0.1")
    await until(lambda: within() >= 3, "three pictures within 100 ms", LIMIT_S)
    for service in (ingest, inference):
        code = service.stop()
        assert code == 0, service.words[-5:]


async def test_no_worker_is_a_visible_state(scene, clip):
    """Without inference nothing is queued: pictures are shed, the camera says why, and with it all goes well."""
    scene.settings(camera(clip, loop=True))
    ingest = scene.site.start("ingest")
    count = partial(ingest.metric, "moretta_ingest_frames_total")
    since = {"shed": 0.0, "unconfirmed": 0.0}

    async def alone():
        public = await scene.public()
        return public is not None and (public.state, public.reason) == ("live", "no-worker")

    async def shed():
        """Ten in a row: where the machine does something else, "no responders" may come after a picture's 100 ms."""
        now = {outcome: count(outcome=outcome) or 0.0 for outcome in since}
        if now["unconfirmed"] > since["unconfirmed"]:
            since.update(now)
        return now["shed"] - since["shed"] >= 10

    await scene.until(alone)
    await scene.until(shed)
    assert count(outcome="done") == 0
    assert await scene.sightings() == []
    scene.site.start("inference")
    await scene.more_sightings(3)

    async def served():
        return (await scene.public()).reason is None

    await scene.until(served)


async def test_a_reload_adds_and_removes_without_touching_another(scene, clip):
    """The third camera stays in service while others come and go."""
    scene.settings(camera(clip, "stays", loop=True), camera(clip, "goes", loop=True))
    ingest, inference = scene.site.start("ingest"), scene.site.start("inference")
    await scene.running(ingest, inference)
    await scene.more_sightings(2, "stays")
    await scene.more_sightings(2, "goes")
    scene.settings(camera(clip, "comes", loop=True), camera(clip, "stays", loop=True))
    await scene.more_sightings(2, "comes")
    await scene.more_sightings(5, "stays")
    assert in_order(await scene.went_live("stays"), "connecting", "live")
    assert len(ingest.said("camera in service", camera="stays")) == 1
    assert not ingest.said("camera out of service", camera="stays")
    stays = [s.message for s in await scene.sightings("stays")]
    assert all(b.sequence > a.sequence and b.lease >= a.lease for a, b in itertools.pairwise(stays))
    gone = len(await scene.sightings("goes"))
    await scene.more_sightings(5, "stays")
    assert len(await scene.sightings("goes")) == gone
    assert ingest.metric("moretta_camera_state", camera="goes") == 0
    assert ingest.metric("moretta_camera_state", camera="comes", state="live") == 1


async def test_a_signal_right_after_the_change(scene, clip):
    """Who edits the file and sends SIGHUP asks for the same reload twice at once: every camera is there once."""
    scene.settings(camera(clip, "a", loop=True), camera(clip, "b", loop=True))
    ingest = scene.site.start("ingest")
    await scene.running(ingest)
    for fps in (2.0, 3.0, 4.0):
        scene.settings(camera(clip, "a", loop=True, fps=fps), camera(clip, "c", loop=True, fps=fps))
        ingest.signal(signal.SIGHUP)
        ingest.signal(signal.SIGHUP)

    async def live():
        before = len(ingest.said("new settings in force"))
        await asyncio.sleep(0.5)  # signals merge, so how many reloads there will be is not known
        settled = len(ingest.said("new settings in force")) == before > 0
        return settled and ingest.metric("moretta_camera_state", state="live") == 2

    await scene.until(live)
    assert not ingest.is_over
    assert ingest.metric("moretta_camera_state") == 2
    leases = {name: (await scene.events(name))[-1].message.lease for name in ("a", "c")}
    assert max(leases.values()) == max(s.message.lease for s in await scene.events("a") + await scene.events("c"))
    assert ingest.stop() == 0
    assert not [line for line in ingest.lines if line.get("level") == "error"]


async def test_an_invalid_file_leaves_the_old_settings_in_force(scene, clip):
    """The camera goes on, readiness says which key is wrong, and a good file ends that."""
    scene.settings(camera(clip, loop=True))
    ingest, inference = scene.site.start("ingest"), scene.site.start("inference")
    await scene.running(ingest, inference)
    await scene.more_sightings(2)
    scene.settings(camera(clip, loop=True, fsp=3))

    await until(lambda: ingest.get("/readyz")[0] == 503, scene.last_words)
    assert "sites[0].cameras[0].fsp: unknown key" in ingest.get("/readyz")[1]
    await scene.more_sightings(3)
    scene.settings(camera(clip, loop=True, fps=4.0))
    await until(lambda: ingest.get("/readyz")[0] == 200, scene.last_words)


async def test_pause_is_now_and_sticky_and_resume_goes_on(scene, clip):
    """An operator's order stops all pictures at once, holds over a restart of ingest, and is in the audit."""
    scene.settings(camera(clip, loop=True), camera(clip, "door", loop=True))
    ingest, inference = scene.site.start("ingest"), scene.site.start("inference")
    await scene.running(ingest, inference)
    await scene.more_sightings(3)
    await scene.more_sightings(1, "door")
    async with scene.site.bus("operator") as operator:
        assert await scene.order(operator, "pause") == PauseReplyV1(site="cannes", paused=True, cameras=2)
        paused_at = time.time_ns()
        await scene.until(lambda: told(scene, "paused"))
        # What was on its way when the order came is answered, counted and stored as soon as the machine can.
        sampled = await scene.until(partial(settled, ingest))
        still = await scene.until(partial(all_stored, scene, inference))
        await asyncio.sleep(1.5)
        assert ingest.metric("moretta_ingest_frames_total") == sampled
        seen = await scene.sightings_of_all()
        assert [s.sequence for s in seen] == [s.sequence for s in still]
        # Event time goes by the film's clock, which runs ahead of a machine that does something else.
        assert all(s.message.at <= paused_at + SECOND for s in seen)

        assert ingest.stop() == 0
        ingest = scene.site.start("ingest")
        await scene.running(ingest)
        await scene.until(lambda: told(scene, "paused", times=2))
        before = len(await scene.sightings())
        await asyncio.sleep(1.5)
        assert len(await scene.sightings()) == before
        assert "live" not in (await scene.states())[-1:]
        assert (await scene.public()).reason == "operator"

        reply = await scene.order(operator, "resume")
        assert reply == PauseReplyV1(site="cannes", paused=False, cameras=2)
        new = await scene.more_sightings(3)
        assert new[0].message.at > paused_at + SECOND
        audit = [s.message for s in await operator.history(PAUSE_STATE, site="cannes")]
    assert [(m.paused, m.operator) for m in audit] == [(True, "ana@example.org"), (False, "ana@example.org")]
    assert audit[0].at < audit[1].at


async def settled(ingest):
    """How many pictures were sent or shed, once there were no more for 0.3 s: the next one would come in 0.2 s."""
    before = ingest.metric("moretta_ingest_frames_total")
    await asyncio.sleep(0.3)
    return before if ingest.metric("moretta_ingest_frames_total") == before else None


async def all_stored(scene, inference):
    """All sightings, once all that were seen are stored, or counted as lost: such a one may be stored all the same."""
    done = inference.metric("moretta_inference_frames_total", outcome="done")
    found = await scene.sightings_of_all()
    lost = inference.metric("moretta_inference_sightings_lost_total")
    return found if done - lost <= len(found) <= done else None


async def told(scene, state, times=1):
    count = [event.message.state for event in await scene.events()].count(state)
    return count >= times and (await scene.public()).state == state


async def test_orders_are_obeyed_while_they_cannot_be_recorded(scene, clip):
    """A pause comes before its record; to go on waits for the record, and the later order for the earlier one."""
    scene.settings(camera(clip, loop=True))
    ingest, inference = scene.site.start("ingest"), scene.site.start("inference")
    await scene.running(ingest, inference)
    await scene.more_sightings(2)
    async with scene.admin() as admin, scene.site.bus("operator") as operator:
        await admin.streams.js.delete_stream("CONTROL")
        first = asyncio.create_task(scene.order(operator, "pause", timeout=60))
        await scene.until(lambda: told(scene, "paused"))
        second = asyncio.create_task(scene.order(operator, "resume", timeout=60))
        await asyncio.sleep(0.5)
        assert not first.done(), "the answer promises that the order is recorded"
        assert not second.done()
        await admin.ensure_streams(["CONTROL"])
        assert [(await reply).paused for reply in (first, second)] == [True, False]
        await scene.until(lambda: told(scene, "live"))
        audit = [s.message for s in await operator.history(PAUSE_STATE, site="cannes")]
    assert [m.paused for m in audit] == [True, False]
    assert audit[0].at < audit[1].at


async def test_a_missing_clip_harms_no_other_camera(scene, clip):
    """A person has to mend it: `failed-config` with the reason, one line in the log, and the other camera plays."""
    scene.settings(camera(clip, loop=True), camera("/no/such/clip.mp4", "broken", loop=True))
    ingest, inference = scene.site.start("ingest"), scene.site.start("inference")
    await scene.running(ingest, inference)
    await scene.more_sightings(3)

    async def failed():
        public = await scene.public("broken")
        return public is not None and public.state == "failed-config"

    await scene.until(failed)
    assert (await scene.public("broken")).reason == "not-found"
    assert await scene.states("broken") == ["connecting", "failed-config"]
    (line,) = await ingest.heard("camera failed-config")
    assert (line["level"], line["why"]) == ("error", "/no/such/clip.mp4 does not exist")
    assert ingest.get("/readyz")[0] == 200


async def test_a_restarted_ingest_has_a_higher_lease(scene, clip):
    """Killed without warning and started again: its pictures can be told from the old ones, and the worker follows."""
    scene.settings(camera(clip, loop=True))
    ingest, inference = scene.site.start("ingest"), scene.site.start("inference")
    await scene.running(ingest, inference)
    old = {s.message.lease for s in await scene.more_sightings(3)}
    assert ingest.stop(signal.SIGKILL) == -signal.SIGKILL
    ingest = scene.site.start("ingest")
    await scene.running(ingest)
    new = await scene.more_sightings(3)
    assert min(s.message.lease for s in new) > max(old)
    assert new[0].message.sequence < 50


async def test_a_restart_of_nats(scene, clip):
    """Both services live through it, make the memory streams again and go on; nothing ends, nothing is sent late."""
    scene.settings(camera(clip, loop=True))
    ingest, inference = scene.site.start("ingest"), scene.site.start("inference")
    await scene.running(ingest, inference)
    await scene.more_sightings(2)
    shed = partial(ingest.metric, "moretta_ingest_frames_total", outcome="shed")
    before = shed()
    scene.site.server.kill()
    await until(lambda: shed() > before + 10, "pictures of the outage")
    scene.site.server.start()
    back = time.time_ns()

    async def again():
        found = await scene.sightings()
        return found if len(found) >= 3 else None

    new = await scene.until(again, ignoring=(Exception,))
    assert all(s.message.at > back - SECOND for s in new), "pictures of the outage are not analysed after it"
    assert not ingest.is_over
    assert not inference.is_over


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "sealing.verify_key is missing; `sealing.verify_key_file` names a file with 64 hexadecimal digits"),
        ("nonsense", "sealing.verify_key is no Ed25519 key; `sealing.verify_key_file` names a file with 64"),
    ],
)
def test_a_wrong_key_is_one_line_and_exit_2(tmp_path, clip, text, said):
    """A user's mistake is told in one line that says what would be right, without a traceback or the key."""
    site = Site(tmp_path)
    site.write({"sites": [{"id": "cannes", "cameras": [camera(clip)]}]})
    (tmp_path / "wrong.pub").write_text(text or "")
    service = site.start("ingest", MORETTA_SEALING__VERIFY_KEY_FILE=str(tmp_path / "wrong.pub") if text else None)
    try:
        assert service.ended() == 2
    finally:
        site.close()
    assert len(service.words) == len(service.lines), "a traceback"
    (line,) = [line for line in service.lines if line["level"] == "error"]
    assert line["event"] == "cannot start"
    assert line["error"].startswith(said)
    assert "nonsense" not in str(service.words)


async def test_a_peer_publishes_to_the_whole_service(scene, tmp_path):
    """By WHIP to the service as it runs: its pictures are analysed within their 100 ms; a pause lets it go."""
    (tmp_path / "token").write_text(whip.TOKEN)
    phone = {"id": "phone", "url": "whip://", "token_file": str(tmp_path / "token"), "long_side": 160}
    scene.settings(phone, ingest={"report_s": 0.5, "web": {"port": 0, "host": "127.0.0.1"}})
    ingest, inference = scene.site.start("ingest"), scene.site.start("inference")
    await scene.running(ingest, inference)
    page = ingest.said("camera page")[-1]["url"]
    publisher, auth = whip.Publisher(), {"Authorization": f"Bearer {whip.TOKEN}"}
    async with aiohttp.ClientSession(page, connector=aiohttp.TCPConnector(ssl=False), headers=auth) as http:
        offer, sdp = await publisher.offer(), {"Content-Type": "application/sdp"}
        async with http.post("/whip/cannes/phone", data=offer, headers=sdp) as answer:
            assert answer.status == 201
            await publisher.accept(await answer.text())

        async def figures():
            async with http.get("/api/cannes/phone") as answer:
                told = await answer.json()
            return told if told["lifetime"] and told["lifetime"]["pictures"] > 0 else None

        told = await scene.until(figures)
        assert (told["state"], told["width"], told["height"], told["reason"]) == ("live", 320, 180, None)
        await scene.more_sightings(3, camera="phone")
        async with scene.site.bus("operator") as operator:
            await scene.order(operator, "pause")
        await until(lambda: publisher.connection.connectionState == "closed", "the publisher is let go", LIMIT_S)
        async with http.post("/whip/cannes/phone", data=offer, headers=sdp) as answer:
            assert answer.status == 409
    await publisher.close()
    assert ingest.stop() == inference.stop() == 0
    assert whip.TOKEN not in json.dumps(ingest.words + inference.words)
