"""The try-out's parts without a network: what its cameras and its door say to a request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.settings import SettingsError
from testbed.servers.rtsp_camera import RtspRequest, answer, parsed
from testbed.tryout.door import Backend, Door
from testbed.tryout.tryout import place

DOOR = Door(Backend("page", 8088), Backend("nats", 8443))


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("OPTIONS", {}, "200 OK"),
        ("DESCRIBE", {}, "200 OK"),
        ("SETUP", {"transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}, "200 OK"),
        ("SETUP", {"transport": "RTP/AVP;unicast;client_port=5000-5001"}, "461 Unsupported Transport"),
        ("SETUP", {}, "461 Unsupported Transport"),
        ("PLAY", {}, "200 OK"),
        ("RECORD", {}, "501 Not Implemented"),
    ],
)
def test_a_camera_answers(method, headers, status):
    assert answer(RtspRequest(method, "rtsp://camera/gate", headers)).status == status


def test_an_answer_has_the_requests_number_and_its_own_length():
    described = answer(RtspRequest("DESCRIBE", "rtsp://camera/gate", {}))
    head, _, body = described.written("7").decode().partition("\r\n\r\n")
    assert head.startswith("RTSP/1.0 200 OK\r\nCSeq: 7\r\n")
    assert f"Content-Length: {len(body)}" in head
    assert "Content-Base: rtsp://camera/gate/" in head


@given(st.text())
def test_what_is_no_request_is_none(text):
    assert parsed(text) is None or text.partition("\r\n")[0].endswith("RTSP/1.0")


def test_a_request_is_read():
    head = "SETUP rtsp://camera/gate/track RTSP/1.0\r\nCSeq: 3\r\nTransport: RTP/AVP/TCP\r\n\r\n"
    wanted = RtspRequest("SETUP", "rtsp://camera/gate/track", {"cseq": "3", "transport": "RTP/AVP/TCP"})
    assert parsed(head) == wanted


@pytest.mark.parametrize("line", [b"GET /nats HTTP/1.1", b"GET /nats/ HTTP/1.1", b"GET /nats?a HTTP/1.1"])
def test_the_websocket_goes_to_nats_as_it_came(line):
    head = line + b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert DOOR.to(head) == (DOOR.websocket, head)


@pytest.mark.parametrize(
    "line", [b"GET / HTTP/1.1", b"GET /nats.js HTTP/1.1", b"GET /natsy HTTP/1.1", b"POST /nats HTTP/1.1"]
)
def test_all_else_goes_to_the_page_which_closes_after_its_answer(line):
    """Else a browser might ask for the websocket on the same connection."""
    head = line + b"\r\nConnection: keep-alive\r\nHost: localhost:8088\r\n\r\n"
    assert DOOR.to(head) == (DOOR.page, line + b"\r\nHost: localhost:8088\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize("text", ["", "moretta-page", ":8088", "moretta-page:", "moretta-page:0", "a:70000", "a:b"])
def test_what_is_no_place_is_refused(text):
    with pytest.raises(SettingsError, match=r"--page: .* is no HOST:PORT, such as"):
        place("--page", text)
