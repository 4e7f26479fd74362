"""One worker: answers each frame as soon as its pixels are gone, and hands the sightings on."""

import asyncio
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from prometheus_client import Counter, Histogram

from proto.frames import FaceQualityV1, FrameQualityV1, FrameReplyV1, FrameV1, Outcome
from proto.sightings import SightingsV1, SightingV1
from services.budget.shedding import Shedder
from services.bus import Request
from services.inference.lanes import Analysed, Lane, Lanes, Quality
from services.log import get_logger
from services.sealing.keys import OpeningKeys
from services.sealing.seal import SealError, check_sizes

log = get_logger()

FRAMES = Counter("moretta_inference_frames_total", "Received frames by what became of them", ["outcome"])
SERVICE = Histogram(
    "moretta_inference_service_seconds",
    "Time from taking a frame to overwriting its pixels",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2, 0.5),
)


class Worker:
    """Serves the frames' queue group. `emit` takes the sightings and returns at once."""

    def __init__(self, name: str, lanes: Lanes, keys: OpeningKeys, emit: Callable[[SightingsV1], None]) -> None:
        self.name = name
        self._lanes, self._keys, self._emit = lanes, keys, emit
        self._shedder = Shedder()
        self._in_hand: set[asyncio.Task[None]] = set()

    def warmed(self, service_ns: int) -> None:
        """Start the estimate of the service time from a warm run."""
        self._shedder.add(service_ns)

    async def handle(self, frame: FrameV1, request: Request) -> None:
        """Take a frame or answer at once why not; never waits for the analysis."""
        refusal = self._refusal(frame, request)
        lane, cipher = self._lanes.free(), self._keys.get(frame.key, time.monotonic_ns())
        if refusal is None and cipher is None:
            refusal = "no-key"
        if refusal is None and lane is None:
            refusal = "busy"
        if refusal is not None or lane is None or cipher is None:
            await self._reply(request, refusal or "busy")
            return
        lane.busy = True  # before the task runs: the next frame must see it
        task = asyncio.create_task(self._analyse(frame, request, lane, cipher), name=f"analyse {request.subject}")
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)

    def _refusal(self, frame: FrameV1, request: Request) -> Outcome | None:
        try:
            check_sizes(frame)
        except SealError as error:
            log.error("an invalid frame", subject=request.subject, reason=str(error))
            return "invalid"
        waited = time.monotonic_ns() - request.received
        return None if self._in_time(frame.age + waited, frame.budget) else "late"

    def _in_time(self, age: int, budget: int) -> bool:
        """Whether a frame of this age can still make it. The longer budget of a recorded file is never shed."""
        spare = budget - self._shedder.budget_ns
        return self._shedder.may_send(max(0, age - spare))

    async def _analyse(self, frame: FrameV1, request: Request, lane: Lane, cipher: AESGCM) -> None:
        try:
            analysed = await lane.analyse(frame, request.subject, cipher)
        except SealError as error:
            log.error("a frame does not open", subject=request.subject, reason=str(error))
            await self._reply(request, "invalid")
            return
        except Exception:
            log.exception("the model failed", subject=request.subject)
            await self._reply(request, "failed")
            return
        self._shedder.add(analysed.service_ns)
        await self._reply(request, "done", analysed.service_ns, _told(analysed.quality))
        self._emit(self._sightings(frame, analysed))

    async def _reply(
        self, request: Request, outcome: Outcome, service_ns: int = 0, quality: FrameQualityV1 | None = None
    ) -> None:
        FRAMES.labels(outcome).inc()
        if outcome == "done":
            SERVICE.observe(service_ns / 1e9)
        reply = FrameReplyV1(outcome=outcome, worker=self.name, service_ms=service_ns / 1e6, quality=quality)
        try:
            await request.reply(reply)
        except Exception as error:  # ingest counts the frame as unconfirmed; what was seen in it holds all the same
            log.warning("a reply could not be sent", subject=request.subject, error=str(error) or type(error).__name__)

    def _sightings(self, frame: FrameV1, analysed: Analysed) -> SightingsV1:
        faces = [
            SightingV1(box=(f.x1, f.y1, f.x2, f.y2), verdict=f.verdict, score=f.score, confidence=f.confidence)
            for f in analysed.faces
        ]
        return SightingsV1(
            site=frame.site,
            camera=frame.camera,
            lease=frame.lease,
            sequence=frame.sequence,
            at=frame.at,
            period=frame.period,
            aspect=frame.width / frame.height,
            model=self._lanes.model.id,
            model_sha256=self._lanes.model.sha256,
            faces=faces,
        )

    async def finish(self) -> None:
        """Wait for the frames in hand."""
        if self._in_hand:
            await asyncio.wait(list(self._in_hand))


def _told(quality: Quality | None) -> FrameQualityV1 | None:
    if quality is None:
        return None
    light = quality.light
    return FrameQualityV1(
        brightness=light.brightness,
        dark=light.dark,
        clipped=light.clipped,
        sharpness=light.sharpness,
        smallest=quality.smallest_px,
        faces=[FaceQualityV1(box=size.box, size=size.px, unknown=size.unknown) for size in quality.sizes],
    )
