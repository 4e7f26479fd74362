"""The gate keeps silent of nothing: whatever is removed, replaced or added anywhere in a schema is told."""

import copy
from collections.abc import Iterator
from typing import Any

from compatibility import ANNOTATIONS, incompatible
from golden import encodings
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from schemas import schema_of

KINDS = {kind.__name__: kind for kind in encodings()}
Place = tuple[str | int, ...]


def places(part: Any, at: Place = ()) -> Iterator[Place]:
    """Yield where there is a key, or an item of a list, in a schema; nothing inside what a default or example is."""
    names = part if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
    for name in names:
        yield (*at, name)
        if name not in {"default", "examples"} or explains_nothing(at):
            yield from places(part[name], (*at, name))


def explains_nothing(at: Place) -> bool:
    """Whether keys there are names of fields or types, and no keywords."""
    return bool(at) and at[-1] in {"properties", "$defs"} and not (len(at) > 1 and at[-2] == "properties")


def annotates(place: Place) -> bool:
    """Whether something at this place explains only."""
    return any(name in ANNOTATIONS and not explains_nothing(place[:index]) for index, name in enumerate(place))


def parent(schema: Any, place: Place) -> Any:
    for name in place[:-1]:
        schema = schema[name]
    return schema


def is_schema(schema: dict[str, Any]) -> bool:
    """Whether the meta-schema takes it."""
    return bool(META.is_valid(schema))


META = Draft202012Validator(Draft202012Validator.META_SCHEMA)
ALL = [(name, place) for name, kind in KINDS.items() for place in places(schema_of(kind))]
SCHEMAS = {name: schema_of(kind) for name, kind in KINDS.items()}


def test_anything_that_is_removed_is_told():
    """Each key, field, word and item of each message's schema in turn: told, unless it explains only."""
    silent, copies = [], copy.deepcopy(SCHEMAS)
    for name, place in ALL:
        part = parent(copies[name], place)
        gone = part.pop(place[-1])
        if bool(incompatible(SCHEMAS[name], copies[name])) == annotates(place):
            silent.append((name, place))
        part.insert(place[-1], gone) if isinstance(part, list) else part.update({place[-1]: gone})
    assert copies == SCHEMAS
    assert len(ALL) > 2_500
    assert silent == []


@given(
    at=st.sampled_from(ALL),
    value=st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.lists(st.text())
    | st.dictionaries(st.text(), st.text()),
)
def test_anything_that_is_replaced_is_told(at: tuple[str, Place], value: Any):
    """By whatever: the comparison neither keeps silent nor fails; no schema is what another test tells."""
    name, place = at
    after = copy.deepcopy(SCHEMAS[name])
    before = parent(after, place)[place[-1]]
    parent(after, place)[place[-1]] = value
    same = type(before) is type(value) and before == value
    assert annotates(place) or same or not is_schema(after) or incompatible(SCHEMAS[name], after)


@given(at=st.sampled_from(ALL), key=st.text(), value=st.none() | st.integers() | st.text())
def test_any_keyword_that_comes_is_told(at: tuple[str, Place], key: str, value: Any):
    """Known or not, to any schema within a schema; but to fields and types, which may be added."""
    name, place = at
    after = copy.deepcopy(SCHEMAS[name])
    part = parent(after, place)
    if not isinstance(part, dict) or explains_nothing(place[:-1]) or key in part or annotates((*place[:-1], key)):
        return
    part[key] = value
    assert not is_schema(after) or incompatible(SCHEMAS[name], after)
