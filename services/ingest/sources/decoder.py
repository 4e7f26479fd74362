"""Decodes a stream's packets and converts the sampled pictures, with PyAV.

The codec's context belongs to this module and not to the container. So it can be dropped, with its reference pictures,
while the container is blocked in a read (docs/privacy.md). If the settings ask for a graphics card, decoding never
falls back to software: the setting is a requirement.
"""

from __future__ import annotations  # PyAV's Packet is generic for type checkers only

import threading
from fractions import Fraction
from typing import Protocol, cast

import av
import numpy as np
from av import error as av_error
from av.codec.codec import Codec
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from services.ingest.core.orientation import Turn, turn_by
from services.ingest.core.packets import refusal
from services.ingest.core.picture import MAX_PIXELS, Grid, Mask, Masking, analysis_size, i420_size, plane_shapes
from services.ingest.core.sparing import is_unreferenced
from services.ingest.sources.display_matrix import turn_of_stream


class NoHardware(Exception):
    """The hardware that the settings ask for is not there; the text says what is missing."""


def accelerator(kind: str) -> HWAccel:
    """Return FFmpeg's settings for such a device, without a fallback to software.

    A stream that the device can't decode is an error.
    """
    return HWAccel(kind, allow_software_fallback=False)


def require(kind: str, codec: Codec) -> None:
    """Raise NoHardware unless a device of this kind can be opened here and knows the codec."""
    known = hwdevices_available()
    if kind not in known:
        raise NoHardware(f"decoder: {kind} is not built into this FFmpeg, which has {', '.join(known) or 'none'}")
    try:
        accelerator(kind).create(codec)
    except NotImplementedError:
        raise NoHardware(f"decoder: {kind} can't decode {codec.name}; set decoder: software") from None
    except (av_error.FFmpegError, OSError):
        raise NoHardware(f"decoder: {kind} was asked for, but no such device can be opened here") from None


PATIENCE = 300
"""Packets to wait for a key frame; a stream without any (intra refresh) is decoded from anywhere after that."""
_LARGEST = 8192


class Ratio(Protocol):
    """A ratio of whole numbers: a Fraction, or what PyAV 19 has for it."""

    @property
    def numerator(self) -> int: ...
    @property
    def denominator(self) -> int: ...


class StreamProperties(Protocol):
    """The properties of a stream that decoding needs: PyAV's own stream, or a peer's."""

    @property
    def codec_context(self) -> VideoCodecContext: ...
    @property
    def time_base(self) -> Ratio | None: ...


def _fraction(ratio: Ratio | None) -> Fraction:
    return Fraction(ratio.numerator, ratio.denominator) if ratio else Fraction(1)


