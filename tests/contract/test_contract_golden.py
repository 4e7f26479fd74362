"""The bytes of every message: what was released stays readable, and is still written the same."""

from typing import Any

import msgspec
import pytest
from golden import BY_TYPE, FOLDER, encodings, path_of
from msgspec import Struct
from violations import violations

from proto.codec import ContractError, decode_as, encode_as
from proto.frames import FrameV1
from proto.public import AlertV1, WindowV1
from proto.stats import StatsReplyV1

KINDS = list(encodings())
NAMES = [kind.__name__ for kind in KINDS]
every_message = pytest.mark.parametrize("kind", KINDS, ids=NAMES)


def raw(kind: type[Struct]) -> dict[str, Any]:
    module = msgspec.json if encodings()[kind] == "json" else msgspec.msgpack
    return module.decode(path_of(kind).read_bytes())


def again(kind: type[Struct], value: Any) -> bytes:
    module = msgspec.json if encodings()[kind] == "json" else msgspec.msgpack
    return module.encode(value)


def test_each_message_has_one_golden_file():
    """No message without bytes, no bytes without a message."""
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(path_of(kind).name for kind in KINDS)


@every_message
def test_golden_bytes_are_read(kind: type[Struct]):
    """The committed bytes are the expected message."""
    assert decode_as(kind, encodings()[kind], path_of(kind).read_bytes()) == BY_TYPE[kind]


@every_message
def test_golden_bytes_are_written(kind: type[Struct]):
    """The expected message is written as the committed bytes."""
    assert encode_as(encodings()[kind], BY_TYPE[kind]) == path_of(kind).read_bytes()


@every_message
def test_readers_tolerate_unknown_fields(kind: type[Struct]):
    """A field that a later release adds, on any level, is ignored (additive change)."""

    def added(value: Any) -> Any:
        if isinstance(value, list):
            return [added(part) for part in value]
        return {**{k: added(v) for k, v in value.items()}, "later": {"x": [1]}} if isinstance(value, dict) else value

    assert decode_as(kind, encodings()[kind], again(kind, added(raw(kind)))) == BY_TYPE[kind]


@every_message
def test_readers_demand_required_fields(kind: type[Struct]):
    """Without a required field the message is refused, and the error names the field."""
    required = [field.name for field in msgspec.structs.fields(kind) if field.required]
    assert required
    for name in required:
        with pytest.raises(ContractError, match=name):
            decode_as(kind, encodings()[kind], again(kind, {k: v for k, v in raw(kind).items() if k != name}))


@every_message
def test_readers_tell_messages_apart(kind: type[Struct]):
    """Another message's tag is refused."""
    with pytest.raises(ContractError, match="type"):
        decode_as(kind, encodings()[kind], again(kind, {**raw(kind), "type": "OtherV1"}))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not FrameV1])
def test_producers_are_strict(kind: type[Struct]):
    """Each broken constraint fails at the producer, and the error names the path."""
    for path, bad in violations(BY_TYPE[kind]):
        with pytest.raises(ContractError) as error:
            encode_as(encodings()[kind], bad)
        assert (error.value.path, error.value.message_type) == (path, kind.__name__), bad


def test_readers_of_frames_are_strict():
    """A frame is checked by its reader; encoding 345 kB twice would cost more than it proves."""
    for path, bad in violations(BY_TYPE[FrameV1]):
        with pytest.raises(ContractError) as error:
            decode_as(FrameV1, "msgpack", encode_as("msgpack", bad))
        assert error.value.path == path, bad


@pytest.mark.parametrize("kind", [WindowV1, AlertV1, StatsReplyV1])
def test_the_examples_have_figures_as_they_are_published(kind: type[Struct]):
    """To three decimals (ADR 47): who reads an example learns the form from it."""
    example = raw(kind)
    for one in example.get("periods", [example]):
        shares = [one["rate"], one["coverage"], *one["interval"], *one["sampling_interval"]]
        assert [round(share, 3) for share in shares] == shares
