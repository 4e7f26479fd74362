"""What is sent to a camera: well-formed whatever a camera or a user named, and a proof instead of a password."""

import base64
import hashlib
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from operate.cameras.core import requests
from operate.cameras.core.addresses import Login
from operate.cameras.core.xml import parsed

AT = datetime(2026, 11, 29, 7, 5, 9, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=30)


def test_a_request():
    """One envelope with one question; the login stands in the header."""
    root = parsed(requests.envelope(requests.SERVICES))
    assert (root.name, root.at("Header")) == ("Envelope", None)
    assert root.text_at("Body", "GetServices", "IncludeCapability") == "false"
    for question in (requests.DATE_AND_TIME, requests.INFORMATION, requests.CAPABILITIES):
        assert len(parsed(requests.envelope(question)).at("Body").children) == 1


def test_both_media_services_are_asked_in_their_own_words():
    """The second one wants to know what to tell, and has no transport of its own."""
    body = lambda text: parsed(requests.envelope(text)).at("Body")  # noqa: E731
    assert body(requests.profiles(requests.MEDIA2)).text_at("GetProfiles", "Type") == "VideoEncoder"
    assert body(requests.profiles(requests.MEDIA)).at("GetProfiles").children == []
    first = body(requests.stream_address(requests.MEDIA, "t")).at("GetStreamUri")
    assert first.text_at("StreamSetup", "Transport", "Protocol") == "RTSP"
    assert first.text_at("StreamSetup", "Stream") == "RTP-Unicast"
    second = body(requests.stream_address(requests.MEDIA2, "t")).at("GetStreamUri")
    assert (second.text_at("Protocol"), second.text_at("ProfileToken")) == ("RTSP", "t")


def test_the_proof_of_a_password():
    """Base64 of SHA-1 of nonce, time and password (UsernameToken Profile 1.0); the password itself is not sent."""
    header = requests.security(Login("anna", "hunter2"), b"0123456789abcdef", AT)
    sent = parsed(requests.envelope(requests.SERVICES, header)).at("Header", "Security", "UsernameToken")
    created = "2026-11-29T07:05:09.000Z"
    digest = hashlib.sha1(b"0123456789abcdef" + created.encode() + b"hunter2").digest()
    assert (sent.text_at("Username"), sent.text_at("Created")) == ("anna", created)
    assert base64.b64decode(sent.text_at("Nonce")) == b"0123456789abcdef"
    assert base64.b64decode(sent.text_at("Password")) == digest
    assert sent.at("Password").attributes["Type"].endswith("#PasswordDigest")
    assert "hunter2" not in header


@given(TEXTS, TEXTS)
def test_no_name_breaks_out_of_its_place(user, token):
    """A camera's token and a user's name come back as they are."""
    header = requests.security(Login(user, "x"), b"n", AT)
    for service in (requests.MEDIA, requests.MEDIA2):
        root = parsed(requests.envelope(requests.stream_address(service, token), header))
        assert root.text_at("Body", "GetStreamUri", "ProfileToken") == token
        assert root.text_at("Header", "Security", "UsernameToken", "Username") == user
