"""Addresses that no camera, webhook or SMS gateway has, and at which a cloud tells its credentials. Pure.

Whoever may name a destination, or answers where one was named, could have us ask there (server-side request forgery,
CWE-918). Link-local addresses (RFC 3927, RFC 4291 §2.5.6) are of one network cable; every large cloud answers on some.
"""

import ipaddress

METADATA = frozenset(
    ipaddress.ip_address(one)
    for one in (
        "169.254.169.254",  # Amazon, Google, Azure, Oracle, OpenStack
        "169.254.170.2",  # Amazon's containers
        "169.254.170.23",  # Amazon's pods
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure's host
        "192.0.0.192",  # Oracle's older shapes
        "fd00:ec2::254",  # Amazon
        "fd00:ec2::23",  # Amazon's pods
        "fd20:ce::254",  # Google
    )
)
NAMES = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def refusal(host: str, *, link_local: bool = False) -> str | None:
    """Return why nothing of ours connects to a name or an address; None if it may.

    `link_local` allows link-local addresses, those of metadata services not. A name is judged by itself only: judge
    what it stands for too, when it is connected to.
    """
    text = host.strip("[]").partition("%")[0].rstrip(".").lower()
    if text in NAMES:
        return f"{text} is a cloud's metadata service"
    try:
        found = _plain(ipaddress.ip_address(text))
    except ValueError:
        return None
    if found in METADATA:
        return f"{found} is the address of a cloud's metadata service"
    return f"{found} is a link-local address" if found.is_link_local and not link_local else None


def _plain(found: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address of IPv4 that one of IPv6 stands for, if it does."""
    if isinstance(found, ipaddress.IPv4Address):
        return found
    if found in _NAT64:
        return ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)
    return found.ipv4_mapped or found.sixtofour or found
