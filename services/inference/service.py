"""Wiring of inference: frames -> sightings; pixels are dropped here."""

import asyncio
import os
import re
import secrets
from pathlib import Path

from prometheus_client import Info

from proto.subjects import FRAMES
from services.bus import Bus
from services.inference.keys import KeyReceiver
from services.inference.lanes import Lanes
from services.inference.model import ModelError, load_model
from services.inference.publisher import SightingsPublisher
from services.inference.settings import InferenceFile
from services.inference.worker import Worker
from services.kernel.app import App
from services.kernel.faults import StartError

MODEL = Info("moretta_model", "The model in use")
_WARM_UP = (640, 360)
_PENDING = 32
"""Frames that came in one turn of the loop; each is answered or let wait in the next."""


async def wire(app: App, settings: InferenceFile) -> None:
    """Build the service: model, two connections, keys, publisher, worker; intake last."""
    try:
        identity, trusted = settings.sealing.private(), settings.sealing.trusted()
        folder = Path(settings.inference.model) if settings.inference.model else None
        lanes = Lanes(lambda: load_model(folder), settings.inference.threads)
    except (ModelError, ValueError) as error:
        raise StartError(str(error)) from None
    app.on_stop("end the lanes", lambda: asyncio.to_thread(lanes.close))
    MODEL.info({"id": lanes.model.id, "sha256": lanes.model.sha256})
    warm_ns = await lanes.warm_up(*_WARM_UP)

    main = await Bus.connect(settings.nats, "inference")
    app.on_stop("close NATS", main.close)
    await main.ensure_streams(["SIGHTINGS", "DEAD"])
    publisher = SightingsPublisher(main)
    app.spawn("publish sightings", publisher.run())
    app.on_stop("flush sightings", publisher.flush)

    frames = await Bus.connect(settings.nats, "inference", "FRAMES")
    app.on_stop("close NATS (frames)", frames.close)
    frames.dead_letters = main
    name = _worker_name(os.uname().nodename)
    keys = KeyReceiver(frames, name, _site_ids(settings), identity, trusted)
    await keys.listen()
    app.spawn("announce this worker", keys.run())

    worker = Worker(name, lanes, keys.keys, publisher.emit)
    worker.warmed(warm_ns)
    app.on_stop("finish frames in hand", worker.finish)
    await frames.serve(FRAMES, worker.handle, pending=_PENDING)
    app.on_stop("take no more frames", frames.stop_serving)
    app.watch(main, frames)

    async def apply(new: InferenceFile) -> None:
        try:
            keys.trust(new.sealing.private(), new.sealing.trusted())
        except ValueError as error:
            raise StartError(str(error)) from None
        keys.sites = _site_ids(new)

    app.on_reload(apply)


def _site_ids(settings: InferenceFile) -> list[str]:
    return [site.id for site in settings.sites]


def _worker_name(host: str) -> str:
    """Return a name for this process alone, as subjects allow."""
    return f"{re.sub(r'[^a-z0-9-]', '-', host.lower())[:40]}-{secrets.token_hex(4)}"
