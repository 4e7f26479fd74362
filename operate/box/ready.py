"""Says to the systemd that started a box that it runs (sd_notify(3)), for which `moretta service install` waits."""

import contextlib
import os
import socket


def notify_ready() -> None:
    """Send READY=1 to the socket that systemd named; nothing without one."""
    if not (named := os.environ.get("NOTIFY_SOCKET")):
        return
    address = "\0" + named[1:] if named.startswith("@") else named  # an abstract one (unix(7))
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"READY=1", address)
