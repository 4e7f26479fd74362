"""Messages to bytes and back, strict when writing and tolerant when reading.

msgspec does not check constraints when a struct is built, so the encoder of a public or stored message does: a producer
that breaks its own contract must fail here, not at a reader (docs/architecture.md).
"""

import re
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from proto.frames import FrameV1
from proto.instants import on_the_wire
from proto.subjects import Encoding, Subject
from proto.types import Utc

M = TypeVar("M", bound=Struct)


_PATH = re.compile(r" - at `(?:key in )?(?P<path>\$[^`]*)`$")


class ContractError(ValueError):
    """A message breaks its contract. `path` is where, as in `$.faces[0].box[1]`; the text says what would be right."""

    def __init__(self, message_type: str, why: str) -> None:
        self.message_type, self.why = message_type, why
        found = _PATH.search(why)
        self.path = found["path"] if found else "$"
        super().__init__(f"{message_type}: {why}")


@cache
def _decoder(message: type[Struct], encoding: Encoding) -> Any:
    return msgspec.msgpack.Decoder(message) if encoding == "msgpack" else msgspec.json.Decoder(message, dec_hook=_read)


def _read(kind: type, value: Any) -> Any:
    if kind is Utc:
        return Utc.read(value)
    raise NotImplementedError(kind)


def _write(value: Any) -> Any:
    if isinstance(value, Utc):
        return value.text()
    raise TypeError(f"{type(value).__name__} is of no contract")


_MSGPACK = msgspec.msgpack.Encoder()
# Sorted keys would cost time for nothing: struct fields are encoded in their declared order, so equal messages are
# equal bytes.
_JSON = msgspec.json.Encoder(enc_hook=_write)


def encode(row: Subject, message: Struct) -> bytes:
    """Return the bytes of a message of this row; ContractError if it is of another type or breaks a constraint."""
    if not isinstance(message, row.message):
        raise ContractError(row.message.__name__, f"got a {type(message).__name__} for {row.pattern}")
    return encode_as(row.encoding, message)


def encode_as(encoding: Encoding, message: Struct) -> bytes:
    """Return the bytes of any message of the contract; ContractError if it breaks a constraint."""
    try:
        data = _MSGPACK.encode(message) if encoding == "msgpack" else _JSON.encode(on_the_wire(message))
    except (TypeError, ValueError, OverflowError) as error:  # no such value in this encoding
        raise ContractError(type(message).__name__, str(error)) from None
    if not isinstance(message, FrameV1):  # 345 kB of pixels: its sizes are checked where it is built
        read = decode_as(type(message), encoding, data)
        if encoding == "json":
            _same(type(message).__name__, message, read, "$")
    return data


def as_json(value: Any) -> bytes:
    """Return JSON of a message, or of what holds messages, as they travel; nothing is checked."""
    return _JSON.encode(on_the_wire(value))


def _same(message: str, mine: Any, theirs: Any, path: str) -> None:
    """Refuse what became null on the way: JSON has no NaN and no infinity, and null would read as withheld."""
    if theirs is None and mine is not None:
        raise ContractError(message, f"Expected a finite number - at `{path}`")
    if isinstance(mine, Struct):
        for name in mine.__struct_fields__:
            _same(message, getattr(mine, name), getattr(theirs, name), f"{path}.{name}")
    elif isinstance(mine, list):
        for index, part in enumerate(mine):
            _same(message, part, theirs[index], f"{path}[{index}]")


def decode(row: Subject, data: bytes | memoryview) -> Struct:
    """Return this row's message; unknown fields are ignored. ContractError names the path of what is wrong."""
    return decode_as(row.message, row.encoding, data)


def decode_on(row: Subject, subject: str, data: bytes | memoryview) -> Struct:
    """Return this row's message if it belongs on that subject: NATS's rights are of subjects, and readers go by fields.

    ContractError else, and for what `decode` refuses.
    """
    message = decode(row, data)
    if row.of(message) != subject:
        raise ContractError(type(message).__name__, f"it belongs on {row.of(message)}")
    return message


def decode_as(message: type[M], encoding: Encoding, data: bytes | memoryview) -> M:
    """Return a message of the given type; ContractError names the path of what is wrong."""
    try:
        result: M = _decoder(message, encoding).decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError(message.__name__, str(error)) from None
    return result
