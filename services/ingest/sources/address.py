"""Parses a camera's `url`, resolves its name, and refuses forbidden addresses before anything is opened.

A label ends where a credential could begin, so no error and no log line contains one.
"""

import ipaddress
import re
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from proto.types import CameraReason
from services.destinations import refusal
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
"""The protocols that a stream may make FFmpeg open: never a local file. Ingest opens HTTP itself (`http_camera`)."""
_TLS = {"rtsps", "https"}
_OVER_HTTP = {
    # FFmpeg's HLS can't reuse a connection that it did not open itself; it would abort the process.
    "http_persistent": "0",
    "http_multiple": "0",
    # The formats that cameras send, and no format that lists other streams (concat, DASH, SDP).
    "format_whitelist": "mpjpeg,mjpeg,jpeg_pipe,hls,mpegts,mov,matroska,flv,avi,asf,h264,hevc,m4v,mpegvideo,aac,mp3",
}
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_NONBLOCK = 0x0004
"""AVFMT_FLAG_NONBLOCK; FFmpeg has no name for it in `fflags`."""


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
    """Return where the camera's source is; SourceError("bad-source") if such a source is not allowed."""
    url = settings.login_url
    scheme = _SCHEME.match(url)
    if scheme is None or scheme[1].lower() == "file":
        path = url.removeprefix(scheme[0]) if scheme else url
        return _device(path) if _DEVICE.match(path) else _file(path)
    if url.lower() == "whip://":
        return Address("peer", url, "the peer")
    if scheme[1].lower() not in _PROTOCOLS:
        raise SourceError("bad-source", f"scheme {scheme[1]!r} is not supported; use {_ALLOWED}")
    return _network(url, settings)


def kind_of(settings: CameraSettings) -> Kind:
    """Return the kind of a camera's source. A bad address counts as `network`; opening it reports the error."""
    try:
        return address_of(settings).kind
    except SourceError:
        return "network"


def _device(path: str) -> Address:
    # Without this flag FFmpeg would wait for a picture for ever: no time limit reaches into VIDIOC_DQBUF.
    return Address("device", path, path, {"fflags": f"+{_NONBLOCK}"}, "v4l2")


def _file(path: str) -> Address:
    # The prefix stops FFmpeg from taking part of the file's name for a protocol or a pattern.
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
    """Raise SourceError("bad-source") if one of the hosts has an address that cameras may not have."""
    for host in hosts:
        if why := refusal(host, link_local=settings.allow_link_local):
            hint = "; allow_link_local: true of the camera allows such" if "link-local" in why else ""
            raise SourceError("bad-source", f"{label}: {why}{hint}")


def _tls(settings: CameraSettings) -> dict[str, str]:
    """Return FFmpeg's TLS options; without them FFmpeg would accept any certificate."""
    if not settings.tls_verify:
        return {"tls_verify": "0"}
    own = None if settings.ca_file == SYSTEM else settings.ca_file
    if own is not None and not Path(own).is_file():
        raise SourceError("bad-source", f"ca_file {own} does not exist, or may not be read")
    known = own or next((path for path in _authorities() if Path(path).is_file()), None)
    return {"tls_verify": "1"} | ({"ca_file": known} if known else {})


def _authorities() -> list[str]:
    """Return the paths where this system may keep its trusted certificate authorities."""
    paths = ssl.get_default_verify_paths()
    return [path for path in (paths.cafile, paths.openssl_cafile, *_BUNDLES) if path]


def _split(url: str) -> SplitResult:
    hint = (
        "it is scheme://user:password@host:port/path, with special characters of the password percent-encoded; better,"
        " give user and password_file beside it"
    )
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise SourceError("bad-source", f"the URL can't be read; {hint}") from None
    if not parts.hostname:
        raise SourceError("bad-source", f"the URL names no host; {hint}")
    if "#" in url or parts.netloc.count("@") > 1:  # the rest of a password would be taken for the host
        raise SourceError("bad-source", f"the URL has a '#' or a second '@', written %23 and %40 in a password; {hint}")
    return parts


def addresses_of(url: str) -> frozenset[str]:
    """Return the current addresses of a URL's host name; empty if it has no name, or the name can't be resolved.

    Blocks for as long as the system's resolver does, as FFmpeg itself does when it connects.
    """
    try:
        host = urlsplit(url).hostname
        return frozenset() if host is None or _is_address(host) else _resolved(host)
    except (OSError, ValueError):
        return frozenset()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _resolved(host: str) -> frozenset[str]:
    return frozenset(str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
