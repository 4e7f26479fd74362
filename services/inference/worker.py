"""One worker: answers each frame as soon as its pixels are gone, and hands the sightings on."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from prometheus_client import Counter, Histogram

from proto.frames import FaceQualityV1, FrameQualityV1, FrameReplyV1, FrameV1, Outcome
from proto.sightings import SightingsV1, SightingV1
from services.bus import Request
from services.frames.budget.shedding import Shedder
from services.frames.sealing.keys import FrameKey, OpeningKeys
from services.frames.sealing.seal import SealError, check_form, proof_of, reply_key
from services.inference.core.admission import may_wait
from services.inference.lanes import Analysed, Lane, Lanes, Quality
from services.kernel.log import get_logger
from services.kernel.tracing import OFF, TRACEPARENT, Span, follow

log = get_logger()

FRAMES = Counter("moretta_inference_frames_total", "Received frames by what became of them", ["outcome"])
SERVICE = Histogram(
    "moretta_inference_service_seconds",
    "Time from taking a frame to overwriting its pixels",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2, 0.5),
)


AGE = Histogram(
    "moretta_inference_frame_age_seconds",
    "Age of a frame, since it was decoded, when a lane took it or it was refused",
    buckets=(0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.2, 0.5),
)


@dataclass(frozen=True, slots=True)
class _Turn:
    """A frame and who asked. `sealed`: our monotonic time at which it was sealed, or later; `prover` proves answers."""

    frame: FrameV1
    request: Request
    sealed: int
    prover: bytes | None = None
    span: Span = OFF

    @classmethod
    def of(cls, frame: FrameV1, request: Request, key: FrameKey | None) -> Self:
        """Return the turn of a frame; without its key nothing is known but what the frame itself says."""
        if key is None:
            return cls(frame, request, request.received)
        return cls(frame, request, key.born + key.doubt + frame.key_age, reply_key(key.secret, frame))

    def age(self) -> int:
        """Its age in ns: what it says itself, and never less than the time since it was sealed.

        So a frame that was held back, played back or left in a buffer is as old as it is.
        """
        now = time.monotonic_ns()
        return max(self.frame.age + now - self.request.received, now - self.sealed)


class Worker:
    """Serves the frames' queue group. `emit` takes the sightings and returns at once."""

    def __init__(self, name: str, lanes: Lanes, keys: OpeningKeys, emit: Callable[[SightingsV1], None]) -> None:
        self.name = name
        self._lanes, self._keys, self._emit = lanes, keys, emit
        self._shedder = Shedder()
        self._in_hand: set[asyncio.Task[None]] = set()
        self._waiting: deque[_Turn] = deque()
        """Frames that wait for a lane, still sealed, the oldest first."""

    def warmed(self, service_ns: int) -> None:
        """Start the estimate of the service time from a warm run."""
        self._shedder.add(service_ns)

    async def handle(self, frame: FrameV1, request: Request) -> None:
        """Take a frame, let it wait sealed while it can still make it, or answer at once why not."""
        turn = _traced(_Turn.of(frame, request, self._keys.get(frame.key, time.monotonic_ns())))
        refusal = self._refusal(turn)
        lane = None if self._waiting else self._lanes.free()
        if refusal is None and lane is None and not self._may_wait(turn):
            refusal = "busy"
        if refusal is not None:
            AGE.observe(turn.age() / 1e9)
            await self._tell(turn, refusal, None)
        elif lane is None:
            self._waiting.append(turn)
        else:
            AGE.observe(turn.age() / 1e9)
            lane.busy = True  # before the task runs: the next frame must see it
            task = asyncio.create_task(self._work(lane, turn), name=f"analyse {request.subject}")
            self._in_hand.add(task)
            task.add_done_callback(self._in_hand.discard)

    def _may_wait(self, turn: _Turn) -> bool:
        return may_wait(
            turn.age(),
            turn.frame.budget,
            ahead=len(self._waiting),
            lanes=self._lanes.count,
            typical_ns=self._shedder.typical_ns,
            slow_ns=self._shedder.estimate_ns,
        )

    def _refusal(self, turn: _Turn) -> Outcome | None:
        try:
            check_form(turn.frame, turn.request.subject)
        except SealError as error:
            log.error("an invalid frame", subject=turn.request.subject, reason=str(error))
            return "invalid"
        if not self._in_time(turn.age(), turn.frame.budget):
            return "late"
        return None if self._keys.get(turn.frame.key, time.monotonic_ns()) else "no-key"

    def _in_time(self, age: int, budget: int) -> bool:
        """Whether a frame of this age can still make it. The longer budget of a recorded file is never shed."""
        spare = budget - self._shedder.budget_ns
        return self._shedder.may_send(max(0, age - spare))

    async def _work(self, lane: Lane, turn: _Turn | None) -> None:
        """The lane's work: this frame, and then those that waited for it."""
        while turn is not None:
            outcome, analysed = await self._analyse(lane, turn)
            following, refused = self._next()
            lane.busy = following is not None  # before anything is awaited: nobody else may take it
            await self._tell(turn, outcome, analysed)
            for other, why in refused:
                await self._tell(other, why, None)
            turn = following

    async def _tell(self, turn: _Turn, outcome: Outcome, analysed: Analysed | None) -> None:
        with turn.span as span:
            span.tell(outcome=outcome)
            if analysed is None:
                await self._reply(turn, outcome)
                return
            await self._reply(turn, outcome, analysed.service_ns, _told(analysed.quality))
            if span:
                _stages(span, analysed)
            try:
                self._emit(self._sightings(turn.frame, analysed))
            except Exception:  # whoever waits for this lane must not wait in vain
                log.exception("sightings could not be handed on", subject=turn.request.subject)

    def _next(self) -> tuple[_Turn | None, list[tuple[_Turn, Outcome]]]:
        """Return the first waiting frame that can still make it, and those before it that can't, with the reason."""
        refused: list[tuple[_Turn, Outcome]] = []
        while self._waiting:
            turn = self._waiting.popleft()
            AGE.observe(turn.age() / 1e9)
            refusal = self._refusal(turn)
            if refusal is None:
                return turn, refused
            refused.append((turn, refusal))
        return None, refused

    async def _analyse(self, lane: Lane, turn: _Turn) -> tuple[Outcome, Analysed | None]:
        subject = turn.request.subject
        key = self._keys.get(turn.frame.key, time.monotonic_ns())
        if key is None or key.cipher is None:
            return "no-key", None
        try:
            analysed = await lane.analyse(turn.frame, key.cipher)
        except SealError as error:
            log.error("a frame does not open", subject=subject, reason=str(error))
            return "invalid", None
        except Exception:
            log.exception("the model failed", subject=subject)
            return "failed", None
        self._shedder.add(analysed.service_ns)
        return "done", analysed

    async def _reply(
        self, turn: _Turn, outcome: Outcome, service_ns: int = 0, quality: FrameQualityV1 | None = None
    ) -> None:
        FRAMES.labels(outcome).inc()
        if outcome == "done":
            SERVICE.observe(service_ns / 1e9)
        proof = None if turn.prover is None else proof_of(turn.prover, outcome)
        reply = FrameReplyV1(
            outcome=outcome, worker=self.name, service_ms=service_ns / 1e6, quality=quality, proof=proof
        )
        try:
            await turn.request.reply(reply)
        except Exception as error:  # ingest counts the frame as unconfirmed; what was seen in it holds all the same
            log.warning(
                "a reply could not be sent", subject=turn.request.subject, error=str(error) or type(error).__name__
            )

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
        """Wait for the frames in hand and those that wait for a lane."""
        if self._in_hand:
            await asyncio.wait(list(self._in_hand))


def _traced(turn: _Turn) -> _Turn:
    traceparent = turn.request.headers.get(TRACEPARENT)
    if not traceparent:
        return turn
    start, frame = turn.request.received, turn.frame
    return replace(turn, span=follow("inference.frame", traceparent, start=start, site=frame.site, camera=frame.camera))


def _stages(span: Span, analysed: Analysed) -> None:
    span.stage("inference.open", analysed.wiped - analysed.service_ns, analysed.opened)
    span.stage("inference.analyse", analysed.opened, analysed.judged)
    span.stage("inference.wipe", analysed.judged, analysed.wiped)


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
