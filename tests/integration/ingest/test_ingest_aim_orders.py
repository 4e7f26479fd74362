"""Orders to aim, on a real server: services.ingest.orders.aim_orders, with a fleet that has one camera."""

import asyncio
import time
from contextlib import AsyncExitStack
from types import SimpleNamespace

import pytest
from on_bus import connected
from patience import patient, until

from proto.aiming import AimRequestV1
from proto.subjects import AIM, AIM_RECORD
from services.ingest.camera.leased import CameraStatus
from services.ingest.orders import aim_orders as sut
from services.ingest.orders.aim_orders import Aimer
from services.kernel.app import App
from services.sites.settings import CameraSettings

PLACE = ("cannes", "gate")
ANSWER_S = patient(10)
SECOND = 1_000_000_000


def order(**changes):
    return AimRequestV1(**{"site": "cannes", "camera": "gate", "operator": "ana", "why": "mounted anew"} | changes)


class Replica:
    """What aiming needs of an ingest that serves one camera."""

    def __init__(self, bus, state="live", profile="lab", holds=True):
        self.app, self.bus = App("ingest"), bus
        settings = CameraSettings(id="gate", url="gate.mp4")
        status = CameraStatus(*PLACE, lease=1, state=state, reason=None, at=0)
        camera = SimpleNamespace(status=status, stats=lambda: SimpleNamespace(width=640, height=360))
        self.post = SimpleNamespace(camera=camera, sender=SimpleNamespace(on_quality=None), settings=settings)
        fleet = SimpleNamespace(wanted={PLACE: settings}, profiles={"cannes": profile}, post={PLACE: self.post}.get)
        self.aimer = Aimer(self.app, bus, fleet, SimpleNamespace(held={PLACE} if holds else set()))

    @property
    def aims(self):
        return self.post.sender.on_quality is not None


@pytest.fixture(name="site")
async def _site(bus, nats_server):
    """Makes replicas, and asks them as an operator does; whatever was ordered, none has come to a fault."""

    async def replica(**how):
        made.append(Replica(await stack.enter_async_context(connected(nats_server.url, "ingest")), **how))
        await made[-1].aimer.listen("cannes")
        for _ in range(2):  # the server is to know that it listens, and the first ping overtakes what waits to be sent
            await made[-1].bus.client.flush()
        return made[-1]

    async def ask(given, timeout=ANSWER_S):
        return await operator.request(AIM, given, timeout=timeout)

    async def records():
        return [stored.message for stored in await bus.history(AIM_RECORD, site="cannes")]

    made = []
    async with AsyncExitStack() as stack:
        operator = await stack.enter_async_context(connected(nats_server.url, "operator"))
        yield SimpleNamespace(replica=replica, ask=ask, records=records, operator=operator)
        for one in made:
            assert await one.app.close() == 0


async def test_what_is_not_recorded_in_time_is_refused(site, monkeypatch):
    """Orders don't wait for the disk to come back: each is refused soon, and one that follows has its own time."""
    replica = await site.replica()
    with monkeypatch.context() as broken:
        broken.setattr(sut, "_RECORD_S", 0.5)
        broken.setattr(replica.bus, "store", lambda *_: asyncio.sleep(60))
        errors = sorted([reply.error for reply in await asyncio.gather(*(site.ask(order()) for _ in range(3)))])
    assert errors == ["another order for gate is being recorded; try again"] * 2 + [
        "the order could not be recorded within 0.5 s, so nothing is told; try again"
    ]
    assert not replica.aims
    before = time.time_ns()
    reply = await site.ask(order())
    (record,) = await site.records()
    assert before <= record.at <= reply.since <= time.time_ns()
    assert replica.aims


async def test_an_error_while_recording_is_told_and_no_fault(site, monkeypatch):
    """Ingest and its cameras go on."""
    replica = await site.replica()

    async def store(*_):
        raise RuntimeError("a full disk")

    monkeypatch.setattr(replica.bus, "store", store)
    assert (await site.ask(order())).error == "the order could not be carried out; ingest's log says why"
    assert not replica.aims


async def test_an_order_that_comes_too_late_is_not_carried_out(site):
    """Nobody waits for it any more; one that is fresh, or doesn't say when it was given, is carried out."""
    await site.replica()
    with pytest.raises(TimeoutError):
        await site.ask(order(at=time.time_ns() - 11 * SECOND), timeout=0.5)
    assert await site.records() == []
    for at in (time.time_ns(), None):
        assert (await site.ask(order(at=at))).error is None
    assert len(await site.records()) == 2


@pytest.mark.parametrize("read", [0, 1])
async def test_who_stops_reading_ends_it(site, read):
    """Whoever closes the reports ends the order, also one who has read none of them."""
    replica = await site.replica()
    reports = await replica.aimer.start(order())
    async with asyncio.timeout(patient(10)):
        for _ in range(read):
            assert (await anext(reports)).ended is None
    assert replica.aims
    await reports.aclose()
    await until(lambda: not replica.aims)
    with pytest.raises(StopAsyncIteration):
        await anext(reports)


async def test_while_a_camera_is_handed_over_a_success_is_heard_and_no_refusal(site, monkeypatch):
    """The successor, still connecting, lets its predecessor answer, who takes its time to record."""
    monkeypatch.setattr(sut, "_OTHERS_FIRST_S", 60.0)
    _, predecessor = await site.replica(state="connecting"), await site.replica(holds=False)
    real = predecessor.bus.store

    async def slowly(*message):
        await asyncio.sleep(0.5)
        return await real(*message)

    monkeypatch.setattr(predecessor.bus, "store", slowly)
    reply = await site.ask(order())
    assert (reply.error, predecessor.aims) == (None, True)


@pytest.mark.parametrize(
    ("state", "holds", "waits_s", "camera", "error"),
    [
        ("paused", True, 60.0, "gate", "gate is paused; only a camera that is live can be aimed"),
        ("paused", False, 0.2, "gate", "gate is paused; only a camera that is live can be aimed"),
        ("backing-off", True, 0.2, "gate", "gate is backing-off; only a camera that is live can be aimed"),
        ("live", True, 0.2, "gaet", "site 'cannes' has no camera 'gaet'; it has gate"),
    ],
)
async def test_a_refusal_is_told_all_the_same(site, monkeypatch, state, holds, waits_s, camera, error):
    """At once by whoever holds the camera's lease and knows its state for good, else after a while."""
    monkeypatch.setattr(sut, "_OTHERS_FIRST_S", waits_s)
    await site.replica(state=state, holds=holds)
    assert (await site.ask(order(camera=camera))).error == error
    assert await site.records() == []
