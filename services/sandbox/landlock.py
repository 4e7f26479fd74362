"""Landlock (linux/landlock.h, `man 7 landlock`): a process denies itself files, for good, with three system calls.

The C library has no functions for them, and the packages that wrap them are either unmaintained or young, so this
module uses ctypes. A service may still read its own programs, and the files that its settings name.
"""

import ctypes
import errno
import os
import ssl
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from services.sites.settings import SiteSettings

# The numbers are the same on every architecture that Linux gained calls for since 2019, x86-64 and ARM64 among them.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = (1 << bit for bit in range(4))
_REFER, _TRUNCATE, IOCTL_DEV = (1 << bit for bit in (13, 14, 15))
_FIRST_RIGHTS = (1 << 13) - 1
_ADDED = {2: _REFER, 3: _TRUNCATE, 5: IOCTL_DEV}
"""Rights by the version of the interface that brought them; versions 4 and 6 added network ports and scopes."""
READ = READ_FILE | READ_DIR
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | _TRUNCATE | IOCTL_DEV
"""The rights that a rule may give to a path that is no folder."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def version() -> int:
    """Return the version of the kernel's interface, 0 if Landlock is missing or turned off; OSError if forbidden."""
    try:
        return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))
    except OSError as error:
        if error.errno in {errno.ENOSYS, errno.EOPNOTSUPP}:
            return 0
        raise


def rights_of(abi: int) -> int:
    """Return all rights to files that this version of the interface knows."""
    return _FIRST_RIGHTS | sum(right for since, right in _ADDED.items() if abi >= since)


def restrict(abi: int, allowed: Mapping[Path, int]) -> None:
    """Deny this thread, and those it will start, every right to every file but the allowed ones; OSError if refused.

    `allowed`: rights by file or folder; those of a folder hold for everything below it. Missing paths are skipped. The
    process must not be able to gain privileges.
    """
    handled = rights_of(abi)
    rules = _Ruleset(handled)
    ruleset = _call(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(ctypes.sizeof(rules)), ctypes.c_uint32(0))
    try:
        for path, rights in allowed.items():
            _allow(ruleset, path, rights & handled)
        _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # missing, or in a folder that we may not enter: nothing to allow
        return
    try:
        rule = _PathBeneath(rights if path.is_dir() else rights & _OF_FILES, place)
        _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0))
    finally:
        os.close(place)


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result: int = libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/etc", "/proc", "/sys")
"""Libraries, time zones and certificates; the files for host names; what a process may know of itself and its
machine."""
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
"""A path in the settings, such as `inference.model`, and the file path that stands there."""


def named_in(settings: Any, unread: frozenset[str] = frozenset(), path: str = "") -> Iterator[Named]:
    """Yield the file paths that raw settings name: secrets, certificates, a model; without secrets in `unread`."""
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
    """Return whether a camera is a local device, or decoded by a graphics card."""
    cameras = [camera for site in sites for camera in site.cameras]
    return any(camera.url.startswith("/dev/") or camera.decoder != "software" for camera in cameras)


def places(value: str, bases: Iterable[Path]) -> list[Path]:
    """Return the existing paths that a named path may mean, relative to each of these folders."""
    return [found for base in bases if (found := base / value).exists()]


def folders(paths: Iterable[Path]) -> list[Path]:
    """Return the folders to allow for these paths: the folder itself, or a file's folder and that of its link's target.

    It is the folder and not the file alone, so that a newer file may replace it, as happens with secrets; never the
    root.
    """
    found: dict[Path, None] = {}
    for path in paths:
        real = path.resolve()
        wanted = [real] if real.is_dir() else [path.parent.resolve(), real.parent]
        found |= dict.fromkeys(real if folder == Path("/") else folder for folder in wanted)
    return list(found)


def allowed(named: Iterable[Path], *, devices: bool) -> dict[Path, int]:
    """Return the rights by path: only reading, except for /dev/null and, with `devices`, everything below /dev.

    It is everything below /dev, since a camera that is plugged in again is another file; no file can be created there.
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
    """Return whether a path, after links are followed, is one of these or below one of them."""
    real = path.resolve()
    return any(real.is_relative_to(place) for place in readable)
