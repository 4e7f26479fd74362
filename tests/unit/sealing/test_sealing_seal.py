"""Sealing one frame: services.sealing.seal."""

import math
import os
import zlib
from collections import Counter

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import example, given
from hypothesis import strategies as st

from proto.frames import FrameV1
from services.sealing.seal import (
    NONCE_BYTES,
    TAG_BYTES,
    Header,
    SealError,
    check_sizes,
    header_of,
    i420_bytes,
    open_into,
    seal_into,
    wipe,
    wiped,
)

SUBJECT = "moretta.v1.frames.cannes.gate"
KEY = AESGCM(bytes(range(32)))
U64 = st.integers(0, 2**64 - 1)
SIDES = st.integers(4, 40).map(lambda n: 4 * n)
MARK = b"a face that nobody may ever read"


def frame_of(pixels, *, key=KEY, nonce=bytes(NONCE_BYTES), subject=SUBJECT, width=16, height=16, **numbers):
    """A sealed frame as ingest makes it."""
    numbers = {"lease": 7, "sequence": 3, "at": 10**18} | numbers
    header = Header(subject, numbers["lease"], numbers["sequence"], numbers["at"], width, height)
    sealed = memoryview(bytearray(len(pixels) + TAG_BYTES))
    seal_into(key, nonce, memoryview(pixels), header, sealed)
    return FrameV1(
        site="cannes",
        camera="gate",
        age=0,
        budget=10**8,
        period=2 * 10**8,
        width=width,
        height=height,
        key=bytes(8),
        nonce=nonce,
        sealed=sealed,
        **numbers,
    )


def opened(frame, *, key=KEY, subject=SUBJECT):
    """What a worker with this key reads."""
    out = bytearray(len(frame.sealed) - TAG_BYTES)
    open_into(key, frame, subject, memoryview(out))
    return bytes(out)


