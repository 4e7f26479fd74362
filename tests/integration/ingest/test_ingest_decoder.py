"""Decoding and converting with PyAV: services.ingest.sources.decoder."""

import gc
import itertools
import threading
from fractions import Fraction

import av
import clips
import numpy as np
import pytest
from av.video.reformatter import Interpolation, VideoReformatter

from services.ingest.core.picture import i420_size, plane_shapes
from services.ingest.sources.decoder import PATIENCE, Decoder

LONG = 160


class Played:
    """A clip, decoded: (width, height, copy of the analysed picture, pts) each."""

    def __init__(self, path, long_side=LONG):
        self.pictures = []
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            self.decoder = Decoder(stream, long_side)
            buffer = memoryview(bytearray(i420_size(long_side, long_side)))
            for packet in container.demux(stream):
                for frame in self.decoder.decode(packet if packet.size else None):
                    width, height = self.decoder.convert(frame, buffer)
                    data = bytes(buffer[: i420_size(width, height)])
                    self.pictures.append((width, height, data, self.decoder.pts_ns(frame)))


def reference(path, width, height):
    """The same pictures by PyAV's own decoder and ndarray conversion."""
    pictures = []
    reformatter = VideoReformatter()
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for frame in container.decode(video=0):
            small = reformatter.reformat(
                frame, width=width, height=height, format="yuv420p", interpolation=Interpolation.AREA, dst_color_range=1
            )
            pictures.append(small.to_ndarray().tobytes())
    return pictures


CODECS = {
    "h264.mp4": {},
    "h264-b.mp4": {"b_frames": 2},
    "h265.mp4": {"codec": "libx265"},
    "vp8.mkv": {"codec": "libvpx"},
    "mpeg4.avi": {"codec": "mpeg4"},
    "mjpeg.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "mjpeg422-odd.avi": {"codec": "mjpeg", "pixel_format": "yuvj422p", "width": 321, "height": 179},
    "raw-bgr-bottom-up.avi": {"codec": "rawvideo", "pixel_format": "bgr24", "pictures": 8},
    "ffv1-444.mkv": {"codec": "ffv1", "pixel_format": "yuv444p", "pictures": 8},
}


@pytest.mark.parametrize("name", CODECS)
def test_pictures_equal_the_reference_conversion(tmp_path, name):
    """For every codec, with B-frames, odd sizes and other chroma, the tight I420 bytes are PyAV's own conversion's."""
    path = clips.make_clip(tmp_path / name, **CODECS[name])
    played = Played(path)
    width, height = played.pictures[0][:2]
    assert (width, height) == (160, 88)
    assert [data for _, _, data, _ in played.pictures] == reference(path, width, height)
    assert played.decoder.undecodable == 0


@pytest.mark.parametrize("long_side", [160, 192, 640])
@pytest.mark.parametrize("size", [(322, 182), (180, 320), (100, 300), (64, 48)])
def test_rows_without_padding_for_any_width(tmp_path, long_side, size):
    """Narrow and portrait pictures, whose planes FFmpeg pads, come out tight: compared with the reference."""
    path = clips.make_clip(tmp_path / "clip.mp4", width=size[0], height=size[1], pictures=3)
    played = Played(path, long_side)
    width, height, _, _ = played.pictures[0]
    assert max(width, height) == long_side
    assert [data for _, _, data, _ in played.pictures] == reference(path, width, height)


def test_picture_of_the_analysis_size_is_passed_through(tmp_path):
    """A source of exactly the analysis size and format needs no conversion, and its references stay whole."""
    path = clips.make_clip(tmp_path / "clip.mp4", width=160, height=96, pictures=30, key_every=30)
    played = Played(path)
    with av.open(str(path)) as container:
        direct = [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]
    assert [data for _, _, data, _ in played.pictures] == direct


@pytest.mark.parametrize("full", [True, False], ids=["full-range", "limited-range"])
def test_destination_is_limited_range(tmp_path, full):
    """White is 235 and black is 16, whether the camera sends full range (MJPEG) or limited range."""
    path = clips.make_raw_picture(tmp_path / ("clip.avi" if full else "clip.mkv"), levels=[255, 0], full=full)
    white, black = (np.frombuffer(data, np.uint8) for _, _, data, _ in Played(path).pictures)
    luma = LONG * LONG
    assert abs(int(white[:luma].mean()) - clips.WHITE) <= 2
    assert abs(int(black[:luma].mean()) - clips.BLACK) <= 2
    assert abs(int(white[luma:].mean()) - clips.GREY) <= 2


