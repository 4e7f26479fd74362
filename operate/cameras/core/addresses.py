"""Where a camera is asked, and which of the stream addresses that it names are taken.

A camera's answer never leads to another host: of a service's address only the path is used, and a stream's address must
name the host that was asked.
"""

import ipaddress
import re
from collections.abc import Collection
from typing import Any
from urllib.parse import quote, urlsplit

from msgspec import Struct

from services.destinations import refusal

DEVICE_PATH = "/onvif/device_service"
"""Where every ONVIF device answers (ONVIF core specification, §5.1.1)."""
_PORTS = {"http": 80, "https": 443}
_PATH = re.compile(r"/[A-Za-z0-9@%+=:,./_-]{0,500}")
"""What no shell reads as anything but text: `find` prints addresses that are pasted."""
_PRINTABLE = re.compile(r"[!-~]+")
_LONGEST = 2048
"""The settings take no longer URL."""
_RIGHT = "write HOST, HOST:PORT or http://HOST:PORT/PATH"


class AddressError(ValueError):
    """An address that is not taken; the text says why, without passwords."""


class CameraAddress(Struct, frozen=True, kw_only=True):
    """Where a camera's ONVIF service is."""

    secure: bool = False
    host: str
    port: int = 80
    path: str = DEVICE_PATH

    @property
    def label(self) -> str:
        """Host and port, as they are shown."""
        return f"{_bracketed(self.host)}:{self.port}"


class Login(Struct, frozen=True):
    """Who asks. The password is in no text of this object."""

    user: str
    password: str

    def __repr__(self) -> str:
        """Return a text without the password."""
        return f"Login({self.user!r})"


def camera_address(text: str) -> CameraAddress:
    """Return where a camera is asked; AddressError says what would be right. It may be a name that nobody has."""
    url = text if "://" in text else f"http://{_bare(text)}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise AddressError(f"is no address; {_RIGHT}") from None
    if parts.scheme not in _PORTS or not host or not _PRINTABLE.fullmatch(text):
        raise AddressError(f"is no address; {_RIGHT}")
    if "@" in parts.netloc:
        raise AddressError("must hold no user and no password; give --user and --password-file")
    path = parts.path if parts.path not in {"", "/"} else DEVICE_PATH
    secure = parts.scheme == "https"
    return CameraAddress(secure=secure, host=host, port=port or _PORTS[parts.scheme], path=service_path(path))


def _bare(text: str) -> str:
    """Return a host with the brackets that a lone IPv6 address lacks."""
    return _bracketed(text) if _address(text) is not None else text


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def service_path(xaddr: str) -> str:
    """Return the path of a service's address, where we ask it on the host that we know; AddressError if it has none."""
    try:
        path = urlsplit(xaddr).path
    except ValueError:
        path = ""
    if not _PATH.fullmatch(path):
        raise AddressError("names a service at no usable address; its path may hold letters, digits and @%+=:,./_-")
    return path


def stream_url(uri: str, asked: CameraAddress, known: Collection[str], login: Login | None, *, link_local: bool) -> str:
    """Return the URL for the settings of a stream that a camera names at `uri`; AddressError says why it is not taken.

    Its host must be the one that was asked, or one of `known`, the addresses at which that one answered. A login in it
    is left out, and ours is put in. No text of an error holds more of `uri` than its scheme and its host.
    """
    if len(uri) > _LONGEST or not _PRINTABLE.fullmatch(uri):
        raise AddressError("no usable address" if uri else "the camera names no address of it")
    try:
        parts = urlsplit(uri)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise AddressError("no usable address") from None
    if parts.scheme.lower() not in {"rtsp", "rtsps"}:
        raise AddressError(f"its address is {_named(parts.scheme)}, not rtsp://")
    if _canonical(host) not in {_canonical(one) for one in (asked.host, *known)}:
        raise AddressError(f"its address is on another host: {host[:80] or 'none'}")
    if why := refusal(asked.host, link_local=link_local):
        raise AddressError(why)
    found = f"{parts.scheme.lower()}://{_userinfo(login)}{_bracketed(asked.host)}{f':{port}' if port else ''}"
    found += parts.path + (f"?{parts.query}" if parts.query else "")
    if len(found) > _LONGEST:
        raise AddressError("no usable address")
    return found


def _named(scheme: str) -> str:
    return f"{scheme[:16]}:" if scheme else "without a scheme"


def _userinfo(login: Login | None) -> str:
    return f"{quote(login.user, safe='')}:{quote(login.password, safe='')}@" if login else ""


def _canonical(host: str) -> str:
    found = _address(host)
    return str(found) if found is not None else host.lower().rstrip(".")


def _address(host: str) -> Any:
    try:
        found = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
