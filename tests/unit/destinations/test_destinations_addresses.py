"""Where nothing of ours connects to: services.destinations."""

import ipaddress
import socket

import pytest
from examples import examples
from hypothesis import assume, given
from hypothesis import strategies as st

from services.destinations import METADATA, refusal

METADATA_FORMS = [
    *map(str, METADATA),
    "[fd00:ec2::254]",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "metadata.google.internal",
    "METADATA.google.internal.",
]
SPECIAL = [
    # RFC 6890 §2.2.2 and what updates it: IANA's registry of special-purpose IPv4 addresses.
    ("0.0.0.0/8", "RFC 1122 §3.2.1.3", "this host", None),
    ("10.0.0.0/8", "RFC 1918", "private", None),
    ("100.64.0.0/10", "RFC 6598", "shared", None),
    ("127.0.0.0/8", "RFC 1122 §3.2.1.3", "loopback", None),
    ("169.254.0.0/16", "RFC 3927", "link-local", "refused"),
    ("172.16.0.0/12", "RFC 1918", "private", None),
    ("192.0.0.0/24", "RFC 6890 §2.1", "protocol assignments", None),
    ("192.0.2.0/24", "RFC 5737", "documentation", None),
    ("192.31.196.0/24", "RFC 7535", "AS112", None),
    ("192.52.193.0/24", "RFC 7450", "AMT", None),
    ("192.88.99.0/24", "RFC 7526", "6to4 relays, no more", None),
    ("192.168.0.0/16", "RFC 1918", "private", None),
    ("192.175.48.0/24", "RFC 7534", "AS112", None),
    ("198.18.0.0/15", "RFC 2544", "benchmarks", None),
    ("198.51.100.0/24", "RFC 5737", "documentation", None),
    ("203.0.113.0/24", "RFC 5737", "documentation", None),
    ("224.0.0.0/4", "RFC 5771", "multicast", "refused"),
    ("240.0.0.0/4", "RFC 1112 §4", "reserved", None),
    ("255.255.255.255/32", "RFC 8190 §2.2", "limited broadcast", "refused"),
    # RFC 6890 §2.2.3 and what updates it: IANA's registry of special-purpose IPv6 addresses.
    ("::1/128", "RFC 4291 §2.5.3", "loopback", None),
    ("::/128", "RFC 4291 §2.5.2", "unspecified", None),
    ("::/96", "RFC 4291 §2.5.5.1", "IPv4-compatible", "carries"),
    ("::ffff:0:0/96", "RFC 4291 §2.5.5.2", "IPv4-mapped", "carries"),
    ("::ffff:0:0:0/96", "RFC 2765 §2.1", "IPv4-translated", "carries"),
    ("64:ff9b::/96", "RFC 6052 §2.1", "IPv4-IPv6 translation", "carries"),
    ("64:ff9b:1::/48", "RFC 8215", "translation of local use", "carries"),
    ("100::/64", "RFC 6666", "discard only", None),
    ("2001::/32", "RFC 4380 §2.6", "Teredo", "carries"),
    ("2001:1::1/128", "RFC 7723", "port control", None),
    ("2001:2::/48", "RFC 5180", "benchmarks", None),
    ("2001:3::/32", "RFC 7450", "AMT", None),
    ("2001:4:112::/48", "RFC 7535", "AS112", None),
    ("2001:20::/28", "RFC 7343", "ORCHIDv2", None),
    ("2001:db8::/32", "RFC 3849", "documentation", None),
    ("2002::/16", "RFC 3056 §2", "6to4", "carries"),
    ("2620:4f:8000::/48", "RFC 7534", "AS112", None),
    ("5f00::/16", "RFC 9602", "segment routing", None),
    ("fc00::/7", "RFC 4193", "unique local", None),
    ("fe80::/10", "RFC 4291 §2.5.6", "link-local", "refused"),
    ("fec0::/10", "RFC 3879", "site-local, no more", None),
    ("ff00::/8", "RFC 4291 §2.7", "multicast", "refused"),
]
"""Network, source, what it is, and what happens: `refused`, or judged by the IPv4 address that it `carries`."""
LAST = 0xFFFF_FFFF


def nat64(prefix: int, length: int, number: int) -> str:
    """An IPv4 address behind a NAT64 prefix, as RFC 6052 §2.2 places it: bits 64 to 71 stay zero."""
    bits = f"{prefix:0128b}"[:length] + f"{number:032b}"
    if length < 96:
        bits = bits[:64] + "00000000" + bits[64:]
    return str(ipaddress.IPv6Address(int(bits.ljust(128, "0")[:128], 2)))


