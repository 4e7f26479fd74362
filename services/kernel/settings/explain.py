"""Explains the problems of a value: one line each says where, what is wrong, and what would be right.

Every part of a value is checked by itself.
"""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Struct, inspect

from services.kernel.log import redact
from services.kernel.settings.model import Problem, Secret, convert

WRONG_KIND = "must be "
"""What is said of a value that does not fit its type begins so."""


def problems(schema: Any, value: Any, path: str = "") -> Iterator[Problem]:
    """Yield every problem below `path`. If a whole value does not fit, check its parts one by one."""
    schema = _meant_kind(schema, value)
    try:
        convert(value, schema)
    except msgspec.ValidationError:
        parts = list(_part_problems(_bare(schema), value, path))
        yield from parts or [(path, f"{_right(schema)}, got {shown(value, schema)}{_hint(schema, value)}")]


def _meant_kind(schema: Any, value: Any) -> Any:
    """Return, of a text or a section, the one that the value is like; any other type as it is."""
    options = get_args(schema) if get_origin(schema) in (Union, UnionType) else ()
    each = next((one for one in options if get_origin(one) is dict), None)  # of a text for each language
    if each is not None and isinstance(value, dict):
        return each
    is_section = [isinstance(one, type) and issubclass(one, Struct) for one in options]
    if len(options) != 2 or type(None) in options or sum(is_section) != 1:
        return schema
    return options[is_section.index(isinstance(value, dict))]


def _hint(schema: Any, value: Any) -> str:
    """Return what was probably meant, where that can be told: a share of a percentage, or a choice; else empty."""
    bare = _bare(schema)
    return _meant_choice(value, get_args(bare)) if get_origin(bare) is Literal else _percent(schema, value)


def _percent(schema: Any, value: Any) -> str:
    """Return what a percentage is as the share that it should be; empty for all else."""
    info = inspect.type_info(schema)
    info = info.type if isinstance(info, inspect.Metadata) else info
    is_share = isinstance(info, inspect.FloatType) and (info.ge, info.le) == (0, 1)
    is_percentage = isinstance(value, (int, float)) and not isinstance(value, bool) and 1 < value <= 100
    return f"; {value:g} % is {value / 100:g}" if is_share and is_percentage else ""


def _bare(schema: Any) -> Any:
    """Return the type without its annotations, and without a None option."""
    while get_origin(schema) is Annotated:
        schema = get_args(schema)[0]
    options = [option for option in get_args(schema) if option is not type(None)]
    return _bare(options[0]) if type(None) in get_args(schema) else schema


def _part_problems(schema: Any, value: Any, path: str) -> Iterator[Problem]:
    if get_origin(schema) is list and isinstance(value, list):
        for index, part in enumerate(value):
            yield from problems(get_args(schema)[0], part, f"{path}[{index}]")
    elif get_origin(schema) is tuple and isinstance(value, list):
        kinds = get_args(schema)
        each = [kinds[0]] * len(value) if kinds[-1] is Ellipsis else list(kinds)
        if len(each) == len(value):  # else the whole value is reported
            for index, (kind, part) in enumerate(zip(each, value, strict=True)):
                yield from problems(kind, part, f"{path}[{index}]")
    elif get_origin(schema) is dict and isinstance(value, dict):
        yield from _pair_problems(get_args(schema), value, path)
    elif isinstance(schema, type) and issubclass(schema, Struct) and isinstance(value, dict):
        yield from _field_problems(schema, value, path)


def _pair_problems(kinds: tuple[Any, ...], value: dict[Any, Any], path: str) -> Iterator[Problem]:
    key_kind, kind = kinds
    for key, part in value.items():
        if any(problems(key_kind, key)):
            yield join(path, key), f"the key {_right(key_kind)}"
        elif any(problems(kind, part)):  # without the value, since a header may be a secret
            yield join(path, key), _right(kind)


