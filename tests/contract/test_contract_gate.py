"""The gate: within v1 nothing that was released is removed, renamed, narrowed or retyped."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from compatibility import incompatible
from golden import encodings
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from released import RELEASES, schemas_of

from proto.codec import decode_as
from proto.public import WindowV1
from proto.schema import schema_of

KINDS = {kind.__name__: kind for kind in encodings()}
WINDOW = schema_of(WindowV1)
Edit = Callable[[dict[str, Any]], object]


def edited(edit: Edit) -> dict[str, Any]:
    """Return WindowV1's schema with its fields, or the whole definition, changed."""
    changed = copy.deepcopy(WINDOW)
    edit(changed["$defs"]["WindowV1"])
    return changed


def test_every_release_is_still_understood():
    """What was released decodes, and its schemas are kept or added to; before the first there is nothing yet."""
    for release in RELEASES:
        for name, schema in schemas_of(release).items():
            assert name in KINDS, f"{name} was released with {release.name} and is gone"
            assert incompatible(schema, schema_of(KINDS[name])) == []
            encoding = encodings()[KINDS[name]]
            decode_as(KINDS[name], encoding, (release / f"{name}.{encoding}").read_bytes())


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_message_is_compatible_with_itself(kind: type[Struct]):
    """No difference is seen where there is none."""
    assert incompatible(schema_of(kind), schema_of(kind)) == []


BREAKING: dict[str, Edit] = {
    "$.rate: is gone": lambda w: w["properties"].pop("rate"),
    "$.zone: was string, is integer": lambda w: w["properties"].update(zone={"type": "integer"}),
    "$.persons: must be there now": lambda w: w["required"].append("persons"),
    "$.end: need not be there any more": lambda w: w["required"].remove("end"),
    "$.profile: no longer says 'lab'": lambda w: w["properties"]["profile"]["enum"].remove("lab"),
    "$.persons: was integer or null, is integer": lambda w: w["properties"]["persons"]["anyOf"].pop(),
    "$.start: minimum was 0, is 1": lambda w: w["properties"]["start"].update(minimum=1),
    "$.interval[0]: maximum was 1, is 2": lambda w: w["properties"]["interval"]["anyOf"][0]["prefixItems"][0].update(
        maximum=2
    ),
    "$.gaps[]: no longer says 'paused'": lambda w: w["properties"]["gaps"]["items"]["enum"].remove("paused"),
    "$.type: no longer says 'WindowV1'": lambda w: w["properties"]["type"].update(enum=["WindowV2"]),
}


@pytest.mark.parametrize(("said", "edit"), BREAKING.items(), ids=BREAKING)
def test_what_breaks_is_named(said: str, edit: Edit):
    """Removed, retyped, demanded, withdrawn, narrowed and widened: each is told with its path, and nothing else."""
    assert incompatible(WINDOW, edited(edit)) == [said]


def test_a_pattern_that_changed_is_told():
    """Readers check by it."""
    (said,) = incompatible(WINDOW, edited(lambda w: w["properties"]["site"].update(pattern="^x$")))
    assert said.startswith("$.site: pattern was ^")


def test_a_new_name_for_a_field_is_two_changes():
    """The old one is gone; if the new one must be there, that is told, too."""

    def rename(window: dict[str, Any]) -> None:
        window["properties"]["finish"] = window["properties"].pop("end")
        window["required"] = ["finish" if name == "end" else name for name in window["required"]]

    assert incompatible(WINDOW, edited(rename)) == [
        "$.end: is gone", "$.finish: must be there now", "$.end: need not be there any more",
    ]  # fmt: skip


def test_words_alone_where_there_was_text():
    """A choice is narrower than the text that it replaces."""
    edit: Edit = lambda w: w["properties"]["site"].update(enum=["cannes"])  # noqa: E731
    assert incompatible(WINDOW, edited(edit)) == ["$.site: says some words only"]


@given(name=st.from_regex(r"[a-z]{12}", fullmatch=True), word=st.text(min_size=1))
def test_additions_are_allowed(name: str, word: str):
    """A field that need not be there, and another word for a field."""

    def add(window: dict[str, Any]) -> None:
        window["properties"][name] = {"type": "integer", "default": 0}
        window["properties"]["profile"]["enum"].append(word)

    assert incompatible(WINDOW, edited(add)) == []
