"""What a camera's answers say: what is missing or absurd is None, and nothing that it says is an error of ours."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operate.cameras.core import replies
from operate.cameras.core.requests import MEDIA, MEDIA2
from operate.cameras.core.xml import Element, parsed


def answer(inner):
    """The body of an answer."""
    return replies.body(parsed(f"<s:Envelope xmlns:s='urn:s'><s:Body>{inner}</s:Body></s:Envelope>".encode()))


def profile(token="p", encoding="H264", width="640", height="360", fps="8", kbps="512", name="second"):
    size = f"<Resolution><Width>{width}</Width><Height>{height}</Height></Resolution>"
    rate = f"<RateControl><FrameRateLimit>{fps}</FrameRateLimit><BitrateLimit>{kbps}</BitrateLimit></RateControl>"
    encoder = f"<VideoEncoderConfiguration><Encoding>{encoding}</Encoding>{size}{rate}</VideoEncoderConfiguration>"
    return f"<Profiles token='{token}'><Name>{name}</Name>{encoder}</Profiles>"


def first(**changes):
    return replies.streams(answer(profile(**changes)))[0]


def test_a_body():
    """Only an envelope has one."""
    assert answer("<a/>").at("a")
    assert replies.body(parsed(b"<html><Body/></html>")) is None
    assert replies.body(parsed(b"<Envelope/>")) is None


@pytest.mark.parametrize(
    ("inner", "kind", "words"),
    [
        ("<Fault><Code><Subcode><Value>ter:NotAuthorized</Value></Subcode></Code></Fault>", "login", ""),
        ("<Fault><Reason><Text>Sender not authorized</Text></Reason></Fault>", "login", "Sender not authorized"),
        ("<Fault><faultcode>wsse:FailedAuthentication</faultcode></Fault>", "login", ""),
        ("<Fault><Code><Value>ter:ActionNotSupported</Value></Code></Fault>", "unsupported", ""),
        ("<Fault><faultstring>Method not implemented</faultstring></Fault>", "unsupported", "Method not implemented"),
        ("<Fault><Reason><Text>\x1b[2Jboom</Text></Reason></Fault>".replace("\x1b", "&#x9b;"), "fault", "?[2Jboom"),
        ("<Fault/>", "fault", ""),
    ],
)  # fmt: skip
def test_why_an_answer_is_of_no_use(inner, kind, words):
    """By the codes of ONVIF and the words of those who have none."""
    assert replies.trouble(answer(inner)) == (kind, words)


def test_a_good_answer():
    """It is no fault."""
    assert replies.trouble(answer("<a/>")) is None


def moment(**parts):
    at = {"Year": 2026, "Month": 11, "Day": 29, "Hour": 7, "Minute": 5, "Second": 9} | parts
    inner = lambda *names: "".join(f"<{one}>{at[one]}</{one}>" for one in names)  # noqa: E731
    date, time = inner("Year", "Month", "Day"), inner("Hour", "Minute", "Second")
    return replies.clock(answer(f"<x><UTCDateTime><Time>{time}</Time><Date>{date}</Date></UTCDateTime></x>"))


def test_a_clock():
    """UTC as the camera shows it; a leap second is the one before; nonsense is no time."""
    assert moment() == datetime(2026, 11, 29, 7, 5, 9, tzinfo=UTC)
    assert moment(Second=60) == datetime(2026, 11, 29, 7, 5, 59, tzinfo=UTC)
    assert moment(Year=1970) is not None
    for wrong in ({"Year": 1969}, {"Year": 9001}, {"Month": 13}, {"Day": "x"}, {"Year": "9" * 30}, {"Hour": -1}):
        assert moment(**wrong) is None
    assert replies.clock(answer("<a/>")) is None


def test_a_model():
    """Maker and model on one line; nothing if it says nothing."""
    said = "<Manufacturer>Acme</Manufacturer><Model>X\n1</Model>"
    assert replies.model(answer(f"<GetDeviceInformationResponse>{said}</GetDeviceInformationResponse>")) == "Acme X 1"
    assert replies.model(answer("<a/>")) == ""


def test_media_services():
    """By either question; the first of a kind counts, an unusable address doesn't, other services don't."""
    service = lambda space, where: f"<Service><Namespace>{space}</Namespace><XAddr>{where}</XAddr></Service>"  # noqa: E731
    listed = service("urn:ptz", "http://h/ptz") + service(MEDIA2, "http://h/m2") + service(MEDIA, "http://h/m")
    assert replies.media_paths(answer(f"<r>{listed}</r>")) == {MEDIA2: "/m2", MEDIA: "/m"}
    assert replies.media_paths(answer(service(MEDIA, "http://h") + service(MEDIA, "http://h/b"))) == {MEDIA: "/b"}
    older = "<r><Capabilities><Media><XAddr>http://h/old</XAddr></Media></Capabilities></r>"
    assert replies.media_paths(answer(older)) == {MEDIA: "/old"}
    assert replies.media_paths(answer("<a/>")) == {}


def test_a_stream():
    """A profile of the first media service, as it is."""
    found = first()
    assert (found.token, found.name, found.codec, found.width, found.height) == ("p", "second", "H.264", 640, 360)
    assert (found.fps, found.kbps, found.refused) == (8.0, 512, None)


def test_a_stream_of_the_second_media_service():
    """It has another shape, and H.265."""
    inner = (
        "<Profiles token='p2'><Name>n</Name><Configurations><VideoSource/><VideoEncoder><Encoding>H265</Encoding>"
        "<Resolution><Width>1280</Width><Height>720</Height></Resolution>"
        "<RateControl><FrameRateLimit>12.5</FrameRateLimit><BitrateLimit>1024</BitrateLimit></RateControl>"
        "</VideoEncoder></Configurations></Profiles>"
    )
    (found,) = replies.streams(answer(inner))
    assert (found.codec, found.width, found.fps, found.kbps) == ("H.265", 1280, 12.5, 1024)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"encoding": "jpeg"}, {"codec": "JPEG"}),
        ({"encoding": "video/H264"}, {"codec": "H.264"}),
        ({"encoding": "AV2"}, {"codec": "other", "refused": "its codec is none that Moretta reads"}),
        ({"width": "-1"}, {"width": None, "height": None}),
        ({"width": "16"}, {"width": 16}),
        ({"width": "15"}, {"width": None}),
        ({"height": "16384"}, {"height": 16384}),
        ({"height": "16385"}, {"width": None, "height": None}),
        ({"height": "9" * 40}, {"height": None}),
        ({"height": "NaN"}, {"height": None}),
        ({"height": "inf"}, {"height": None}),
        ({"height": "٦٤٠"}, {"height": None}),
        ({"fps": "0"}, {"fps": None}),
        ({"fps": "241"}, {"fps": None}),
        ({"fps": "1e9"}, {"fps": None}),
        ({"kbps": "0"}, {"kbps": None}),
        ({"kbps": "1000001"}, {"kbps": None}),
        ({"name": ""}, {"name": "p"}),
        ({"name": "a &#x9b; b"}, {"name": "a ? b"}),
    ],
)
def test_nonsense_is_nothing(changes, expected):
    """A size, a rate or a codec that no camera has is not known, and a name never moves the cursor."""
    found = first(**changes)
    assert {name: getattr(found, name) for name in expected} == expected


def test_profiles_that_are_none():
    """Without an encoder, or a token that is missing, too long or not printable; each counts once, 32 are enough."""
    bare = "<Profiles token='a'><Name>n</Name></Profiles>"
    inner = (
        bare
        + profile(token="")
        + profile(token="&#x9b;2J")
        + profile(token="x" * 65)
        + profile(token="x" * 64)
        + profile(name="again") * 2
    )
    assert [one.token for one in replies.streams(answer(inner))] == ["x" * 64, "p"]
    many = "".join(profile(token=f"t{n}") for n in range(100))
    assert len(replies.streams(answer(many))) == replies.MAX_PROFILES


def test_a_stream_address():
    """Of either media service; empty if there is none."""
    wrapped = lambda inner: f"<GetStreamUriResponse>{inner}</GetStreamUriResponse>"  # noqa: E731
    assert replies.stream_uri(answer(wrapped("<MediaUri><Uri> rtsp://h/a </Uri></MediaUri>"))) == "rtsp://h/a"
    assert replies.stream_uri(answer(wrapped("<Uri>rtsp://h/b</Uri>"))) == "rtsp://h/b"
    assert replies.stream_uri(answer(wrapped(""))) == ""
    assert replies.stream_uri(answer("<a/>")) == ""


NAMES = st.sampled_from((
    "Fault", "Text", "Value", "UTCDateTime", "Date", "Year", "Service", "XAddr", "Media", "Profiles", "Resolution",
    "VideoEncoderConfiguration", "Width", "RateControl", "FrameRateLimit", "GetStreamUriResponse", "MediaUri", "Uri",
    "Configurations", "VideoEncoder", "Namespace",
))  # fmt: skip
TREES = st.recursive(
    st.builds(Element, NAMES, st.just({"token": "t"}), st.just([]), st.text(max_size=20)),
    lambda inner: st.builds(Element, NAMES, st.just({"token": "t"}), st.lists(inner, max_size=4), st.text(max_size=9)),
    max_leaves=20,
)


@given(st.lists(TREES, max_size=4))
def test_any_answer_is_read(children):
    """Whatever stands where: values within their bounds, and no error."""
    found = Element("Body", {}, children)
    replies.trouble(found)
    replies.clock(found)
    assert replies.model(found).isprintable()
    assert all(path.startswith("/") for path in replies.media_paths(found).values())
    assert isinstance(replies.stream_uri(found), str)
    for one in replies.streams(found):
        assert one.name.isprintable()
        assert one.width is None or (16 <= one.width <= 16_384 and one.height)
        assert one.fps is None or 0 < one.fps <= 240
