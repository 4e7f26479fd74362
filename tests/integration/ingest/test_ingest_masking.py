"""Privacy areas: nothing of what the decoded picture shows inside is left in the analysed one."""

import functools
import itertools
from fractions import Fraction

import av
import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.core.orientation import UPRIGHT, Turn
from services.ingest.core.picture import Grid, Mask, Masking, PictureChanged, i420_size
from services.ingest.sources.decoder import Decoder

TRIANGLE = ((0.2, 0.3), (0.7, 0.25), (0.45, 0.8))
BOX = ((0.0, 0.0), (0.3, 0.0), (0.3, 0.4), (0.0, 0.4))
SHAPES = {"triangle": (TRIANGLE,), "corner": (BOX,), "both": (TRIANGLE, BOX)}
# Size, shape of a pixel, format: what cameras send, old recorders too.
KINDS = [
    ((1920, 1080), Fraction(1), "yuv420p"),
    ((1280, 720), Fraction(1), "yuv422p"),
    ((640, 360), Fraction(1), "yuv420p"),
    ((320, 240), Fraction(1), "yuv444p"),
    ((1080, 1920), Fraction(1), "yuv420p"),
    ((2592, 1944), Fraction(1), "yuv420p"),
    ((352, 288), Fraction(24, 11), "yuv420p"),
    ((352, 576), Fraction(24, 11), "yuv420p"),
    ((704, 576), Fraction(16, 11), "yuv420p"),
    ((720, 576), Fraction(1), "yuv411p"),
    ((640, 480), Fraction(1), "bgr0"),
]
NAMES = [f"{w}x{h}-{ratio}-{kind}" for (w, h), ratio, kind in KINDS]
TURNS = [Turn(*flags) for flags in itertools.product([False, True], repeat=3)][1:]
shares = st.floats(0, 1)


@functools.lru_cache(maxsize=8)
def inside(width, height, polygons, fine=4):
    """[height, width]: what touches a polygon, by looking at each pixel closely; even-odd, as none crosses itself."""
    x = (np.arange(width * fine, dtype=np.float32) + 0.5) / (width * fine)
    y = (np.arange(height * fine) + 0.5) / (height * fine)
    found = np.zeros((height * fine, width * fine), bool)
    for polygon in polygons:
        odd = np.zeros(found.shape, bool)
        for (ax, ay), (bx, by) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            crossed = np.flatnonzero((ay > y) != (by > y))
            if crossed.size:
                edge = ((bx - ax) * (y[crossed] - ay) / (by - ay) + ax).astype(np.float32)
                odd[crossed[0] : crossed[-1] + 1] ^= x < edge[:, None]
        found |= odd
    return np.bitwise_or.reduce(found.view(f"u{fine}").reshape(height, fine, width), axis=1) != 0


def planes(frame):
    """Writable views [rows, columns, bytes] of a frame's planes, without their padding."""
    for plane in frame.planes:
        pixel = 4 if frame.format.name == "bgr0" else 1
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        yield rows[:, : plane.width * pixel].reshape(plane.height, plane.width, pixel)


def frame_of(size, kind, seed, polygons=(), secret=None, turn=UPRIGHT):
    """Noise, with other noise (or one value) wherever a pixel of a plane, as it is shown, touches a polygon."""
    frame = av.VideoFrame(*size, kind)
    dice, other = np.random.default_rng(seed), np.random.default_rng(99)
    for pixels in planes(frame):
        pixels[:] = dice.integers(0, 256, pixels.shape, np.uint8)
        if polygons:
            where = np.zeros(pixels.shape[:2], bool)
            shown = turn.upright(where)
            shown[:] = inside(shown.shape[1], shown.shape[0], polygons)
            pixels[where] = (
                other.integers(0, 256, (where.sum(), pixels.shape[2]), np.uint8) if secret is None else secret
            )
    return frame


class Stream:
    """A video stream as the decoder wants it, of which nothing is decoded here."""

    time_base = Fraction(1, 25)

    def __init__(self):
        self.codec_context = av.CodecContext.create("h264", "r")


def decoder_of(size, ratio, polygons, turn=UPRIGHT):
    """A decoder with these areas, drawn on what a player shows of the picture."""
    shown = turn.size((round(size[0] * ratio), size[1]))
    decoder = Decoder(Stream(), 640, Masking(polygons, shown) if polygons else None)
    decoder._pixel_aspect, decoder._turn = ratio, turn
    return decoder


def analysed(decoder, frame):
    """The picture as ingest hands it over."""
    buffer = memoryview(bytearray(i420_size(640, 1280)))
    width, height = decoder.convert(frame, buffer)
    return np.frombuffer(buffer[: i420_size(width, height)], np.uint8), width, height


