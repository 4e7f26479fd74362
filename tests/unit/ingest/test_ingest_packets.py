"""What may be decoded: services.ingest.core.packets, on real pictures and on those that would take minutes."""

import io
import sys

import av
import bombs
import clips
import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from services.ingest.core import packets as sut
from services.ingest.core.packets import (
    MARGIN,
    MAX_BYTES,
    MAX_BYTES_UNCOUNTED,
    MAX_PICTURES,
    MAX_SCANS,
    MAX_SLICES,
    MAX_UNITS,
    jpeg_size,
    refusal,
)
from services.ingest.core.picture import MAX_PIXELS

NOISE = np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8)
JPEGS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "optimised": {"optimize": True, "restart_marker_rows": 1},
    "best quality, full colour": {"quality": 100, "subsampling": 0},
    "progressive, full colour": {"subsampling": 0, "progressive": True},
    "with 900 kB of other things": {
        "exif": b"Exif\0\0" + bytes(range(256)) * 200,
        "icc_profile": NOISE.tobytes()[:850_000],
    },
}
AVCC = b"\x01\x42\x00\x1e\xff"
"""The beginning of a configuration record: lengths of four bytes (ISO/IEC 14496-15, 5.3.3.1)."""


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_real_jpeg_passes(mode, options):
    """Even one of noise, whose file is as large as they come."""
    out = io.BytesIO()
    Image.fromarray(NOISE).convert(mode).save(out, "JPEG", **options)
    assert refusal("mjpeg", memoryview(out.getvalue())) is None
    assert jpeg_size(out.getvalue()) == (640, 480)


def noise(width, height, index):
    return np.random.default_rng(index).integers(0, 256, (height, width, 3), np.uint8)


CLIPS = {
    "h264.h264": {},
    "h264.mp4": {"b_frames": 2},
    "h264.ts": {},
    "noise.h264": {"picture": noise, "pictures": 3},
    "hevc.hevc": {"codec": "libx265"},
    "hevc.mkv": {"codec": "libx265"},
    "mjpeg.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "mpeg4.avi": {"codec": "mpeg4"},
    "mpeg2.mpg": {"codec": "mpeg2video"},
    "vp8.webm": {"codec": "libvpx"},
    "av1.mkv": {"codec": "libsvtav1", "pictures": 10},
}


@pytest.mark.parametrize("name", CLIPS)
def test_a_real_film_passes(tmp_path, name):
    """With start codes and with lengths, in every codec that cameras send."""
    path, count = clips.make_clip(tmp_path / name, **CLIPS[name]), 0
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        for packet in container.demux(video=0):
            if packet.size:
                size = (0, 0) if packet.is_keyframe else (context.width, context.height)
                codec = context.codec.canonical_name
                assert refusal(codec, memoryview(packet), size, context.extradata or b"") is None
                count += 1
    assert count >= CLIPS[name].get("pictures", 50)


