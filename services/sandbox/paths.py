"""Which files and folders a service in the sandbox may still read: its own programs, and what its settings name."""

import ssl
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from services.sandbox.landlock import IOCTL_DEV, READ, READ_FILE, WRITE_FILE
from services.sites.settings import SiteSettings

_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/etc", "/proc", "/sys")
"""Libraries, time zones and certificates; what names hosts; and what a process may know of itself and its machine."""
_RESOLVER = Path("/etc/resolv.conf")
_DEVICES = {
    "/dev/null": READ_FILE | WRITE_FILE,
    "/dev/zero": READ_FILE,
    "/dev/random": READ_FILE,
    "/dev/urandom": READ_FILE,
}
_ANY_DEVICE = READ | WRITE_FILE | IOCTL_DEV
_KEYS = {"certificate", "key", "model"}
_SUFFIXES = ("_file", "_dir")

Named = tuple[str, str]
"""Where in the settings, such as `inference.model`, and the path that is there."""


def named_in(settings: Any, unread: frozenset[str] = frozenset(), path: str = "") -> Iterator[Named]:
    """Yield the paths that raw settings name: files with secrets, certificates, a model. Not of secrets in `unread`."""
    items: Iterable[tuple[str, Any]] = ()
    if isinstance(settings, list):
        items = ((f"{path}[{index}]", item) for index, item in enumerate(settings))
    elif isinstance(settings, Mapping):
        items = ((f"{path}.{key}".lstrip("."), item) for key, item in settings.items())
    for here, item in items:
        key = here.rpartition(".")[2]
        if not isinstance(item, str):
            yield from named_in(item, unread, here)
        elif (key in _KEYS or key.endswith(_SUFFIXES)) and key.removesuffix("_file") not in unread:
            yield here, item


def sources_in(sites: Iterable[SiteSettings]) -> Iterator[Named]:
    """Yield the cameras that are files or devices."""
    for at, site in enumerate(sites):
        for index, camera in enumerate(site.cameras):
            value = camera.url.removeprefix("file://")
            if "://" not in value:
                yield f"sites[{at}].cameras[{index}].url", value


def wants_devices(sites: Iterable[SiteSettings]) -> bool:
    """Whether a camera is a local device, or decoded by a graphics card."""
    cameras = [camera for site in sites for camera in site.cameras]
    return any(camera.url.startswith("/dev/") or camera.decoder != "software" for camera in cameras)


def places(value: str, bases: Iterable[Path]) -> list[Path]:
    """Return what a named path may be, whichever folder it is relative to: those of them that are there."""
    return [found for base in bases if (found := base / value).exists()]


def folders(paths: Iterable[Path]) -> list[Path]:
    """Return the folders to be allowed for these paths: themselves, or the one that they lie in and are links into.

    A folder and not the file alone, so that a file may be replaced by a newer one, as secrets are; never the root.
    """
    found: dict[Path, None] = {}
    for path in paths:
        real = path.resolve()
        wanted = [real] if real.is_dir() else [path.parent.resolve(), real.parent]
        found |= dict.fromkeys(real if folder == Path("/") else folder for folder in wanted)
    return list(found)


def allowed(named: Iterable[Path], *, devices: bool) -> dict[Path, int]:
    """Return the rights by path: reading, and nothing else but for /dev/null and, if wanted, the devices below /dev.

    All below /dev then, since a camera that is plugged in anew is another file; none can be created there.
    """
    python = [Path(entry) for entry in (sys.prefix, sys.base_prefix, *sys.path) if entry]
    verify = ssl.get_default_verify_paths()
    trust = [
        Path(path) for path in (verify.cafile, verify.capath, verify.openssl_cafile, verify.openssl_capath) if path
    ]
    system = [Path(path) for path in _SYSTEM]
    readable = [*system, *folders([*python, *trust, _RESOLVER, *named])]
    rights = {path: READ for path in readable if path != Path("/")}
    rights |= {Path(path): right for path, right in _DEVICES.items()}
    return rights | ({Path("/dev"): _ANY_DEVICE} if devices else {})


def is_below(path: Path, readable: Iterable[Path]) -> bool:
    """Whether a path is one of these or below one of them, where it really is."""
    real = path.resolve()
    return any(real.is_relative_to(place) for place in readable)
