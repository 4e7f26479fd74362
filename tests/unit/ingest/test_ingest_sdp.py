"""What offers must say and answers say beside aiortc's words: services.ingest.core.sdp."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.core.sdp import (
    OfferError,
    announcing,
    candidates_of,
    check_offer,
    held,
    sections_of,
    spelled_out,
    with_addresses_only,
)

REFUSED = ("169.254.169.254", "169.254.7.7", "fe80::1", "fe80::1%eth0", "224.0.0.1", "ff02::1", "64:ff9b::a9fe:a9fe")
ICE = ("a=ice-ufrag:u", "a=ice-pwd:p", "a=fingerprint:sha-256 AA:BB", "a=setup:actpass", "a=rtcp-mux")
H264 = ("a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=1;profile-level-id=42e01f")
VP8 = ("a=rtpmap:97 VP8/90000",)
DIRECTIONS = ("a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive")


def section(kind="video", *lines, mid="0"):
    return [f"m={kind} 9 UDP/TLS/RTP/SAVPF 96 97", f"a=mid:{mid}", *ICE, *lines]


def sdp(*sections, session=None):
    """An offer; without session lines of its own it has a group of all sections."""
    mids = [line.removeprefix("a=mid:") for part in sections for line in part if line.startswith("a=mid:")]
    session = ("v=0", f"a=group:BUNDLE {' '.join(mids)}") if session is None else session
    return "".join(f"{line}\r\n" for part in (list(session), *sections) for line in part)


@pytest.mark.parametrize(
    ("lines", "codec"),
    [
        ((*H264, *VP8), "h264"),
        ((*VP8, *H264), "h264"),
        (VP8, "vp8"),
        (("a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=1"), "h264"),
        (("a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=0;profile-level-id=42e01f", *VP8), "vp8"),
        (("a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=1;profile-level-id=64001f", *VP8), "vp8"),
        (("a=rtpmap:96 H264/90000", *VP8), "vp8"),
    ],
)
def test_the_codec(lines, codec):
    """H.264 of the baseline profile in packetization mode 1 wherever it is offered, else VP8."""
    assert check_offer(sdp(section("video", *lines))) == codec


@pytest.mark.parametrize(
    ("offer", "status", "word"),
    [
        ("", 400, "v=0"),
        ("hello", 400, "v=0"),
        (sdp(), 400, "m="),
        (sdp(["m=video 9 UDP/TLS/RTP/SAVPF 96", *ICE, *H264]), 400, "a=mid"),
        (sdp(["m=video 9 UDP/TLS/RTP/SAVPF 96", "a=mid:0", *H264]), 400, "ice-ufrag"),
        (sdp(section("video", *H264)).replace("sha-256", "sha-1"), 400, "SHA-2"),
        (sdp(section("video", *H264, *["a=rtcp-fb:96 nack"] * 400)), 400, "300 lines"),
        (sdp(section("audio")), 406, "one video"),
        (sdp(section("video", *H264), section("video", *H264, mid="1")), 406, "one video"),
        (sdp(section("video", *H264), section("application", mid="1")), 406, "no data channel"),
        (sdp(section("video", *H264), section("audio", mid="1"), session=("v=0",)), 406, "BUNDLE"),
        *(
            (sdp(section("video", *H264), section("audio", mid="1"), session=("v=0", *groups)), 406, "BUNDLE")
            for groups in (["a=group:BUNDLE 0"], ["a=group:BUNDLE 0 1 2"], ["a=group:BUNDLE 0", "a=group:BUNDLE 1"])
        ),
        (sdp(section("video", *H264), session=("v=0", "a=group:BUNDLE ghost 0")), 406, "BUNDLE"),
        (sdp(section("video", *H264), session=("v=0", "a=group:BUNDLE 0 0")), 406, "BUNDLE"),
        (sdp(section("video", *H264), section("audio", mid="0")), 406, "BUNDLE"),
        (sdp(section("video", *H264, "a=recvonly")), 406, "a=sendonly"),
        (sdp(section("video", *H264), session=("v=0", "a=inactive")), 406, "a=sendonly"),
        (sdp(section("video", "a=rtpmap:98 VP9/90000")), 406, "H.264"),
        (sdp(section("video", "a=rtpmap:")), 406, "H.264"),
    ],
)
def test_refused_offers(offer, status, word):
    """RFC 9725 §4.4: 400 for what can't be read, 406 for what can't be served in whole, with what would be right."""
    with pytest.raises(OfferError) as refused:
        check_offer(offer)
    assert (refused.value.status, word in refused.value.detail) == (status, True)


@given(st.text(alphabet="vma=0:;/ \r\nBUNDLErtpcodfinge96H264VP8", max_size=300))
def test_any_text_is_read_or_refused(text):
    """Nothing but OfferError comes out, whatever comes in."""
    for offer in (text, sdp(section("video", *text.splitlines()))):
        with contextlib.suppress(OfferError):
            assert check_offer(offer) in {"h264", "vp8"}


def test_only_addresses_are_followed():
    """Names (mDNS), TCP, other components, ports of servers, and addresses that nothing of ours connects to go."""
    good = [f"a=candidate:1 1 udp 2130706431 192.0.2.{i} 4000 typ host" for i in range(100)]
    bad = [
        "a=candidate:1 1 udp 2130706431 b2b.local 4000 typ host",
        "a=candidate:1 1 tcp 2130706431 192.0.2.1 9 typ host tcptype active",
        "a=candidate:nonsense",
        *(f"a=candidate:1 1 udp 2130706431 192.0.2.1 {port} typ host" for port in (0, 53, 1023, 65536, "9" * 5000)),
        "a=candidate:1 2 udp 2130706431 192.0.2.1 4000 typ host",
        *(f"a=candidate:1 1 udp 2130706431 {host} 4000 typ host" for host in REFUSED),
        "a=end-of-candidates",
    ]
    assert with_addresses_only(sdp(section("video", *bad, good[0]))) == sdp(section("video", good[0]))
    assert with_addresses_only(sdp(section("video", *bad, *good))) == sdp(section("video", *good[:16]))
    link_local = "a=candidate:1 1 udp 2130706431 169.254.7.7 4000 typ host"
    assert link_local in with_addresses_only(sdp(section("video", link_local)), link_local=True)


def test_the_candidates_of_an_offer():
    """Each address and port in its shortest form, in the offer's order; nothing else of the offer counts."""
    lines = [
        "a=candidate:1 1 udp 2130706431 192.0.2.1 4000 typ host generation 0",
        "a=candidate:2 1 UDP 2130706431 2001:DB8:0:0::1 65535 typ srflx raddr 192.0.2.1 rport 9",
        "a=rtcp:9 IN IP4 0.0.0.0",
    ]
    text = with_addresses_only(sdp(section("video", *lines)))
    assert candidates_of(text) == [("192.0.2.1", 4000), ("2001:db8::1", 65535)]