def test_size_change_in_mid_stream_is_survived(tmp_path):
    """A camera that is reconfigured while it streams goes on with pictures of the new aspect."""
    path = clips.make_resized(tmp_path / "clip.h264", (320, 180), (160, 120))
    played = Played(path)
    assert {(w, h) for w, h, _, _ in played.pictures} == {(160, 88), (160, 120)}
    assert len(played.pictures) == 50
    assert all(len(data) == i420_size(w, h) for w, h, data, _ in played.pictures)


def test_anamorphic_pictures_get_their_display_aspect(tmp_path):
    """A camera with pixels twice as wide as high is analysed in its real proportions, or faces would be squashed."""
    path = clips.make_clip(tmp_path / "clip.mp4", width=160, height=180, pictures=2, sar=Fraction(2, 1))
    assert {(w, h) for w, h, _, _ in Played(path).pictures} == {(160, 88)}


def test_damaged_packets_are_counted_and_survived(tmp_path):
    """Noise in the middle of a stream costs pictures, is counted, and the rest is decoded."""
    path = clips.make_damaged(tmp_path / "clip.ts", pictures=100, key_every=10)
    played = Played(path)
    assert 30 < len(played.pictures) < 100
    assert played.decoder.undecodable > 0


def test_guessed_pictures_are_not_delivered(tmp_path):
    """A decoder that joins in mid-stream gives nothing before the first key frame."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=50, key_every=25)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder = Decoder(stream, LONG)
        packets = [packet for packet in container.demux(stream) if packet.size]
        counts = [len(decoder.decode(packet)) for packet in packets[10:]]
    assert counts[:15] == [0] * 15
    assert sum(counts) == 25
    assert decoder.undecodable == 0


def test_a_stream_without_key_frames_is_decoded_in_the_end(tmp_path):
    """After its patience the decoder takes what comes (intra refresh never sends a key frame)."""
    path = clips.make_clip(tmp_path / "clip.mkv", codec="mpeg4", pictures=30, key_every=100)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder = Decoder(stream, LONG)
        packets = [packet for packet in container.demux(stream) if packet.size][1:]
        for _ in range(PATIENCE // len(packets) + 1):
            before = decoder.waits_for_key
            got = sum(len(decoder.decode(packet)) for packet in packets)
    assert before
    assert got > 0
    assert not decoder.waits_for_key


def test_converted_copy_is_overwritten(tmp_path, monkeypatch):
    """FFmpeg's converted picture is zeros after its bytes were copied."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=1)
    kept = []

    class Spy:
        def __init__(self):
            self.real = VideoReformatter()

        def reformat(self, *args, **kwargs):
            kept.append(self.real.reformat(*args, **kwargs))
            return kept[-1]

    monkeypatch.setattr("services.ingest.sources.decoder.VideoReformatter", Spy)
    played = Played(path)
    assert any(played.pictures[0][2])
    assert not any(bytes(plane).strip(b"\0") for plane in kept[0].planes)


@pytest.mark.parametrize(("codec", "wiped"), [("mjpeg", True), ("libx264", False)])
def test_decoded_picture_is_overwritten_where_nothing_refers_to_it(tmp_path, codec, wiped):
    """MJPEG has no reference pictures, so that its own picture is wiped too; H.264's is the codec's to keep."""
    path = clips.make_clip(
        tmp_path / "clip.mkv", codec=codec, pictures=1, pixel_format="yuvj420p" if wiped else "yuv420p"
    )
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder = Decoder(stream, LONG)
        frames = [f for packet in container.demux(stream) for f in decoder.decode(packet if packet.size else None)]
    decoder.finish(frames[0])
    assert (not any(bytes(plane).strip(b"\0") for plane in frames[0].planes)) == wiped


