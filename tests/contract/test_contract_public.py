"""What anyone may read: neither pictures, nor geometry, nor words, and schemas that say exactly what is sent."""

from collections.abc import Iterator

import msgspec
import pytest
from golden import BY_TYPE, encodings, path_of
from jsonschema import Draft202012Validator
from msgspec import inspect
from violations import violations

from proto.aiming import AimRecordV1, AimReplyV1, AimReportV1
from proto.frames import FrameQualityV1, FrameReplyV1
from proto.schema import DIALECT, public_messages, public_schemas, schema_of
from proto.stats import StatsRequestV1
from proto.subjects import TABLE

PUBLIC = public_messages()
JSON = [kind for row in TABLE if row.encoding == "json" for kind in (row.message, row.reply) if kind is not None]
GEOMETRY = ("box", "track", "index", "x1", "y1", "embedding", "face")


def leaves(info: inspect.Type, path: str) -> Iterator[tuple[str, inspect.Type]]:
    """Yield every part of a type that has no parts."""
    match info:
        case inspect.Metadata():
            yield from leaves(info.type, path)
        case inspect.StructType():
            for field in info.fields:
                yield from leaves(field.type, f"{path}.{field.name}")
        case inspect.UnionType():
            for option in info.types:
                yield from leaves(option, path)
        case inspect.ListType():
            yield from leaves(info.item_type, f"{path}[]")
        case inspect.TupleType():
            for item in info.item_types:
                yield from leaves(item, f"{path}[]")
        case _:
            yield path, info


def harmless(path: str, info: inspect.Type) -> bool:
    """A bounded text, a number, a choice: nothing that could hold a picture, a place in one, or a sentence."""
    if any(word in path.rsplit(".", 1)[-1] for word in GEOMETRY):
        return False
    if isinstance(info, inspect.StrType):
        return info.pattern is not None and info.pattern.startswith("^") and info.pattern.endswith(r"\Z")
    kinds = (inspect.IntType, inspect.FloatType, inspect.BoolType, inspect.NoneType, inspect.LiteralType)
    return isinstance(info, kinds)


def test_the_public_rows():
    """What is public was decided; a new row has to be entered here, too."""
    events = ["WindowV1", "AlertV1", "RuleStateV1", "OperationalAlertV1", "CameraV1", "DeliveryV1", "NotificationV1"]
    assert [kind.__name__ for kind in PUBLIC] == [*events, "StatsRequestV1", "StatsReplyV1"]


@pytest.mark.parametrize("kind", PUBLIC)
def test_public_types_hold_nothing_finer(kind: type[msgspec.Struct]):
    """No bytes, no box, no track id, no free text, and JSON."""
    found = list(leaves(inspect.type_info(kind), "$"))
    assert len(found) >= (7 if kind is StatsRequestV1 else 9)
    assert [path for path, info in found if not harmless(path, info)] == []
    assert encodings()[kind] == "json"


VERDICTS = {"masked", "unmasked", "incorrect", "unknown", "verdict", "confidence", "score"}
COUNTS = ("count", "total", "number", "persons", "people", "faces", "seen")
WHOLE = {"at", "since", "left", "width", "height"}
"""Times and picture sizes: the only whole numbers there may be."""


@pytest.mark.parametrize("kind", [AimReportV1, AimReplyV1, AimRecordV1])
def test_aiming_tells_neither_verdicts_nor_counts(kind: type[msgspec.Struct]):
    """No box, no verdict, no number of faces or people: shares, sizes, and digits of a map relative to its maximum."""
    for path, info in leaves(inspect.type_info(kind), "$"):
        name = path.rsplit(".", 1)[-1].removesuffix("[]")
        assert name not in VERDICTS
        assert not any(word in name for word in COUNTS)
        assert not isinstance(info, inspect.IntType) or name in WHOLE
        assert not isinstance(info, inspect.LiteralType) or not VERDICTS & set(info.values)
        assert harmless(path, info) or name in {"error", "why"}


def test_the_quality_of_a_frame_holds_no_verdict():
    """Boxes stay in the account FRAMES, and even there a face says only why it got no verdict."""
    found = list(leaves(inspect.type_info(FrameQualityV1), "$"))
    assert not [path for path, _ in found if set(path.split(".")) & (VERDICTS - {"unknown"})]
    assert [set(i.values) for _, i in found if isinstance(i, inspect.LiteralType)] == [{"too-small", "unsure"}]
    assert [row.account for row in TABLE if row.reply is FrameReplyV1] == ["FRAMES"]
    others = {kind for row in TABLE for kind in (row.message, row.reply)} - {FrameReplyV1, None}
    assert not [kind for kind in others if FrameQualityV1.__name__ in str(inspect.type_info(kind))]


@pytest.mark.parametrize(
    "bad", [bytes, memoryview, str, object, dict[str, int], msgspec.defstruct("A", [("track_id", int)])]
)
def test_the_walk_would_find_it(bad: type):
    """The test above can fail."""
    assert not all(harmless(path, info) for path, info in leaves(inspect.type_info(bad), "$.x"))


@pytest.mark.parametrize("kind", encodings())
def test_schemas_are_valid(kind: type[msgspec.Struct]):
    """Each is a JSON Schema 2020-12 by the meta-schema, and has ECMA-262's patterns."""
    schema = schema_of(kind)
    assert schema["$schema"] == DIALECT
    Draft202012Validator.check_schema(schema)
    assert r"\Z" not in str(schema)


def test_public_schemas_by_name():
    """All public messages, and only these."""
    assert public_schemas() == {kind.__name__: schema_of(kind) for kind in PUBLIC}


@pytest.mark.parametrize("kind", JSON)
def test_schemas_accept_the_golden_messages(kind: type[msgspec.Struct]):
    """Schema and codec agree on what is right, later fields included."""
    golden = msgspec.json.decode(path_of(kind).read_bytes())
    validator = Draft202012Validator(schema_of(kind))
    validator.validate(golden)
    validator.validate({**golden, "later": 1})


@pytest.mark.parametrize("kind", JSON)
def test_schemas_reject_what_the_codec_rejects(kind: type[msgspec.Struct]):
    """Schema and codec agree on what is wrong."""
    validator = Draft202012Validator(schema_of(kind))
    # Python's `$` takes a newline behind it and JSON has no NaN: neither can be shown with this validator.
    broken = [bad for _, bad in violations(BY_TYPE[kind]) if "nan" not in repr(bad) and r"\n" not in repr(bad)]
    assert len(broken) > 5
    assert [bad for bad in broken if validator.is_valid(msgspec.json.decode(msgspec.json.encode(bad)))] == []


@pytest.mark.parametrize("kind", JSON)
def test_schemas_demand_what_is_required(kind: type[msgspec.Struct]):
    """A message without a required field, or with another tag, is invalid."""
    golden = msgspec.json.decode(path_of(kind).read_bytes())
    validator = Draft202012Validator(schema_of(kind))
    required = ["type", *(f.name for f in msgspec.structs.fields(kind) if f.required)]
    assert not [name for name in required if validator.is_valid({k: v for k, v in golden.items() if k != name})]
    assert not validator.is_valid({**golden, "type": "OtherV1"})
