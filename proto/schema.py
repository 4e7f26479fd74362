"""JSON Schema 2020-12 of the messages, from the types themselves."""

import json
import sys
from collections.abc import Callable
from inspect import cleandoc
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from proto.subjects import TABLE

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(message: type[Struct]) -> dict[str, Any]:
    """Return the JSON Schema of a message, self-contained."""
    schema: dict[str, Any] = _portable(msgspec.json.schema(message))
    return {"$schema": DIALECT, **schema}


def _portable(schema: Any) -> Any:
    """Write what is Python's so that it is nobody's.

    The end of a text as ECMA-262 does, which JSON Schema's patterns follow (2020-12, 6.4). Docstrings without
    the code's indentation, as Python keeps them from 3.13 on: the same commit has the same contract on each.
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
    """Return the public messages, and the replies to those that ask."""
    return [kind for row in TABLE if row.public for kind in (row.message, row.reply) if kind is not None]


def public_schemas() -> dict[str, dict[str, Any]]:
    """Return the schemas of the public messages by type name."""
    return {message.__name__: schema_of(message) for message in public_messages()}


def write(folder: Path) -> list[Path]:
    """Write each public schema to `folder`; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, schema in public_schemas().items():
        files.append(folder / f"{name}.json")
        files[-1].write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
    return files


if __name__ == "__main__":
    for file in write(Path(sys.argv[1])):
        print(file)
