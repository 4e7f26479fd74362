"""Landlock (linux/landlock.h, `man 7 landlock`): a process denies itself files, for good, with three system calls.

The C library has no functions for them, and the packages that wrap them are either unmaintained or young; hence ctypes.
"""

import ctypes
import errno
import os
from collections.abc import Mapping
from pathlib import Path

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
"""The rights that a rule on what is no folder may give."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def version() -> int:
    """Return the version of the kernel's interface, 0 if it has none or was started without; OSError if forbidden."""
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

    `allowed`: rights by file or folder, which hold for all below it. What isn't there is passed over. The process must
    not be able to gain privileges.
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
    except OSError:  # not there, or below what we may not pass: nothing to allow
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
