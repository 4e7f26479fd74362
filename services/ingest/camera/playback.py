"""Plays an open source on a camera's thread: pace, decode, sample, convert, hand over."""

from __future__ import annotations  # PyAV's Packet is generic for type checkers only

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from services.frames.budget import Shedder
from services.ingest.camera.leased import EventTime, LeaseRun
from services.ingest.camera.pacer import Pacer, packet_ns
from services.ingest.camera.pictures import BufferPool, Picture, Slot
from services.ingest.core.picture import Masking, PictureChanged
from services.ingest.core.sampling import StreamPace
from services.ingest.core.sparing import Sparing
from services.ingest.core.timeline import Lag
from services.ingest.sources.address import Address, SourceError
from services.ingest.sources.decoder import Decoder, NoHardware, StreamProperties
from services.sites.settings import CameraSettings, PrivacySettings

SECOND_NS = 1_000_000_000
UNDECODABLE_NS = 10 * SECOND_NS
"""If packets give no picture for so long, the stream can't be decoded."""
_STEP_S = 0.1
_HOPELESS = 10


Decoded = Literal["all", "referenced"]
"""Which pictures are decoded: all, or those on which others depend."""


@dataclass(frozen=True)
class CameraStats:
    """Counts of a camera's thread since the camera started; `fps` is the rate that the camera delivers.

    `pictured_ns` is the time (`boottime_ns`) of the last picture; None before the first.
    """

    decoder: str | None
    width: int | None
    height: int | None
    fps: float
    pictures: int
    sampled: int
    shed: int
    undecodable: int
    pictured_ns: int | None = None
    decoded: Decoded = "all"


class PacketSource(Protocol):
    """An open source: `services.ingest.sources.source.Source`, or a peer."""

    @property
    def address(self) -> Address: ...
    @property
    def stream(self) -> StreamProperties: ...
    @property
    def is_file(self) -> bool: ...
    @property
    def comes_at_once(self) -> bool: ...
    def packets(self) -> Iterator[Packet[VideoStream] | None]: ...
    def request_key_frame(self) -> None: ...


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


