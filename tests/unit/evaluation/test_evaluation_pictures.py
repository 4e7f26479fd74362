"""How a picture file becomes the array that the model takes."""

from __future__ import annotations

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelling.evaluation.labelled import InputError, analysis_sides, read_i420


def save(path, rgb, codec, pix_fmt):
    """Writes an RGB array [H, W, 3] as one picture."""
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream(codec, rate=1)
        stream.width, stream.height, stream.pix_fmt = rgb.shape[1], rgb.shape[0], pix_fmt
        frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=pix_fmt)
        frame.pts = 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


def flat(width, height, colour):
    """A picture of one colour."""
    return np.full((height, width, 3), colour, dtype=np.uint8)


def planes(i420):
    """The mean of Y, U and V."""
    rows = i420.shape[0] * 2 // 3
    half = (i420.shape[0] - rows) // 2
    return [float(part.mean()) for part in (i420[:rows], i420[rows : rows + half], i420[rows + half :])]


@pytest.mark.parametrize(
    ("sides", "analysed"),
    [
        ((1920, 1080), (640, 360)),
        ((400, 300), (640, 480)),
        ((360, 640), (360, 640)),
        ((960, 688), (640, 460)),
        ((3000, 2), (640, 4)),
        ((1, 1), (640, 640)),
    ],
)
def test_sides(sides, analysed):
    """The long side becomes the wanted one, up or down, and the other keeps the aspect, in multiples of 4."""
    assert analysis_sides(*sides, 640) == analysed


@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from([320, 480, 640, 960]))
def test_sides_fit_the_model(width, height, long_side):
    """Both sides are positive multiples of 4, the longer one as wanted, the aspect kept within rounding."""
    wide, high = analysis_sides(width, height, long_side)
    assert wide % 4 == high % 4 == 0
    assert max(wide, high) == long_side
    assert min(wide, high) >= 4
    assert abs(wide * max(width, height) / long_side - width) <= 4 * max(width, height) / long_side


def test_array_holds_the_picture(tmp_path):
    """A file gives [3 * H / 2, W] of bytes at the analysis size."""
    i420 = read_i420(save(tmp_path / "a.png", flat(200, 100, 90), "png", "rgb24"), 320)
    assert (i420.shape, i420.dtype) == ((240, 320), np.uint8)


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((0, 0, 0), (16, 128, 128)),
        ((255, 255, 255), (235, 128, 128)),
        ((255, 0, 0), (81, 90, 240)),
        ((0, 255, 0), (145, 54, 34)),
        ((0, 0, 255), (41, 240, 110)),
    ],
)
def test_colours_are_bt601_limited(tmp_path, colour, expected):
    """Black is 16, white is 235 and the primaries are those of BT.601, whatever the file's own coding."""
    path = save(tmp_path / "c.png", flat(64, 64, colour), "png", "rgb24")
    assert planes(read_i420(path, 64)) == pytest.approx(expected, abs=2)


def test_full_range_jpeg_is_converted(tmp_path):
    """A JPEG, full range by itself, comes out in limited range."""
    path = save(tmp_path / "w.jpg", flat(64, 64, (255, 255, 255)), "mjpeg", "yuvj420p")
    assert planes(read_i420(path, 64))[0] == pytest.approx(235, abs=2)


def test_grey_picture(tmp_path):
    """A picture without colour is read as well."""
    path = save(tmp_path / "g.png", flat(64, 48, 128), "png", "gray")
    assert planes(read_i420(path, 64)) == pytest.approx((126, 128, 128), abs=2)


def test_left_stays_left(tmp_path):
    """Scaling up and down keeps the orientation."""
    rgb = flat(120, 60, 0)
    rgb[:, :60] = 255
    path = save(tmp_path / "lr.png", rgb, "png", "rgb24")
    for long_side in (64, 240):
        luma = read_i420(path, long_side)[: long_side // 2]
        assert luma[:, : long_side // 4].mean() > 200
        assert luma[:, 3 * long_side // 4 :].mean() < 50


def test_missing_file_is_named(tmp_path):
    """A file that is not there is named, with what would do."""
    with pytest.raises(InputError, match=r"absent.jpg: cannot be read as a picture .*; give a JPEG or PNG"):
        read_i420(tmp_path / "absent.jpg", 640)


@pytest.mark.parametrize("content", [b"", b"not a picture at all", b"\xff\xd8\xff\xe0broken"])
def test_no_picture_is_named(tmp_path, content):
    """A file that holds no picture is named in one line."""
    path = tmp_path / "broken.jpg"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.jpg") as caught:
        read_i420(path, 640)
    assert "\n" not in str(caught.value)


def test_folder_is_no_picture(tmp_path):
    """A folder in place of a file is an input error too."""
    with pytest.raises(InputError, match="cannot be read as a picture"):
        read_i420(tmp_path, 640)
