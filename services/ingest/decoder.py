"""Decodes a stream's packets and converts the sampled pictures, with PyAV.

The codec's context is ours and not the container's, so that it can be dropped, with its reference pictures, while the
container is blocked in a read (docs/privacy.md).
"""

from __future__ import annotations  # PyAV's Packet is generic for type checkers only

import threading
from fractions import Fraction
from typing import Protocol, cast

import av
import numpy as np
from av import error as av_error
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from services.ingest import hardware
from services.ingest.core.masking import Grid, Mask, Masking
from services.ingest.core.picture import MOST_PIXELS, analysis_size, i420_size, plane_shapes

PATIENCE = 300
"""Packets to wait for a key frame; a stream without any (intra refresh) is decoded from anywhere after that."""
_LARGEST = 8192


class Stream(Protocol):
    """What is to be known of a stream to decode it: PyAV's own, or a peer's."""

    @property
    def codec_context(self) -> VideoCodecContext: ...
    @property
    def time_base(self) -> Fraction | None: ...


class Decoder:
    """One stream's decoder. `decode` and `convert` belong to one thread; `discard` may be called from another."""

    def __init__(
        self,
        stream: Stream,
        long_side: int,
        masking: Masking | None = None,
        *,
        skip_loop_filter: bool = False,
        device: str | None = None,
    ) -> None:
        """`device` is the kind of a graphics card's decoder; NoHardware if there is none for this stream."""
        self._template = stream.codec_context
        if device is not None:
            hardware.require(device, self._template.codec)
        self._device = device
        self._time_base = stream.time_base or Fraction(1, 90_000)
        self._long_side, self._masking = long_side, masking
        # FFmpeg refuses larger ones before it takes memory for them.
        self._options = {"max_pixels": str(MOST_PIXELS)} | ({"skip_loop_filter": "all"} if skip_loop_filter else {})
        self._mask: Mask | None = None
        self._pixel_aspect = Fraction(1)
        self._intra_only = self._template.codec.intra_only
        self._lock = threading.Lock()
        self._context: VideoCodecContext | None = None
        self._reformatter = VideoReformatter()
        self._skipped = 0
        self.undecodable = 0
        """Packets and pictures that were damaged."""

    @property
    def name(self) -> str:
        """FFmpeg's name of the decoder, such as `h264`, and the device's kind if it is one's: `h264_cuda`."""
        return "_".join(filter(None, (str(self._template.name), self._device)))

    @property
    def waits_for_key(self) -> bool:
        """Whether packets are being passed over until a key frame comes."""
        return self._context is None and 0 < self._skipped < PATIENCE

    def decode(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        """Return the pictures that this packet completes, or with None those still held back; damaged ones are counted.

        A fresh decoder starts at a key frame: what refers to pictures it never saw would only be guessed.
        """
        with self._lock:
            if packet is not None and self._passes_over(packet):
                return []
            try:
                context = self._opened()
                frames = context.decode(packet)
                # Now: another thread may drop the context before the pictures are converted.
                self._pixel_aspect = context.sample_aspect_ratio or Fraction(1)
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

    def prepare(self, frame: VideoFrame) -> bool:
        """Make the masks that pictures like this one need; False if that was to be done and may have taken its time.

        PictureChanged if the privacy areas were drawn on a picture of another size.
        """
        if self._masking is None:
            return True
        self._masking.check((self._display_width(frame), frame.height))
        kind = frame.format
        chroma = (kind.chroma_width(frame.width), kind.chroma_height(frame.height))
        grid = Grid((frame.width, frame.height), chroma, self._analysed(frame))
        before, self._mask = self._mask, self._masking.mask(grid)
        return before is self._mask

    def convert(self, frame: VideoFrame, into: memoryview) -> tuple[int, int]:
        """Write the picture as tight I420 of the analysis size, limited range; returns (width, height).

        Privacy areas are black in it. FFmpeg's converted copy is overwritten. PictureChanged, with nothing written, if
        there are such areas and they were drawn on a picture of another size; ValueError if FFmpeg can't convert the
        picture's format.
        """
        self.prepare(frame)
        width, height = self._analysed(frame)
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
        _copy_planes(small, into, width, height)
        if small is not frame:  # else these planes may be the codec's reference picture
            _overwrite(small)
        if self._mask is not None:
            self._mask.blank(into)
        return width, height

    def finish(self, frame: VideoFrame) -> None:
        """Overwrite a decoded picture where the codec refers to none (MJPEG, raw video), or has its own on a device."""
        if self._intra_only or self._device is not None:
            _overwrite(frame)

    def discard(self, *, wait: bool = True) -> bool:
        """Drop the codec's context and reference pictures; the next packet starts a fresh one.

        With `wait` False returns False, and does nothing, while another thread is decoding.
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

    def _opened(self) -> VideoCodecContext:
        if self._context is None:
            self._context = _context_like(self._template, self._options, self._device)
        return self._context

    def _analysed(self, frame: VideoFrame) -> tuple[int, int]:
        return analysis_size(self._display_width(frame), frame.height, self._long_side)

    def _display_width(self, frame: VideoFrame) -> int:
        """The width in square pixels; anamorphic cameras send fewer, wider ones."""
        if not Fraction(1, 4) <= self._pixel_aspect <= 4:
            return frame.width
        return max(1, round(frame.width * self._pixel_aspect))


def _context_like(template: VideoCodecContext, options: dict[str, str], device: str | None) -> VideoCodecContext:
    accelerator = hardware.accelerator(device) if device is not None else None
    context = cast("VideoCodecContext", av.CodecContext.create(template.codec, "r", accelerator))
    if device is not None and not context.is_hwaccel:  # PyAV would decode in software, and say nothing
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


def _copy_planes(frame: VideoFrame, into: memoryview, width: int, height: int) -> None:
    target = np.frombuffer(into, np.uint8)
    start = 0
    for plane, (rows, columns) in zip(frame.planes, plane_shapes(width, height), strict=True):
        padded = np.frombuffer(memoryview(plane), np.uint8)[: rows * plane.line_size].reshape(rows, plane.line_size)
        target[start : start + rows * columns].reshape(rows, columns)[:] = padded[:, :columns]
        start += rows * columns
    assert start == i420_size(width, height)


def _overwrite(frame: VideoFrame) -> None:
    for plane in frame.planes:
        if plane.line_size > 0:  # a bottom-up picture's plane begins with its last row: PyAV's view would overrun it
            np.frombuffer(memoryview(plane), np.uint8)[:] = 0
