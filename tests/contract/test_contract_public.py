"""What other systems read: schemas that say exactly what is sent."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from golden import BY_TYPE, encodings, path_of
from jsonschema import Draft202012Validator
from violations import violations

from operate.box.up import PRINTED
from proto.codec import as_json
from proto.subjects import TABLE
from schemas import DIALECT, public_messages, public_schemas, schema_of

PUBLIC = public_messages()
SCHEMAS = sorted((Path(__file__).parents[2] / "docs/schemas").iterdir())
JSON = [kind for row in TABLE if row.encoding == "json" for kind in (row.message, row.reply) if kind is not None]


def descriptions(schema: Any) -> Iterator[str]:
    """Yield what a schema says in words."""
    if isinstance(schema, list):
        yield from (text for part in schema for text in descriptions(part))
    if isinstance(schema, dict):
        yield from (text for key, text in schema.items() if key == "description" and isinstance(text, str))
        yield from (text for part in schema.values() for text in descriptions(part))


@pytest.mark.parametrize("kind", encodings())
def test_schemas_are_valid(kind: type[msgspec.Struct]):
    """Each is a JSON Schema 2020-12 by the meta-schema, and has ECMA-262's patterns."""
    schema = schema_of(kind)
    assert schema["$schema"] == DIALECT
    Draft202012Validator.check_schema(schema)
    assert r"\Z" not in str(schema)


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
def test_the_files_are_valid(path: Path):
    """What other systems read, as it lies there."""
    Draft202012Validator.check_schema(msgspec.json.decode(path.read_bytes()))


def test_there_is_a_file_for_each():
    """So that the test above looks at something."""
    assert {path.stem for path in SCHEMAS} == {kind.__name__ for kind in PUBLIC}


def test_schemas_are_the_same_from_each_python():
    """Python 3.13 takes a docstring's indentation away, earlier ones keep it: in a schema there is none."""
    texts = list(descriptions(public_schemas()))
    assert any("\n" in text for text in texts)
    assert not any("\n " in text for text in texts)


def test_each_field_says_what_it_is():
    """By its docstring, in which JSON's null is not Python's None; else by its type, or by its words alone."""
    window = fields_of("WindowV1")
    assert window["adjusted"]["description"].startswith("Whether the counts were corrected for missed faces: always")
    assert window["late_total"]["description"].endswith("null where small counts are withheld.")
    assert window["site"]["description"] == "1-32 of a-z, 0-9 and inner hyphens"
    told = [fields_of(kind.__name__) for kind in PUBLIC if kind.__module__ == "proto.public"]
    silent = [name for fields in told for name, field in fields.items() if not {"description", "enum"} & {*field}]
    assert silent == []


def fields_of(name: str) -> dict[str, Any]:
    """Return the fields of a message as its file has them."""
    (path,) = [path for path in SCHEMAS if path.stem == name]
    return dict(msgspec.json.decode(path.read_bytes())["$defs"][name]["properties"])


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
    assert [bad for bad in broken if validator.is_valid(msgspec.json.decode(as_json(bad)))] == []


@pytest.mark.parametrize("kind", JSON)
def test_schemas_demand_what_is_required(kind: type[msgspec.Struct]):
    """A message without a required field, or with another tag, is invalid."""
    golden = msgspec.json.decode(path_of(kind).read_bytes())
    validator = Draft202012Validator(schema_of(kind))
    required = ["type", *(f.name for f in msgspec.structs.fields(kind) if f.required)]
    assert not [name for name in required if validator.is_valid({k: v for k, v in golden.items() if k != name})]
    assert not validator.is_valid({**golden, "type": "OtherV1"})


def test_a_box_prints_all_that_readers_hear():
    """`moretta up | jq` is how somebody sees what there is."""
    heard = {row.pattern for row in TABLE if row.public and "subscriber" in row.subscribers and row.reply is None}
    assert {row.pattern for row in PRINTED} == heard
