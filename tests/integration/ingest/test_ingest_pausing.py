"""Operators' orders on a real server: services.ingest.orders.pausing, with a fleet that only notes what it hears."""

import asyncio
import time
from functools import partial
from types import SimpleNamespace

import pytest
from msgspec import structs
from nats.js.api import DiscardPolicy
from on_bus import settled
from patience import patient, until
from structlog.testing import capture_logs

from proto.control import PauseRequestV1
from proto.subjects import PAUSE, PAUSE_STATE
from services.bus.streams import storing
from services.ingest.core.orders import Orders, Recorded
from services.ingest.orders import in_hand, pausing
from services.ingest.orders.pausing import LOOK_S, Pausing
from services.kernel.app import App, end_tasks

SECOND = 1_000_000_000
ANSWER_S = patient(10)


class Replica:
    """The part of an ingest that takes orders, for these cameras of one site."""

    def __init__(self, bus, *cameras, **how):
        self.app, self.cameras = App("ingest"), cameras
        wanted = {("cannes", name): None for name in cameras}
        self.fleet = SimpleNamespace(wanted=wanted, orders=Orders(), obey=self.obey)
        self.pausing = Pausing(self.app, bus, self.fleet, **how)

    async def start(self):
        await self.pausing.restore("cannes")
        await self.pausing.listen("cannes")
        self.app.spawn("follow", self.pausing.follow("cannes"))

    def obey(self, orders):
        self.fleet.orders = orders

    @property
    def held(self):
        """Its cameras that may not process pictures."""
        return {name for name in self.cameras if self.fleet.orders.hold("cannes", name)}


@pytest.fixture(name="replica")
async def _replica(bus):
    """`await replica(*cameras)` starts one; `how` are arguments of Pausing."""
    made = []

    async def make(*cameras, **how):
        made.append(Replica(bus, *cameras, **how))
        await made[-1].start()
        return made[-1]

    yield make
    await bus.stop_serving()
    for one in made:
        await end_tasks(list(one.app._tasks))
        assert not one.app._fault


async def order(bus, action, camera=None, *, timeout=ANSWER_S, **more):
    request = PauseRequestV1(site="cannes", action=action, operator="ana", camera=camera, why="asked to", **more)
    return await bus.request(PAUSE, request, timeout=timeout)


async def test_a_pause_is_obeyed_whatever_the_clock_says(bus, replica):
    """Hosts' clocks differ: a pause from the past holds. To resume is for who waits for it, so it does not."""
    one = await replica("gate")
    past = time.time_ns() - 3_600 * SECOND
    assert (await order(bus, "pause", at=past)).paused
    with pytest.raises(TimeoutError):
        await order(bus, "resume", at=past, timeout=1)
    assert one.held == {"gate"}
    assert not (await order(bus, "resume", at=time.time_ns())).paused
    assert one.held == set()


async def test_who_knows_the_camera_answers_first(bus, replica):
    """While settings are rolled out some replicas lack a camera: it is paused all the same, and nobody is told else."""
    old, new = await replica("gate"), await replica("gate", "hall")
    reply = await order(bus, "pause", "hall")
    assert (reply.error, reply.paused_cameras, new.held) == (None, ["hall"], {"hall"})
    refused = await order(bus, "pause", "door")
    assert (refused.error or "").startswith("site 'cannes' has no camera 'door'; it has gate")
    assert (old.held, new.held) == (set(), {"hall"})


async def test_a_pause_that_can_not_be_recorded_holds(bus, replica):
    """Over what others record meanwhile, which is obeyed beside it; it is recorded as soon as that works."""
    one = await replica("gate", "hall", retry_s=0.1)

    async def broken(*_):
        raise OSError("what no second try mends")

    append, one.pausing._append = one.pausing._append, broken
    reply = await order(bus, "pause", "gate")
    assert (reply.recorded, reply.paused_cameras) == (False, ["gate"])
    two = await replica("gate", "hall")
    assert (await order(bus, "pause", "hall")).paused_cameras == ["hall"]
    await until(lambda: (one.held, two.held) == ({"gate", "hall"}, {"hall"}))
    assert (await order(bus, "resume", "hall")).paused_cameras == []
    await until(lambda: (one.held, two.held) == ({"gate"}, set()))
    one.pausing._append = append
    await until(lambda: two.held == {"gate"}, "it is recorded")
    assert [state.camera for state in await records(bus)] == ["hall", "hall", "gate"]
    await order(bus, "resume", "gate")
    await until(lambda: one.held == two.held == set())


async def set_control(bus, **changed):
    js = bus.streams.js
    await js.update_stream((await js.stream_info("CONTROL")).config.evolve(**changed))


