"""Which sites run here: services.leases.sharing, on a bucket in memory."""

from types import SimpleNamespace

import pytest

from services.leases.assignment import Lease, LeaseTable
from services.leases.sharing import SiteSharing


class Bucket:
    """Leases as one replica has them, of which the tests say when they are valid; whoever asks first gets one."""

    def __init__(self):
        self.me, self.view, self.held, self.handed_over, self.taken_over = "a", LeaseTable(), {}, set(), set()
        self.resets, self.valid, self.said, self.log = 0, True, {}, []
        self.view.replica("a", False)

    async def take(self, key):
        self.held[key] = SimpleNamespace(offered=False, number=len(self.log))
        self.view.put(key, Lease("a", len(self.log) + 1))
        self.log.append(("take", *key))

    async def release(self, key):
        self.held.pop(key, None)
        self.view.leases.pop(key, None)
        self.log.append(("release", *key))

    def lose(self, key):
        del self.held[key]
        self.view.put(key, Lease("b", len(self.log) + 100))

    def is_valid(self, key):
        return self.valid and key in self.held

    def offer(self, keys):
        for key, held in self.held.items():
            held.offered = key in keys

    def set_live(self, key, *, live):
        self.said[key] = live

    async def announce(self, *, leaving=False):
        self.view.replica("a", leaving)

    async def leave(self):
        self.log.append(("leave",))


class Sites:
    """Sites that only say that they run."""

    def __init__(self, bucket, *names):
        self.wanted, self.running = dict.fromkeys(names), {}
        self.caught_up, self.fenced, self.log = set(), set(), bucket.log

    def start(self, name, held):
        self.running[name] = held
        self.log.append(("start", name))

    async def stop(self, name):
        del self.running[name]
        self.fenced.discard(name)
        self.log.append(("stop", name))


@pytest.fixture(name="scene")
def _scene():
    bucket, clock = Bucket(), [0.0]
    sites = Sites(bucket, "market", "quay")
    sharing = SiteSharing(sites, bucket, lambda: clock[0])
    return SimpleNamespace(bucket=bucket, sites=sites, sharing=sharing, clock=clock, log=bucket.log)


async def test_what_is_held_runs(scene):
    """Taken, started, live when it has caught up; one that is configured no more stops before it is given back."""
    await scene.sharing.turn()
    assert scene.log == [("take", "market"), ("take", "quay"), ("start", "market"), ("start", "quay")]
    scene.sites.caught_up.add("quay")
    del scene.sites.wanted["market"]
    await scene.sharing.turn()
    assert scene.log[4:] == [("stop", "market"), ("release", "market")]
    assert scene.bucket.said == {("market",): False, ("quay",): True}


async def test_what_is_lost_stops_and_may_write_no_more(scene):
    """Another replica has it: nothing is given back. Before that, when the lease has run out, nothing is written."""
    await scene.sharing.turn()
    held = scene.sites.running["quay"]
    assert held()
    scene.bucket.valid = False
    assert not held()
    scene.bucket.lose(("quay",))
    await scene.sharing.turn()
    assert scene.log[4:] == [("stop", "quay")]


async def test_a_fenced_site_rests(scene):
    """Somebody else wrote: the site stops and is given back, and is taken again only after a pause."""
    await scene.sharing.turn()
    scene.sites.fenced.add("market")
    for moment in (0.0, 1.0, 4.9):
        scene.clock[0] = moment
        await scene.sharing.turn()
    assert scene.log[4:] == [("stop", "market"), ("release", "market")]
    scene.clock[0] = 5.1
    await scene.sharing.turn()
    assert scene.log[6:] == [("take", "market"), ("start", "market")]


async def test_who_leaves_starts_nothing_more(scene):
    """Nobody is there to take over: all stops, is given back, and stays so."""
    await scene.sharing.turn()
    await scene.sharing.hand_over()
    assert sorted(scene.log[4:]) == [
        ("leave",), ("release", "market"), ("release", "quay"), ("stop", "market"), ("stop", "quay"),
    ]  # fmt: skip
    await scene.sharing.turn()
    assert len(scene.log) == 9


async def test_what_drains_ends_before_its_lease_is_given_away(scene):
    """Somebody else came, or we leave: nothing is offered; the site stops, then its lease is free."""
    scene.sharing = SiteSharing(scene.sites, scene.bucket, lambda: scene.clock[0], drains=True)
    await scene.sharing.turn()
    scene.bucket.view.replica("b", False)
    await scene.sharing.turn()
    [stopped, released] = scene.log[4:]
    assert (stopped[0], released[0], stopped[1]) == ("stop", "release", released[1])
    scene.bucket.view.put((released[1],), Lease("b", 99))
    await scene.sharing.turn()
    assert len(scene.log) == 6
    scene.bucket.view.leases.clear()
    await scene.sharing.turn()  # nobody took it, and both are ours again: it is not given away at once
    await scene.sharing.turn()
    assert [what for what, *_ in scene.log[6:]] == ["take", "start"]
    del scene.log[6:]
    await scene.sharing.hand_over()
    assert sorted(scene.log[6:]) == [
        ("leave",), ("release", "market"), ("release", "quay"), ("stop", "market"), ("stop", "quay"),
    ]  # fmt: skip
    assert not any(held.offered for held in scene.bucket.held.values())


@pytest.mark.parametrize("drains", [True, False])
async def test_what_drains_begins_anew_when_its_lease_had_run_out(scene, drains):
    """Another may have had it in between: what it did is read; until then nothing is written under the old number."""
    scene.sharing = SiteSharing(scene.sites, scene.bucket, lambda: scene.clock[0], drains=drains)
    await scene.sharing.turn()
    before = scene.sites.running["quay"]
    scene.bucket.held[("quay",)].number += 10
    assert before() is not drains
    await scene.sharing.turn()
    await scene.sharing.turn()
    assert scene.log[4:] == [("stop", "quay"), ("start", "quay")] * drains
    assert scene.sites.running["quay"]()


async def test_who_has_a_wrong_clock_gives_its_sites_to_another(scene):
    """Alone it keeps them, since nobody else could count; it takes its share again when its clock is right."""
    wrong = ["3 s ahead"]
    scene.sharing = SiteSharing(scene.sites, scene.bucket, lambda: scene.clock[0], wrong=lambda: wrong[0])
    await scene.sharing.turn()
    assert set(scene.sites.running) == {"market", "quay"}
    scene.bucket.view.replica("b", False)
    await scene.sharing.turn()
    assert scene.bucket.view.replicas == {"a": True, "b": False}
    assert all(held.offered for held in scene.bucket.held.values())
    wrong[0] = ""
    await scene.sharing.turn()
    assert scene.bucket.view.replicas == {"a": False, "b": False}


async def test_who_tells_people_serves_nothing_by_a_wrong_clock(scene):
    """What was told too late or too early can't be untold: others take it, or it waits."""
    wrong = ["an hour ahead"]
    scene.sharing = SiteSharing(scene.sites, scene.bucket, lambda: scene.clock[0], drains=True, wrong=lambda: wrong[0])
    await scene.sharing.turn()
    assert scene.log == []
    wrong[0] = ""
    await scene.sharing.turn()
    assert set(scene.sites.running) == {"market", "quay"}
    wrong[0] = "an hour ahead"
    await scene.sharing.turn()
    assert (scene.sites.running, scene.bucket.held) == ({}, {})