LOCAL = 0x64FF9B0001 << 80
CARRIERS = {
    "compatible": lambda n: f"::{ipaddress.IPv4Address(n)}",
    "mapped": lambda n: f"::ffff:{ipaddress.IPv4Address(n)}",
    "translated": lambda n: f"::ffff:0:{ipaddress.IPv4Address(n)}",
    "NAT64": lambda n: f"64:ff9b::{ipaddress.IPv4Address(n)}",
    "local NAT64 48": lambda n: nat64(LOCAL, 48, n),
    "local NAT64 56": lambda n: nat64(LOCAL, 56, n),
    "local NAT64 64": lambda n: nat64(LOCAL, 64, n),
    "local NAT64 96": lambda n: nat64(LOCAL, 96, n),
    "6to4": lambda n: str(ipaddress.IPv6Address((0x2002 << 112) + (n << 80) + 1)),
    "Teredo's server": lambda n: str(ipaddress.IPv6Address((0x20010000 << 96) + (n << 64) + 1)),
    "Teredo's client": lambda n: str(ipaddress.IPv6Address((0x20010000 << 96) + (0x0A000001 << 64) + (n ^ LAST))),
    "ISATAP": lambda n: f"2001:db8::5efe:{ipaddress.IPv4Address(n)}",
    "ISATAP, global": lambda n: f"2001:db8::200:5efe:{ipaddress.IPv4Address(n)}",
}
"""How an IPv6 address carries an IPv4 one (RFC 4291, 2765, 6052, 8215, 3056, 4380, 5214)."""
REFUSED = st.one_of(
    st.just(0xA9FEA9FE),
    st.sampled_from([int(one) for one in METADATA if one.version == 4]),
    st.integers(0xA9FE0000, 0xA9FEFFFF),
    st.integers(0xE0000000, 0xEFFFFFFF),
    st.just(LAST),
)
"""IPv4 addresses that nothing of ours connects to."""


@st.composite
def spelled(draw, number: int) -> str:
    """An IPv4 address as inet_aton(3) takes it: one to four numbers, each decimal, octal or hexadecimal."""
    parts = [number >> 24, number >> 16 & 255, number >> 8 & 255, number & 255]
    if (whole := draw(st.integers(1, 4))) < 4:
        parts = [*parts[: whole - 1], number & (1 << 8 * (5 - whole)) - 1]
    forms = ("{:d}", "0{:o}", "0x{:x}", "0X{:X}", "00{:o}", "0x0{:x}")
    return ".".join(draw(st.sampled_from(forms)).format(part) for part in parts)


