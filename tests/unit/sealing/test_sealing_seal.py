"""Sealing one frame: services.frames.sealing.seal."""

import math
import os
import zlib
from collections import Counter

import messages
import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import example, given
from hypothesis import strategies as st

from proto.frames import FrameV1
from services.frames.sealing.seal import (
    NONCE_BYTES,
    TAG_BYTES,
    SealError,
    associated_data,
    check_form,
    i420_bytes,
    open_into,
    proof_of,
    reply_key,
    seal_into,
    wipe,
    wiped,
)

SUBJECT = "moretta.v1.frames.cannes.gate"
KEY = AESGCM(bytes(range(32)))
U64 = st.integers(0, 2**64 - 1)
SIDES = st.integers(4, 40).map(lambda n: 4 * n)
MARK = b"a face that nobody may ever read"


def frame_of(pixels, *, key=KEY, **fields):
    """A sealed frame as ingest makes it."""
    frame = messages.frame(len(pixels), **fields)
    seal_into(key, frame, memoryview(pixels))
    return frame


def opened(frame, *, key=KEY):
    """What a worker with this key reads."""
    out = bytearray(len(frame.sealed) - TAG_BYTES)
    open_into(key, frame, memoryview(out))
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
    check_form(received, SUBJECT)
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


NUMBERS = ("lease", "sequence", "at", "budget", "period", "key_age")


@given(bit=st.integers(0, 63), name=st.sampled_from(NUMBERS))
def test_any_changed_bit_of_a_number_is_refused(bit, name):
    """An old frame can't be passed off as a new one, nor a camera's for one that may wait or that stands for longer."""
    frame = frame_of(marked())
    changed = msgspec.structs.replace(frame, **{name: getattr(frame, name) ^ 1 << bit})
    with pytest.raises(SealError) as refused:
        opened(changed)
    assert_says_nothing(refused)


@given(bit=st.integers(0, 63), name=st.sampled_from(["key", "nonce"]))
def test_any_changed_bit_of_key_id_or_nonce_is_refused(bit, name):
    """Also where the other id should lead to the same key."""
    frame = frame_of(marked())
    data = bytearray(getattr(frame, name))
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealError) as refused:
        opened(msgspec.structs.replace(frame, **{name: bytes(data)}))
    assert_says_nothing(refused)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 32, "height": 8},
        {"width": 8, "height": 32},
        {"aim": True},
        {"site": "lyon"},
        {"camera": "gat"},
        {"camera": "gate2"},
        {"site": "cann", "camera": "es-gate"},
    ],
)
def test_a_changed_shape_place_or_aim_is_refused(change):
    """The same bytes under another size or camera's name do not open, nor can quality be asked for by others."""
    with pytest.raises(SealError) as refused:
        opened(msgspec.structs.replace(frame_of(marked()), **change))
    assert_says_nothing(refused)


def test_the_seal_binds_everything_but_the_age():
    """A field that is added to frames later is bound, or this test says why not."""
    free = {"age", "nonce", "sealed"}  # it grows from try to try; AES-GCM's own
    other = {"site": "b", "camera": "b", "key": b"another!", "aim": True}
    frame = frame_of(marked())
    for name in set(FrameV1.__struct_fields__) - free:
        changed = msgspec.structs.replace(frame, **{name: other.get(name) or getattr(frame, name) + 4})
        assert associated_data(changed) != associated_data(frame), name
    assert associated_data(msgspec.structs.replace(frame, age=5)) == associated_data(frame)


def test_another_camera_s_subject_is_not_its_own():
    """A frame that comes on a subject which is not the one of its site and camera is refused before it is opened."""
    for subject in (SUBJECT + "2", SUBJECT[:-1], "moretta.v1.frames.lyon.gate"):
        with pytest.raises(SealError, match="another camera's"):
            check_form(frame_of(marked()), subject)


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


FRAMES_OF_ALL = st.builds(
    FrameV1,
    site=st.sampled_from(["a", "ab"]),
    camera=st.sampled_from(["a", "ba"]),
    **dict.fromkeys((*NUMBERS, "age"), U64),
    width=st.integers(0, 2**32 - 1),
    height=st.integers(0, 2**32 - 1),
    key=st.binary(min_size=8, max_size=8),
    nonce=st.just(bytes(NONCE_BYTES)),
    sealed=st.just(memoryview(b"")),
    aim=st.booleans(),
)


@given(first=FRAMES_OF_ALL, second=FRAMES_OF_ALL)
def test_different_frames_are_different_bytes(first, second):
    """No two frames share their authenticated bytes, so no field can be shifted into its neighbour."""
    same = msgspec.structs.replace(first, age=0) == msgspec.structs.replace(second, age=0)
    assert same == (associated_data(first) == associated_data(second))


def test_an_answer_is_proven_by_the_key_for_this_frame_alone():
    """Another key, frame, sending or outcome has another proof, and none of them has a byte run of the key."""
    secret, frame = bytearray(range(32)), frame_of(marked())
    said = [
        (secret, frame, "done"),
        (secret, frame, "failed"),
        (bytearray(32), frame, "done"),
        (secret, msgspec.structs.replace(frame, sequence=4), "done"),
        (secret, msgspec.structs.replace(frame, nonce=b"another one."), "done"),
        (secret, msgspec.structs.replace(frame, camera="exit"), "done"),
    ]
    proofs = [proof_of(reply_key(key, one), outcome) for key, one, outcome in said]
    assert len(set(proofs)) == len(said)
    assert {len(proof) for proof in proofs} == {16}
    aged = msgspec.structs.replace(frame, age=10**9)
    assert proof_of(reply_key(secret, aged), "done") == proofs[0], "whichever try was answered"


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
        check_form(frame, SUBJECT)
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
    seal_into(KEY, msgspec.structs.replace(frame_of(pixels), sealed=out[:-4]), memoryview(pixels))
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
