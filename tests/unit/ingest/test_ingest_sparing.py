"""Which pictures are left undecoded: services.ingest.core.sparing, against FFmpeg's own idea of them."""

import clips
import numpy as np
import pytest
from av import open as opened
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.core.sparing import ENOUGH, LOOK, TOO_FEW, Sparing, is_unreferenced

MS = 1_000_000
IBBP = [False, True, True]


def played(pattern, packets, fps=5.0, period_ms=40):
    """Return, packet by packet, whether it was left out, and whether that is on at the end."""
    sparing = Sparing(fps)
    marks = [pattern[n % len(pattern)] for n in range(packets)]
    left = [sparing.leaves_out(n * period_ms * MS, is_unreferenced=mark) for n, mark in enumerate(marks)]
    return left, marks, sparing


def test_two_of_three_are_left_out_where_enough_are_left():
    """Of 25 pictures a second 8.3 are left, which is enough for 5; what the camera sends is still known."""
    left, marks, sparing = played(IBBP, 400)
    assert not any(left[:LOOK])
    assert left[LOOK:] == marks[LOOK:]
    assert (sparing.is_on, sparing.is_over) == (True, False)
    assert sparing.per_second == pytest.approx(25, rel=0.01)


@pytest.mark.parametrize(
    ("pattern", "fps", "period_ms"),
    [(IBBP, 6.0, 40), (IBBP, 5.0, 50), ([False], 5.0, 40), (IBBP, 5.0, 0)],
    ids=["more are analysed", "a slower camera", "no such pictures", "no time stamps"],
)
def test_none_is_left_out_otherwise(pattern, fps, period_ms):
    """Where too few would be left, where there are none, and where nobody knows."""
    left, _, sparing = played(pattern, 400, fps, period_ms)
    assert not any(left)
    assert (sparing.is_on, sparing.is_over) == (False, True)


def test_it_ends_for_good_where_the_encoder_leaves_too_few():
    """And does not begin again on this connection: changes would tell what moves before the camera."""
    *_, sparing = played(IBBP, 300)
    assert sparing.is_on
    at = 300
    while sparing.is_on:  # ever more of them cannot be done without
        sparing.leaves_out(at * 40 * MS, is_unreferenced=True)
        at += 1
    assert at < 400
    assert not any(sparing.leaves_out(n * 40 * MS, is_unreferenced=n % 3 > 0) for n in range(at, at + 500))


@given(st.lists(st.booleans(), min_size=1, max_size=7), st.floats(0.5, 30), st.integers(10, 200))
def test_what_others_depend_on_is_always_decoded(pattern, fps, period_ms):
    """And where something is left out, enough pictures are decoded."""
    left, marks, _ = played(pattern, 350, fps, period_ms)
    assert not any(out and not mark for out, mark in zip(left, marks, strict=True))
    if any(left):
        kept = 1 - sum(marks) / len(marks)
        assert 1_000 / period_ms * kept >= TOO_FEW * fps * 0.8
    assert TOO_FEW < ENOUGH


@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".mkv"])
@pytest.mark.parametrize("b_frames", [0, 1, 3])
def test_as_ffmpeg_sees_it(tmp_path, suffix, b_frames):
    """Of real streams, with lengths and with start codes: what FFmpeg would skip; the others are the same bytes."""
    path = clips.make_clip(tmp_path / f"clip{suffix}", pictures=60, b_frames=b_frames, preset="veryfast")
    with opened(str(path)) as film:
        extradata = film.streams.video[0].codec_context.extradata or b""
        packets = [packet for packet in film.demux(video=0) if packet.size]
        marks = [is_unreferenced("h264", memoryview(packet), extradata) for packet in packets]
    assert any(marks) == (b_frames > 0)
    skipped = decoded(path, lambda packet: True, skip_frame="NONREF")
    assert len(skipped) == marks.count(False)
    kept = decoded(path, lambda packet: not is_unreferenced("h264", memoryview(packet), extradata))
    whole = decoded(path, lambda packet: True)
    assert len(kept) == marks.count(False)
    assert [pts for pts in kept if not np.array_equal(kept[pts], whole[pts])] == []


def decoded(path, wanted, skip_frame="DEFAULT"):
    """Return the luma of the pictures of these packets, by time stamp."""
    found = {}
    with opened(str(path)) as film:
        context = film.streams.video[0].codec_context
        context.skip_frame = skip_frame
        for packet in film.demux(video=0):
            if packet.size and not wanted(packet):
                continue
            for frame in packet.decode():
                found[frame.pts] = frame.to_ndarray()
    return found


def test_other_codecs_say_nothing():
    """Nor does what is no packet."""
    assert not is_unreferenced("hevc", b"\x00\x00\x01\x01\x00", b"")
    assert not is_unreferenced("h264", b"", b"")
    assert not is_unreferenced("h264", b"\x00\x00\x01", b"")
    assert is_unreferenced("h264", b"\x00\x00\x01\x01\x80", b"")
    assert not is_unreferenced("h264", b"\x00\x00\x01\x01\x80\x00\x00\x01\x41\x80", b"")
