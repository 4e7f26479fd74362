"""What a camera's thread does with an open source: pace, decode, sample, convert, hand over."""

from __future__ import annotations  # PyAV's Packet is generic for type checkers only

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from services.frames.budget.shedding import Shedder
from services.ingest.address import Address, SourceError
from services.ingest.core.lag import Lag
from services.ingest.core.masking import Masking, PictureChanged
from services.ingest.core.sampling import Rate, Sampler
from services.ingest.core.timeline import Timeline
from services.ingest.decoder import Decoder, Stream
from services.ingest.hardware import NoHardware
from services.ingest.pictures import BufferPool, Picture
from services.ingest.slot import Slot
from services.sites.settings import CameraSettings, PrivacySettings

SECOND_NS = 1_000_000_000
UNDECODABLE_NS = 10 * SECOND_NS
"""Packets without one picture for so long mean that the stream can't be decoded."""
_STEP_S = 0.1
_HOPELESS = 10


@dataclass(frozen=True)
class CameraStats:
    """What a camera's thread counted since the camera started; `fps` is what the camera delivers.

    `pictured_ns` is when the last picture came (monotonic); None before the first.
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


class Source(Protocol):
    """An open source: `services.ingest.source.Source`, or a peer."""

    @property
    def address(self) -> Address: ...
    @property
    def stream(self) -> Stream: ...
    @property
    def is_file(self) -> bool: ...
    @property
    def comes_at_once(self) -> bool: ...
    def packets(self) -> Iterator[Packet[VideoStream] | None]: ...
    def request_key_frame(self) -> None: ...


class Playback:
    """One camera's playing, over all its connections within a lease. Its methods belong to the camera's thread."""

    def __init__(
        self,
        settings: CameraSettings,
        *,
        paced: bool,
        lease: int,
        phase_ns: int,
        slot: Slot,
        shedder: Shedder,
        leaving: threading.Event,
        clock: Callable[[], int],
        utc: Callable[[], int],
        on_picture: Callable[[], None],
        on_lag: Callable[[float], None],
    ) -> None:
        self._settings, self.lease, self._slot, self._shedder = settings, lease, slot, shedder
        self._leaving, self._clock, self._utc, self._on_picture = leaving, clock, utc, on_picture
        self._on_lag, self._lag = on_lag, Lag()
        self._sampler, self._phase_ns = Sampler(settings.fps, phase_ns), phase_ns
        self._paced, self._timeline = paced, Timeline(paced=paced)
        self._pool, self._masking = BufferPool(settings.long_side), _masking(settings.privacy)
        self._guard = threading.Lock()
        self._sequence = -1
        self._size: tuple[int, int] | None = None
        self._name: str | None = None
        self._pictures = self._sampled = self._shed = self._undecodable = 0
        self._tried_in_vain = 0
        self.rate = Rate()
        self.decoder: Decoder | None = None
        self.last_picture_ns = 0
        """When the last picture came, or the connection was made."""
        self.pictured_ns: int | None = None
        """When the last picture came; None before the first."""
        self.busy_since: int | None = None
        """The thread's last sign of life; None while it only waits."""

    def play(self, source: Source) -> None:
        """Play until the source ends or the camera is left; SourceError if it breaks or nothing can be decoded.

        A damaged end of a file is its end, if there was a picture before.
        """
        before = self._pictures
        pacer = _Pacer(self._clock, self._leaving) if source.comes_at_once and self._paced else None
        decoder = self.decoder = self._opened(source)
        self._name = decoder.name
        self._begin()
        try:
            self._packets(source, decoder, pacer)
        except SourceError as error:
            if not source.is_file or self._pictures == before or error.reason == "picture-changed":
                raise
        finally:
            self._undecodable += decoder.undecodable
            decoder.discard()
            self.decoder = None
        if self._pictures == before and not self._leaving.is_set():
            raise SourceError("undecodable", f"{source.address.label}: not one picture could be decoded")

    def _opened(self, source: Source) -> Decoder:
        settings = self._settings
        device = None if settings.decoder == "software" else settings.decoder
        skip = settings.skip_loop_filter
        try:
            return Decoder(source.stream, settings.long_side, self._masking, skip_loop_filter=skip, device=device)
        except NoHardware as error:
            raise SourceError("no-decoder", f"{source.address.label}: {error}") from None

    def reconnected(self) -> None:
        """Anchor event time anew: what follows is a new connection."""
        self._timeline.connected()

    def drain(self) -> None:
        """Wait until every picture was released, or the camera is left."""
        while not self._leaving.is_set() and not self._pool.wait_idle(_STEP_S):
            self.busy_since = self._clock()

    def count_shed(self) -> None:
        """Count a sampled picture that was dropped unread; any thread."""
        with self._guard:
            self._shed += 1

    def may_send(self, age_ns: int) -> bool:
        """Ask the shedder; any thread."""
        with self._guard:
            return self._shedder.may_send(age_ns)

    def answered(self, service_ns: int) -> None:
        """Tell the shedder; any thread."""
        with self._guard:
            self._shedder.add(service_ns)

    def stats(self) -> CameraStats:
        """Return what was counted; any thread."""
        width, height = self._size or (None, None)
        decoder = self.decoder
        undecodable = self._undecodable + (decoder.undecodable if decoder else 0)
        counted = (self._pictures, self._sampled, self._shed, undecodable)
        return CameraStats(self._name, width, height, self.rate.per_second, *counted, self.pictured_ns)

    def _begin(self) -> None:
        self.rate.restarted()
        self.last_picture_ns = self._clock()
        self._tried_in_vain = 0

    def _packets(self, source: Source, decoder: Decoder, pacer: _Pacer | None) -> None:
        for packet in source.packets():
            self.busy_since = None
            # Waiting comes before decoding: what isn't decoded yet has no lifetime.
            if not self._paced:
                self.drain()
            elif pacer is not None and packet is not None:
                pacer.wait(_packet_ns(packet))
            self.busy_since = self._clock()
            if self._leaving.is_set():
                return
            if packet is not None:
                self._decode(decoder, packet, source)
            del packet  # the next may be long in coming, and this one is not to wait with us
        if source.is_file:
            self._decode(decoder, None, source)

    def _decode(self, decoder: Decoder, packet: Packet[VideoStream] | None, source: Source) -> None:
        damaged = decoder.undecodable
        frames = decoder.decode(packet)
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
        finally:  # whatever happened, no picture is left behind
            for frame in left:
                decoder.finish(frame)
        if frames:
            self.last_picture_ns = self.pictured_ns = decoded_ns
            self._tried_in_vain = 0
            self._on_picture()
        elif not decoder.waits_for_key:
            self._give_up_if_hopeless(source, decoded_ns)

    def _give_up_if_hopeless(self, source: Source, now: int) -> None:
        self._tried_in_vain += 1
        if self._tried_in_vain >= _HOPELESS and now - self.last_picture_ns > UNDECODABLE_NS:
            raise SourceError("undecodable", f"{source.address.label}: no picture could be decoded for 10 s")

    def _picture(self, decoder: Decoder, frame: VideoFrame, decoded_ns: int) -> None:
        self._pictures += 1
        self._size = (frame.width, frame.height)
        pts = decoder.pts_ns(frame)
        event, lag = self._timeline.at(pts, self._anchor(), decoded_ns), self._lag.add(pts, decoded_ns)
        self.rate.add(event)
        if self._leaving.is_set() or not self._sampler.wants(event):
            return
        self._sampled += 1
        if self._paced and lag is not None:
            self._on_lag(lag / SECOND_NS)
        if self._paced and not self.may_send(self._clock() - decoded_ns):
            self.count_shed()
            return
        self._convert(decoder, frame, event, decoded_ns)

    def _anchor(self) -> int:
        """UTC; for a file without pacing a little earlier, on the sampling grid, so that each run samples the same."""
        utc = self._utc()
        return utc if self._paced else utc - (utc - self._phase_ns) % self._sampler.period_ns

    def _is_masked(self, decoder: Decoder, frame: VideoFrame) -> bool:
        """Whether the picture can be used; not the one that a camera's masks had to be made for, it is too old then."""
        try:
            return decoder.prepare(frame) or not self._paced
        except PictureChanged as error:
            raise SourceError("picture-changed", str(error)) from None

    def _convert(self, decoder: Decoder, frame: VideoFrame, event: int, decoded_ns: int) -> None:
        buffer = self._pool.take() if self._is_masked(decoder, frame) else None
        if buffer is None:
            self.count_shed()
            return
        try:
            width, height = decoder.convert(frame, buffer)
        except ValueError:
            self._pool.give_back(buffer, len(buffer))
            decoder.undecodable += 1
            return
        self._sequence += 1
        period = max(self._sampler.period_ns, self.rate.interval_ns)
        sequence, lease = self._sequence, self.lease
        self._slot.put(Picture(width, height, sequence, lease, event, decoded_ns, period, buffer, self._pool))