def marked(width=16, height=16):
    """Pixels that can be recognised."""
    size = i420_bytes(width, height)
    return bytearray((MARK * (size // len(MARK) + 1))[:size])


@given(width=SIDES, height=SIDES, lease=U64, sequence=U64, at=U64, seed=st.integers(0, 255))
@example(width=16, height=16, lease=2**64 - 1, sequence=2**64 - 1, at=2**64 - 1, seed=0)
def test_what_was_sealed_opens(width, height, lease, sequence, at, seed):
    """A worker reads what ingest sealed, whatever the size and the numbers, also after a trip through the codec."""
    pixels = bytearray((i * 7 + seed) % 256 for i in range(i420_bytes(width, height)))
    frame = frame_of(pixels, width=width, height=height, lease=lease, sequence=sequence, at=at)
    received = msgspec.msgpack.decode(msgspec.msgpack.encode(frame), type=FrameV1)
    check_sizes(received)
    assert opened(received) == bytes(pixels)


@given(bit=st.integers(0, 8 * (i420_bytes(16, 16) + TAG_BYTES) - 1))
@example(bit=0)
@example(bit=8 * i420_bytes(16, 16))
@example(bit=8 * (i420_bytes(16, 16) + TAG_BYTES) - 1)
def test_any_changed_bit_of_ciphertext_or_tag_is_refused(bit):
    """One changed bit is enough, and the error has none of the plain text."""
    frame = frame_of(marked())
    frame.sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealError) as refused:
        opened(frame)
    assert_says_nothing(refused)


@given(bit=st.integers(0, 63), name=st.sampled_from(["lease", "sequence", "at"]))
def test_any_changed_bit_of_a_number_is_refused(bit, name):
    """Lease, sequence and event time are bound to the pixels: an old frame can't be passed off as a new one."""
    frame = frame_of(marked())
    changed = msgspec.structs.replace(frame, **{name: getattr(frame, name) ^ 1 << bit})
    with pytest.raises(SealError) as refused:
        opened(changed)
    assert_says_nothing(refused)


@pytest.mark.parametrize("change", [{"width": 32, "height": 8}, {"width": 8, "height": 32}])
def test_a_changed_shape_is_refused(change):
    """The same bytes under another width and height do not open."""
    with pytest.raises(SealError) as refused:
        opened(msgspec.structs.replace(frame_of(marked()), **change))
    assert_says_nothing(refused)


@given(bit=st.integers(0, 8 * NONCE_BYTES - 1))
def test_a_changed_nonce_is_refused(bit):
    """The nonce belongs to the seal."""
    frame = frame_of(marked())
    nonce = (int.from_bytes(frame.nonce, "big") ^ 1 << bit).to_bytes(NONCE_BYTES, "big")
    with pytest.raises(SealError):
        opened(msgspec.structs.replace(frame, nonce=nonce))


@given(other=st.text(max_size=60).filter(lambda text: text != SUBJECT))
@example(other="moretta.v1.frames.cannes.gat")
@example(other="moretta.v1.frames.cannes.gate2")
def test_a_frame_moved_to_another_subject_is_refused(other):
    """A picture of one camera can't be passed off as another camera's."""
    with pytest.raises(SealError) as refused:
        opened(frame_of(marked()), subject=other)
    assert_says_nothing(refused)


def test_another_key_is_refused():
    """Who has another key reads nothing."""
    with pytest.raises(SealError) as refused:
        opened(frame_of(marked()), key=AESGCM(bytes(32)))
    assert_says_nothing(refused)


def assert_says_nothing(refused):
    """Neither the error's text nor what it drags along has the mark."""
    error = refused.value
    assert error.__cause__ is None
    assert error.__suppress_context__
    for text in (str(error), repr(error), repr(error.args)):
        assert MARK[:6].decode() not in text
        assert MARK[:6].hex() not in text


HEADERS = st.builds(
    Header,
    st.sampled_from(["a", "a.b", "\x00a", "é"]),
    U64,
    U64,
    U64,
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
)


@given(first=HEADERS, second=HEADERS)
def test_different_headers_are_different_bytes(first, second):
    """No two headers share their authenticated bytes, so no field can be shifted into its neighbour."""
    assert (first == second) == (first.associated_data() == second.associated_data())


def test_the_header_of_a_frame_is_what_was_sealed():
    """Both sides bind the same fields."""
    frame = frame_of(marked(), lease=1, sequence=2, at=3)
    assert header_of(frame, SUBJECT) == Header(SUBJECT, 1, 2, 3, 16, 16)


@pytest.mark.parametrize(
    ("width", "height", "extra", "said"),
    [
        (18, 16, TAG_BYTES, "18x16 is not a multiple of 4 each way"),
        (16, 18, TAG_BYTES, "16x18 is not a multiple of 4 each way"),
        (16, 16, TAG_BYTES - 1, "399 bytes; 16x16 needs 400"),
        (16, 16, TAG_BYTES + 1, "401 bytes; 16x16 needs 400"),
        (16, 16, 0, "384 bytes; 16x16 needs 400"),
    ],
)
def test_sizes_that_do_not_belong_together(width, height, extra, said):
    """Sides and payload are checked before anything is opened, and the error says what would be right."""
    frame = msgspec.structs.replace(
        frame_of(marked()), width=width, height=height, sealed=memoryview(bytes(i420_bytes(width, height) + extra))
    )
    with pytest.raises(SealError) as refused:
        check_sizes(frame)
    assert str(refused.value) == said


def runs(data, size=16):
    """Every run of `size` bytes."""
    return {bytes(data[i : i + size]) for i in range(len(data) - size + 1)}


def entropy(data):
    """Bits per byte (Shannon 1948)."""
    counts, total = Counter(data).values(), len(data)
    return -sum(n / total * math.log2(n / total) for n in counts)


def test_a_sealed_picture_is_noise():
    """The payload shares no 16-byte run with the picture, has nearly 8 bits a byte and doesn't compress."""
    width, height = 320, 180
    grid = np.indices((height * 3 // 2, width)).sum(0) // 8 % 2 * 200 + 20
    pixels = bytearray(grid.astype(np.uint8).tobytes())
    sealed = bytes(frame_of(pixels, width=width, height=height).sealed)
    assert runs(pixels) & runs(bytes(pixels))
    assert not runs(pixels) & runs(sealed)
    assert entropy(pixels) < 2
    assert entropy(sealed) > 7.99
    assert len(zlib.compress(sealed)) >= len(sealed)


def test_equal_pictures_are_sealed_differently():
    """A still scene shows nothing on the bus: with the next nonce no 16-byte run comes again."""
    first = frame_of(marked(), nonce=(1).to_bytes(12, "big"))
    second = frame_of(marked(), nonce=(2).to_bytes(12, "big"))
    assert not runs(first.sealed) & runs(second.sealed)


def test_sealing_leaves_no_copy_of_its_own():
    """The caller's buffers are used as they are: what is written to `out` is all there is, `pixels` is unchanged."""
    pixels = marked()
    out = memoryview(bytearray(len(pixels) + TAG_BYTES + 4))
    out[-4:] = b"edge"
    seal_into(KEY, bytes(12), memoryview(pixels), Header(SUBJECT, 0, 0, 0, 16, 16), out[:-4])
    assert pixels == marked()
    assert bytes(out[-4:]) == b"edge"


@given(size=st.sampled_from([0, 1, 15, 345_600, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20]), view=st.booleans())
def test_wipe_zeroes_in_place(size, view):
    """Every byte becomes zero in the very same memory, whatever the size."""
    memory = bytearray(os.urandom(size))
    address = np.frombuffer(memory, np.uint8).__array_interface__["data"] if size else None
    wipe(memoryview(memory) if view else memory)
    assert len(memory) == size
    assert not any(memory)
    if size:
        assert np.frombuffer(memory, np.uint8).__array_interface__["data"] == address


def test_wipe_keeps_to_its_slice():
    """What lies beside the slice is not touched."""
    memory = bytearray(b"\xff" * 32)
    wipe(memoryview(memory)[8:24])
    assert memory == b"\xff" * 8 + bytes(16) + b"\xff" * 8


def test_a_wiped_buffer_is_wiped_even_after_an_error():
    """Whatever its user does, nothing stays in the buffer."""
    kept = []

    def use():
        with wiped(400) as view:
            kept.append(view)
            view[:4] = b"face"
            raise SealError("broken")

    with pytest.raises(SealError):
        use()
    assert len(kept[0]) == 400
    assert not any(kept[0])
