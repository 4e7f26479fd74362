"""What a camera's `url` names: judged before anything is opened.

A label ends where a credential could begin: no error and no log line has one.
"""

import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from proto.types import CameraReason
from services.destinations.addresses import refusal
from services.kernel.tls import SYSTEM
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
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_NONBLOCK = 0x0004
"""AVFMT_FLAG_NONBLOCK, to which FFmpeg gives no name in `fflags`."""


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
    require_allowed(label, [parts.hostname or ""], settings)
    return Address("network", url, label, options)


def require_allowed(label: str, hosts: Iterable[str], settings: CameraSettings) -> None:
    """SourceError("bad-source") if one of the hosts is where no camera may be."""
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
