"""Operators' orders on a real server: services.ingest.pausing, with a fleet that only remembers what it was told."""

import time
from types import SimpleNamespace

import pytest

from proto.control import PauseRequestV1
from proto.subjects import PAUSE
from services.app import App, end_tasks
from services.ingest.core.orders import Orders
from services.ingest.pausing import Pausing

SECOND = 1_000_000_000


class Replica:
    """The part of an ingest that takes orders, for these cameras of one site."""

    def __init__(self, bus, *cameras):
        self.app, self.cameras = App("ingest"), cameras
        wanted = {("cannes", name): None for name in cameras}
        self.fleet = SimpleNamespace(wanted=wanted, orders=Orders(), obey=self.obey)
        self.pausing = Pausing(self.app, bus, self.fleet)

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
    """`await replica(*cameras)` starts one."""
    made = []

    async def make(*cameras):
        made.append(Replica(bus, *cameras))
        await made[-1].start()
        return made[-1]

    yield make
    await bus.stop_serving()
    for one in made:
        await end_tasks(list(one.app._tasks))
        assert not one.app._fault


async def order(bus, action, camera=None, *, timeout=10, **more):
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


async def test_a_pause_that_can_not_be_recorded_holds(bus, replica, wait_until):
    """Over what others record meanwhile, which is obeyed beside it, until another order for the same camera."""
    one = await replica("gate", "hall")

    async def broken(*_):
        raise OSError("what no second try mends")

    append, one.pausing._append = one.pausing._append, broken
    with pytest.raises(TimeoutError):
        await order(bus, "pause", "gate", timeout=1)
    two = await replica("gate", "hall")
    assert (await order(bus, "pause", "hall")).paused_cameras == ["hall"]
    await wait_until(lambda: (one.held, two.held) == ({"gate", "hall"}, {"hall"}))
    assert (await order(bus, "resume", "hall")).paused_cameras == []
    await wait_until(lambda: (one.held, two.held) == ({"gate"}, set()))
    one.pausing._append = append
    await order(bus, "resume", "gate")
    await wait_until(lambda: one.held == set())