def _field_problems(schema: type[Struct], value: dict[str, Any], path: str) -> Iterator[Problem]:
    fields = {f.encode_name: f for f in msgspec.structs.fields(schema)}
    for key in value:
        if key not in fields and schema.__struct_config__.forbid_unknown_fields:
            yield join(path, key), f"unknown key; known here are {', '.join(fields)}{_meant(key, fields)}"
    for name, field in fields.items():
        if name in value:
            yield from problems(field.type, value[name], join(path, name))
        elif field.required:
            yield join(path, name), f"is missing; {_right(field.type)}"


def _meant(key: object, known: Iterable[str]) -> str:
    close = get_close_matches(str(key), known, 1, cutoff=0.75)
    return f"; did you mean {close[0]}?" if close else ""


def _meant_choice(value: object, choices: Iterable[object]) -> str:
    """Return which choice a text is like: but for its case, as an abbreviation either way, or with a slip."""
    if not isinstance(value, str) or not value:
        return ""
    names, typed = [str(choice) for choice in choices], value.lower()
    close = [name for name in names if name.startswith(typed) or typed.startswith(name)]
    close = close or get_close_matches(typed, names, 1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if len(close) == 1 else ""


def join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


_KINDS: dict[type, str] = {inspect.StrType: "text", inspect.IntType: "whole number", inspect.FloatType: "number"}


def _right(schema: Any) -> str:
    """Return words for a right value: the type's own description, its choices, or its kind and bounds."""
    options = [option for option in get_args(schema) if option is not type(None)]
    if type(None) in get_args(schema):
        return _right(options[0])
    info = inspect.type_info(schema)
    described: object = None
    if isinstance(info, inspect.Metadata):
        described, info = (info.extra_json_schema or {}).get("description"), info.type
    return f"{WRONG_KIND}{described or _kind(info)}"


def _kind(info: inspect.Type) -> str:
    words = "a text in quotes"  # a secret
    match info:
        case inspect.LiteralType():
            words = f"one of {', '.join(map(str, info.values))}"
        case inspect.StructType():
            words = f"a section with {', '.join(field.encode_name for field in info.fields)}"
        case inspect.ListType():
            words = f"a list{f' of at least {info.min_length}' if info.min_length else ''}"
        case inspect.VarTupleType():
            words = f"a list of {_kind(_plain(info.item_type)).removeprefix('a ')}"
        case inspect.TupleType():
            words = f"{len(info.item_types)} values in brackets, each {_kind(_plain(info.item_types[0]))}"
        case inspect.BoolType():
            words = "true or false"
        case inspect.IntType() | inspect.FloatType() | inspect.StrType():
            words = f"a {_KINDS[type(info)]}{_bounds(info)}"
    return words


def _plain(info: inspect.Type) -> inspect.Type:
    return info.type if isinstance(info, inspect.Metadata) else info


def _bounds(info: Any) -> str:
    names = {
        "ge": "at least {}",
        "gt": "above {}",
        "le": "at most {}",
        "lt": "below {}",
        "multiple_of": "a multiple of {}",
        "min_length": "with at least {} characters",
        "max_length": "with at most {} characters",
        "pattern": "matching {}",
    }
    words = [text.format(value) for key, text in names.items() if (value := getattr(info, key, None)) is not None]
    return f" {' and '.join(words)}" if words else ""


def shown(value: Any, schema: Any = None) -> str:
    """Return a value as an error may show it: short, on one line, without secrets and addresses."""
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        kind = "a section" if isinstance(value, dict) else f"a list of {len(value)}"
        return kind if value else f"an empty {kind.split()[1]}"
    if _holds_secret(schema):
        return "another kind of value"
    text = re.sub(r".*@", "'***@", redact(repr(value)))
    return text if len(text) <= 60 else f"{text[:57]}..."


def _holds_secret(schema: Any) -> bool:
    """Return whether the type is or holds a secret: a user who leaves out a key writes its value in its place."""
    schema = _bare(schema)
    if isinstance(schema, type) and issubclass(schema, Struct):
        return any(_holds_secret(field.type) for field in msgspec.structs.fields(schema))
    return (isinstance(schema, type) and issubclass(schema, Secret)) or any(
        _holds_secret(part) for part in get_args(schema)
    )
