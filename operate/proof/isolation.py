"""A network of its own for this process and all that it starts (network_namespaces(7)): what leaves is ours alone.

Every address leads back to this machine there, so that whatever tries to reach another one is seen, and reaches nobody.
"""

import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _IFF_UP_RUNNING = 0x8914, 0x41


def isolate() -> str | None:
    """Move this thread, and what it starts from now on, into a network of its own; returns why that can't be."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "unshare"):
        return "there are no network namespaces here"
    if libc.unshare(_CLONE_NEWNET) != 0:
        return f"no network of its own: {os.strerror(ctypes.get_errno())}"
    with socket.socket() as some:
        fcntl.ioctl(some, _SIOCSIFFLAGS, struct.pack("16sH", b"lo", _IFF_UP_RUNNING))
    if (ip := shutil.which("ip")) is not None:
        for family in ("-4", "-6"):
            # Where there is no IPv6 there is nothing to lead back.
            words = [ip, family, "route", "add", "local", "default", "dev", "lo"]
            subprocess.run(words, capture_output=True, check=False)
    return None
