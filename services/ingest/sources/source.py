"""Opens a camera's `url` with PyAV: a file, a network stream or a local video device.

Errors become SourceError with one of the contract's reasons and a text without credentials: PyAV's own exceptions
contain the URL with its password.
"""

from __future__ import annotations  # PyAV's Packet is generic for type checkers only

import contextlib
import ctypes
import errno
import io
import ssl
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self, cast

import av
from av import error as av_error
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from proto.types import CameraReason
from services.ingest.core.packets import CODECS
from services.ingest.core.picture import MAX_PIXELS
from services.ingest.sources.address import Address, SourceError, address_of, addresses_of, require_allowed
from services.ingest.sources.http_camera import HttpCamera
from services.ingest.sources.http_connection import HttpError
from services.sites.settings import CameraSettings

_UNPROVEN = (
    "no TLS connection, or its certificate is not trusted for this address; set ca_file to the camera's certificate, or"
    " tls_verify: false"
)
_NULL_PACKETS = (b"\x47\x1f\xff\x10" + bytes(184)) * 64
_STACK = 128 << 10
_POLL_S = 0.005
"""Interval in seconds at which a device is asked for its next picture. A picture may be older by as much."""


class Source:
    """An open source: one video stream's packets. Close it, or use it as a context manager."""

    def __init__(
        self,
        address: Address,
        container: InputContainer,
        stream: VideoStream,
        read_timeout_s: float,
        web: HttpCamera | None = None,
    ) -> None:
        self.address, self.stream = address, stream
        self._container, self._read_timeout_s, self._web = container, read_timeout_s, web

    @property
    def is_file(self) -> bool:
        """Whether the source is a file: its end is not a fault."""
        return self.address.kind == "file"

    @property
    def duration_s(self) -> float | None:
        """A file's length in seconds, if its container says it."""
        duration = self._container.duration
        return duration / 1_000_000 if duration else None

    @property
    def comes_at_once(self) -> bool:
        """Whether packets come faster than they were recorded: a file, or HLS, whose segments come as files."""
        return self.is_file or self._container.format.name == "hls"

    def packets(self) -> Iterator[Packet[VideoStream] | None]:
        """Yield the video packets until the stream ends; yield None for sound and when nothing came for a moment.

        SourceError if the stream breaks, or if for too long nothing comes, or only sound.
        """
        last = time.monotonic()
        try:
            for packet in self._demuxed():
                if packet is None or packet.stream_index != self.stream.index:
                    self._check_silence(last)
                    yield None
                elif packet.size:  # the last ones are empty and only ask the decoder to flush
                    yield packet
                    last = time.monotonic()
                del packet  # so that nothing keeps it while we wait for the next one
        except (av_error.FFmpegError, OSError) as error:
            raise self._broken(error) from None

    def _demuxed(self) -> Iterator[Packet[VideoStream] | None]:
        """Yield the container's packets; yield None when a device had no picture for a moment."""
        while True:
            self._rest()
            try:
                for packet in cast("Iterator[Packet[VideoStream]]", self._container.demux()):
                    yield packet
                    self._rest()
                return
            except BlockingIOError:  # this ends only the generator, not the source
                if self.address.kind != "device":
                    raise
                time.sleep(_POLL_S)
                yield None

    def _rest(self) -> None:
        if self._web is not None:
            self._web.rest()

    def _check_silence(self, last: float) -> None:
        if not self.is_file and time.monotonic() - last > self._read_timeout_s:
            raise SourceError("timeout", f"{self.address.label}: it stays open, but without video")

    def _broken(self, error: Exception) -> SourceError:
        if getattr(error, "errno", None) == errno.EIO:  # how most of FFmpeg's demuxers report a closed connection
            return SourceError("end-of-stream", f"{self.address.label}: the stream broke off")
        return error_of(error, self.address)

    def request_key_frame(self) -> None:
        """Do nothing: such a source can't be asked for a key frame."""

    def close(self) -> None:
        """Close the connection or the file."""
        is_transport_stream = self._container.format.name == "mpegts"
        self._container.close()
        if self._web is not None:
            self._web.close()
        if is_transport_stream:
            _open_nothing()
        _overwrite_stack()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def open_source(settings: CameraSettings, resolve: Callable[[str], frozenset[str]] = addresses_of) -> Source:
    """Open the camera's source within its time limits; SourceError says why it could not be opened.

    `resolve` returns the addresses of a URL's host name; it is asked before FFmpeg, which asks the system itself.

    FFmpeg's RTSP client mostly notices a silent server only after twice the read timeout, because it tries a second
    time.
    """
    address = address_of(settings)
    _check_path(address)
    began = time.monotonic()
    web = _web(address, settings, resolve)
    try:
        container = _container(address, settings, web)
    except (av_error.FFmpegError, OSError, ValueError) as error:
        if web is not None:
            web.close()
        # For a silent RTSP server FFmpeg reports "invalid data" when the time is over.
        silent = address.kind == "network" and time.monotonic() - began >= settings.open_timeout_s
        broken = isinstance(error, ssl.SSLError) or getattr(error, "errno", None) == errno.EIO
        if broken and address.options.get("tls_verify") == "1":
            raise SourceError("refused", f"{address.label}: {_UNPROVEN}") from None
        raise error_of(TimeoutError() if silent else error, address) from None
    try:
        return Source(address, container, _video(container, address), settings.read_timeout_s, web)
    except SourceError:
        container.close()
        if web is not None:
            web.close()
        raise