def _masking(privacy: PrivacySettings | None) -> Masking | None:
    if privacy is None:
        return None
    return Masking(tuple(tuple(area) for area in privacy.areas), privacy.drawn_for)


def _packet_ns(packet: Packet[VideoStream]) -> int | None:
    stamp = packet.dts if packet.dts is not None else packet.pts
    if stamp is None:
        return None
    return stamp * packet.time_base.numerator * SECOND_NS // packet.time_base.denominator


class _Pacer:
    """Lets what comes faster than it was recorded play by its time stamps."""

    _LONGEST_NS = 60 * SECOND_NS

    def __init__(self, clock: Callable[[], int], leaving: threading.Event) -> None:
        self._clock, self._leaving = clock, leaving
        self._start: tuple[int, int] | None = None

    def wait(self, stamp_ns: int | None) -> None:
        """Sleep until it is this packet's turn, or the camera is left."""
        if stamp_ns is None:
            return
        now = self._clock()
        if self._start is None:
            self._start = (now, stamp_ns)
        left = self._start[0] + stamp_ns - self._start[1] - now
        if not -SECOND_NS <= left <= self._LONGEST_NS:  # a damaged stamp, or decoding can't keep up: begin anew
            self._start = (now, stamp_ns)
            return
        if left > 0:
            self._leaving.wait(left / SECOND_NS)