def resolved(text: str) -> set[str]:
    """What the system's resolver makes of a numeric host; empty if it takes no such text."""
    try:
        found = socket.getaddrinfo(text, 1, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return set()
    return {str(where[0]).partition("%")[0] for *_, where in found}


@pytest.mark.parametrize("host", METADATA_FORMS)
def test_metadata_services_are_refused_whatever_is_allowed(host: str):
    """By address, as an address of IPv6 that stands for one of IPv4, and by name."""
    assert "metadata service" in str(refusal(host))
    assert "metadata service" in str(refusal(host, link_local=True))


@pytest.mark.parametrize("host", ["169.254.0.1", "169.254.255.254", "fe80::1", "febf::1", "fe80::1%eth0", "[fe80::1]"])
def test_link_local_addresses_may_be_allowed(host: str):
    """A camera without DHCP has one."""
    assert "link-local" in str(refusal(host))
    assert refusal(host, link_local=True) is None


@pytest.mark.parametrize("host", ["224.0.0.1", "239.255.255.250", "255.255.255.255", "ff02::fb", "[ff0e::1]"])
def test_what_is_sent_to_many_is_refused_whatever_is_allowed(host: str):
    """No camera, peer or gateway has a multicast address."""
    assert "multicast or broadcast" in str(refusal(host))
    assert "multicast or broadcast" in str(refusal(host, link_local=True))


@pytest.mark.parametrize(
    "host",
    ["10.0.0.5", "127.0.0.1", "::1", "169.253.255.255", "169.255.0.0", "fec0::1", "gate", "metadata.example.org", ""],
)
def test_others_are_not(host: str):
    """Private and loopback addresses are where cameras and gateways are."""
    assert refusal(host) is None


@pytest.mark.parametrize(("network", "source", "what", "verdict"), SPECIAL, ids=str)
def test_each_special_network_is_judged_as_it_is_listed(network: str, source: str, what: str, verdict: str | None):
    """Of IANA's registries; in a network that carries IPv4 addresses the IPv4 address decides."""
    whole = ipaddress.ip_network(network)
    ends = [whole[0], whole[whole.num_addresses // 2], whole[-1]]
    if verdict == "refused":
        assert all(refusal(str(one)) for one in ends), what
    elif verdict == "carries":
        assert any(refusal(make(0xA9FEA9FE)) for make in CARRIERS.values() if in_network(make(0xA9FEA9FE), network))
        assert any(in_network(make(0x0A000001), network) for make in CARRIERS.values())
    else:
        assert [one for one in ends if refusal(str(one)) and one != LAST_ADDRESS] == [], source


LAST_ADDRESS = ipaddress.ip_address("255.255.255.255")


def in_network(text: str, network: str) -> bool:
    return ipaddress.ip_address(text) in ipaddress.ip_network(network)


@examples(2_000)
@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_python_s_own_registry_agrees(address: ipaddress.IPv4Address | ipaddress.IPv6Address):
    """What `ipaddress` calls link-local or multicast is refused, in each of its networks that Hypothesis draws from."""
    if address.is_link_local or address.is_multicast:
        assert refusal(str(address)), address


@given(st.ip_addresses(v=4), st.sampled_from(sorted(CARRIERS)))
def test_an_address_is_judged_alike_in_every_form(address: ipaddress.IPv4Address, form: str):
    """As IPv4 and carried by IPv6."""
    text, meant = CARRIERS[form](int(address)), refusal(str(address))
    assume("local" not in form or {refusal(one) for one in readings(text)} <= {None, meant})
    assert refusal(text) == meant


def readings(text: str) -> list[str]:
    """All that an address of the NAT64 prefix of local use may carry."""
    packed = ipaddress.IPv6Address(text).packed
    bare = packed[:8] + packed[9:]
    return [str(ipaddress.IPv4Address(one)) for one in (packed[12:], *(bare[at : at + 4] for at in (6, 7, 8)))]


@examples(2_000)
@given(REFUSED, st.data())
def test_no_spelling_of_a_refused_address_gets_through(number: int, data):
    """Whatever the resolver takes for it is refused: decimal, octal, hexadecimal, wide digits, carried by IPv6."""
    text = data.draw(st.one_of(spelled(number), st.sampled_from([make(number) for make in CARRIERS.values()])))
    wide = data.draw(st.booleans())
    if wide and ":" not in text:
        text = text.translate({ord("."): "。", **{ord(c): chr(ord(c) + 0xFEE0) for c in "0123456789"}})
    assert refusal(text), text
    assert refusal(f"[{text}]")
    for found in resolved(text):
        assert refusal(found), (text, found)


@examples(500)
@given(st.integers(0, LAST), st.data())
def test_a_spelling_means_what_the_resolver_says(number: int, data):
    """Nothing is refused that stands for an address which is allowed, and the other way round."""
    text = data.draw(spelled(number))
    assert resolved(text) == {str(ipaddress.IPv4Address(number))}
    assert refusal(text) == refusal(str(ipaddress.IPv4Address(number)))


@examples(500)
@given(st.integers(0, (1 << 118) - 1), st.sampled_from([0xFE80 << 112, 0xFF00 << 112]), st.booleans(), st.booleans())
def test_no_spelling_of_link_local_or_multicast_gets_through(rest: int, network: int, exploded: bool, zone: bool):
    """Short, long, in capitals, in brackets, with an interface."""
    address = ipaddress.IPv6Address(network + rest)
    text = (address.exploded.upper() if exploded else str(address)) + ("%lo" if zone else "")
    assert refusal(text)
    assert refusal(f"[{text}]")
    for found in resolved(text):
        assert refusal(found), (text, found)


@pytest.mark.parametrize("text", ["0x", "08.1.1.1", "1.2.3.4.5", "256.1.1.1", "1.2.3.256", "4294967296", "1e9", "1_0"])
def test_what_is_no_address_is_a_name(text: str):
    """The resolver takes none of these for a number, so they are names, which are judged when they are resolved."""
    assert resolved(text) == set()
    assert refusal(text) is None


def test_a_text_without_an_end_is_a_name():
    """Nothing is computed of numbers that no address has."""
    assert refusal("9" * 100_000) is None
    assert refusal("\u3002" * 100_000) is None
