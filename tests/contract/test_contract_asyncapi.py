"""The AsyncAPI document is the table: every public subject, with its message, its stream and who may read it."""

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from golden import FOLDER
from jsonschema import Draft7Validator

from asyncapi import draft_07, write
from proto.subjects import STATS, TABLE, Subject, stream
from schemas import public_messages, schema_of

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "asyncapi.json"
DOCUMENT: dict[str, Any] = msgspec.json.decode(FILE.read_bytes())
PUBLIC = [row for row in TABLE if row.public]
public = pytest.mark.parametrize("row", PUBLIC, ids=lambda row: row.pattern)


def channel_of(row: Subject) -> dict[str, Any]:
    """Return the channel of a row; there is just one."""
    (found,) = [one for one in DOCUMENT["channels"].values() if one["address"] == row.pattern]
    return dict(found)


def at(reference: str) -> Any:
    """Return what a reference of the document points to."""
    found: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_the_document_is_up_to_date(tmp_path: Path):
    """`make contracts` was run."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert write(tmp_path / "new.json", version, FOLDER).read_bytes() == FILE.read_bytes()


@public
def test_each_public_subject_is_a_channel(row: Subject):
    """With its parameters, its message, who may read it, and what JetStream keeps."""
    channel = channel_of(row)
    assert tuple(channel["parameters"]) == row.fields
    assert all(one["description"] for one in channel["parameters"].values())
    assert [*channel["messages"]] == [row.message.__name__]
    assert (channel["x-publishers"], channel["x-subscribers"]) == (list(row.publishers), list(row.subscribers))
    if row.stream is None:
        assert "x-jetstream" not in channel
    else:
        kept = channel["x-jetstream"]
        assert (kept["stream"], kept["max-age-s"]) == (row.stream, stream(row.stream).max_age_s)


@public
def test_each_public_subject_has_one_operation(row: Subject):
    """What is published is sent; what is asked is received in the queue group, and answered."""
    (operation,) = [one for one in DOCUMENT["operations"].values() if at(one["channel"]["$ref"]) == channel_of(row)]
    assert operation["action"] == ("receive" if row is STATS else "send")
    if row.reply is not None:
        assert operation["bindings"]["nats"]["queue"] == row.queue
        assert [*at(operation["reply"]["channel"]["$ref"])["messages"]] == [row.reply.__name__]


def test_nothing_else_is_in_it():
    """No subject, message or word of frames, sightings and tracks."""
    inboxes = [one for one in DOCUMENT["channels"].values() if one["address"] is None]
    assert len(DOCUMENT["channels"]) == len(PUBLIC) + len(inboxes) == len(DOCUMENT["operations"]) + len(inboxes)
    assert {*DOCUMENT["components"]["messages"]} == {kind.__name__ for kind in public_messages()}


@pytest.mark.parametrize("kind", public_messages(), ids=lambda kind: kind.__name__)
def test_examples_are_the_golden_messages_and_valid(kind: type[msgspec.Struct]):
    """By the schema as it is in the document: draft 07, with references into the document."""
    message = DOCUMENT["components"]["messages"][kind.__name__]
    (example,) = message["examples"]
    assert example["payload"] == msgspec.json.decode((FOLDER / f"{kind.__name__}.json").read_bytes())
    validator = Draft7Validator({**DOCUMENT, "$ref": message["payload"]["$ref"]})
    validator.validate(example["payload"])
    assert not validator.is_valid({**example["payload"], "type": "OtherV1"})


def test_pairs_are_still_pairs():
    """Draft 07 calls `items` what 2020-12 calls `prefixItems`, and `additionalItems` what it calls `items`."""
    found = draft_07({"$schema": "x", "prefixItems": [{"$ref": "#/$defs/A"}], "items": False})
    assert found == {"items": [{"$ref": "#/components/schemas/A"}], "additionalItems": False}
    assert "prefixItems" in str(schema_of(public_messages()[0]))
    assert "prefixItems" not in str(DOCUMENT)
