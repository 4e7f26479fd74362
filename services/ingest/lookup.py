"""Which addresses a camera's name stands for."""

import ipaddress
import socket
from urllib.parse import urlsplit


def addresses_of(url: str) -> frozenset[str]:
    """Return what the host name of a URL stands for now; nothing if it has none, or if nobody knows.

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
