"""Wiring of ingest: cameras -> sealed frames."""

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from proto.subjects import CAMERA_LEASES, REPLICAS
from services.bus import Bus, clock
from services.ingest import lavlog
from services.ingest.aiming import Aimer
from services.ingest.fleet import Fleet
from services.ingest.keys import KeyGiver
from services.ingest.pausing import Pausing
from services.ingest.settings import IngestFile, WebSettings
from services.ingest.sharing import Sharing
from services.kernel.app import App
from services.kernel.faults import StartError
from services.leases import Leases, new_replica_name

if TYPE_CHECKING:
    from services.ingest.web.server import WebServer

Identities = tuple[Ed25519PrivateKey, tuple[Ed25519PublicKey, ...]]


async def wire(app: App, settings: IngestFile) -> None:
    """Build the service: two connections, keys, orders, leases; the cameras come last and go first."""
    lavlog.install()
    _identities(settings)  # what is wrong with them needs no NATS to be told

    main = await Bus.connect(settings.nats, "ingest")
    app.on_stop("close NATS", main.close)
    await main.ensure_streams(["SIGHTINGS", "CAMERAS", "CONTROL", "AUDIT", "DEAD", "KV_LEASES_INGEST"])
    frames = await Bus.connect(settings.nats, "ingest", "FRAMES")
    app.on_stop("close NATS (frames)", frames.close)
    frames.dead_letters = main

    givers: dict[str, KeyGiver] = {}
    fleet = Fleet(app, main, frames, settings.ingest)
    pausing = Pausing(app, main, fleet)
    leases = Leases(main, CAMERA_LEASES, REPLICAS, settings.ingest.replica or new_replica_name())
    sharing = Sharing(app, fleet, leases)
    aimer = Aimer(app, main, fleet, leases)

    async def open_site(site: str, identities: Identities) -> None:
        givers[site] = KeyGiver(frames, site, *identities)
        await givers[site].listen()
        app.spawn(f"frame keys of {site}", givers[site].run())
        await pausing.restore(site)
        await pausing.listen(site)
        app.spawn(f"orders of {site}", pausing.follow(site))
        app.spawn(f"keep orders of {site}", pausing.keep(site))
        await aimer.listen(site)

    async def apply(new: IngestFile) -> None:
        identities = _identities(new)  # first: these two may fail, and then nothing of the new settings is in force
        if server is not None:
            server.reload()
        for name, giver in givers.items():
            giver.trust(*identities)
            giver.show(any(site.id == name for site in new.sites))
        for site in new.sites:
            if site.id not in givers:
                await open_site(site.id, identities)
        await fleet.apply(new.sites, givers)
        await sharing.turn()

    server = _web_server(app, settings.ingest.web, sharing, aimer)
    app.on_stop("stop cameras", fleet.stop)
    if server is not None:
        app.on_stop("stop the web server", server.stop)
        await server.start()
    await leases.read()
    await leases.announce()
    app.spawn("watch the leases", leases.watch())
    await apply(settings)
    app.spawn("keep the leases", leases.keep())
    app.spawn("share the cameras", sharing.run())
    app.on_stop("hand the cameras over", sharing.hand_over)
    app.spawn("keep the hours", fleet.keep_hours())
    app.on_reload(apply)
    app.watch(main, frames)
    app.spawn("watch the clock", clock.watch(lambda: main.clock_offset("CONTROL"), app.probes.ready))


def _identities(settings: IngestFile) -> Identities:
    """Return our own identity and those of workers; StartError says what is wrong."""
    try:
        return settings.sealing.private(), settings.sealing.trusted()
    except ValueError as error:
        raise StartError(str(error)) from None


def _web_server(app: App, settings: WebSettings | None, sharing: Sharing, aimer: Aimer) -> "WebServer | None":
    """The camera page and the WHIP endpoint, where they are wanted: elsewhere aiortc needs no memory."""
    if settings is None:
        return None
    from services.ingest.web.server import WebServer

    return WebServer(app, settings, sharing, aimer)
