"""Where a camera is asked, and which stream addresses are taken."""

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operate.cameras.core.addresses import AddressError, Login, camera_address, service_path, stream_url

CAMERA = camera_address("10.0.0.5")
NAMED = camera_address("gate.example:8080")


@pytest.mark.parametrize(
    ("text", "secure", "host", "port", "path"),
    [
        ("10.0.0.5", False, "10.0.0.5", 80, "/onvif/device_service"),
        ("10.0.0.5:8080", False, "10.0.0.5", 8080, "/onvif/device_service"),
        ("gate.example/", False, "gate.example", 80, "/onvif/device_service"),
        ("https://10.0.0.5", True, "10.0.0.5", 443, "/onvif/device_service"),
        ("http://10.0.0.5:81/onvif/device", False, "10.0.0.5", 81, "/onvif/device"),
        ("fd00::5", False, "fd00::5", 80, "/onvif/device_service"),
        ("[fd00::5]:8080", False, "fd00::5", 8080, "/onvif/device_service"),
    ],
)
def test_what_people_type(text, secure, host, port, path):
    """A host, a host with a port, or a whole address."""
    found = camera_address(text)
    assert (found.secure, found.host, found.port, found.path) == (secure, host, port, path)
    assert camera_address(found.label if not secure and path.endswith("_service") else text) == found


@pytest.mark.parametrize("text", ["", "rtsp://10.0.0.5", "10.0.0.5:99999", "a b", "http://", "10.0.0.5:x", "[::1", "é"])
def test_what_is_no_address(text):
    """It says what would be right."""
    with pytest.raises(AddressError, match="is no address; write HOST"):
        camera_address(text)


def test_a_password_is_no_part_of_an_address():
    """It would stand in the list of processes, and in the shell's history."""
    with pytest.raises(AddressError, match="--password-file") as caught:
        camera_address("http://admin:hunter2@10.0.0.5/")
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(Login("admin", "hunter2"))


@pytest.mark.parametrize(
    ("xaddr", "path"),
    [("http://192.168.1.1:99/onvif/media?x=1", "/onvif/media"), ("/onvif/media", "/onvif/media")],
)
def test_of_a_service_only_the_path_is_used(xaddr, path):
    """So a camera behind NAT is asked where it is, and none leads us elsewhere."""
    assert service_path(xaddr) == path


@pytest.mark.parametrize(
    "xaddr",
    [
        "", "http://10.0.0.5", "http://[", "http://h/a b", "http://h/é", "http://h/" + 501 * "a",
        *(f"http://h/x{sign}touch" for sign in ";&|$`'\"\\(){}<>*!~^[]"),
    ],
)  # fmt: skip
def test_a_service_without_a_path(xaddr):
    """Nor one in characters that a shell would read as more than text."""
    with pytest.raises(AddressError, match="no usable address"):
        service_path(xaddr)


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("rtsp://10.0.0.5/stream", "rtsp://10.0.0.5/stream"),
        ("RTSP://10.0.0.5:554/a?subtype=1&x=%20", "rtsp://10.0.0.5:554/a?subtype=1&x=%20"),
        ("rtsps://10.0.0.5:322/a#fragment", "rtsps://10.0.0.5:322/a"),
        ("rtsp://admin:old@10.0.0.5/a", "rtsp://10.0.0.5/a"),
        ("rtsp://[::ffff:10.0.0.5]/a", "rtsp://10.0.0.5/a"),
    ],
)
def test_an_address_that_is_taken(uri, url):
    """The camera's own login is left out, and so is what no player sends."""
    assert stream_url(uri, CAMERA, [], None, link_local=False) == url


def test_the_host_that_was_typed_stays():
    """A camera says its address; who typed its name goes on with the name, and the login is put in encoded."""
    found = stream_url("rtsp://10.0.0.7:554/a", NAMED, {"10.0.0.7"}, Login("a@b", "p:/#ä"), link_local=False)
    assert found == "rtsp://a%40b:p%3A%2F%23%C3%A4@gate.example:554/a"


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("", "names no address"),
        ("rtsp://10.0.0.6/a", "another host: 10.0.0.6"),
        ("rtsp://169.254.169.254/a", "another host"),
        ("rtsp://10.0.0.5.evil.example/a", "another host"),
        ("rtsp://10.0.0.5@evil.example/a", "another host: evil.example"),
        ("rtsp:///a", "another host: none"),
        ("file:///etc/passwd", "file:, not rtsp"),
        ("http://10.0.0.5/a", "http:, not rtsp"),
        ("concat:a|b", "concat:, not rtsp"),
        ("/dev/video0", "without a scheme"),
        ("rtsp://10.0.0.5:99999/a", "no usable address"),
        ("rtsp://[10.0.0.5/a", "no usable address"),
        ("rtsp://10.0.0.5/a b", "no usable address"),
        ("rtsp://10.0.0.5/a\nurl: x", "no usable address"),
        ("rtsp://10.0.0.5/" + 2048 * "a", "no usable address"),
    ],
)
def test_an_address_that_is_not_taken(uri, why):
    """Other hosts, files, other protocols and nonsense; the reason does not hold what could be a key."""
    with pytest.raises(AddressError, match=why) as caught:
        stream_url(uri, CAMERA, ["10.0.0.5"], Login("u", "hunter2"), link_local=False)
    assert "hunter2" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_forbidden_address_is_judged_again():
    """Link-local ones are allowed by the option alone, those of metadata services never."""
    lonely = camera_address("169.254.1.2")
    with pytest.raises(AddressError, match="link-local"):
        stream_url("rtsp://169.254.1.2/a", lonely, [], None, link_local=False)
    assert stream_url("rtsp://169.254.1.2/a", lonely, [], None, link_local=True) == "rtsp://169.254.1.2/a"
    cloud = camera_address("169.254.169.254")
    with pytest.raises(AddressError, match="metadata"):
        stream_url("rtsp://169.254.169.254/a", cloud, [], None, link_local=True)


TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=0x17F), min_size=1, max_size=20)
URIS = st.from_regex(
    r"(rtsp|file|http|RTSPS)://([a-z:@]{0,6}@)?(10\.0\.0\.[56]|evil|\[::1\])(:\d{1,6})?(/[!-~]{0,20})?"
)


@given(URIS, TEXTS, TEXTS)
def test_whatever_a_camera_says_leads_to_itself(uri, user, password):
    """A taken URL has the host that was asked, our login and RTSP; a refusal does not tell our password."""
    try:
        found = urlsplit(stream_url(uri, CAMERA, [], Login(user, password), link_local=False))
    except AddressError as error:
        by_chance = len(password) < 8 or password.lower() in uri.lower()  # a part of our words, or of the camera's
        assert by_chance or password not in str(error)  # noqa: PT017 - either is right
        return
    assert (found.hostname, found.scheme in {"rtsp", "rtsps"}) == ("10.0.0.5", True)
    assert (unquote(found.username), unquote(found.password)) == (user, password)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_none(text):
    """Nothing but AddressError comes out."""
    for ask in (camera_address, service_path, lambda one: stream_url(one, CAMERA, [], None, link_local=False)):
        try:
            ask(text)
        except AddressError as error:
            assert str(error)  # noqa: PT017 - either is right
