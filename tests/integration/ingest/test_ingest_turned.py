"""Pictures that lie on their side are analysed upright: marks of files, of H.264 and of JPEG, by the real decoder."""

import asyncio
import struct
import tracemalloc
from fractions import Fraction

import av
import clips
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from patience import patient

from services.ingest.camera.camera import Camera
from services.ingest.core.orientation import turn_by
from services.ingest.core.picture import Masking, PictureChanged, i420_size
from services.ingest.sources.decoder import Decoder
from services.ingest.sources.display_matrix import _turn_of_copy, turn_of_stream
from services.ingest.sources.source import open_source
from services.sites.settings import CameraSettings, PrivacySettings

LONG = 320
SIZE = (180, 320)
"""Of the upright picture: portrait, as a phone is held."""
LEVELS = [[235, 180], [120, 60]]
"""The luma of its quarters, as seen upright."""
LIMIT_S = patient(20)
MARKS = [(90, False), (180, False), (-90, False), (0, True), (90, True), (180, True), (-90, True)]


def quarters(width, height):
    """The upright picture as RGB: each quarter has a grey of its own."""
    grey = (np.array(LEVELS) - 16) * 255 / 219
    rows, columns = np.arange(height) * 2 // height, np.arange(width) * 2 // width
    return np.repeat(grey[rows][:, columns, None].round().astype(np.uint8), 3, axis=2)