def test_pictures_in_many_slices_pass(tmp_path):
    """As some cameras send them, for losses to cost little: a slice per row of macroblocks."""
    with av.open(str(tmp_path / "clip.h264"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "slices": "68"})
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(clips.pattern(1920, 1080, index), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(str(tmp_path / "clip.h264")) as container:
        found = [refusal("h264", memoryview(packet)) for packet in container.demux(video=0) if packet.size]
    assert found == [None] * 3


def unit(payload, *, with_length):
    return len(payload).to_bytes(4, "big") + payload if with_length else b"\0\0\0\1" + payload


def avc(*payloads, with_length=False):
    return b"".join(unit(payload, with_length=with_length) for payload in payloads)


SLICE, FIRST, MESSAGE = b"\x41" + bombs.skipping(8160), b"\x65\x88\x84", b"\x06\x05\x01\x00\x80"
HEVC_SLICE, HEVC_FIRST = b"\x02\x01\x40\x10", b"\x26\x01\xaf\x08"
FULL = [FIRST, *[SLICE] * (MAX_SLICES - 1)]
MANY = [
    ("h264", [*FULL], None),
    ("h264", [*FULL, SLICE], "slices"),
    ("h264", [FIRST] * MAX_PICTURES, None),
    ("h264", [FIRST] * (MAX_PICTURES + 1), "first slices of a picture"),
    ("h264", [MESSAGE] * MAX_UNITS, None),
    ("h264", [MESSAGE] * (MAX_UNITS + 1), "NAL units"),
    ("hevc", [HEVC_FIRST, *[HEVC_SLICE] * (MAX_SLICES - 1)], None),
    ("hevc", [HEVC_FIRST, *[HEVC_SLICE] * MAX_SLICES], "slices"),
    ("hevc", [HEVC_FIRST] * (MAX_PICTURES + 1), "first slices of a picture"),
]


@pytest.mark.parametrize("with_length", [False, True])
@pytest.mark.parametrize(("codec", "units", "why"), MANY)
def test_slices_and_units_are_counted(codec, units, why, with_length):
    """A slice of skipped macroblocks goes over the whole picture, and has a dozen bytes."""
    extradata = {"h264": AVCC, "hevc": b"\x01" + bytes(20) + b"\xff"}[codec] if with_length else b""
    found = refusal(codec, avc(*units, with_length=with_length), (1920, 1080), extradata)
    assert (found is None) == (why is None)
    assert (why or "") in (found or "")


def test_start_codes_count_where_lengths_are_in_use():
    """FFmpeg changes over to them when a packet looks like it (libavcodec/h264dec.c)."""
    assert refusal("h264", avc(*FULL, SLICE), (1920, 1080), AVCC) is not None


@pytest.mark.parametrize(("scans", "passes"), [(MAX_SCANS - 1, True), (MAX_SCANS, False), (30_000, False)])
def test_scans_are_counted(scans, passes):
    """Each goes over the whole picture; the first one has the means of its blocks."""
    found = refusal("mjpeg", bombs.jpeg(scans))
    assert found == (None if passes else "a JPEG with more than 100 scans")


def test_frame_headers_are_counted():
    """Each makes the decoder take memory for a picture anew."""
    data = bombs.jpeg(0, 64, 64)
    assert refusal("mjpeg", data[:-2] + bombs.frame_header(64, 64) * MAX_SCANS) == (
        "a JPEG with more than 100 frame headers"
    )


@pytest.mark.parametrize(("size", "why"), [((8192, 4320), None), ((65_500, 65_500), "a JPEG of 65500x65500")])
def test_a_jpeg_says_its_size(size, why):
    """Before memory is taken for it."""
    data = b"\xff\xd8" + bombs.frame_header(*size) + b"\xff\xd9"
    assert (refusal("mjpeg", data) or "").startswith(why or "")
    assert (refusal("mjpeg", data) is None) == (why is None)


@pytest.mark.parametrize("data", [b"\xff\xd8", b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xda\x00\x02", b"no picture"])
def test_a_jpeg_without_a_frame_is_refused(data):
    """So is one whose frame header is behind more segments than any file has."""
    assert refusal("mjpeg", data) == "a JPEG without a frame header"
    assert jpeg_size(b"\xff\xd8" + b"\xff\xe0\x00\x02" * MAX_UNITS + bombs.frame_header(8, 8)) is None


SIZES = [
    ("h264", (64, 64), 3 * 64 * 64 + MARGIN),
    ("vp8", (64, 64), 3 * 64 * 64 + MARGIN),
    ("h264", (0, 0), MAX_BYTES),
    ("hevc", (8192, 4320), MAX_BYTES),
    ("mpeg2video", (0, 0), MAX_BYTES),
    ("mpeg4", (0, 0), MAX_BYTES_UNCOUNTED),
    ("mpeg4", (64, 64), 3 * 64 * 64 + MARGIN),
    ("h263", (0, 0), MAX_BYTES_UNCOUNTED),
    ("ffv1", (0, 0), 8 * MAX_PIXELS + MARGIN),
    ("ffv1", (64, 64), 8 * 64 * 64 + MARGIN),
    ("rawvideo", (64, 64), 8 * 64 * 64 + MARGIN),
]


@pytest.mark.parametrize(("codec", "size", "most"), SIZES)
def test_no_packet_is_larger_than_its_picture(codec, size, most):
    """By more than what else it may hold."""
    assert refusal(codec, bytes(most), size) is None
    assert f"a packet of {most + 1} bytes" in refusal(codec, bytes(most + 1), size)


def test_no_jpeg_is_larger_than_its_picture():
    """As others, by the size that it says itself."""
    data = bombs.jpeg(1, 64, 64)
    most = 5 * 64 * 64 + MARGIN
    assert refusal("mjpeg", data.ljust(most, b"\0")) is None
    assert refusal("mjpeg", data.ljust(most + 1, b"\0")) is not None
    large = b"\xff\xd8" + bombs.frame_header(8192, 4320)
    assert refusal("mjpeg", large.ljust(MAX_BYTES, b"\0")) is None
    assert f"has {MAX_BYTES} at most" in refusal("mjpeg", large.ljust(MAX_BYTES + 1, b"\0"))


@given(
    st.lists(st.sampled_from([b"\xff", b"\xda", b"\xc0", b"\0", b"\1"]), max_size=60).map(b"".join), st.integers(1, 9)
)
def test_a_search_in_pieces_finds_what_one_search_finds(data, piece):
    """At the borders, too, and nothing twice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sut, "_PIECE", piece)
        for pattern in (sut._HEADS, sut._SEGMENT, sut._START_CODE):
            assert [m.span() for m in sut._places(pattern, data)] == [m.span() for m in pattern.finditer(data)]


@pytest.mark.parametrize("codec", ["mpeg1video", "mpeg2video"])
def test_slices_of_mpeg_are_counted(codec):
    """A slice of skipped macroblocks, of a dozen bytes, which the decoder takes as often as it comes."""
    key, head, one, last = bombs.mpeg_slices(codec, 640, 480)
    rows = head + one * (480 // 16 - 1) + last
    assert [refusal(codec, data, (640, 480)) for data in (key, rows)] == [None, None]
    most = head + one * (MAX_SLICES - 1) + last
    decoder = av.CodecContext.create(codec, "r")
    decoded = [frame for data in (key, most, None) for frame in decoder.decode(data and av.Packet(data))]
    assert (len(decoded), refusal(codec, most, (640, 480))) == (2, None)
    assert refusal(codec, head + one * MAX_SLICES + last, (640, 480)) == "a packet with more than 600 slices"


PARTS = [
    ("mpeg2video", b"\x00", MAX_PICTURES, "pictures"),
    ("mpeg2video", b"\xb3", MAX_UNITS, "start codes"),
    ("vc1", b"\x0b", MAX_SLICES, "slices"),
    ("vc1", b"\x0c", MAX_PICTURES, "pictures"),
]


@pytest.mark.parametrize(("codec", "code", "most", "what"), PARTS)
def test_start_codes_are_counted(codec, code, most, what):
    """Of pictures, of slices, and of all else."""
    assert refusal(codec, (b"\0\0\1" + code) * most) is None
    assert refusal(codec, (b"\0\0\1" + code) * (most + 1)) == f"a packet with more than {most} {what}"


def obu(kind, payload=b"\x10", *, sized=True):
    return bytes([kind << 3 | sized << 1]) + (bytes([len(payload)]) if sized else b"") + payload


@pytest.mark.parametrize(
    ("units", "passes"),
    [
        ([obu(2, b""), obu(1), *[obu(6)] * MAX_PICTURES], True),
        ([obu(2, b""), obu(1), *[obu(6)] * (MAX_PICTURES + 1)], False),
        ([obu(3)] * (MAX_PICTURES + 1), False),
        ([obu(4)] * MAX_UNITS, False),
        ([obu(2, b""), obu(6, sized=False)], True),
        ([b"\x32\xff\xff"], True),
    ],
)
def test_frames_of_av1_are_counted(units, passes):
    """A temporal unit may hold any number of them that are not shown."""
    assert (refusal("av1", b"".join(units), (1920, 1080)) is None) == passes


CODECS = st.sampled_from(["mjpeg", "h264", "hevc", "av1", "vp9", "png", "mpeg1video", "mpeg2video", "mpeg4", "vc1"])
PIECES = st.sampled_from(
    [b"\xff\xd8", b"\xff\xc2\x00\x0b", b"\xff\xda", b"\xff", b"\0\0\1", b"\0\0\0\1", b"\x65\x88", b"\x32\x00", b"\x12"]
)
DATA = st.lists(st.binary(max_size=40) | PIECES, max_size=60).map(b"".join)


@given(CODECS, DATA, st.tuples(st.integers(0, 9000), st.integers(0, 9000)), st.binary(max_size=24) | st.just(AVCC))
@examples(1000)
def test_anything_has_an_answer(codec, data, size, extradata):
    """Words or None, never an error; and the same of a view as of bytes."""
    found = refusal(codec, data, size, extradata)
    assert found is None or found.startswith("a ")
    assert refusal(codec, memoryview(data), size, extradata) == found


def steps(codec, data, extradata=b""):
    """How many lines of Python it takes."""
    count = 0

    def trace(_frame, event, _argument):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        refusal(codec, data, (0, 0), extradata)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    "piece", [b"\0\0\1", b"\0\0\1\x06", b"\xff\xc0", b"\xff\xe0\0\2", b"\0\0\0\0", b"\x12\0", b"\x80"]
)
@pytest.mark.parametrize("codec", ["mjpeg", "h264", "hevc", "av1", "mpeg2video", "vc1"])
def test_steps_are_bounded_whatever_the_length(codec, piece):
    """What is done in Python for each thing found is done a bounded number of times; the rest are searches in C."""
    for extradata in (b"", AVCC, b"\x01" + bytes(24)):
        assert steps(codec, piece * 200_000, extradata) < 15 * MAX_UNITS


@st.composite
def attacks(draw):
    """A JPEG of small scans in any number, of any size, cut off, filled up, with markers between and behind."""
    scans = draw(st.integers(0, 40) | st.integers(MAX_SCANS - 3, MAX_SCANS + 3) | st.integers(0, 4000))
    data = bombs.jpeg(scans, draw(st.integers(1, 600)), draw(st.integers(1, 600)))
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00"
    data = data.replace(scan, draw(st.sampled_from([b"", b"\xff", b"\xff\xd0", b"\xff\xdd\x00\x04\x00\x00"])) + scan)
    data = data[: draw(st.integers(0, len(data)) | st.just(len(data)))]
    return data + draw(st.sampled_from([b"", bytes(1000), b"\xff" * 1000, data]))


@given(attacks())
@examples(1000)
def test_an_attack_is_refused_or_small(data):
    """What passes has few scans, and few bytes for its pixels."""
    if refusal("mjpeg", data) is None:
        width, height = jpeg_size(data)
        assert data.count(b"\xff\xda") <= MAX_SCANS
        assert len(data) <= 5 * width * height + MARGIN
        assert width * height <= MAX_PIXELS


def test_what_a_network_camera_may_send_has_a_decoder():
    """Each of the codecs is one that FFmpeg knows by this name."""
    for name in sut.CODECS:
        assert av.Codec(name if name != "av1" else "libdav1d", "r").canonical_name == name