class Decoder:
    """One stream's decoder. `decode` and `convert` belong to one thread; `discard` may be called from another."""

    def __init__(
        self,
        stream: StreamProperties,
        long_side: int,
        masking: Masking | None = None,
        *,
        skip_loop_filter: bool = False,
        device: str | None = None,
    ) -> None:
        """`device` is the kind of a graphics card's decoder; NoHardware if there is none for this stream."""
        self._template = stream.codec_context
        if device is not None:
            require(device, self._template.codec)
        self._device = device
        self._time_base: Ratio = stream.time_base or Fraction(1, 90_000)
        self._turn = turn_of_stream(stream)
        self._long_side, self._masking = long_side, masking
        # FFmpeg refuses larger pictures before it allocates memory for them.
        self._options = {"max_pixels": str(MAX_PIXELS)} | ({"skip_loop_filter": "all"} if skip_loop_filter else {})
        self._mask: Mask | None = None
        self._pixel_aspect = Fraction(1)
        self._intra_only = self._template.codec.intra_only
        self._lock = threading.Lock()
        self._context: VideoCodecContext | None = None
        self._reformatter = VideoReformatter()
        self._skipped = 0
        self._extradata = self._template.extradata or b""
        self.undecodable = 0
        """Packets and pictures that were damaged or refused."""
        self.refused: str | None = None
        """Why the last packet was refused undecoded; None if it was not."""

    @property
    def name(self) -> str:
        """FFmpeg's name of the decoder, such as `h264`; with a device its kind is added: `h264_cuda`."""
        return "_".join(filter(None, (str(self._template.name), self._device)))

    @property
    def waits_for_key(self) -> bool:
        """Whether packets are being skipped until a key frame comes."""
        return self._context is None and 0 < self._skipped < PATIENCE

    def is_unreferenced(self, packet: Packet[VideoStream]) -> bool:
        """Whether no other picture depends on this packet's: the others are the same without it."""
        return is_unreferenced(self._template.codec.canonical_name, memoryview(packet), self._extradata)

    def decode(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        """Return the pictures that this packet completes, or with None those still held back; count damaged ones.

        A fresh decoder starts at a key frame: it could only guess a picture that refers to pictures it never saw.
        """
        with self._lock:
            if packet is not None and (self._passes_over(packet) or self._refuses(packet)):
                return []
            try:
                context = self._opened()
                frames = context.decode(packet)
                # Read it now: another thread may drop the context before the pictures are converted.
                self._pixel_aspect = _fraction(context.sample_aspect_ratio)
            except (av_error.FFmpegError, EOFError, ValueError):
                self.undecodable += 1
                return []
        whole = [frame for frame in frames if not frame.is_corrupt and max(frame.width, frame.height) <= _LARGEST]
        self.undecodable += len(frames) - len(whole)
        return whole

    def pts_ns(self, frame: VideoFrame) -> int | None:
        """Return the picture's presentation time stamp in ns of the stream's own clock, None if it has none."""
        if frame.pts is None:
            return None
        base = frame.time_base or self._time_base
        return frame.pts * base.numerator * 1_000_000_000 // base.denominator

    def size(self, frame: VideoFrame) -> tuple[int, int]:
        """Return (width, height) of the upright picture, in the pixels that the camera sends."""
        return self._turn_of(frame).size((frame.width, frame.height))

    def prepare(self, frame: VideoFrame) -> bool:
        """Make the masks that this picture needs. Return False if they had to be made, which may have taken long.

        PictureChanged if the privacy areas were drawn on a picture of another size.
        """
        if self._masking is None:
            return True
        turn = self._turn_of(frame)
        self._masking.check(turn.size(self._display_size(frame)))
        kind = frame.format
        chroma = (kind.chroma_width(frame.width), kind.chroma_height(frame.height))
        grid = Grid(turn.size((frame.width, frame.height)), turn.size(chroma), self._analysed(frame))
        before, self._mask = self._mask, self._masking.mask(grid)
        return before is self._mask

    def convert(self, frame: VideoFrame, into: memoryview) -> tuple[int, int]:
        """Write the picture, upright, as tight I420 of the analysis size, limited range; returns (width, height).

        Privacy areas are black in it. FFmpeg's converted copy is overwritten. PictureChanged, with nothing written, if
        there are such areas and they were drawn on a picture of another size; ValueError if FFmpeg can't convert the
        picture's format.
        """
        self.prepare(frame)
        turn, analysed = self._turn_of(frame), self._analysed(frame)
        width, height = turn.size(analysed)
        try:
            small = self._reformatter.reformat(
                frame,
                width=width,
                height=height,
                format="yuv420p",
                interpolation=Interpolation.AREA,
                dst_color_range=ColorRange.MPEG,
                threads=1,
            )
        except (av_error.FFmpegError, OSError) as error:
            raise ValueError(f"a picture of format {frame.format.name} can't be converted") from error
        _copy_planes(small, into, analysed, turn)
        if small is not frame:  # else these planes may be the codec's reference picture
            _overwrite(small)
        if self._mask is not None:
            self._mask.blank(into)
        return analysed

    def finish(self, frame: VideoFrame) -> None:
        """Overwrite a decoded picture if the codec keeps no references (MJPEG, raw video) or keeps them on a device."""
        if self._intra_only or self._device is not None:
            _overwrite(frame)

    def discard(self, *, wait: bool = True) -> bool:
        """Drop the codec's context and reference pictures; the next packet starts a fresh one.

        With `wait` False, return False and do nothing while another thread is decoding.
        """
        if not self._lock.acquire(blocking=wait):
            return False
        try:
            self._context = None
            self._skipped = 0
            self._reformatter = VideoReformatter()  # it keeps a few lines of the last picture
        finally:
            self._lock.release()
        return True

    def _passes_over(self, packet: Packet[VideoStream]) -> bool:
        if self._context is not None or packet.is_keyframe or self._intra_only or self._skipped >= PATIENCE:
            return False
        self._skipped += 1
        return True

    def _refuses(self, packet: Packet[VideoStream]) -> bool:
        """Whether a packet could keep the decoder busy for too long (`core.packets`); it counts as undecodable."""
        if not packet.size:  # it asks for the pictures that the decoder still holds
            return False
        if packet.has_sidedata("new_extradata"):
            self._extradata = bytes(packet.get_sidedata("new_extradata"))
        known = self._context or self._template
        size = (0, 0) if packet.is_keyframe else (known.width, known.height)
        self.refused = refusal(self._template.codec.canonical_name, memoryview(packet), size, self._extradata)
        self.undecodable += self.refused is not None
        return self.refused is not None

    def _opened(self) -> VideoCodecContext:
        if self._context is None:
            self._context = _context_like(self._template, self._options, self._device)
        return self._context

    def _analysed(self, frame: VideoFrame) -> tuple[int, int]:
        return analysis_size(*self._turn_of(frame).size(self._display_size(frame)), self._long_side)

    def _display_size(self, frame: VideoFrame) -> tuple[int, int]:
        """Return (width, height) in square pixels before the turn; anamorphic cameras send fewer, wider pixels."""
        if not Fraction(1, 4) <= self._pixel_aspect <= 4:
            return frame.width, frame.height
        return max(1, round(frame.width * self._pixel_aspect)), frame.height

    def _turn_of(self, frame: VideoFrame) -> Turn:
        """Return how the picture must be turned: what it says itself comes before what its container says.

        Of what it says itself only the angle is read. PyAV 18 would keep the picture in memory with the whole matrix.
        """
        return turn_by(frame.rotation) if frame.rotation else self._turn


def _context_like(template: VideoCodecContext, options: dict[str, str], device: str | None) -> VideoCodecContext:
    chosen = accelerator(device) if device is not None else None
    context = cast("VideoCodecContext", av.CodecContext.create(template.codec, "r", chosen))
    if device is not None and not context.is_hwaccel:  # PyAV would silently decode in software
        raise ValueError(f"{device} decodes no {template.name}")
    context.extradata = template.extradata
    context.width, context.height = template.width, template.height
    if template.pix_fmt and device is None:
        context.pix_fmt = template.pix_fmt
    context.codec_tag = template.codec_tag
    context.bits_per_coded_sample = template.bits_per_coded_sample
    context.thread_count = 1
    context.options = dict(options)
    return context


def _copy_planes(frame: VideoFrame, into: memoryview, size: tuple[int, int], turn: Turn) -> None:
    """Copy the planes into a tight picture of this size, turned: numpy writes each pixel once, at its place."""
    target = np.frombuffer(into, np.uint8)
    start = 0
    for plane, shape in zip(frame.planes, plane_shapes(*size), strict=True):
        rows, columns = turn.size(shape)
        padded = np.frombuffer(memoryview(plane), np.uint8)[: rows * plane.line_size].reshape(rows, plane.line_size)
        target[start : start + rows * columns].reshape(shape)[:] = turn.upright(padded[:, :columns])
        start += rows * columns
    assert start == i420_size(*size)


def _overwrite(frame: VideoFrame) -> None:
    for plane in frame.planes:
        if plane.line_size > 0:  # a bottom-up picture's plane begins with its last row: PyAV's view would overrun it
            np.frombuffer(memoryview(plane), np.uint8)[:] = 0