@pytest.mark.parametrize(("size", "ratio", "kind"), KINDS, ids=NAMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_inside_changes_nothing(size, ratio, kind, shape):
    """Whatever is inside, the analysed picture is the same to the last bit: nothing of it survives."""
    polygons = SHAPES[shape]
    decoder = decoder_of(size, ratio, polygons)
    first, _, _ = analysed(decoder, frame_of(size, kind, 7))
    for secret in (255, 0, None):
        other, _, _ = analysed(decoder, frame_of(size, kind, 7, polygons, secret))
        assert np.array_equal(other, first)


@pytest.mark.parametrize("turn", TURNS, ids=str)
@pytest.mark.parametrize(("size", "ratio", "kind"), [KINDS[0], KINDS[1], KINDS[4], KINDS[7], KINDS[9]])
def test_what_is_inside_of_a_turned_picture_changes_nothing(size, ratio, kind, turn):
    """Areas lie on the upright picture: whichever way it was turned, nothing of what they hide survives."""
    decoder = decoder_of(size, ratio, SHAPES["both"], turn)
    first, width, height = analysed(decoder, frame_of(size, kind, 7))
    assert (width > height) == ((size[0] * ratio > size[1]) != turn.transposed)
    for secret in (255, None):
        other, _, _ = analysed(decoder, frame_of(size, kind, 7, SHAPES["both"], secret, turn))
        assert np.array_equal(other, first)


@pytest.mark.parametrize(("size", "ratio", "kind"), KINDS, ids=NAMES)
def test_what_is_far_outside_stays(size, ratio, kind):
    """A little away from the area every pixel is that of the picture without one, and the area's middle is black."""
    frame = frame_of(size, kind, 3)
    masked, w, h = analysed(decoder_of(size, ratio, (TRIANGLE,)), frame)
    plain, _, _ = analysed(decoder_of(size, ratio, ()), frame)
    luma, before = masked[: w * h].reshape(h, w), plain[: w * h].reshape(h, w)
    assert np.array_equal(luma[: int(0.2 * h)], before[: int(0.2 * h)])
    assert np.array_equal(luma[:, int(0.8 * w) :], before[:, int(0.8 * w) :])
    assert (luma[int(0.4 * h), int(0.4 * w) : int(0.5 * w)] == 16).all()


@examples(30)
@given(st.lists(st.tuples(shares, shares), min_size=3, max_size=7).map(tuple), st.sampled_from([(96, 64), (320, 200)]))
def test_any_polygon_hides_its_inside(polygon, size):
    """Also polygons that cross themselves, or have no area."""
    decoder = decoder_of(size, Fraction(1), (polygon,))
    first, _, _ = analysed(decoder, frame_of(size, "yuv420p", 7))
    other, _, _ = analysed(decoder, frame_of(size, "yuv420p", 7, (polygon,), 255))
    assert np.array_equal(first, other)


def test_the_middle_of_a_star_is_inside():
    """A pentagram drawn in one line goes twice round its middle: nobody who draws it means to leave that open."""
    turns = np.pi * (np.arange(5) * 4 / 5 - 0.5)
    star = tuple((float(0.5 + 0.4 * np.cos(t)), float(0.5 + 0.4 * np.sin(t))) for t in turns)
    picture = np.full(i420_size(64, 64), 200, np.uint8)
    Mask((star,), Grid((64, 64), (32, 32), (64, 64))).blank(memoryview(picture))
    assert (picture[: 64 * 64].reshape(64, 64)[28:36, 28:36] == 16).all()


def test_another_size_is_refused_and_nothing_is_written():
    """Areas that were drawn on another picture hide who knows what: the error says both sizes and what to do."""
    decoder = decoder_of((640, 360), Fraction(1), (BOX,))
    buffer = memoryview(bytearray(i420_size(640, 640)))
    with pytest.raises(PictureChanged, match=r"is 320x180 .* drawn for 640x360; .*drawn_for"):
        decoder.convert(frame_of((320, 180), "yuv420p", 1), buffer)
    assert not any(buffer)


def test_a_mask_is_made_once():
    """The picture that it is made for is told apart: making it may outlast that one's life. The next is ready."""
    decoder = decoder_of((640, 360), Fraction(1), (BOX,))
    frame = frame_of((640, 360), "yuv420p", 1)
    assert [decoder.prepare(frame) for _ in range(3)] == [False, True, True]
    assert decoder_of((640, 360), Fraction(1), ()).prepare(frame)
