"""Writes the JSON Schema 2020-12 of the public messages, from their types."""

import ast
import json
import re
import sys
from collections.abc import Callable, Iterator
from inspect import cleandoc, getsource
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Any, get_args

import msgspec
from msgspec import Struct, structs

from proto.subjects import TABLE
from proto.types import INSTANT_PATTERN, Utc

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(message: type[Struct]) -> dict[str, Any]:
    """Return the JSON Schema of a message, self-contained; each field is described by its docstring."""
    schema: dict[str, Any] = _portable(msgspec.json.schema(message, schema_hook=_own))
    for kind in _structs_in(message, set()):
        for name, text in _field_docs(kind).items():
            schema["$defs"][kind.__name__]["properties"][name]["description"] = text
    return {"$schema": DIALECT, **schema}


def _structs_in(kind: Any, seen: set[Any]) -> Iterator[type[Struct]]:
    """Yield the message types that a type is made of, each once."""
    if kind in seen:
        return
    seen.add(kind)
    parts = get_args(kind)
    if isinstance(kind, type) and issubclass(kind, Struct):
        yield kind
        parts = tuple(field.type for field in structs.fields(kind))
    for part in parts:
        yield from _structs_in(part, seen)


def _field_docs(kind: type[Struct]) -> dict[str, str]:
    """Return what stands below a message's fields in its source, which Python does not keep; in JSON None is null."""
    try:
        (body,) = ast.parse(dedent(getsource(kind))).body
    except (OSError, TypeError):  # made by a program, as in tests
        return {}
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: re.sub(r"\bNone\b", "null", " ".join(text.value.value.split()))
        for field, text in pairwise(body.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


def _own(kind: type) -> dict[str, Any]:
    if kind is Utc:
        return {"type": "string", "format": "date-time", "pattern": INSTANT_PATTERN}
    raise NotImplementedError(kind)


def _portable(schema: Any) -> Any:
    """Return the schema without Python's peculiarities.

    The end of a text is written as in ECMA-262, which JSON Schema's patterns follow (2020-12, 6.4). Docstrings lose the
    code's indentation, as in Python 3.13 and later: so a commit has the same contract on every Python.
    """
    if isinstance(schema, list):
        return [_portable(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _WRITTEN[key](value) if isinstance(value, str) and key in _WRITTEN else _portable(value)
        for key, value in schema.items()
    }


_WRITTEN: dict[str, Callable[[str], str]] = {"pattern": lambda text: text.replace(r"\Z", "$"), "description": cleandoc}


def public_messages() -> list[type[Struct]]:
    """Return the public messages, and the replies to public requests."""
    return [kind for row in TABLE if row.public for kind in (row.message, row.reply) if kind is not None]


def public_schemas() -> dict[str, dict[str, Any]]:
    """Return the schemas of the public messages by type name."""
    return {message.__name__: schema_of(message) for message in public_messages()}


def write(folder: Path) -> list[Path]:
    """Write each public schema to `folder`; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, schema in public_schemas().items():
        files.append(folder / f"{name}.json")
        files[-1].write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
    return files


if __name__ == "__main__":
    for file in write(Path(sys.argv[1])):
        print(file)
