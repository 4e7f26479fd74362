"""The gate's eyes: within v1 nothing of a schema that was released is removed, renamed, narrowed or retyped."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from compatibility import incompatible
from golden import encodings
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, defstruct

from proto.public import WindowV1
from schemas import schema_of

KINDS = {kind.__name__: kind for kind in encodings()}
WINDOW = schema_of(WindowV1)
Edit = Callable[[dict[str, Any]], object]


def edited(edit: Edit) -> dict[str, Any]:
    """Return WindowV1's schema with the definition changed."""
    changed = copy.deepcopy(WINDOW)
    edit(changed["$defs"]["WindowV1"])
    return changed


def field(name: str, **keywords: Any) -> Edit:
    """Give a field of the window these keywords."""
    return lambda window: window["properties"][name].update(keywords)


def without(name: str, keyword: str) -> Edit:
    """Take a keyword away from a field of the window."""
    return lambda window: window["properties"][name].pop(keyword)


def interval(window: dict[str, Any]) -> dict[str, Any]:
    """Return the part that says what an interval is, where there is one."""
    found: dict[str, Any] = window["properties"]["interval"]["anyOf"][0]
    return found


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_message_is_compatible_with_itself(kind: type[Struct]):
    """No difference is seen where there is none."""
    assert incompatible(schema_of(kind), schema_of(kind)) == []


BREAKING: dict[str, Edit] = {
    "rate: is gone": lambda w: w["properties"].pop("rate"),
    "zone: was string, is integer": lambda w: w["properties"].update(zone={"type": "integer"}),
    "zone: was string, is Place": lambda w: w["properties"].update(zone={"$ref": "#/$defs/Place"}),
    "site: was string, is words": lambda w: w["properties"].update(site={"enum": ["cannes"]}),
    'site: enum was absent, is ["cannes"]': field("site", enum=["cannes"]),
    "persons: must be there now": lambda w: w["required"].append("persons"),
    "end: need not be there any more": lambda w: w["required"].remove("end"),
    'profile: no longer says "lab"': lambda w: w["properties"]["profile"]["enum"].remove("lab"),
    "profile: says null, which is no text": lambda w: w["properties"]["profile"]["enum"].append(None),
    'type: said "WindowV1" alone, says "WindowV2"': lambda w: w["properties"]["type"]["enum"].append("WindowV2"),
    'gaps[]: no longer says "paused"': lambda w: w["properties"]["gaps"]["items"]["enum"].remove("paused"),
    "persons: was integer or null, is integer": lambda w: w["properties"]["persons"]["anyOf"].pop(),
    "start: was string, is null or string": lambda w: w["properties"].update(
        start={"anyOf": [w["properties"]["start"], {"type": "null"}]}
    ),
    "persons: minimum was 0, is absent": lambda w: w["properties"]["persons"]["anyOf"][0].pop("minimum"),
    "adjusted: default was false, is true": field("adjusted", default=True),
    "adjusted: default was false, is 0": field("adjusted", default=0),
    "rate: default was null, is absent": without("rate", "default"),
    "site: items was absent, is {}": field("site", items={}),
    "interval[0]: maximum was 1, is 2": lambda w: interval(w)["prefixItems"][0].update(maximum=2),
    "interval: had 2 places, has 1": lambda w: interval(w)["prefixItems"].pop(),
    "interval: had 2 places, has 3": lambda w: interval(w)["prefixItems"].append({}),
    "interval[]: schema was false, is true": lambda w: interval(w).update(items=True),
    'site: const was absent, is "cannes"': field("site", const="cannes"),
    'site: format was absent, is "hostname"': field("site", format="hostname"),
    'site: contentEncoding was absent, is "base64"': field("site", contentEncoding="base64"),
    "start: multipleOf was absent, is 1000": field("start", multipleOf=1000),
    "gaps: uniqueItems was absent, is true": field("gaps", uniqueItems=True),
    "site: never-heard-of was absent, is 1": lambda w: w["properties"]["site"].update({"never-heard-of": 1}),
}


@pytest.mark.parametrize(("said", "edit"), BREAKING.items(), ids=BREAKING)
def test_what_breaks_is_named(said: str, edit: Edit):
    """Removed, retyped, demanded, withdrawn, narrowed and widened: each is told with its path, and nothing else."""
    assert incompatible(WINDOW, edited(edit)) == [f"WindowV1.{said}"]


