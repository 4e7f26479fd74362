"""Wiring of inference: frames -> sightings; pixels are dropped here."""

import asyncio
import os
import re
import secrets
from pathlib import Path
from typing import Literal

from prometheus_client import Info

from proto.subjects import FRAMES
from services.bus import Bus
from services.inference.errors import ModelErrorsPublisher, read_errors
from services.inference.keys import KeyReceiver
from services.inference.lanes import Lanes
from services.inference.metrics import FrameMetrics
from services.inference.model import MODELS, ModelError, load_model
from services.inference.publisher import SightingsPublisher
from services.inference.settings import InferenceFile
from services.inference.worker import Worker
from services.kernel.app import App
from services.kernel.faults import StartError

MODEL = Info("moretta_model", "The model in use")
_WARM_UP = (640, 360)
_MAX_LANES = 2
"""Each takes 30 MB, and one event loop takes and answers all frames: a third one is for another replica."""
_PENDING = 32
"""The most frames that may come in one turn of the event loop; in the next turn, each is answered or left to wait."""


async def wire(app: App, settings: InferenceFile) -> None:
    """Build the service: model, two connections, keys, publisher, worker; intake last."""
    try:
        identity, trusted = settings.sealing.private(), settings.sealing.trusted()
        folder = Path(settings.inference.model) if settings.inference.model else None
        lanes = _lanes(folder, settings.inference.threads)
        app.on_stop("end the lanes", lambda: asyncio.to_thread(lanes.close))
        app.spawn("watch the lanes", lanes.watch())
        errors = read_errors(folder or MODELS, lanes.model.sha256)
        warm_ns = await lanes.warm_up(*_WARM_UP)
    except (ModelError, ValueError) as error:
        raise StartError(str(error)) from None
    MODEL.info({"id": lanes.model.id, "sha256": lanes.model.sha256})

    main = await Bus.connect(settings.nats, "inference")
    app.on_stop("close NATS", main.close)
    await main.ensure_streams(["SIGHTINGS", "DEAD"])
    publisher = SightingsPublisher(main)
    app.spawn("publish sightings", publisher.run())
    app.on_stop("flush sightings", publisher.flush)
    errors_publisher = ModelErrorsPublisher(main, _site_ids(settings), lanes.model.id, lanes.model.sha256, errors)
    await errors_publisher.publish()
    app.spawn("publish the model's errors", errors_publisher.run())

    frames = await Bus.connect(settings.nats, "inference", "MORETTA_FRAMES")
    app.on_stop("close NATS (frames)", frames.close)
    frames.dead_letters = main
    name = _worker_name(os.uname().nodename)
    keys = KeyReceiver(frames, name, _site_ids(settings), identity, trusted)
    await keys.listen()
    app.spawn("announce this worker", keys.run())

    metrics = FrameMetrics()
    metrics.keep(settings.sites)
    app.spawn("publish the counts of frames", metrics.run())
    worker = Worker(name, lanes, keys.keys, publisher.emit, metrics=metrics)
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
        keys.sites = errors_publisher.sites = _site_ids(new)
        metrics.keep(new.sites)

    app.on_reload(apply)


def _lanes(folder: Path | None, threads: int | Literal["auto"]) -> Lanes:
    if threads == "auto":
        cores = len(os.sched_getaffinity(0))
        return Lanes(lambda: load_model(folder), min(cores, _MAX_LANES), always=False)
    return Lanes(lambda: load_model(folder), threads)


def _site_ids(settings: InferenceFile) -> list[str]:
    return [site.id for site in settings.sites]


def _worker_name(host: str) -> str:
    """Return a unique name for this process, in characters that subjects allow."""
    return f"{re.sub(r'[^a-z0-9-]', '-', host.lower())[:40]}-{secrets.token_hex(4)}"
