"""Every way to break one constraint of a message, from its type: what a contract test cannot forget."""

import math
from collections.abc import Iterator
from typing import Any

from msgspec import Struct, inspect, structs

from proto.types import Utc

Mutation = tuple[str, Any]
"""Where (as in `$.faces[0].box[1]`), and the whole value with one part of it broken."""


def violations(message: Struct) -> Iterator[Mutation]:
    """Yield the message with each field, or part of a field, broken in turn."""
    info = inspect.type_info(type(message))
    assert isinstance(info, inspect.StructType)
    yield from _of_struct(info, message, "$")


def _of_struct(info: inspect.StructType, value: Any, path: str) -> Iterator[Mutation]:
    for index, field in enumerate(info.fields):
        here = f"{path}[{index}]" if info.array_like else f"{path}.{field.encode_name}"
        for where, bad in _broken(field.type, getattr(value, field.name), here):
            yield where, structs.replace(value, **{field.name: bad})


def _broken(info: inspect.Type, value: Any, path: str) -> Iterator[Mutation]:
    match info:
        case inspect.Metadata():
            yield from _broken(info.type, value, path)
        case inspect.StructType():
            yield from _of_struct(info, value, path)
        case inspect.UnionType():
            for option in info.types:
                if not isinstance(option, inspect.NoneType):
                    yield from _broken(option, value, path)
        case inspect.ListType() | inspect.TupleType() if value:
            items = info.item_types if isinstance(info, inspect.TupleType) else [info.item_type]
            for index, item in enumerate(items):
                for where, bad in _broken(item, value[index], f"{path}[{index}]"):
                    yield where, type(value)([*value[:index], bad, *value[index + 1 :]])
            yield path, 5
        case _:
            yield from ((path, bad) for bad in _bad_values(info, value))


def _bad_values(info: inspect.Type, value: Any) -> Iterator[Any]:
    match info:
        case inspect.IntType() | inspect.FloatType():
            yield "a text"
            yield from _out_of_range(info)
        case inspect.StrType():
            yield 5
            if info.pattern is not None:
                yield from ("", "Ü", "a b", "a.b!", "*", ">", f"{value}\n")
        case inspect.LiteralType():
            yield from (5, "no-such-value")
        case inspect.CustomType(cls) if cls is Utc:
            yield from (-1, 1.5, "a text")
        case inspect.BoolType():
            yield "a text"
        case inspect.BytesType():
            yield 5
            if info.min_length is not None and value is not None:
                yield from (value[:-1], value + b"x")
        case inspect.MemoryViewType() | inspect.ListType() | inspect.TupleType():
            yield 5
        case _:
            raise AssertionError(f"no way known to break {info}")


def _out_of_range(info: inspect.IntType | inspect.FloatType) -> Iterator[Any]:
    step = 1 if isinstance(info, inspect.IntType) else 0.5
    if info.ge is not None:
        yield info.ge - step
    if info.gt is not None:
        yield info.gt
    if info.le is not None:
        yield info.le + step
    if isinstance(info, inspect.FloatType):
        yield math.nan
