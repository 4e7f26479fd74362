"""What becomes of a decoded frame: its event time, whether it is sampled, and the picture in the slot made of it."""

import threading
from collections.abc import Callable

from av.video.frame import VideoFrame

from services.frames.budget import Shedder
from services.ingest.camera.leased import EventTime, LeaseRun
from services.ingest.camera.pictures import BufferPool, Picture, Slot
from services.ingest.core.picture import PictureChanged
from services.ingest.core.sampling import StreamPace
from services.ingest.core.timeline import Lag
from services.ingest.sources.address import SourceError
from services.ingest.sources.decoder import Decoder

SECOND_NS = 1_000_000_000


class Shedding:
    """Decides which of a camera's pictures are dropped unread, and counts them; its thread and the loop call it.

    `on_drop` is called for each of them, `period_ns` is the time from one sampled picture to the next.
    """

    def __init__(self, on_drop: Callable[[], None] = lambda: None, period_ns: int = 0) -> None:
        self._shedder, self._guard, self._on_drop = Shedder(period_ns=period_ns), threading.Lock(), on_drop
        self.count = 0

    def may_send(self, age_ns: int) -> bool:
        """Return whether a picture of this age can still meet the budget."""
        with self._guard:
            return self._shedder.may_send(age_ns)

    def answered(self, service_ns: int) -> None:
        """Count a measured round trip; a picture without a reply counts as the budget."""
        with self._guard:
            self._shedder.add(service_ns)

    def drop(self) -> None:
        """Count a sampled picture that was dropped unread."""
        with self._guard:
            self.count += 1
        self._on_drop()


class FrameSampler:
    """Makes pictures of one camera's frames, on that camera's thread; any thread may read its counts."""

    def __init__(
        self,
        long_side: int,
        event_time: EventTime,
        *,
        paced: bool,
        slot: Slot,
        shedding: Shedding,
        leaving: threading.Event,
        clock: Callable[[], int],
        on_lag: Callable[[float], None],
    ) -> None:
        self._event_time, self._paced, self._slot, self._shedding = event_time, paced, slot, shedding
        self._leaving, self._clock, self._on_lag = leaving, clock, on_lag
        self._pool, self._lag, self._sequence = BufferPool(long_side), Lag(), -1
        self.rate = StreamPace()
        self.size: tuple[int, int] | None = None
        """Width and height of the last frame."""
        self.pictures = self.sampled = 0

    @property
    def shed(self) -> int:
        """How many sampled pictures were dropped unread."""
        return self._shedding.count

    def wait_idle(self, limit_s: float) -> bool:
        """Wait up to `limit_s` until every picture was released; return whether all are."""
        return self._pool.wait_idle(limit_s)

    def forget_lag(self) -> None:
        """Measure again how far behind the camera's clock pictures come: the decoder reorders others."""
        self._lag = Lag()

    def add(self, decoder: Decoder, frame: VideoFrame, decoded_ns: int) -> None:
        """Count a decoded frame; convert it if it is sampled and can meet the budget. SourceError if its size changed.

        `decoded_ns` is the clock's time right after `decode` returned it.
        """
        self.pictures += 1
        self.size = decoder.size(frame)
        pts, run = decoder.pts_ns(frame), self._event_time.run
        event = run.timeline.at(pts, self._event_time.anchor(run), decoded_ns)
        lag = self._lag.add(pts, decoded_ns)
        if run.timeline.has_jumped():
            self.rate.restarted()
        self.rate.add(event)
        if self._leaving.is_set() or not run.sampler.wants(event):
            return
        self.sampled += 1
        if self._paced and lag is not None:
            self._on_lag(lag / SECOND_NS)
        if self._paced and not self._shedding.may_send(self._clock() - decoded_ns):
            self._shedding.drop()
            return
        self._convert(decoder, frame, event, decoded_ns, run)

    def _is_masked(self, decoder: Decoder, frame: VideoFrame) -> bool:
        """Whether the picture can be used. A paced picture is too old if its masks had to be made first."""
        try:
            return decoder.prepare(frame) or not self._paced
        except PictureChanged as error:
            raise SourceError("picture-changed", str(error)) from None

    def _convert(self, decoder: Decoder, frame: VideoFrame, event: int, decoded_ns: int, run: LeaseRun) -> None:
        buffer = self._pool.take() if self._is_masked(decoder, frame) else None
        if buffer is None:
            self._shedding.drop()
            return
        try:
            width, height = decoder.convert(frame, buffer)
        except ValueError:
            self._pool.give_back(buffer, len(buffer))
            decoder.undecodable += 1
            return
        self._sequence += 1
        period = max(run.sampler.period_ns, self.rate.interval_ns)
        self._slot.put(Picture(width, height, self._sequence, run.lease, event, decoded_ns, period, buffer, self._pool))
