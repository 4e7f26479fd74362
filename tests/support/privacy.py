"""The privacy linter: what public types hold that nobody permitted, or could hold a face, a place in one, a text."""

import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct, inspect
from permitted import CHOICE, PERMITTED

from proto.types import Utc

GEOMETRY = ("box", "track", "index", "x1", "y1", "embedding", "face")
_TEXTS = ("two words", "a@b.org", "two\nlines", "é", "a=b", *(letter * 129 for letter in "a0A"))
"""What names and hashes never look like: sentences, addresses, long texts. A telephone number looks like a name."""
_WORD = re.compile(r"[A-Za-z0-9-]{1,40}")
NOT_PERMITTED = "nobody permitted it: enter it in tests/support/permitted.py, with the reason"
_NUMBERS = (inspect.IntType, inspect.FloatType, inspect.BoolType)


def permits() -> dict[str, Any]:
    """Return the permitted type of each `Struct.field`."""
    fields = [(name, kind, where) for group in PERMITTED.values() for name, (kind, where) in group.items()]
    return {f"{owner}.{name}": kind for name, kind, where in fields for owner in where.split()}


def unpermitted(kind: type[Struct], permitted: dict[str, Any]) -> list[str]:
    """Return what a public type may not hold, each with its place; nested types are looked into, once."""
    return [*_of_struct(inspect.type_info(kind), permitted, set())]


def held(kind: type[Struct]) -> set[str]:
    """Return every `Struct.field` of a type and of those within it, by the names that are sent."""
    return {one.split(": ")[0] for one in unpermitted(kind, {}) if one.endswith(NOT_PERMITTED)}


def _of_struct(info: Any, permitted: dict[str, Any], seen: set[type]) -> Iterator[str]:
    if info.cls in seen:
        return
    seen.add(info.cls)
    if info.array_like:
        yield f"{info.cls.__name__}: its fields are sent without their names"
    for field in info.fields:
        place = f"{info.cls.__name__}.{field.encode_name}"
        yield from (f"{place}: {why}" for why in _of_field(place, field.type, permitted))
        for part in structs(field.type):
            yield from _of_struct(part, permitted, seen)


def _of_field(place: str, info: inspect.Type, permitted: dict[str, Any]) -> Iterator[str]:
    yield from (f"it names {word}" for word in GEOMETRY if word in place.rpartition(".")[2])
    yield from dangers(info)
    if place not in permitted:
        yield NOT_PERMITTED
    elif permitted[place] is CHOICE:
        yield from () if isinstance(bare(info), inspect.LiteralType) else ("it is no choice of words",)
    elif bare(info) != bare(inspect.type_info(permitted[place])):
        yield "it is of another type than was permitted"


def bare(info: inspect.Type) -> inspect.Type:
    """Return a type without its explanations, and without null where it is one type beside."""
    if isinstance(info, inspect.Metadata):
        return bare(info.type)
    if isinstance(info, inspect.UnionType):
        others = [one for one in info.types if not isinstance(one, inspect.NoneType)]
        return bare(others[0]) if len(others) == 1 else info
    return info


def structs(info: inspect.Type) -> Iterator[inspect.StructType]:
    """Yield the types with fields that a type holds."""
    info = bare(info)
    if isinstance(info, inspect.StructType):
        yield info
    for part in (*getattr(info, "types", ()), *getattr(info, "item_types", ())):
        yield from structs(part)
    if hasattr(info, "item_type"):
        yield from structs(info.item_type)


def dangers(info: inspect.Type) -> Iterator[str]:
    """Yield why a type may not be public under any name: it could hold a picture, a face, a place in one, a text."""
    match info := bare(info):
        case inspect.StructType() | inspect.IntType() | inspect.FloatType() | inspect.BoolType() | inspect.NoneType():
            return
        case inspect.CustomType(cls) if cls is Utc:  # a time, and nothing else
            return
        case inspect.StrType():
            yield from (f"it takes {text[:12]!r}" for text in _taken(info))
        case inspect.LiteralType():
            yield from (f"{word!r} is no word" for word in info.values if not _WORD.fullmatch(str(word)))
        case inspect.ListType() if not isinstance(
            bare(info.item_type), (*_NUMBERS, inspect.ListType, inspect.TupleType)
        ):
            yield from dangers(info.item_type)
        case inspect.TupleType() if [type(bare(one)) for one in info.item_types] == [inspect.FloatType] * 2:
            return
        case inspect.ListType() | inspect.TupleType():
            yield "it is a row of numbers, or of rows"
        case _:
            yield f"it may hold anything: {type(info).__name__}"


def _taken(info: inspect.StrType) -> list[str]:
    pattern = info.pattern or ""
    if not pattern.startswith("^") or not pattern.endswith(r"\Z"):
        return [*_TEXTS]
    return [text for text in _TEXTS if re.search(pattern, text)]
