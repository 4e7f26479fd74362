"""What cameras of a network answer, and who is believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operate.cameras.core.addresses import camera_address
from operate.cameras.core.discovery import TYPES, Found, answers, probe, together
from operate.cameras.core.xml import parsed

ID = "uuid:1"


def match(xaddrs="http://10.0.0.5/onvif/device_service", scopes="", related=ID, inner=None):
    """The datagram of a camera."""
    one = f"<ProbeMatch><Scopes>{scopes}</Scopes><XAddrs>{xaddrs}</XAddrs></ProbeMatch>" if inner is None else inner
    head = f"<Header><RelatesTo>{related}</RelatesTo></Header>"
    return f"<Envelope>{head}<Body><ProbeMatches>{one}</ProbeMatches></Body></Envelope>".encode()


def heard(datagram, sender="10.0.0.5", link_local=False):
    return answers(datagram, sender, {ID}, link_local=link_local)


@pytest.mark.parametrize("kind", TYPES)
def test_the_question(kind):
    """It has its id, its kind and where the answer goes."""
    root = parsed(probe("uuid:7", kind))
    assert root.text_at("Header", "MessageID") == "uuid:7"
    assert root.text_at("Header", "Action").endswith("/discovery/Probe")
    assert root.text_at("Body", "Probe", "Types") == kind


def test_an_answer():
    """Name and model are in its scopes, percent-encoded."""
    scopes = "onvif://www.onvif.org/name/North%20gate onvif://www.onvif.org/hardware/X1 urn:other"
    assert heard(match(scopes=scopes)) == [Found(host="10.0.0.5", address="10.0.0.5", name="North gate", model="X1")]


@pytest.mark.parametrize(
    ("xaddrs", "address"),
    [
        ("http://10.0.0.5:80/onvif/device_service", "10.0.0.5"),
        ("http://10.0.0.5:8080/onvif/device_service", "10.0.0.5:8080"),
        ("http://10.0.0.5/other", "http://10.0.0.5:80/other"),
        ("https://10.0.0.5/onvif/device_service", "https://10.0.0.5:443/onvif/device_service"),
        ("https://10.0.0.5/a http://10.0.0.5/onvif/device_service", "10.0.0.5"),
        ("http://169.254.3.4/onvif/device_service http://10.0.0.5/onvif/device_service", "10.0.0.5"),
        ("http://10.0.0.5/x;reboot; http://10.0.0.5/onvif/device_service", "10.0.0.5"),
        ("file:///etc/passwd rtsp://10.0.0.5 http://[ http://10.0.0.5/onvif/device_service", "10.0.0.5"),
    ],
)
def test_the_address_of_a_camera(xaddrs, address):
    """That at which it answered, as short as `show` takes it; TLS only where there is nothing else."""
    (found,) = heard(match(xaddrs))
    assert found.address == address
    assert camera_address(address).host == "10.0.0.5"


@pytest.mark.parametrize(
    ("datagram", "sender", "why"),
    [
        (match("http://10.0.0.6/onvif/device_service"), "10.0.0.5", "only other hosts"),
        (match("http://10.0.0.5@10.0.0.6/a"), "10.0.0.5", "only other hosts"),
        (match("http://10.0.0.5/$(reboot)"), "10.0.0.5", "unusable paths"),
        (match(""), "10.0.0.5", "names no address"),
        (match("http://169.254.1.2/onvif/device_service"), "169.254.1.2", "link-local"),
        (match("http://169.254.169.254/a"), "169.254.169.254", "metadata"),
    ],
)
def test_who_is_not_believed(datagram, sender, why):
    """Who names other hosts, or answers from an address that cameras may not have, is shown without an address."""
    (found,) = heard(datagram, sender)
    assert found.address is None
    assert why in found.refused


def test_link_local_cameras_where_they_are_allowed():
    """Metadata services are not, even then."""
    assert heard(match("http://169.254.1.2/onvif/device_service"), "169.254.1.2", link_local=True)[0].address
    assert not heard(match("http://169.254.169.254/a"), "169.254.169.254", link_local=True)[0].address


@pytest.mark.parametrize(
    "datagram",
    [b"", b"hello", b"<a/>", match(related="uuid:2"), match(inner=""), b"<!DOCTYPE a><Envelope/>", b"\xff" * 900],
)
def test_what_is_no_answer(datagram):
    """Noise, answers to others, and answers that ask for trouble are passed over."""
    assert heard(datagram) == []


def test_one_device_answers_for_itself():
    """A datagram with a thousand cameras is one camera."""
    inner = "<ProbeMatch><XAddrs>http://10.0.0.5/onvif/device_service</XAddrs></ProbeMatch>" * 1000
    assert len(heard(match(inner=inner))) == 1


def test_each_once_and_in_order():
    """The same answer comes several times; one with an address is worth more; 9 is before 10."""
    one, other = Found(host="10.0.0.10", address="10.0.0.10"), Found(host="10.0.0.9", address="10.0.0.9")
    lost, late = Found(host="10.0.0.9", address=None, refused="x"), Found(host="10.0.0.7", address=None, refused="y")
    assert together([one, lost, other, one, late, late]) == [late, other, one]
    two = Found(host="10.0.0.9", address="10.0.0.9:8080")
    assert together([two, other]) == [other, two]
    assert together([]) == []


@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda text: match(text.replace("<", "").replace("&", ""))))
def test_any_datagram_is_heard(datagram):
    """No error, and no address but the sender's."""
    for one in heard(datagram):
        assert one.host == "10.0.0.5"
        assert one.address is None or camera_address(one.address).host == "10.0.0.5"