def _container(address: Address, settings: CameraSettings, web: HttpCamera | None) -> InputContainer:
    body = None if web is None else web.open()
    return av.open(
        address.location if body is None else body,
        mode="r",
        format=address.format if body is None else body.format,
        options=address.options | {"max_pixels": str(MAX_PIXELS)},
        timeout=(settings.open_timeout_s, settings.read_timeout_s),
        io_open=web,
    )


def _web(address: Address, settings: CameraSettings, resolve: Callable[[str], frozenset[str]]) -> HttpCamera | None:
    """Return the connections of an http camera; None if FFmpeg connects itself, after a check of the address.

    FFmpeg then resolves the name again and follows an RTSP server's redirects. That does no harm: no metadata service
    speaks RTSP.
    """
    if address.location.lower().startswith(("http://", "https://")) and address.kind == "network":
        return HttpCamera(settings, address.options)
    if address.kind == "network":
        require_allowed(address.label, sorted(resolve(address.location)), settings)
    return None


def _open_nothing() -> None:
    """Let FFmpeg open an empty MPEG-TS, which overwrites its buffer on the stack.

    To open an MPEG-TS, FFmpeg reads 8 kB into a buffer on this thread's stack (libavformat/mpegts.c). The 8 kB would
    stay there.
    """
    with contextlib.suppress(av_error.FFmpegError, OSError):
        av.open(io.BytesIO(_NULL_PACKETS), format="mpegts").close()


class _Zeros(ctypes.Structure):
    _fields_ = (("zeros", ctypes.c_char * _STACK),)


_ZEROS = _Zeros()
_GETPID = ctypes.CDLL(None).getpid


def _overwrite_stack() -> None:
    """Overwrite the used part of this thread's stack: FFmpeg's decoder leaves parts of packets there.

    A call with a large struct as argument writes the struct onto the stack (System V ABI for x86-64, 3.2.3). On ARM the
    call passes only a pointer, and the parts of packets may stay. getpid looks at no argument.
    """
    _GETPID(_ZEROS)


def _check_path(address: Address) -> None:
    """Raise a clear SourceError for a bad path, and never open a file that may block for ever, such as a pipe."""
    if address.kind == "network":
        return
    try:
        mode = Path(address.label).stat().st_mode
    except (OSError, ValueError) as error:
        raise _path_error(error, address.label) from None
    right = stat.S_ISREG(mode) if address.kind == "file" else stat.S_ISCHR(mode)
    if not right:
        what = "a regular file" if address.kind == "file" else "a video device"
        raise SourceError("bad-source", f"{address.label} is not {what}")


def _path_error(error: Exception, label: str) -> SourceError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return SourceError("not-found", f"{label} does not exist")
    if isinstance(error, PermissionError):
        return SourceError("unauthorised", f"{label} may not be read by this process")
    return SourceError("bad-source", f"{label} can't be opened")


def _video(container: InputContainer, address: Address) -> VideoStream:
    if not container.streams.video:
        raise SourceError("no-video", f"{address.label} has no video stream")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise SourceError("undecodable", f"{address.label}: there is no decoder for its video codec")
    codec = stream.codec_context.codec.canonical_name
    if address.kind == "network" and codec not in CODECS:
        raise SourceError("undecodable", f"{address.label}: its codec is {codec}; set the camera to H.264")
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > MAX_PIXELS:
        most = f"{MAX_PIXELS / 1e6:.0f} million pixels"
        raise SourceError(
            "undecodable", f"{address.label}: its pictures are {width}x{height}; at most {most} are taken"
        )
    return stream


_REASONS: tuple[tuple[type[Exception], CameraReason, str], ...] = (
    (av_error.HTTPUnauthorizedError, "unauthorised", "user name or password refused"),
    (av_error.HTTPForbiddenError, "unauthorised", "access forbidden"),
    (PermissionError, "unauthorised", "may not be read by this process"),
    (av_error.HTTPNotFoundError, "not-found", "the server knows no such stream"),
    (FileNotFoundError, "not-found", "does not exist"),
    (ConnectionError, "refused", "the connection was refused or broken off"),
    (TimeoutError, "timeout", "no answer in time"),
    (av_error.ExitError, "timeout", "no answer in time"),
    (EOFError, "end-of-stream", "ended before the first picture"),
    (MemoryError, "undecodable", "sends more at once than any camera does"),
    (av_error.InvalidDataError, "undecodable", "is not a video that FFmpeg can read, or is damaged"),
    (av_error.DemuxerNotFoundError, "undecodable", "is of a format that FFmpeg does not know"),
    (av_error.DecoderNotFoundError, "undecodable", "there is no decoder for its codec"),
    (av_error.ProtocolNotFoundError, "bad-source", "FFmpeg has no such protocol here"),
)


def error_of(error: Exception, address: Address) -> SourceError:
    """Return the SourceError for an error of PyAV; of its text only the error's name is kept."""
    if isinstance(error, HttpError):
        return SourceError(error.reason, f"{address.label}: {error.text}")
    for kind, reason, text in _REASONS:
        if isinstance(error, kind):
            return SourceError(reason, f"{address.label}: {text}")
    known = getattr(error, "strerror", None) or type(error).__name__
    return SourceError("other", f"{address.label}: {known}")
