"""Refuses addresses at which clouds give out credentials: no camera, peer, webhook or SMS gateway has such an address.

An attacker who may set a destination, or who controls its answers, could make Moretta send requests there (server-side
request forgery, CWE-918). Link-local addresses (RFC 3927, RFC 4291 §2.5.6) belong to one network cable; every large
cloud answers on some. Multicast and broadcast addresses are nobody's: what is sent there reaches many. An IPv6 address
that carries an IPv4 one is judged by both.
"""

import ipaddress
import re
from collections.abc import Iterator

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
        "fe80::a9fe:a9fe",  # OpenStack
    )
)
NAMES = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})

_BROADCAST = ipaddress.ip_address("255.255.255.255")
_PLACES = tuple(
    (ipaddress.IPv6Network(network), first)
    for network, first in (
        ("::/96", 12),  # IPv4-compatible, RFC 4291 §2.5.5.1
        ("::ffff:0:0/96", 12),  # IPv4-mapped, RFC 4291 §2.5.5.2
        ("::ffff:0:0:0/96", 12),  # IPv4-translated, RFC 2765 §2.1
        ("64:ff9b::/96", 12),  # NAT64, RFC 6052 §2.1
        ("64:ff9b:1::/48", 12),  # NAT64 of local use, RFC 8215, with a prefix of 96 bits
        ("2002::/16", 2),  # 6to4, RFC 3056 §2
        ("2001::/32", 4),  # Teredo's server, RFC 4380 §4
    )
)
"""Networks whose addresses carry an IPv4 address, and its first byte."""
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
_TEREDO = ipaddress.IPv6Network("2001::/32")
_ISATAP = {bytes.fromhex("00005efe"), bytes.fromhex("02005efe")}
_NUMBER = re.compile(r"(?P<hex>0x[0-9a-f]+)|(?P<octal>0[0-7]*)|(?P<decimal>[1-9][0-9]*)")
_BASES = {"hex": 16, "octal": 8, "decimal": 10}
_LONGEST = 60
"""No number of an address needs so many digits."""


def refusal(host: str, *, link_local: bool = False) -> str | None:
    """Return why Moretta must not connect to a host name or an address; None if it may.

    `link_local` allows link-local addresses, except those of metadata services. A name is judged by itself only: when
    you connect to it, judge its address too.
    """
    text = _ascii(host.strip().strip("[]").partition("%")[0]).rstrip(".").lower()
    if text in NAMES:
        return f"{text} is a cloud's metadata service"
    return next(filter(None, (_reason(one, link_local=link_local) for one in _addresses(text))), None)


def _reason(found: ipaddress.IPv4Address | ipaddress.IPv6Address, *, link_local: bool) -> str | None:
    if found in METADATA:
        return f"{found} is the address of a cloud's metadata service"
    if found.is_multicast or found == _BROADCAST:
        return f"{found} is a multicast or broadcast address"
    return f"{found} is a link-local address" if found.is_link_local and not link_local else None


def _ascii(host: str) -> str:
    """Return a host as resolvers see it: `getaddrinfo` maps wide digits and dots to plain ones (IDNA, RFC 3490 §4)."""
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host  # no resolver takes it


def _addresses(text: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Return the addresses that a text means, the IPv4 ones that an IPv6 one carries first; none for a name."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return _numeric(text)
    return [found] if isinstance(found, ipaddress.IPv4Address) else [*_carried(found), found]


def _numeric(text: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Return the IPv4 address of one to four numbers as inet_aton(3) reads them; none if they are none.

    Numbers are decimal, octal or hexadecimal, and the last one fills what the others leave.
    """
    found = [_NUMBER.fullmatch(part) for part in text.split(".")[:5]]
    if not all(found) or len(found) > 4 or len(text) > 4 * _LONGEST:
        return []
    *first, last = (int(one[0], _BASES[one.lastgroup or ""]) for one in found if one)
    if any(one > 0xFF for one in first) or last >= 1 << 8 * (4 - len(first)):
        return []
    return [ipaddress.IPv4Address(last + sum(one << 24 - 8 * at for at, one in enumerate(first)))]


def _carried(found: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    """Yield the IPv4 addresses that an IPv6 address carries, wherever its kind may have them.

    In the NAT64 prefix of local use only its network knows the place: each place of RFC 6052 §2.2 counts.
    """
    packed = found.packed
    for network, first in _PLACES:
        if found in network:
            yield ipaddress.IPv4Address(packed[first : first + 4])
    if found in _TEREDO:  # the client's, with all bits inverted
        yield ipaddress.IPv4Address(bytes(byte ^ 0xFF for byte in packed[12:]))
    if found in _LOCAL_NAT64:  # prefixes of 48, 56 and 64 bits; the ninth byte is none of the address
        bare = packed[:8] + packed[9:]
        yield from (ipaddress.IPv4Address(bare[first : first + 4]) for first in (6, 7, 8))
    if packed[8:12] in _ISATAP:  # RFC 5214 §6.1
        yield ipaddress.IPv4Address(packed[12:])