class Playback:
    """Plays one camera over all its connections within a lease. Its methods belong to the camera's thread."""

    def __init__(
        self,
        settings: CameraSettings,
        event_time: EventTime,
        *,
        paced: bool,
        slot: Slot,
        shedding: Shedding,
        leaving: threading.Event,
        clock: Callable[[], int],
        steady: Callable[[], int],
        on_picture: Callable[[], None],
        on_lag: Callable[[float], None],
    ) -> None:
        self._settings, self._event_time, self._paced = settings, event_time, paced
        self._slot, self._shedding, self._leaving = slot, shedding, leaving
        self._clock, self._steady = clock, steady
        self._on_picture, self._on_lag, self._lag = on_picture, on_lag, Lag()
        self._pool, self._masking = BufferPool(settings.long_side), _masking(settings.privacy)
        self._sequence = -1
        self._size: tuple[int, int] | None = None
        self._name: str | None = None
        self._pictures = self._sampled = self._undecodable = 0
        self._failed_tries = 0
        self.rate = StreamPace()
        self._sparing = Sparing(settings.fps)
        self.decoder: Decoder | None = None
        self.last_picture_ns = 0
        """When the last picture came, or the connection was made."""
        self.pictured_ns: int | None = None
        """When the last picture came; None before the first."""
        self.busy_since: int | None = None
        """The thread's last sign of life, by `steady`; None while it only waits."""
        self.is_decoding = False
        """Whether the thread is in the decoder: nothing but a packet keeps it busy there."""

    def play(self, source: PacketSource) -> bool:
        """Play until the source ends or the camera is paused or stopped; SourceError if it breaks or can't be decoded.

        Returns whether a pause or a stop ended it: by the time the caller could ask, the camera may be resumed. A file
        with a damaged end counts as ended if it gave a picture before.
        """
        before, left = self._pictures, False
        pacer = Pacer(self._steady, self._leaving) if source.comes_at_once and self._paced else None
        decoder = self.decoder = self._opened(source)
        self._name = decoder.name
        self._begin()
        try:
            left = self._packets(source, decoder, pacer)
        except SourceError as error:
            if not source.is_file or self._pictures == before or error.reason == "picture-changed":
                raise
        finally:
            self._undecodable += decoder.undecodable
            decoder.discard()
            self.decoder = None
        if self._pictures == before and not left:
            raise SourceError("undecodable", f"{source.address.label}: not one picture could be decoded")
        return left

    def _opened(self, source: PacketSource) -> Decoder:
        settings = self._settings
        device = None if settings.decoder == "software" else settings.decoder
        skip = settings.skip_loop_filter
        try:
            return Decoder(source.stream, settings.long_side, self._masking, skip_loop_filter=skip, device=device)
        except NoHardware as error:
            raise SourceError("no-decoder", f"{source.address.label}: {error}") from None

    def drain(self) -> None:
        """Wait until every picture was released, or the camera is paused or stopped."""
        while not self._leaving.is_set() and not self._pool.wait_idle(_STEP_S):
            self.busy_since = self._steady()

    def stats(self) -> CameraStats:
        """Return the counts; any thread may call it."""
        width, height = self._size or (None, None)
        decoder = self.decoder
        undecodable = self._undecodable + (decoder.undecodable if decoder else 0)
        counted = (self._pictures, self._sampled, self._shedding.count, undecodable)
        sparing = self._sparing
        fps = sparing.per_second if sparing.is_on else self.rate.per_second
        decoded: Decoded = "referenced" if sparing.is_on else "all"
        return CameraStats(self._name, width, height, fps, *counted, self.pictured_ns, decoded)

    def _begin(self) -> None:
        self.rate.restarted()
        self._sparing = Sparing(self._settings.fps)
        self.last_picture_ns = self._clock()
        self._failed_tries = 0

    def _packets(self, source: PacketSource, decoder: Decoder, pacer: Pacer | None) -> bool:
        """Decode the packets; return whether a pause or a stop came before the source's end."""
        for packet in source.packets():
            self.busy_since = None
            # Wait before decoding: a packet that isn't decoded yet has no lifetime.
            if not self._paced:
                self.drain()
            elif pacer is not None and packet is not None:
                pacer.wait(packet_ns(packet))
            self.busy_since = self._steady()
            if self._leaving.is_set():
                return True
            if packet is not None and not self._leaves_out(decoder, packet):
                self._decode(decoder, packet, source)
            del packet  # the next may take long, and nothing may keep this one meanwhile
        if source.is_file:
            self._decode(decoder, None, source)
        return False

    def _leaves_out(self, decoder: Decoder, packet: Packet[VideoStream]) -> bool:
        """Whether a packet is not decoded, since none needs it and enough others are; a recording is read whole."""
        if not self._paced or not packet.size or self._sparing.is_over:
            return False
        before = self._sparing.is_on
        out = self._sparing.leaves_out(packet_ns(packet), is_unreferenced=decoder.is_unreferenced(packet))
        if self._sparing.is_on != before:  # the decoder reorders fewer pictures, over a longer time
            self._lag = Lag()
        return out

    def _decode(self, decoder: Decoder, packet: Packet[VideoStream] | None, source: PacketSource) -> None:
        damaged = decoder.undecodable
        self.is_decoding = True
        try:
            frames = decoder.decode(packet)
        finally:
            self.is_decoding = False
        decoded_ns = self._clock()
        if decoder.waits_for_key or decoder.undecodable > damaged:
            source.request_key_frame()
        left = list(frames)
        try:
            while left:
                self._picture(decoder, left[0], decoded_ns)
                decoder.finish(left.pop(0))
                if left and not self._paced:
                    self.drain()
        finally:  # also after an error: no picture stays in memory
            for frame in left:
                decoder.finish(frame)
        if frames:
            self.last_picture_ns = self.pictured_ns = decoded_ns
            self._failed_tries = 0
            self._on_picture()
        elif not decoder.waits_for_key:
            self._give_up_if_hopeless(decoder, source, decoded_ns)

    def _give_up_if_hopeless(self, decoder: Decoder, source: PacketSource, now: int) -> None:
        self._failed_tries += 1
        if self._failed_tries >= _HOPELESS and now - self.last_picture_ns > UNDECODABLE_NS:
            why = f"; the last packet was refused: {decoder.refused}" if decoder.refused else ""
            raise SourceError("undecodable", f"{source.address.label}: no picture could be decoded for 10 s{why}")

    def _picture(self, decoder: Decoder, frame: VideoFrame, decoded_ns: int) -> None:
        self._pictures += 1
        self._size = decoder.size(frame)
        pts, run = decoder.pts_ns(frame), self._event_time.run
        event = run.timeline.at(pts, self._event_time.anchor(run), decoded_ns)
        lag = self._lag.add(pts, decoded_ns)
        if run.timeline.has_jumped():
            self.rate.restarted()
        self.rate.add(event)
        if self._leaving.is_set() or not run.sampler.wants(event):
            return
        self._sampled += 1
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


def _masking(privacy: PrivacySettings | None) -> Masking | None:
    if privacy is None:
        return None
    return Masking(tuple(tuple(area) for area in privacy.areas), privacy.drawn_for)
