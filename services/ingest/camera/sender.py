"""Sends one camera's pictures to inference: seal, overwrite, request, measure. One frame in flight (ADR 14)."""

import asyncio
import hmac
from collections.abc import Callable

import msgspec
from prometheus_client import Counter

from proto.frames import FrameQualityV1, FrameReplyV1, FrameV1
from proto.subjects import FRAMES
from services.bus import Bus, NoWorkers, TooLarge
from services.frames.budget import BUDGET_NS
from services.frames.sealing.keys import FrameKey
from services.frames.sealing.seal import TAG_BYTES, open_into, proof_of, reply_key, seal_into, wiped
from services.ingest.camera.camera import Camera
from services.ingest.camera.metrics import UNCONFIRMED_S, PictureMetrics
from services.ingest.camera.pictures import Picture
from services.ingest.core.attempts import Answer, Ended, judge
from services.ingest.core.lifetime import Lifetimes
from services.ingest.core.picture import i420_size
from services.ingest.sources.address import kind_of
from services.kernel.clock import boottime_ns
from services.kernel.log import get_logger
from services.kernel.tracing import OFF, Span, begin, current

log = get_logger()

FORGED = Counter("moretta_ingest_replies_refused_total", "Answers of somebody who doesn't hold the frame's key")

LIVE_BUDGET_NS, FILE_BUDGET_NS = BUDGET_NS, 20_000_000_000
_NEEDS_PROOF = frozenset({"done", "failed", "invalid"})
"""Outcomes that say that a worker had the pixels and overwrote them. The others say that it never opened the frame."""
_PATIENCE_S = 0.02
_RENEW_S = 0.2