def lying(path, degrees, *, mirrored=False, size=SIZE, marked=True, **more):
    """Write a clip whose pictures a player shows upright after turning (anticlockwise), then mirroring them."""
    upright = quarters(*size)[:, :: -1 if mirrored else 1]
    encoded = np.rot90(upright, -degrees // 90)
    mark = {"turned": degrees, "mirrored": mirrored} if marked else {}
    high, wide, _ = encoded.shape
    how = {"width": wide, "height": high, "pictures": 3, "picture": lambda _w, _h, _i: encoded}
    return clips.make_clip(path, **how | mark | more)


def analysed(path, masking=None):
    """The size and the luma's quarters of a clip's first picture as it is analysed, and the decoder."""
    with open_source(CameraSettings(id="c", url=str(path))) as source:
        decoder = Decoder(source.stream, LONG, masking)
        buffer = memoryview(bytearray(i420_size(LONG, LONG)))
        frame = next(frame for packet in source.packets() for frame in decoder.decode(packet))
        width, height = decoder.convert(frame, buffer)
        size = decoder.size(frame)
    luma = np.frombuffer(buffer, np.uint8)[: width * height].reshape(2, height // 2, 2, width // 2)
    return size, (width, height), luma[:, 8:-8, :, 8:-8].mean(axis=(1, 3))


def is_upright(path, size=SIZE):
    """Whether a clip is analysed upright, and tells its upright size."""
    told, (width, height), found = analysed(path)
    assert told == size
    assert (width < height) == (size[0] < size[1])
    return bool(np.abs(found - LEVELS).max() < 4)


@pytest.mark.parametrize(("degrees", "mirrored"), [(0, False), *MARKS])
@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_a_marked_file_is_analysed_upright(tmp_path, suffix, degrees, mirrored):
    """In each of the eight ways in which a phone can be held or mirror its picture, as a player shows it."""
    assert is_upright(lying(tmp_path / f"clip.{suffix}", degrees, mirrored=mirrored))


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4", "mjpeg"])
@pytest.mark.parametrize("size", [SIZE, (320, 180), (318, 182)], ids=str)
def test_a_marked_file_of_any_codec_and_shape(tmp_path, codec, size):
    """Landscape too: a camera that is mounted on its side; with odd sides, whose rows FFmpeg pads."""
    more = {"codec": codec, "pixel_format": "yuvj420p"} if codec == "mjpeg" else {"codec": codec}
    assert is_upright(lying(tmp_path / "clip.mov", -90, size=size, **more), size)


@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9"])
def test_a_marked_matroska_file(tmp_path, codec):
    """Its mark is an angle, which FFmpeg makes a matrix, whichever codec the file has."""
    assert is_upright(lying(tmp_path / "clip.mkv", -90, codec=codec))


@pytest.mark.parametrize(("name", "codec"), [("clip.mp4", "libx264"), ("clip.ts", "libx265")])
def test_every_version_of_pyav_tells_the_same(tmp_path, caplog, name, codec):
    """Earlier ones have no name for the matrix: it is read from a header that FFmpeg writes, and nothing is logged."""
    path = lying(tmp_path / name, 90, codec=codec, marked=name == "clip.mp4")
    with av.open(str(path)) as source:
        stream = source.streams.video[0]
        said = len(caplog.records)
        assert _turn_of_copy(stream, "mov") == turn_of_stream(stream) == turn_by(90 if name == "clip.mp4" else 0)
        assert _turn_of_copy(stream, "mp3") is None
    assert caplog.records[said:] == []


@pytest.mark.parametrize("degrees", [60, 120, 89])
def test_an_odd_angle_counts_as_the_nearest_quarter_turn(tmp_path, degrees):
    """No picture is dropped for it."""
    path = lying(tmp_path / "clip.mp4", 90, turned=degrees)
    assert is_upright(path)


def test_pixels_that_are_not_square_are_turned_too(tmp_path):
    """Twice as wide as high before the turn, so twice as high as wide after it."""
    path = lying(tmp_path / "clip.mp4", -90, size=(320, 160), sar=Fraction(2, 1))
    assert analysed(path)[1] == (320, 320)


def test_what_h264_says_itself_comes_before_the_file(tmp_path):
    """A camera that turns its stream by a message in it (ITU-T H.264, D.2.27) needs no container that says it."""
    plain, path = lying(tmp_path / "plain.h264", 90, marked=False), tmp_path / "clip.h264"
    with av.open(str(plain)) as source:
        stream = source.streams.video[0]
        insert = BitStreamFilterContext("h264_metadata=display_orientation=insert:rotate=90", stream)
        packets = [one for packet in source.demux(stream) if packet.size for one in insert.filter(packet)]
        path.write_bytes(b"".join(map(bytes, packets)))
    assert is_upright(path)


def test_a_jpeg_camera_may_say_it_in_each_picture(tmp_path):
    """EXIF's orientation 6: the first row is the right side."""
    pictures = lying(tmp_path / "clip.mjpeg", -90, marked=False, codec="mjpeg", pixel_format="yuvj420p").read_bytes()
    tag = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + tag + bytes(4)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    path = tmp_path / "marked.mjpeg"
    path.write_bytes(pictures.replace(b"\xff\xd8", b"\xff\xd8" + segment))
    assert is_upright(path)


UPPER_LEFT = (((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5)),)


@pytest.mark.parametrize(("degrees", "mirrored"), MARKS)
def test_privacy_areas_lie_where_a_player_shows_them(tmp_path, degrees, mirrored):
    """They are drawn on the upright picture, for its size."""
    path = lying(tmp_path / "clip.mp4", degrees, mirrored=mirrored)
    _, _, found = analysed(path, Masking(UPPER_LEFT, SIZE))
    assert np.abs(found - [[16, 180], [120, 60]]).max() < 4


def test_areas_that_were_drawn_on_the_lying_picture_stop_the_camera(tmp_path):
    """They would hide another place than the one that was meant."""
    with pytest.raises(PictureChanged, match="the picture is 180x320"):
        analysed(lying(tmp_path / "clip.mp4", -90), Masking(UPPER_LEFT, SIZE[::-1]))


def test_turning_makes_no_second_copy(tmp_path):
    """The pixels go from FFmpeg's scaled picture, which is overwritten, straight into the preallocated buffer."""
    path = lying(tmp_path / "clip.mp4", -90, size=(720, 1280))
    with open_source(CameraSettings(id="c", url=str(path))) as source:
        decoder = Decoder(source.stream, LONG)
        buffer = memoryview(bytearray(i420_size(LONG, LONG)))
        frames = [frame for packet in source.packets() for frame in decoder.decode(packet)]
        decoder.convert(frames[0], buffer)
        tracemalloc.start()
        try:
            width, height = decoder.convert(frames[1], buffer)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < i420_size(width, height) // 10


async def test_a_camera_tells_the_upright_size(tmp_path):
    """Its state, the page, `moretta aim` and the metrics have it from here; what is analysed is upright."""
    path = lying(tmp_path / "clip.mp4", -90)
    privacy = PrivacySettings(drawn_for=SIZE, areas=[list(UPPER_LEFT[0])])
    settings = CameraSettings(id="cam", url=str(path), long_side=LONG, paced=False, privacy=privacy)
    camera = Camera("site", settings, lease=1, phase_ns=0, on_state=lambda _: None)
    camera.start(asyncio.get_running_loop())
    try:
        picture = await asyncio.wait_for(camera.take(), LIMIT_S)
        size, pixel = (picture.width, picture.height), picture.pixels[0]
        picture.release()
        stats = camera.stats()
    finally:
        assert await camera.stop(LIMIT_S)
    assert (stats.width, stats.height) == SIZE
    assert size == SIZE
    assert pixel == clips.BLACK
