"""Opens what a camera's `url` names with PyAV: a file, a network stream or a local video device.

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
from collections.abc import Iterator
from pathlib import Path
from typing import Self, cast

import av
from av import error as av_error
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from proto.types import CameraReason
from services.ingest.address import Address, SourceError, address_of, require_allowed
from services.ingest.core.picture import MOST_PIXELS
from services.ingest.http_camera import HttpCamera, context_of
from services.ingest.http_connection import HttpError
from services.ingest.lookup import addresses_of
from services.sites.settings import CameraSettings

_UNPROVEN = (
    "no TLS connection, or its certificate is not trusted for this address; set ca_file to the camera's certificate, or"
    " tls_verify: false"
)
_NULL_PACKETS = (b"\x47\x1f\xff\x10" + bytes(184)) * 64
_STACK = 128 << 10
_POLL_S = 0.005
"""How often a device is asked for its next picture, which may be that much older for it."""


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
        """Whether it has an end that is not a fault."""
        return self.address.kind == "file"

    @property
    def duration_s(self) -> float | None:
        """A file's length in seconds, if its container tells."""
        duration = self._container.duration
        return duration / 1_000_000 if duration else None

    @property
    def comes_at_once(self) -> bool:
        """Whether packets come faster than they were recorded: a file, or HLS, whose segments come as files."""
        return self.is_file or self._container.format.name == "hls"

    def packets(self) -> Iterator[Packet[VideoStream] | None]:
        """Yield the video packets until the stream ends, None for sound and for a moment without.

        SourceError if it breaks, or if for too long nothing comes, or nothing but sound.
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
                del packet  # nobody keeps it while the next one is waited for
        except (av_error.FFmpegError, OSError) as error:
            raise self._broken(error) from None

    def _demuxed(self) -> Iterator[Packet[VideoStream] | None]:
        """The container's packets; None whenever a device has had no picture for a moment."""
        while True:
            self._rest()
            try:
                for packet in cast("Iterator[Packet[VideoStream]]", self._container.demux()):
                    yield packet
                    self._rest()
                return
            except BlockingIOError:  # it ends the generator, and nothing else
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
        if getattr(error, "errno", None) == errno.EIO:  # what most of FFmpeg's demuxers make of a closed connection
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


def open_source(settings: CameraSettings) -> Source:
    """Open the camera's source within its time limits; SourceError says why it could not be.

    FFmpeg's RTSP mostly notices a silent server after twice the read timeout only (it tries a second time).
    """
    address = address_of(settings)
    _check_path(address)
    began = time.monotonic()
    web = _web(address, settings)
    try:
        container = _container(address, settings, web)
    except (av_error.FFmpegError, OSError, ValueError) as error:
        if web is not None:
            web.close()
        # Of a silent RTSP server FFmpeg says "invalid data" when the time is over.
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
        options=address.options | {"max_pixels": str(MOST_PIXELS)},
        timeout=(settings.open_timeout_s, settings.read_timeout_s),
        io_open=web,
    )


def _web(address: Address, settings: CameraSettings) -> HttpCamera | None:
    """Return what opens an http camera's connections; None where FFmpeg does it itself, after a look at where it goes.

    FFmpeg resolves the name once more, and follows what an RTSP server redirects to: nothing of a metadata service
    speaks RTSP.
    """
    if address.location.lower().startswith(("http://", "https://")) and address.kind == "network":
        return HttpCamera(settings, context_of(address.options))
    if address.kind == "network":
        require_allowed(address.label, sorted(addresses_of(address.location)), settings)
    return None


def _open_nothing() -> None:
    """Let FFmpeg open an MPEG-TS of nothing.

    To open one, it reads 8 kB into a buffer on this thread's stack (libavformat/mpegts.c), where they would stay.
    """
    with contextlib.suppress(av_error.FFmpegError, OSError):
        av.open(io.BytesIO(_NULL_PACKETS), format="mpegts").close()


class _Zeros(ctypes.Structure):
    _fields_ = (("zeros", ctypes.c_char * _STACK),)


_ZEROS = _Zeros()


def _overwrite_stack() -> None:
    """Overwrite what this thread's stack was used for: FFmpeg's decoder leaves parts of packets there.

    Whoever calls a function with a large struct writes it onto the stack (System V ABI for x86-64, 3.2.3); on ARM it
    is only pointed to, and they may stay. getpid looks at no argument.
    """
    ctypes.CDLL(None).getpid(_ZEROS)


def _check_path(address: Address) -> None:
    """Say plainly what is wrong with a path, and never open what may block for ever, such as a pipe."""
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
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > MOST_PIXELS:
        most = f"{MOST_PIXELS / 1e6:.0f} million pixels"
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
    (av_error.InvalidDataError, "undecodable", "is not a video that FFmpeg can read, or is damaged"),
    (av_error.DemuxerNotFoundError, "undecodable", "is of a format that FFmpeg does not know"),
    (av_error.DecoderNotFoundError, "undecodable", "there is no decoder for its codec"),
    (av_error.ProtocolNotFoundError, "bad-source", "FFmpeg has no such protocol here"),
)


def error_of(error: Exception, address: Address) -> SourceError:
    """Return what an error of PyAV means, without any of its text but the name of the error."""
    if isinstance(error, HttpError):
        return SourceError(error.reason, f"{address.label}: {error.text}")
    for kind, reason, text in _REASONS:
        if isinstance(error, kind):
            return SourceError(reason, f"{address.label}: {text}")
    known = getattr(error, "strerror", None) or type(error).__name__
    return SourceError("other", f"{address.label}: {known}")