async def test_a_pause_is_recorded_once_its_stream_takes_it(bus, replica, monkeypatch):
    """A stream that is full: the operator learns that the pause is in force and not recorded, and nothing is lost."""
    monkeypatch.setattr(pausing, "_LATE_S", 0.1)
    one = await replica("gate", "hall")
    assert (await order(bus, "pause", "gate")).recorded
    await set_control(bus, max_msgs=1, discard=DiscardPolicy.NEW)
    for camera in (None, "hall"):
        assert not (await order(bus, "pause", camera)).recorded
    assert (one.held, (await replica("gate", "hall")).held) == ({"gate", "hall"}, {"gate"})
    await set_control(bus, max_msgs=-1)

    await until(lambda: len(one.app._tasks) == 1, "both are recorded")
    assert [state.camera for state in await records(bus)] == ["gate", None, "hall"]
    assert not (await order(bus, "resume")).paused
    assert (await replica("gate", "hall")).held == {"gate", "hall"}


async def test_of_a_pause_that_was_stored_unseen_there_is_one_record(bus, replica, monkeypatch):
    """NATS's acknowledgement comes late: the order is answered twice, and recorded once, by either replica."""
    monkeypatch.setattr(pausing, "_LATE_S", 0.1)
    one, two = await replica("gate"), await replica("gate")
    await set_control(bus, no_ack=True)
    with capture_logs() as logs:
        assert not (await order(bus, "pause")).recorded
        await until(lambda: [one["event"] for one in logs].count("order not recorded yet") == 2, "both know it")
    assert (one.held, two.held) == ({"gate"}, {"gate"})
    await set_control(bus, no_ack=False)
    await until(lambda: len(one.app._tasks) == len(two.app._tasks) == 1, "both have seen it stored")
    assert [state.action for state in await records(bus)] == ["pause"]


async def test_a_pause_asks_nothing_of_a_busy_api(bus, replica):
    """One reader can keep JetStream's API busy; what is stored without a question is stored meanwhile."""
    asked = []

    async def note(msg):
        asked.append(msg.subject)

    one = Replica(bus, "gate")
    await one.pausing.restore("cannes")
    await one.pausing.listen("cannes")
    await bus.client.subscribe("$JS.API.>", cb=note)
    await settled(bus)
    for action in ("pause", "resume", "pause"):
        assert (await order(bus, action, "gate")).recorded
    await settled(bus)
    assert (asked, one.held) == ([], {"gate"})
    await until(lambda: not one.app._tasks)


@pytest.fixture(name="busy_api")
async def _busy_api(bus, monkeypatch):
    """`busy_api()` returns what JetStream's API is asked, unanswered from now on. Direct gets have no queue."""
    asked, client = [], bus.client

    async def take(msg):
        if ".DIRECT.GET." in msg.subject:
            await client.publish(msg.subject.replace("$JS.BUSY", "$JS.API"), msg.data, reply=msg.reply)
        else:
            asked.append(msg.subject)

    await client.subscribe("$JS.BUSY.>", cb=take)

    def begin():
        monkeypatch.setattr(bus.streams.js, "_prefix", "$JS.BUSY")
        return asked

    return begin


async def test_a_busy_api_that_is_asked_delays_no_record(bus, replica, busy_api, monkeypatch):
    """Not what looks after the records, nor a second replica that finds the order recorded, nor a stuck camera."""
    monkeypatch.setattr(pausing, "_ASK_S", 0.1)
    one, two = await replica("gate", "hall"), await replica("gate", "hall")
    asked = busy_api()
    for each in (one, two):
        each.app.spawn("keep", each.pausing.keep("cannes"))
    await until(lambda: len(asked) >= 2, "both look after the records")
    one.pausing.mark(("cannes", "hall"), stuck=True)
    for action, camera in (("pause", "gate"), ("resume", "gate"), ("pause", "hall")):
        assert (await order(bus, action, camera)).recorded
    await until(lambda: len(one.app._tasks) == len(two.app._tasks) == 2, "nothing waits any more")
    assert one.held == two.held == {"hall"}


async def test_a_refused_pause_is_reported_until_it_is_recorded(bus, replica, monkeypatch):
    """The stream refuses it with an error that does not pass by itself: `/readyz` and the log go on saying so."""
    monkeypatch.setattr(pausing, "_REFUSE_AFTER_S", 0.1)
    monkeypatch.setattr(storing, "LONG_S", 0.5)
    one = await replica("gate", look_s=0.2, retry_s=0.05)
    await set_control(bus, max_msg_size=10)
    with capture_logs() as logs:
        assert not (await order(bus, "pause")).recorded
        await until(lambda: bus.not_stored.startswith("NATS takes no message for CONTROL"))
        await until(lambda: [log["event"] for log in logs].count("order not recorded") > 2)
    await set_control(bus, max_msg_size=-1)
    await until(lambda: len(one.app._tasks) == 1, "it is recorded")
    assert not bus.not_stored
    assert [state.action for state in await records(bus)] == ["pause"]


async def test_a_pause_that_waited_long_gives_way_to_later_orders(bus, replica):
    """A replica that was cut off records nothing over what the others recorded meanwhile, and nothing twice."""
    passed_ns = 0
    one = await replica("gate", "hall")
    two = Replica(bus, "gate", "hall", utc_ns=lambda: time.time_ns() + passed_ns)  # hears of nothing
    await two.pausing.restore("cannes")
    orders = [PauseRequestV1(site="cannes", action="pause", operator="ana", camera=name) for name in ("gate", "hall")]
    waiting = [two.pausing._at("cannes").give(each, two.pausing._utc_ns()) for each in orders]
    for action in ("pause", "resume"):
        await order(bus, action, "gate")
    passed_ns = 200 * SECOND
    for given in waiting:
        two.pausing._take(given, await two.pausing._append(given, None))
    assert [(state.action, state.camera) for state in await records(bus)] == [
        ("pause", "gate"),
        ("resume", "gate"),
        ("pause", "hall"),
    ]
    assert two.held == {"hall"}
    await until(lambda: one.held == {"hall"})


