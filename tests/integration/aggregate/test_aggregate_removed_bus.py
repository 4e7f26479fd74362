"""A site leaves the settings while its alerts fire: each ends once, whoever was down, and nobody ends another's."""

import asyncio
from types import SimpleNamespace

import messages
import pytest
from patience import until
from structlog.testing import capture_logs

from proto.subjects import AGGREGATE_REPLICAS, ALERTS, OPERATIONS, RULES, SITE_LEASES, WINDOWS
from services.aggregate import removed_sites
from services.aggregate.removed_sites import FREE_S, RemovedSites
from services.aggregate.service import SiteRunners
from services.kernel.app import App
from services.leases import Leases, SiteSharing

UNMASKED = ("unmasked",) * 4


@pytest.fixture(name="soon", autouse=True)
def _soon(request, monkeypatch):
    """A removed site is one after half a second, unless a test passes its own clock."""
    if "clock" not in request.fixturenames:
        monkeypatch.setattr(removed_sites, "FREE_S", 0.5)
        monkeypatch.setattr(removed_sites, "LOOK_S", 0.1)


async def firing(scene):
    """Let the rule of the hall fire, and the second camera be down; return both alerts."""
    site = scene.site()
    site = {**site, "cameras": [*site["cameras"], {"id": "back", "url": "rtsp://camera/"}]}
    apps = [await scene.start(site)]
    await scene.window(scene.border(), *UNMASKED)
    [alert] = await scene.until(ALERTS, 1)
    [down] = await scene.until(OPERATIONS, 1, kind="camera-down", name="back")
    return apps, alert, down


async def ended(scene, alert, down):
    """Wait for the end of both, and of the rule; see that each came once, and that nothing follows."""

    async def normal():
        return (await scene.published(RULES, zone="hall"))[-1].state == "normal"

    await until(normal, "the rule's state is normal", every_s=0.1)
    [*_, fired, resolved] = await scene.until(ALERTS, 2)
    [*_, was, over] = await scene.until(OPERATIONS, 2, kind="camera-down", name="back")
    assert (fired, resolved.state, resolved.alert) == (alert, "resolved", alert.alert)
    assert (was, over.state, over.since) == (down, "resolved", down.since)
    last = (await scene.published(RULES, zone="hall"))[-1]
    assert (last.reason, last.before != "normal") == ("new-configuration", True)
    return [await scene.published(row) for row in (ALERTS, RULES, OPERATIONS)]


async def test_a_site_that_a_reload_removes(scene):
    """Its alerts end, with the reason of a rule that is removed; a site of the same name begins again."""
    [app], alert, down = await firing(scene)
    await app._apply(scene.file(scene.site(id="marche")))
    told = await ended(scene, alert, down)
    await scene.stop(app)
    await scene.start(scene.site(id="marche"))
    await scene.until(WINDOWS, 1, site="marche")  # it looked again meanwhile, and found nothing to end
    assert [await scene.published(row) for row in (ALERTS, RULES, OPERATIONS)] == told
    await scene.start(scene.site())
    await scene.window(scene.border(), *UNMASKED)
    [*_, again] = await scene.until(ALERTS, 3)
    assert (again.state, again.alert != alert.alert) == ("firing", True)


async def test_a_site_that_is_gone_at_the_start_of_two_replicas(scene):
    """Aggregate was down, and NATS forgot what was in memory: two replicas that start without the site end it once."""
    [app], alert, down = await firing(scene)
    await scene.stop(app)
    await scene.bus.streams.js.purge_stream("SIGHTINGS")
    await scene.start(scene.site(id="marche"))
    await scene.start(scene.site(id="marche"))
    told = await ended(scene, alert, down)
    await scene.until(WINDOWS, 1, site="marche")
    assert [await scene.published(row) for row in (ALERTS, RULES, OPERATIONS)] == told


async def test_a_site_of_another_replicas_settings_goes_on(scene):
    """One that does not know the site ends nothing of it while another one serves it, and after that does."""
    [app], alert, down = await firing(scene)
    await scene.start(scene.site(id="marche"))
    await scene.until(WINDOWS, 1, site="marche")  # longer than half a second
    assert await scene.published(ALERTS) == [alert]
    await scene.stop(app)
    await ended(scene, alert, down)


@pytest.fixture(name="clock")
def _clock():
    return [0.0]


async def test_a_site_is_removed_when_nobody_has_held_it_for_five_minutes(bus, clock):
    """Not before; the time begins again when somebody held it in between. Held here for that, it stays removed."""
    sites = SimpleNamespace(configured={"marche": None}, removed=set())
    leases = Leases(bus, SITE_LEASES, AGGREGATE_REPLICAS, "one")
    other = Leases(bus, SITE_LEASES, AGGREGATE_REPLICAS, "two")
    gone = RemovedSites(bus, leases, sites, lambda: clock[0])
    for site in ("market", "marche"):
        await bus.store(ALERTS, messages.alert(site=site))
    await bus.store(ALERTS, messages.alert(site="quay", state="resolved"))

    async def at(moment):
        clock[0] = moment
        leases.view.reset()
        await leases.read()
        await gone.look()
        return sites.removed

    assert [await at(moment) for moment in (0.0, FREE_S - 1)] == [set(), set()]
    assert await other.take(("market",))
    assert await at(FREE_S) == set()
    await other.release(("market",))
    assert [await at(FREE_S + after) for after in (1, FREE_S, FREE_S + 1)] == [set(), set(), {"market"}]
    assert await leases.take(("market",))
    assert await at(9 * FREE_S) == {"market"}
    sites.configured["market"] = None
    assert await at(9 * FREE_S) == set()


async def test_a_site_that_a_reload_removes_while_its_lease_is_taken_is_not_ended(bus):
    """Another replica's settings may still have it. The next turn gives the lease back."""
    leases = Leases(bus, SITE_LEASES, AGGREGATE_REPLICAS, "one")
    sites = SiteRunners(App("aggregate"), bus, None, None)
    sites.configured = {"market": None}
    sharing = SiteSharing(sites, leases)
    await leases.announce()

    async def reload():
        sites.configured = {}

    await asyncio.gather(sharing.turn(), reload())
    assert (set(leases.held), sites.running) == ({("market",)}, {})
    await sharing.turn()
    assert not leases.held


async def test_only_the_replica_that_ended_something_logs_it(bus):
    """A second one finds it done."""
    await bus.store(ALERTS, messages.alert(site="market"))
    with capture_logs() as lines:
        for _ in range(2):
            await removed_sites.end(bus, "market", lambda: True)
    assert [line["event"] for line in lines] == ["removed site's alerts ended"]


async def test_a_stream_that_is_missing_ends_no_service(bus):
    """Neither the look nor the end of a site is a fault: both try again, and the sites that run go on."""
    app = App("aggregate")
    sites = SiteRunners(app, bus, None, None)
    gone = RemovedSites(bus, Leases(bus, SITE_LEASES, AGGREGATE_REPLICAS, "one"), sites)
    await bus.streams.js.delete_stream("ALERTS")
    with capture_logs() as lines:
        looking = app.spawn("look", gone.run())
        sites.removed = {"market"}
        sites.start("market", lambda: True)
        await asyncio.wait(sites.running["market"].tasks)
        await until(lambda: looking.done() or len(lines) >= 3, "another look", every_s=0.02)
    assert (app.stopping.is_set(), sites.running) == (False, {})
    await bus.ensure_streams(["ALERTS"])
    await bus.store(ALERTS, messages.alert(site="market"))
    await until(lambda: sites.removed == {"market"}, "the site is to end", every_s=0.02)
    await app.close()
