"""Bytes and messages: strict when writing, tolerant when reading, and one kind of error whatever comes."""

import contextlib
import math

import msgspec
import pytest
from examples import examples
from golden import BY_TYPE, encodings
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, structs

from proto.codec import ContractError, decode, decode_as, encode, encode_as
from proto.control import DeadV1
from proto.frames import FrameV1
from proto.public import CameraV1, WindowV1
from proto.sightings import TickV1
from proto.subjects import DEAD, FRAMES, TICKS, WINDOWS

MESSAGES = list(encodings().items())


@pytest.mark.parametrize(("kind", "encoding"), MESSAGES, ids=lambda x: getattr(x, "__name__", x))
@examples(40)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_contract_error(kind: type[Struct], encoding, data: bytes):
    """Whatever arrives, a reader sees a message or a ContractError."""
    with contextlib.suppress(ContractError):
        assert isinstance(decode_as(kind, encoding, data), kind)


@pytest.mark.parametrize(("kind", "encoding"), MESSAGES, ids=lambda x: getattr(x, "__name__", x))
@examples(40)
@given(data=st.data())
def test_damaged_bytes_are_a_message_or_a_contract_error(kind: type[Struct], encoding, data):
    """A byte that flipped, or an end that is missing, is no other kind of error."""
    good = bytearray(encode_as(encoding, BY_TYPE[kind]))
    good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ContractError):
        decode_as(kind, encoding, bytes(good[: data.draw(st.integers(0, len(good)))]))


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("msgpack", msgspec.msgpack.encode({"type": "DeadV1"})[:-1] + b"\xff"),  # a text that is not UTF-8
        ("msgpack", b""),
        ("msgpack", b"\x91" * 100_000),
        ("msgpack", b"\x81\xa1x" + b"\x91" * 100_000),  # deep inside an unknown field
        ("json", b"[" * 100_000),
        ("json", b'{"x":' + b"[" * 100_000),
        ("json", b'{"x":"\xff"}'),
        ("json", b"null"),
    ],
)
def test_hostile_bytes(encoding, data: bytes):
    """What is too deep, empty or not UTF-8 is a ContractError, not a crash."""
    with pytest.raises(ContractError):
        decode_as(DeadV1, encoding, data)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", [WindowV1, CameraV1])
def test_no_number_becomes_null(kind: type[Struct], value: float):
    """JSON has no NaN: a rate that is none must not be read as withheld."""
    field = {WindowV1: "rate", CameraV1: "fps"}[kind]
    with pytest.raises(ContractError) as error:
        encode_as("json", structs.replace(BY_TYPE[kind], **{field: value}))
    assert error.value.path == f"$.{field}"


@pytest.mark.parametrize("value", [object(), "\ud800"])
def test_what_cannot_be_encoded_is_a_contract_error(value: object):
    """A value with no encoding is the producer's fault like any other."""
    with pytest.raises(ContractError, match="WindowV1"):
        encode_as("json", structs.replace(BY_TYPE[WindowV1], site=value))


def test_an_integer_beyond_64_bits():
    """msgpack ends at 64 bits."""
    with pytest.raises(ContractError, match="DeadV1"):
        encode_as("msgpack", structs.replace(BY_TYPE[DeadV1], at=2**70))


def test_another_rows_message_is_refused():
    """A row carries its own message and no other."""
    with pytest.raises(ContractError, match=r"WindowV1: got a TickV1 for moretta\.v1\.windows"):
        encode(WINDOWS, TickV1(site="s"))


def test_a_row_reads_what_it_wrote():
    """encode and decode of one row are inverses, in its own encoding."""
    for row in (WINDOWS, DEAD, TICKS):
        assert decode(row, encode(row, BY_TYPE[row.message])) == BY_TYPE[row.message]
    assert encode(WINDOWS, BY_TYPE[WindowV1]).startswith(b'{"type":"WindowV1"')


def test_a_frames_pixels_are_not_copied():
    """345 kB per picture: the decoded pixels are the received buffer itself."""
    received = bytearray(encode(FRAMES, BY_TYPE[FrameV1]))
    frame = decode(FRAMES, memoryview(received))
    assert isinstance(frame, FrameV1)
    place = received.index(frame.sealed.tobytes()[:32])
    received[place] ^= 0xFF
    assert frame.sealed[0] == received[place]


def test_an_error_without_a_place():
    """What is no message at all has the whole as its path."""
    with pytest.raises(ContractError) as error:
        decode(WINDOWS, b"")
    assert error.value.path == "$"
    assert "WindowV1" in str(error.value)