class FrameSender:
    """Takes a camera's pictures one by one until no more come."""

    def __init__(self, bus: Bus, camera: Camera, key: Callable[[], FrameKey], metrics: PictureMetrics) -> None:
        self._bus, self._camera, self._key, self.metrics = bus, camera, key, metrics
        self.site, self.name = camera.site, camera.settings.id
        # A live source keeps its own pace, whatever the settings say, and its pictures keep the limit of 100 ms.
        self._patient = not camera.settings.paced and kind_of(camera.settings) == "file"
        self._budget = FILE_BUDGET_NS if self._patient else LIVE_BUDGET_NS
        self._sealed = memoryview(
            bytearray(i420_size(camera.settings.long_side, camera.settings.long_side) + TAG_BYTES)
        )
        self._sealed_with: FrameKey | None = None
        self._prover = b""
        self.lifetimes = Lifetimes()
        self.without_worker = self._logged_too_large = self._logged_forged = False
        self.on_quality: Callable[[FrameV1, FrameQualityV1], None] | None = None
        """While set, the sender requests each picture's quality and passes it on here: the camera is being aimed."""
        self.answered = 0

    async def run(self) -> None:
        """Send every picture the camera yields; returns when it yields no more."""
        while (picture := await self._camera.take()) is not None:
            await self._one(picture)

    async def _one(self, picture: Picture) -> None:
        start = picture.decoded_ns
        with self._traced(start) as span:
            span.set_attributes(outcome=await self._send(picture))

    def _traced(self, start: int) -> Span:
        """Return the span of a picture; it tells how long that took, which only a trial may (docs/privacy.md)."""
        if not self.metrics.is_trial:
            return OFF
        return begin("ingest.frame", often=True, start=start, site=self.site, camera=self.name)

    async def _send(self, picture: Picture) -> Ended:
        try:
            age = boottime_ns() - picture.decoded_ns
            if not self._patient and not self._camera.shedding.may_send(age):
                self._camera.shedding.drop()
                return "shed"
            with current().child("ingest.seal"):
                frame = self._seal(picture)
        finally:
            picture.release()
        verdict = await self._deliver(frame, picture.decoded_ns)
        self._account(verdict, boottime_ns() - picture.decoded_ns)
        return verdict

    def _seal(self, picture: Picture) -> FrameV1:
        """Return the sealed frame; after this the plain pixels are no longer needed."""
        key = self._key()
        size = i420_size(picture.width, picture.height) + TAG_BYTES
        frame = FrameV1(
            site=self.site,
            camera=self.name,
            lease=picture.lease,
            sequence=picture.sequence,
            at=picture.at,
            age=0,
            budget=self._budget,
            period=picture.period_ns,
            width=picture.width,
            height=picture.height,
            key=key.id,
            key_age=boottime_ns() - key.born,
            nonce=key.nonce(),
            sealed=self._sealed[:size],
            aim=self.on_quality is not None,
        )
        self._seal_with(key, frame, picture.pixels)
        return frame

    def _seal_with(self, key: FrameKey, frame: FrameV1, pixels: memoryview) -> None:
        assert key.cipher is not None
        seal_into(key.cipher, frame, pixels)
        self._sealed_with, self._prover = key, reply_key(key.secret, frame)

    async def _deliver(self, frame: FrameV1, decoded_ns: int) -> Ended:
        tries = 0
        while True:
            tries += 1
            sent = boottime_ns()
            answer, frame = await self._answer(frame, sent - decoded_ns)
            self.without_worker = answer == "no-worker"
            now = boottime_ns()
            if answer in {"done", "timeout"}:
                self._camera.shedding.answered(now - sent)
            verdict = judge(answer, tries, self._budget - (now - decoded_ns), patient=self._patient)
            if verdict != "again":
                return verdict
            if self._patient:
                if self._is_paused():
                    return "shed"
                if self._is_lost():
                    return "error"
                await asyncio.sleep(_PATIENCE_S)

    def _is_paused(self) -> bool:
        status = self._camera.status
        return status is not None and status.state == "paused"

    async def _answer(self, frame: FrameV1, age_ns: int) -> tuple[Answer, FrameV1]:
        """Return the answer, and the frame to send if it is to be sent again."""
        if not self._patient:
            return await self._ask(frame, age_ns), frame
        asking = asyncio.create_task(self._ask(frame, age_ns))
        try:
            while not asking.done():
                await asyncio.wait({asking}, timeout=_RENEW_S)
                frame = self._renewed(frame)
            return asking.result(), frame
        finally:
            asking.cancel()

    def _renewed(self, frame: FrameV1) -> FrameV1:
        """Seal a frame again with the current key: a recorded picture may wait for 20 s, but no key lives over 2 s."""
        was, now = self._sealed_with, self._key()
        if was is now or was is None or was.cipher is None or now.cipher is None:
            return frame
        age = boottime_ns() - now.born
        resealed = msgspec.structs.replace(frame, key=now.id, key_age=age, nonce=now.nonce())
        with wiped(len(frame.sealed) - TAG_BYTES) as pixels:
            open_into(was.cipher, frame, pixels)
            self._seal_with(now, resealed, pixels)
        return resealed

    def _is_lost(self) -> bool:
        """Whether the frame's key was destroyed: nobody can open it any more."""
        return self._sealed_with is not None and self._sealed_with.cipher is None

    async def _ask(self, frame: FrameV1, age_ns: int) -> Answer:
        with current().child("ingest.ask") as span:
            answer = await self._request(frame, age_ns)
            span.set_attributes(outcome=answer)
            return answer

    async def _request(self, frame: FrameV1, age_ns: int) -> Answer:
        if not self._bus.connected:  # the client would keep the frame and send it late
            return "no-worker"
        left_s, prover = max(0.001, (self._budget - age_ns) / 1e9), self._prover
        try:
            reply: FrameReplyV1 = await self._bus.request(FRAMES, _aged(frame, age_ns), timeout=min(left_s, 2.0))
        except NoWorkers:
            return "no-worker"
        except TooLarge as error:
            if not self._logged_too_large:
                log.error("frame too large for NATS", camera=self.name, error=str(error))
            self._logged_too_large = True
            return "invalid"
        except Exception as error:
            # Time-outs, or NATS is reconnecting: nobody answered within the budget.
            if not isinstance(error, TimeoutError):
                log.debug("no answer", camera=self.name, error=str(error) or type(error).__name__)
            return "timeout"
        if not self._is_proven(reply, prover):
            return "timeout"
        if reply.outcome == "done" and reply.quality is not None and self.on_quality is not None:
            self.on_quality(frame, reply.quality)
        return reply.outcome

    def _is_proven(self, reply: FrameReplyV1, prover: bytes) -> bool:
        """Whether the reply carries the proof of a worker that holds the key, or needs none.

        Only with this proof are the pixels known to be overwritten (docs/privacy.md).
        """
        if reply.outcome not in _NEEDS_PROOF or (
            reply.proof is not None and hmac.compare_digest(reply.proof, proof_of(prover, reply.outcome))
        ):
            return True
        FORGED.inc()
        if not self._logged_forged:
            log.error("answer without the frame's key", camera=self.name, outcome=reply.outcome)
        self._logged_forged = True
        return False

    def _account(self, verdict: Ended, lifetime_ns: int) -> None:
        if verdict != "shed":  # `drop` counts those, also where nobody took the picture
            self.metrics.ended(verdict)
        if verdict == "done":
            self.answered += 1
            self._lived(lifetime_ns)
        elif verdict == "unconfirmed":
            self.lifetimes.add_unconfirmed()
            self.metrics.lived(UNCONFIRMED_S)
        elif verdict == "shed":
            self._camera.shedding.drop()
        elif self._patient:
            log.error("recorded picture given up", camera=self.name)
        else:  # the worker had the pixels, and says that it overwrote them
            self._lived(lifetime_ns)

    def _lived(self, lifetime_ns: int) -> None:
        self.lifetimes.add(lifetime_ns)
        self.metrics.lived(lifetime_ns / 1e9)


def _aged(frame: FrameV1, age_ns: int) -> FrameV1:
    return msgspec.structs.replace(frame, age=age_ns)
