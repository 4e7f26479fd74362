"""Where nothing of ours connects to: services.destinations.addresses."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.destinations.addresses import METADATA, refusal

METADATA_FORMS = [
    *map(str, METADATA),
    "[fd00:ec2::254]",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "metadata.google.internal",
    "METADATA.google.internal.",
]


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


@pytest.mark.parametrize(
    "host",
    ["10.0.0.5", "127.0.0.1", "::1", "169.253.255.255", "169.255.0.0", "fec0::1", "gate", "metadata.example.org"],
)
def test_others_are_not(host: str):
    """Private and loopback addresses are where cameras and gateways are."""
    assert refusal(host) is None


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_in_every_form(address: ipaddress.IPv4Address):
    """As IPv4, mapped, behind NAT64 and as 6to4."""
    number = int(address)
    forms = [f"::ffff:{address}", str(ipaddress.IPv6Address((0x64FF9B << 96) + number))]
    forms += [str(ipaddress.IPv6Address((0x2002 << 112) + (number << 80) + 1))]
    assert {refusal(form) for form in forms} == {refusal(str(address))}
