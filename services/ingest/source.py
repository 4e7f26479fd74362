"""Opens what a camera's `url` names with PyAV: a file, a network stream or a local video device.

Errors become SourceError with one of the contract's reasons and a text without credentials: PyAV's own exceptions
contain the URL with its password.
"""

from __future__ import annotations  # PyAV's Packet is generic for type checkers only

import contextlib
import ctypes
import errno
import io
import re
import ssl
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self, cast
from urllib.parse import SplitResult, urlsplit

import av
from av import error as av_error
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from proto.types import CameraReason
from services.certificates import SYSTEM
from services.destinations.addresses import refusal
from services.ingest.core.picture import MOST_PIXELS
from services.ingest.http_camera import HttpCamera, context_of
from services.ingest.http_connection import HttpError
from services.ingest.lookup import addresses_of
from services.sites.settings import CameraSettings

Kind = Literal["file", "network", "device", "peer"]
_ALLOWED = "a file path, rtsp://, rtsps://, http://, https://, whip:// or /dev/videoN"
_SCHEME = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*)://")
_DEVICE = re.compile(r"^/dev/(video\d+|v4l/.+)$")
_PROTOCOLS = {
    "rtsp": "rtp,udp,tcp,rtsp,http,tls,crypto",
    "rtsps": "rtp,udp,tcp,rtsp,rtsps,tls,crypto",
    "http": "http,https",
    "https": "https",
}
"""What FFmpeg may open in turn: no local file, whatever the stream says. HTTP is opened by us (`http_camera`)."""
_TLS = {"rtsps", "https"}
_OVER_HTTP = {
    # With connections that are not its own FFmpeg's HLS can't go on with the last one; it would abort the process.
    "http_persistent": "0",
    "http_multiple": "0",
    # What cameras send, and none of the formats that are lists of other streams (concat, DASH, SDP).
    "format_whitelist": "mpjpeg,mjpeg,jpeg_pipe,hls,mpegts,mov,matroska,flv,avi,asf,h264,hevc,m4v,mpegvideo,aac,mp3",
}
_UNPROVEN = (
    "no TLS connection, or its certificate is not trusted for this address; set ca_file to the camera's certificate, or"
    " tls_verify: false"
)
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_NULL_PACKETS = (b"\x47\x1f\xff\x10" + bytes(184)) * 64
_STACK = 128 << 10
_NONBLOCK = 0x0004
"""AVFMT_FLAG_NONBLOCK, to which FFmpeg gives no name in `fflags`."""
_POLL_S = 0.005
"""How often a device is asked for its next picture, which may be that much older for it."""


class SourceError(Exception):
    """A source that can't be opened or read; `message` has no credentials."""

    def __init__(self, reason: CameraReason, message: str) -> None:
        self.reason: CameraReason = reason
        self.message = message
        super().__init__(f"{reason}: {message}")


@dataclass(frozen=True)
class Address:
    """Where a source is. `label` names it in messages, without credentials; `location` is for FFmpeg only.

    A network label ends before the path, which for some cameras is the key that opens the stream.
    """

    kind: Kind
    location: str = field(repr=False)
    label: str
    options: dict[str, str] = field(default_factory=dict, repr=False)
    format: str | None = None


def address_of(settings: CameraSettings) -> Address:
    """Return where the camera's source is; SourceError("bad-source") if no such source is allowed."""
    url = settings.url
    scheme = _SCHEME.match(url)
    if scheme is None or scheme[1].lower() == "file":
        path = url.removeprefix(scheme[0]) if scheme else url
        return _device(path) if _DEVICE.match(path) else _file(path)
    if url.lower() == "whip://":
        return Address("peer", url, "the peer")
    if scheme[1].lower() not in _PROTOCOLS:
        raise SourceError("bad-source", f"scheme {scheme[1]!r} is not supported; use {_ALLOWED}")
    return _network(url, settings)


def _device(path: str) -> Address:
    # Blocking, FFmpeg would wait for a picture for ever: no time limit reaches into VIDIOC_DQBUF.
    return Address("device", path, path, {"fflags": f"+{_NONBLOCK}"}, "v4l2")


def _file(path: str) -> Address:
    # The prefix keeps FFmpeg from reading a protocol or a pattern out of the file's name.
    return Address("file", f"file:{path}", path, {"protocol_whitelist": "file"})


def _network(url: str, settings: CameraSettings) -> Address:
    parts = _split(url)
    scheme = parts.scheme.lower()
    options = {"protocol_whitelist": _PROTOCOLS[scheme], "fpsprobesize": "3"}
    if scheme in {"rtsp", "rtsps"}:
        options |= {"rtsp_transport": settings.transport, "allowed_media_types": "video"}
    else:
        options |= _OVER_HTTP
    if scheme in _TLS:
        options |= _tls(settings)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    label = f"{scheme}://{host}{port}"
    _require_allowed(label, [parts.hostname or ""], settings)
    return Address("network", url, label, options)


def _require_allowed(label: str, hosts: Iterable[str], settings: CameraSettings) -> None:
    for host in hosts:
        if why := refusal(host, link_local=settings.allow_link_local):
            hint = "; allow_link_local: true of the camera allows such" if "link-local" in why else ""
            raise SourceError("bad-source", f"{label}: {why}{hint}")


def _tls(settings: CameraSettings) -> dict[str, str]:
    """FFmpeg's options; by itself it would take any certificate."""
    if not settings.tls_verify:
        return {"tls_verify": "0"}
    own = None if settings.ca_file == SYSTEM else settings.ca_file
    if own is not None and not Path(own).is_file():
        raise SourceError("bad-source", f"ca_file {own} does not exist, or may not be read")
    known = own or next((path for path in _authorities() if Path(path).is_file()), None)
    return {"tls_verify": "1"} | ({"ca_file": known} if known else {})


def _authorities() -> list[str]:
    """Where this system may keep the authorities that it knows."""
    paths = ssl.get_default_verify_paths()
    return [path for path in (paths.cafile, paths.openssl_cafile, *_BUNDLES) if path]


def _split(url: str) -> SplitResult:
    hint = "it is scheme://user:password@host:port/path, with special characters of the password percent-encoded"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise SourceError("bad-source", f"the URL can't be read; {hint}") from None
    if not parts.hostname:
        raise SourceError("bad-source", f"the URL names no host; {hint}")
    return parts


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
        _require_allowed(address.label, sorted(addresses_of(address.location)), settings)
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
