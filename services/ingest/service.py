"""Wiring of ingest: cameras -> sealed frames."""

from services.app import App, StartError
from services.bus import Bus, clock
from services.ingest import lavlog
from services.ingest.fleet import Fleet
from services.ingest.keys import KeyGiver
from services.ingest.pausing import Pausing
from services.ingest.settings import IngestFile


async def wire(app: App, settings: IngestFile) -> None:
    """Build the service: two connections, keys, orders, cameras; the cameras come last and go first."""
    lavlog.install()
    try:
        identity = settings.sealing.public()
    except ValueError as error:
        raise StartError(str(error)) from None

    main = await Bus.connect(settings.nats, "ingest")
    app.on_stop("close NATS", main.close)
    await main.ensure_streams(["SIGHTINGS", "CAMERAS", "CONTROL", "DEAD"])
    frames = await Bus.connect(settings.nats, "ingest", "FRAMES")
    app.on_stop("close NATS (frames)", frames.close)
    frames.dead_letters = main

    givers: dict[str, KeyGiver] = {}
    fleet = Fleet(app, main, frames, settings.ingest)
    pausing = Pausing(app, main, fleet)

    async def open_site(site: str) -> None:
        givers[site] = KeyGiver(frames, site, identity)
        await givers[site].listen()
        app.spawn(f"frame keys of {site}", givers[site].run())
        await pausing.restore(site)
        await pausing.listen(site)

    async def apply(new: IngestFile) -> None:
        for site in new.sites:
            if site.id not in givers:
                await open_site(site.id)
        await fleet.apply(new.sites, givers)

    app.on_stop("stop cameras", fleet.stop)
    await apply(settings)
    app.spawn("keep the hours", fleet.keep_hours())
    app.on_reload(apply)
    app.watch(main, frames)
    app.spawn("watch the clock", clock.watch(lambda: main.clock_offset("CONTROL"), app.probes.ready))
