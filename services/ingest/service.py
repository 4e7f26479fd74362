"""Wiring of ingest: cameras -> sealed frames."""

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from proto.subjects import CAMERA_LEASES, REPLICAS, SIGHTINGS
from services.bus import Bus
from services.bus.clock import MAX_NS, HostClock
from services.ingest.camera.fleet import Fleet
from services.ingest.camera.keys import KeyGiver
from services.ingest.camera.sharing import CameraSharing
from services.ingest.orders.aim_orders import Aimer
from services.ingest.orders.pausing import Pausing
from services.ingest.settings import IngestFile, WebSettings
from services.ingest.sources import ffmpeg
from services.kernel.app import App
from services.kernel.faults import StartError
from services.leases import Leases, new_replica_name

if TYPE_CHECKING:
    from services.ingest.web.server import WebServer

Identities = tuple[Ed25519PrivateKey, tuple[Ed25519PublicKey, ...]]


async def wire(app: App, settings: IngestFile) -> None:
    """Build the service: two NATS connections, keys, orders, leases. Cameras start last and stop first."""
    ffmpeg.forward_log()
    ffmpeg.limit_memory()
    _identities(settings)  # checked first: to report an error in them needs no NATS

    main, frames = await _connected(app, settings)
    givers: dict[str, KeyGiver] = {}
    fleet = Fleet(app, main, frames, settings.ingest)
    pausing = Pausing(app, main, fleet)
    host = HostClock(lambda: main.clock_offset(str(SIGHTINGS.stream)), app.probes.ready, far_ns=MAX_NS)
    await host.measure()  # before any lease: its number comes from this clock
    name = settings.ingest.replica or new_replica_name()
    leases = Leases(main, CAMERA_LEASES, REPLICAS, name, number=host.number)
    sharing = CameraSharing(app, fleet, leases, host)
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
        identities = _identities(new)  # first: this and the reload may fail, and then no new setting is in force
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
    app.spawn("watch the clock", host.watch())


async def _connected(app: App, settings: IngestFile) -> tuple[Bus, Bus]:
    """Return the connection for all but frames, and that for frames."""
    main = await Bus.connect(settings.nats, "ingest")
    app.on_stop("close NATS", main.close)
    await main.ensure_streams(["SIGHTINGS", "CAMERAS", "CONTROL", "AUDIT", "DEAD", "KV_LEASES_INGEST"])
    frames = await Bus.connect(settings.nats, "ingest", "MORETTA_FRAMES")
    app.on_stop("close NATS (frames)", frames.close)
    frames.dead_letters = main
    return main, frames


def _identities(settings: IngestFile) -> Identities:
    """Return ingest's own identity and the trusted ones of workers; StartError says what is wrong."""
    try:
        return settings.sealing.private(), settings.sealing.trusted()
    except ValueError as error:
        raise StartError(str(error)) from None


def _web_server(app: App, settings: WebSettings | None, sharing: CameraSharing, aimer: Aimer) -> "WebServer | None":
    """Return the server of the camera page and WHIP; None without settings: then aiortc takes no memory."""
    if settings is None:
        return None
    from services.ingest.web.server import WebServer

    return WebServer(app, settings, sharing, aimer)