async def test_a_stream_made_anew_forgets_no_pause(bus, replica):
    """A pause confirmed just then holds, and what was in force stays so and is recorded again as it was given."""
    one = await replica("gate", "hall")
    for action in ("pause", "resume", "pause"):
        await order(bus, action, "gate")
    await another_stream(bus)
    assert (await order(bus, "pause", "hall")).paused_cameras == ["gate", "hall"]
    end = time.monotonic() + 6  # beyond the silence at which the reader looks what became of the stream
    while time.monotonic() < end:
        assert one.held == {"gate", "hall"}
        await asyncio.sleep(0.05)
    (before,) = await records(bus)
    await another_stream(bus)
    await until(partial(records, bus), "what is in force is recorded again", every_s=0.1)
    assert await records(bus) == [before]
    assert one.held == (await replica("gate", "hall")).held == {"gate", "hall"}
    await order(bus, "resume", "gate")
    await until(lambda: one.held == {"hall"})


async def another_stream(bus):
    await bus.streams.js.delete_stream("CONTROL")
    await bus.ensure_streams(["CONTROL"])


async def records(bus):
    return [stored.message for stored in await bus.history(PAUSE_STATE, site="cannes")]


async def test_a_pause_does_not_age(bus, replica):
    """Its record is written again in time, as it was given, and also when it was pushed out; once resumed it may go."""
    passed_ns = 0
    one = await replica("gate", utc_ns=lambda: time.time_ns() + passed_ns)
    await order(bus, "pause")
    await one.pausing._uphold("cannes")
    (given,) = await records(bus)
    passed_ns = 31 * 86_400 * SECOND
    await one.pausing._uphold("cannes")
    assert await records(bus) == [given, given]
    await bus.streams.js.purge_stream("CONTROL")
    await one.pausing._uphold("cannes")
    assert await records(bus) == [given]
    await order(bus, "resume")
    await one.pausing._uphold("cannes")
    assert [state.action for state in await records(bus)] == ["pause", "resume"]


async def test_a_pause_that_was_pushed_out_is_looked_after(bus, replica):
    """Without a restart, which would not know of it any more."""
    assert LOOK_S <= 60
    one = await replica("gate", look_s=LOOK_S / 10)
    await order(bus, "pause")
    (given,) = await records(bus)
    one.app.spawn("keep", one.pausing.keep("cannes"))

    async def recorded_again():
        return await records(bus) == [given]

    for _ in range(2):
        await bus.streams.js.purge_stream("CONTROL")
        await until(recorded_again, "the pause is recorded again", LOOK_S / 10 + 20)
    assert (await replica("gate")).held == {"gate"}


async def test_a_server_that_lost_the_last_records(bus, replica):
    """After a power cut it is the same stream, and shorter: a pause that it doesn't know any more is told it again."""
    one = await replica("gate", "hall")
    await order(bus, "pause", "hall")
    lost = structs.replace((await records(bus))[-1], paused_cameras=["gate", "hall"])
    created, _ = await bus.streams.created("CONTROL")
    one.pausing._learn(Recorded(created, 9, lost))
    await one.pausing._uphold("cannes")
    assert (await records(bus))[-1].paused_cameras == ["gate", "hall"]
    assert (await order(bus, "resume", "hall")).paused_cameras == ["gate"]
    assert one.held == {"gate"}


async def test_a_flood_of_orders_is_bounded_and_stops_no_pause(bus, replica):
    """Orders for cameras that are not there, and to go on, while the disk is away: so many tasks at a time; whoever
    pauses is obeyed at once, and what came before does not undo it."""
    one = await replica("gate")
    before = in_hand.DROPPED._value.get()
    async with one.pausing._recording:
        for number in range(200):
            gone = {"camera": f"none-{number}", "action": "pause"}
            what = gone if number % 2 else {"camera": "gate", "action": "resume"}
            await bus.publish(PAUSE, PauseRequestV1(site="cannes", operator="ana", why="x", **what))
            if number % 20 == 19:
                await asyncio.sleep(0.05)
        await until(lambda: in_hand.DROPPED._value.get() > before)
        pause = PauseRequestV1(site="cannes", action="pause", operator="ana", camera="gate", why="x")
        for number in range(100):
            await bus.publish(PAUSE, pause)
            if number % 20 == 0:
                await until(lambda: one.held == {"gate"})
        assert len(one.app._tasks) <= in_hand.MAX_ORDERS + 1
    await until(lambda: len(one.app._tasks) <= 1, limit_s=30)
    assert one.held == {"gate"}
    assert not (await order(bus, "resume", "gate")).paused_cameras
    assert one.held == set()