def test_bottom_up_pictures_are_not_overrun(tmp_path):
    """A plane that begins with its last row is left alone: wiping PyAV's view of it would write past its end."""
    path = clips.make_clip(tmp_path / "clip.avi", codec="rawvideo", pixel_format="bgr24", pictures=2)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.extradata = b"BottomUp\0"
        decoder = Decoder(stream, LONG)
        frame = decoder.decode(next(container.demux(stream)))[0]
    assert frame.planes[0].line_size < 0
    decoder.finish(frame)
    buffer = memoryview(bytearray(i420_size(LONG, LONG)))
    width, height = decoder.convert(frame, buffer)
    upright = reference(path, width, height)[0]
    luma = np.frombuffer(upright, np.uint8)[: width * height].reshape(height, width)
    flipped = np.frombuffer(buffer, np.uint8)[: width * height].reshape(height, width)
    assert np.abs(luma[::-1].astype(int) - flipped).mean() < 3


def test_discard_drops_the_codec_and_a_key_frame_starts_it_anew(tmp_path):
    """After discard nothing of the stream is left in the codec: what follows waits for a key frame."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=50, key_every=25)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder = Decoder(stream, LONG)
        packets = [packet for packet in container.demux(stream) if packet.size]
        for packet in packets[:10]:
            decoder.decode(packet)
        gc.collect()
        contexts = sum(1 for thing in gc.get_objects() if thing is decoder._context)
        assert decoder.discard()
        assert decoder._context is None
        assert contexts <= 1
        assert sum(len(decoder.decode(packet)) for packet in packets[10:25]) == 0
        assert sum(len(decoder.decode(packet)) for packet in packets[25:]) == 25


def test_discard_does_not_wait_for_a_busy_thread(tmp_path):
    """The watchdog never blocks the loop: while a packet is being decoded discard(wait=False) returns False."""
    path = clips.make_clip(tmp_path / "clip.mp4", pictures=2)
    with av.open(str(path)) as container:
        decoder = Decoder(container.streams.video[0], LONG)
    held, done = threading.Event(), threading.Event()

    def decoding():
        with decoder._lock:
            held.set()
            done.wait(10)

    thread = threading.Thread(target=decoding)
    thread.start()
    held.wait(10)
    try:
        assert not decoder.discard(wait=False)
    finally:
        done.set()
        thread.join()
    assert decoder.discard(wait=False)


def test_time_stamps_are_nanoseconds(tmp_path):
    """25 pictures per second are 40 ms apart, B-frames in display order, and those flushed at the end too."""
    played = Played(clips.make_clip(tmp_path / "clip.mp4", pictures=20, b_frames=2))
    stamps = [pts for *_, pts in played.pictures]
    assert [round((b - a) / 1e6) for a, b in itertools.pairwise(stamps)] == [40] * 19


def test_decoder_is_named(tmp_path):
    """The decoder's name is FFmpeg's, and fits the contract's field."""
    assert Played(clips.make_clip(tmp_path / "clip.mp4", pictures=1)).decoder.name == "h264"


def test_one_thread_is_used(tmp_path):
    """The codec runs in the camera's thread alone: frame threads would delay pictures by one or two."""
    decoder = Played(clips.make_clip(tmp_path / "clip.mp4", pictures=1)).decoder
    assert decoder._context.thread_count == 1


def test_plane_shapes_match_pyav(tmp_path):
    """Our planes are PyAV's: rows and columns of Y, U and V."""
    frame = av.VideoFrame(160, 92, "yuv420p")
    assert plane_shapes(160, 92) == tuple((plane.height, plane.width) for plane in frame.planes)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_without_the_loop_filter_every_picture_comes(tmp_path, codec):
    """As many pictures of the same size, a little blockier: the smoothing is really left out."""
    path = clips.make_clip(tmp_path / "clip.mp4", codec=codec, pictures=25, picture=noisy, preset="veryfast")
    whole, fast = (pictures_of(path, skip_loop_filter=skip) for skip in (False, True))
    assert len(whole) == len(fast) == 25
    differences = [np.abs(a.astype(int) - b.astype(int)).mean() for a, b in zip(whole, fast, strict=True)]
    assert 0 < max(differences) < 10


def noisy(width, height, index):
    """A picture that no encoder can keep without block edges."""
    rgb = clips.pattern(width, height, index).astype(int)
    return (rgb + np.random.default_rng(index).integers(-40, 40, rgb.shape)).clip(0, 255).astype(np.uint8)


def pictures_of(path, **options):
    """The luma planes as decoded."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder = Decoder(stream, LONG, **options)
        frames = [
            frame for packet in container.demux(stream) for frame in decoder.decode(packet if packet.size else None)
        ]
        return [frame.to_ndarray()[: frame.height] for frame in frames]