@pytest.mark.parametrize(
    ("name", "keyword", "said"),
    [("site", "pattern", "is absent"), ("gaps", "items", "is absent"), ("site", "pattern", 'is "^x$"')],
)
def test_what_checked_a_value_and_does_not(name: str, keyword: str, said: str):
    """A pattern that is gone or another one, and a list that may hold anything now."""
    edit = without(name, keyword) if said == "is absent" else field(name, **{keyword: "^x$"})
    (told,) = incompatible(WINDOW, edited(edit))
    assert told.startswith(f"WindowV1.{name}: {keyword} was ")
    assert told.endswith(said)


@pytest.mark.parametrize("added", [{"additionalProperties": False}, {"minProperties": 30}, {"not": {}}])
def test_what_a_whole_message_may_not_any_more(added: dict[str, Any]):
    """No later fields, or no short messages."""
    (told,) = incompatible(WINDOW, edited(lambda w: w.update(added)))
    assert told.startswith(f"WindowV1: {next(iter(added))} was absent, is ")


def test_the_values_of_a_map():
    """What may stand under any name is compared like a field."""
    before, after = (schema_of(defstruct("M", [("of", dict[str, kind])])) for kind in (int, str))
    assert incompatible(before, after) == ["M.of.*: was integer, is string"]


def test_a_new_name_for_a_field_is_two_changes():
    """The old one is gone; if the new one must be there, that is told, too."""

    def rename(window: dict[str, Any]) -> None:
        window["properties"]["finish"] = window["properties"].pop("end")
        window["required"] = ["finish" if name == "end" else name for name in window["required"]]

    assert incompatible(WINDOW, edited(rename)) == [
        "WindowV1.end: is gone", "WindowV1.finish: must be there now", "WindowV1.end: need not be there any more",
    ]  # fmt: skip


def holder(*kinds: type[Struct]) -> dict[str, Any]:
    """Return the schema of a message that holds one of several others; msgspec names the types by their tags."""
    union: Any = kinds[0]
    for kind in kinds[1:]:
        union = union | kind
    return schema_of(defstruct("Holder", [("one", union)]))


def test_a_choice_of_objects_has_each_of_them():
    """Gone, exchanged or changed within: objects are told apart by their names, not by their being objects."""
    window, alert = (defstruct(name, [("a", int)], tag=name) for name in ("W", "A"))
    other = defstruct("O", [("a", int)], tag="O")
    narrower = defstruct("A", [("a", bool)], tag="A")
    assert incompatible(holder(window, alert), holder(alert, window)) == []
    assert "Holder.one: was A or W, is W" in incompatible(holder(window, alert), holder(window))
    assert "Holder.one: was A or W, is O or W" in incompatible(holder(window, alert), holder(window, other))
    assert incompatible(holder(window, alert), holder(window, narrower)) == ["A.a: was integer, is boolean"]


def test_the_word_that_tells_objects_apart():
    """Which field it is in, and which word stands for which."""
    before = holder(*(defstruct(name, [("a", int)], tag=name) for name in ("W", "A")))
    after = copy.deepcopy(before)
    after["$defs"]["Holder"]["properties"]["one"]["discriminator"]["propertyName"] = "kind"
    (told,) = incompatible(before, after)
    assert told.startswith("Holder.one: discriminator was ")


def test_what_stands_beside_a_reference_counts():
    """In 2020-12 a reference's neighbours hold as well."""
    before = {"$ref": "#/$defs/A", "$defs": {"A": {"type": "string"}}}
    assert incompatible(before, {**before, "maxLength": 3}) == ["$: maxLength was absent, is 3"]
    assert incompatible(before, {**before, "description": "a name"}) == []


class Tree(Struct):
    """A type that holds itself."""

    leaf: int
    below: "list[Tree]" = []


def test_a_type_that_holds_itself():
    """The comparison ends, and sees what is inside."""

    before, after = schema_of(Tree), schema_of(Tree)
    assert incompatible(before, after) == []
    after["$defs"]["Tree"]["properties"]["leaf"]["minimum"] = 0
    assert incompatible(before, after) == ["Tree.leaf: minimum was absent, is 0"]


@given(name=st.from_regex(r"[a-z]{12}", fullmatch=True), word=st.text(min_size=1))
def test_additions_are_allowed(name: str, word: str):
    """A field that need not be there, of a new type as well, another word for a field, and better explanations."""

    def add(window: dict[str, Any]) -> None:
        window["properties"][name] = {"anyOf": [{"$ref": "#/$defs/New"}, {"type": "null"}], "default": None}
        window["properties"]["profile"]["enum"].append(word)
        window["properties"]["site"].update(description=word, examples=[word], deprecated=True)

    after = edited(add)
    after["$defs"]["New"] = {"type": "object", "properties": {}}
    assert incompatible(WINDOW, after) == []
