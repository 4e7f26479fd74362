"""Secrets that leave no copy: random bytes made in place, and a library's own bytes overwritten."""

import ctypes
from pathlib import Path

_HEADER_BYTES = bytes.__basicsize__ - 1
"""Where CPython keeps the content of a bytes object, counted from its address."""


def fresh_secret(size: int) -> bytearray:
    """Return random bytes that nothing else has a copy of: `os.urandom` would leave one in freed memory."""
    secret = bytearray(size)
    with Path("/dev/urandom").open("rb", buffering=0) as kernel:
        if kernel.readinto(secret) != size:
            raise OSError("the kernel gave too few random bytes")
    return secret


def forget(data: bytes) -> None:
    """Overwrite a bytes object that a library returned and that nobody else holds (CPython keeps the content in it)."""
    if len(data) > 1:  # shorter ones are shared by the whole interpreter
        ctypes.memset(id(data) + _HEADER_BYTES, 0, len(data))