@pytest.mark.parametrize(
    ("session", "lines", "direction"),
    [
        ([], [], "a=sendrecv"),
        (["a=sendonly"], [], "a=sendonly"),
        (["a=inactive"], ["a=sendonly"], "a=sendonly"),
        ([], ["a=recvonly", "a=sendonly"], "a=sendonly"),
    ],
)
def test_the_direction_is_spelled_out(session, lines, direction):
    """A section's own, else that of all, else both ways; once."""
    text = spelled_out(sdp(section("video", *lines, *H264), session=("v=0", *session)))
    assert [line for line in sections_of(text)[1] if line in DIRECTIONS] == [direction]


def test_the_transport_of_the_group_is_everybodys():
    """That of the section which the group names first: bundle-only ones have none, and what others say is void."""
    bare = ["m=audio 0 UDP/TLS/RTP/SAVPF 111", "a=mid:1", "a=bundle-only"]
    own = ["m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:1", *(line.replace("-ufrag:u", "-ufrag:o") for line in ICE)]
    for audio, order, user in [(bare, "0 1", "u"), (own, "0 1", "u"), (own, "1 0", "o")]:
        offer = sdp(section("video", *H264), audio, session=("v=0", f"a=group:BUNDLE {order}"))
        assert check_offer(offer) == "h264"
        for part in sections_of(spelled_out(offer))[1:]:
            assert [line for line in part if "ufrag" in line] == [f"a=ice-ufrag:{user}"]
            assert {*ICE[1:]} <= {*part}


def test_the_resolution_is_held():
    """The rates stand in the fmtp of each payload type of the codec, and of no other; RTCP shares RTP's port."""
    answer = sdp(section("audio"), section("video", *H264, "a=fmtp:97 apt=96", mid="1"))
    text = held(answer, "h264")
    rates = "x-google-start-bitrate=2500;x-google-min-bitrate=1500"
    assert f"a=fmtp:96 packetization-mode=1;profile-level-id=42e01f;{rates}\r\n" in text
    assert "a=fmtp:97 apt=96\r\n" in text
    assert text.count("a=rtcp-mux\r\na=rtcp-mux-only\r\n") == 2
    assert f"a=rtpmap:97 VP8/90000\r\na=fmtp:97 {rates}\r\n" in held(sdp(section("video", *VP8)), "vp8")


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ([], ["192.0.2.1 4001", "10.88.0.1 4002", "fd00::1 4003"]),
        (["192.0.2.1"], ["192.0.2.1 4001"]),
        (["fd00::1", "192.0.2.1"], ["fd00::1 4003", "192.0.2.1 4001"]),
        (["198.51.100.9"], ["198.51.100.9 4001"]),  # a gateway that forwards the same port
    ],
)
def test_the_addresses_told(wanted, told):
    """Without a setting all that were gathered; else those, and no other one is named anywhere.

    They stand where the first one stood.
    """
    gathered = [("192.0.2.1", 4001), ("10.88.0.1", 4002), ("fd00::1", 4003)]
    lines = [f"a=candidate:f 1 udp 2130706431 {address} {port} typ host" for address, port in gathered]
    text = announcing(sdp(section("video", "c=IN IP4 192.0.2.1", lines[0], "a=inactive", *lines[1:])), wanted)
    found = [line.split(" udp 2130706431 ")[1].removesuffix(" typ host") for line in text.splitlines() if "typ" in line]
    assert found == told
    default = next(line for line in sections_of(text)[1] if line.startswith("c="))
    assert default == f"c=IN IP{6 if ':' in told[0] else 4} {told[0].split(' ')[0]}"
    mine = sections_of(text)[1]
    assert not wanted or mine.index("a=inactive") > max(n for n, line in enumerate(mine) if "typ" in line)
