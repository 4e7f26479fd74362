"""Plays an open source on a camera's thread: paces its packets, decodes them, hands each frame to the sampler."""

from __future__ import annotations  # PyAV's Packet is generic for type checkers only

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from av.packet import Packet
from av.video.stream import VideoStream

from services.ingest.camera.frame_sampler import FrameSampler
from services.ingest.camera.pacer import Pacer, packet_ns
from services.ingest.core.picture import Masking
from services.ingest.core.sparing import Sparing
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


class Playback:
    """Plays one camera over all its connections within a lease. Its methods belong to the camera's thread."""

    def __init__(
        self,
        settings: CameraSettings,
        sampler: FrameSampler,
        *,
        paced: bool,
        leaving: threading.Event,
        clock: Callable[[], int],
        steady: Callable[[], int],
        on_picture: Callable[[], None],
    ) -> None:
        self._settings, self._sampler, self._paced, self._leaving = settings, sampler, paced, leaving
        self._clock, self._steady, self._on_picture = clock, steady, on_picture
        self._masking = _masking(settings.privacy)
        self._name: str | None = None
        self._undecodable = self._failed_tries = 0
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

    @property
    def fps(self) -> float:
        """The rate at which pictures come."""
        return self._sampler.rate.per_second

    def play(self, source: PacketSource) -> bool:
        """Play until the source ends or the camera is paused or stopped; SourceError if it breaks or can't be decoded.

        Returns whether a pause or a stop ended it: by the time the caller could ask, the camera may be resumed. A file
        with a damaged end counts as ended if it gave a picture before.
        """
        before, left = self._sampler.pictures, False
        pacer = Pacer(self._steady, self._leaving) if source.comes_at_once and self._paced else None
        decoder = self.decoder = self._opened(source)
        self._name = decoder.name
        self._begin()
        try:
            left = self._packets(source, decoder, pacer)
        except SourceError as error:
            if not source.is_file or self._sampler.pictures == before or error.reason == "picture-changed":
                raise
        finally:
            self._undecodable += decoder.undecodable
            decoder.discard()
            self.decoder = None
        if self._sampler.pictures == before and not left:
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
        while not self._leaving.is_set() and not self._sampler.wait_idle(_STEP_S):
            self.busy_since = self._steady()

    def stats(self) -> CameraStats:
        """Return the counts; any thread may call it."""
        width, height = self._sampler.size or (None, None)
        decoder = self.decoder
        undecodable = self._undecodable + (decoder.undecodable if decoder else 0)
        counted = (self._sampler.pictures, self._sampler.sampled, self._sampler.shed, undecodable)
        sparing = self._sparing
        fps = sparing.per_second if sparing.is_on else self.fps
        decoded: Decoded = "referenced" if sparing.is_on else "all"
        return CameraStats(self._name, width, height, fps, *counted, self.pictured_ns, decoded)

    def _begin(self) -> None:
        self._sampler.rate.restarted()
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
            self._sampler.forget_lag()
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
                self._sampler.add(decoder, left[0], decoded_ns)
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


def _masking(privacy: PrivacySettings | None) -> Masking | None:
    if privacy is None:
        return None
    return Masking(tuple(tuple(area) for area in privacy.areas), privacy.drawn_for)
