"""One worker: answers each frame as soon as its pixels are overwritten, and passes the sightings on."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Self

from proto.frames import FaceQualityV1, FrameQualityV1, FrameReplyV1, FrameV1, Outcome
from proto.sightings import CODES, SightingsV1, SightingV1
from services.bus import Request
from services.frames.budget import Shedder, may_wait
from services.frames.sealing.keys import FrameKey, OpeningKeys
from services.frames.sealing.seal import SealError, check_form, proof_of, reply_key
from services.inference.lanes import Analysed, Lane, Lanes, Quality, StuckError
from services.inference.metrics import FrameMetrics
from services.kernel.clock import boottime_ns
from services.kernel.log import get_logger
from services.kernel.tracing import OFF, TRACEPARENT, Span, follow

log = get_logger()


@dataclass(frozen=True, slots=True)
class _Turn:
    """A frame and its request. `sealed`: our time (`boottime_ns`) of its sealing, or later; `prover` proves answers."""

    frame: FrameV1
    request: Request
    sealed: int
    prover: bytes | None = None
    span: Span = OFF

    @classmethod
    def of(cls, frame: FrameV1, request: Request, key: FrameKey | None) -> Self:
        """Return the turn of a frame; without its key, only what the frame itself says is known."""
        if key is None:
            return cls(frame, request, request.received)
        return cls(frame, request, key.born + key.doubt + frame.key_age, reply_key(key.secret, frame))

    def age(self, now: int) -> int:
        """Return the frame's age in ns: the age that it states, and never less than the time since it was sealed.

        So a frame that was held back, played back or left in a buffer is as old as it really is.
        """
        return max(self.frame.age + now - self.request.received, now - self.sealed)


class Worker:
    """Serves the frames' queue group. `emit` takes the sightings and returns at once."""

    def __init__(
        self,
        name: str,
        lanes: Lanes,
        keys: OpeningKeys,
        emit: Callable[[SightingsV1], None],
        clock: Callable[[], int] = boottime_ns,
        metrics: FrameMetrics | None = None,
    ) -> None:
        self.name, self._clock = name, clock
        self._metrics = metrics or FrameMetrics()
        self._lanes, self._keys, self._emit = lanes, keys, emit
        self._shedder = Shedder()
        self._in_hand: set[asyncio.Task[None]] = set()
        self._waiting: deque[_Turn] = deque()
        """Frames that wait for a lane, still sealed, the oldest first."""

    def warmed(self, service_ns: int) -> None:
        """Start the estimate of the service time from a warm run."""
        self._shedder.add(service_ns)

    async def handle(self, frame: FrameV1, request: Request) -> None:
        """Analyse a frame, let it wait sealed while it can still meet its budget, or answer at once why not."""
        turn = _traced(_Turn.of(frame, request, self._keys.get(frame.site, frame.key, self._clock())))
        refusal = self._refusal(turn)
        lane = None if self._waiting else self._lanes.free()
        if refusal is None and lane is None and not self._may_wait(turn):
            refusal = "busy"
        if refusal is not None:
            self._metrics.taken(turn.age(self._clock()) / 1e9)
            await self._finish(turn, refusal, None)
        elif lane is None:
            self._waiting.append(turn)
        else:
            self._metrics.taken(turn.age(self._clock()) / 1e9)
            self._begin(lane, turn)

    def _begin(self, lane: Lane, turn: _Turn) -> None:
        lane.busy = True  # before the task runs: the next frame must see it
        self._spawn(self._work(lane, turn), f"analyse {turn.request.subject}")

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)

    def _widen(self) -> None:
        """Give waiting frames to lanes that have just come into use: what waits is taken by lanes that end, alone."""
        while self._waiting and (lane := self._lanes.free()) is not None:
            turn, refused = self._next()
            for other, why in refused:
                self._spawn(self._finish(other, why, None), f"refuse {other.request.subject}")
            if turn is not None:
                self._begin(lane, turn)

    def _may_wait(self, turn: _Turn) -> bool:
        return may_wait(
            turn.age(self._clock()),
            turn.frame.budget,
            ahead=len(self._waiting),
            lanes=self._lanes.used,
            typical_ns=self._shedder.typical_ns,
            slow_ns=self._shedder.estimate_ns,
        )

    def _refusal(self, turn: _Turn) -> Outcome | None:
        try:
            check_form(turn.frame, turn.request.subject)
        except SealError as error:
            log.error("an invalid frame", subject=turn.request.subject, reason=str(error))
            return "invalid"
        if not self._in_time(turn.age(self._clock()), turn.frame.budget):
            return "late"
        return None if self._keys.get(turn.frame.site, turn.frame.key, self._clock()) else "no-key"

    def _in_time(self, age: int, budget: int) -> bool:
        """Return whether a frame of this age can still meet its budget; a recorded file's longer one is never shed."""
        spare = budget - self._shedder.budget_ns
        return self._shedder.may_send(max(0, age - spare))

    async def _work(self, lane: Lane, turn: _Turn | None) -> None:
        """Analyse this frame, and then the frames that waited for the lane."""
        while turn is not None:
            try:
                outcome, analysed = await self._analyse(lane, turn)
            except StuckError:  # a reply would confirm that the picture is gone, of which the thread has copies
                return
            following, refused = self._next() if self._lanes.is_used(lane) else (None, [])
            lane.busy = following is not None  # before anything is awaited: nobody else may take it
            self._widen()
            await self._finish(turn, outcome, analysed)
            for other, why in refused:
                await self._finish(other, why, None)
            turn = following

    async def _finish(self, turn: _Turn, outcome: Outcome, analysed: Analysed | None) -> None:
        with turn.span as span:
            span.set_attributes(outcome=outcome)
            if analysed is None:
                await self._reply(turn, outcome)
                return
            await self._reply(turn, outcome, analysed.service_ns, _quality_message(analysed.quality))
            if span:
                _stages(span, analysed)
            try:
                self._emit(self._sightings(turn.frame, analysed))
            except Exception:  # else frames that wait for this lane would wait for ever
                log.exception("sightings not published", subject=turn.request.subject)

    def _next(self) -> tuple[_Turn | None, list[tuple[_Turn, Outcome]]]:
        """Return the first waiting frame that can still meet its budget, and the refused ones before it.

        Each refused frame comes with the reason.
        """
        refused: list[tuple[_Turn, Outcome]] = []
        while self._waiting:
            turn = self._waiting.popleft()
            self._metrics.taken(turn.age(self._clock()) / 1e9)
            refusal = self._refusal(turn)
            if refusal is None:
                return turn, refused
            refused.append((turn, refusal))
        return None, refused

    async def _analyse(self, lane: Lane, turn: _Turn) -> tuple[Outcome, Analysed | None]:
        subject = turn.request.subject
        key = self._keys.get(turn.frame.site, turn.frame.key, self._clock())
        if key is None or key.cipher is None:
            return "no-key", None
        try:
            analysed = await lane.analyse(turn.frame, key.cipher)
        except SealError as error:
            log.error("a frame does not open", subject=subject, reason=str(error))
            return "invalid", None
        except StuckError:
            raise
        except Exception:
            log.exception("the model failed", subject=subject)
            return "failed", None
        self._shedder.add(analysed.service_ns)
        self._lanes.done(analysed)
        return "done", analysed

    async def _reply(
        self, turn: _Turn, outcome: Outcome, service_ns: int = 0, quality: FrameQualityV1 | None = None
    ) -> None:
        self._metrics.ended(outcome, service_ns / 1e9)
        proof = None if turn.prover is None else proof_of(turn.prover, outcome)
        reply = FrameReplyV1(
            outcome=outcome, worker=self.name, service_ms=service_ns / 1e6, quality=quality, proof=proof
        )
        try:
            await turn.request.reply(reply)
        except Exception as error:  # ingest counts the frame as unconfirmed; its sightings count all the same
            log.warning("reply not sent", subject=turn.request.subject, error=str(error) or type(error).__name__)

    def _sightings(self, frame: FrameV1, analysed: Analysed) -> SightingsV1:
        faces = [
            SightingV1(box=(f.x1, f.y1, f.x2, f.y2), code=CODES[f.verdict], score=f.score, confidence=f.confidence)
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
        while self._in_hand:
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


def _quality_message(quality: Quality | None) -> FrameQualityV1 | None:
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
