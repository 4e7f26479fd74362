"""What one release's schemas take away from an earlier one's: within a version only additions (ADR 29). Pure.

It is closed: a keyword that is not known here is a difference when it differs. Only what explains is passed over.
Definitions are compared by name and references as they are written, so a type may hold itself; who writes the same
schema in another way is told, too.

Why own code: what libraries there are answer whether a set of documents shrank, and a contract has more. Tried on the
schema of WindowV1: jsoncompat (MIT; 0.3.1, the last for Python 3.11, calls itself alpha) says yes or no without the
place, took a changed `default` and a changed `pattern` for compatible, and refused an optional field; jsonsubschema
0.0.8 (Apache-2.0) refused the schema itself. jsonschema-diff lists what changed, and does not judge it.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

Schema = dict[str, Any]
Differences = Iterator[str]
ANNOTATIONS = frozenset({"title", "description", "examples", "$comment", "deprecated"})
"""Keywords that explain, and change nothing that one relies on (JSON Schema Validation 2020-12, 9)."""
_ABSENT = object()


def incompatible(old: Schema, new: Schema) -> list[str]:
    """Return what a reader or a writer of `old` could no longer rely on in `new`, each with its path; empty if nothing.

    Both are valid JSON Schemas, as `schemas.schema_of` makes them. Additions are allowed: of definitions, of
    fields that need not be there, and of words to a choice of several.
    """
    return list(_differences(old, new, "$"))


def _differences(old: Any, new: Any, path: str) -> Differences:
    """Yield what `new` takes away from `old`; either may be true or false, which are schemas as well."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        yield from _value("schema", old, new, path)
        return
    if _kinds(old) != _kinds(new):
        yield f"{path}: was {' or '.join(_kinds(old))}, is {' or '.join(_kinds(new))}"
        return
    for keyword in sorted((old.keys() | new.keys()) - ANNOTATIONS):
        before, after = old.get(keyword, _ABSENT), new.get(keyword, _ABSENT)
        if _ABSENT in (before, after) or keyword not in _KNOWN:
            yield from _value(keyword, before, after, path)
        else:
            yield from _KNOWN[keyword](before, after, path)


def _value(keyword: str, old: Any, new: Any, path: str) -> Differences:
    if _text(old) != _text(new):
        yield f"{path}: {keyword} was {_text(old)}, is {_text(new)}"


def _text(value: Any) -> str:
    """Return a value as JSON, in which true is not 1 and 1 is not 1.0."""
    return "absent" if value is _ABSENT else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _kinds(schema: Schema) -> list[str]:
    """Return what a schema permits, in order: a field that may be null has two kinds."""
    return sorted(map(_kind, schema["anyOf"])) if "anyOf" in schema else [_kind(schema)]


def _kind(schema: Any) -> str:
    if not isinstance(schema, dict):
        return _text(schema)
    if "anyOf" in schema:
        return " or ".join(_kinds(schema))
    kind = schema.get("type", "words" if "enum" in schema else "anything")
    return str(schema["$ref"]).rpartition("/")[2] if "$ref" in schema else str(kind)


def _definitions(old: Schema, new: Schema, _path: str) -> Differences:
    for name in old:
        yield from _differences(old[name], new[name], name) if name in new else [f"{name}: is gone"]


def _fields(old: Schema, new: Schema, path: str) -> Differences:
    for name in old:
        here = f"{path}.{name}"
        yield from _differences(old[name], new[name], here) if name in new else [f"{here}: is gone"]


def _required(old: list[str], new: list[str], path: str) -> Differences:
    yield from (f"{path}.{name}: must be there now" for name in sorted(set(new) - set(old)))
    yield from (f"{path}.{name}: need not be there any more" for name in sorted(set(old) - set(new)))


def _options(old: list[Any], new: list[Any], path: str) -> Differences:
    """Compare pairs of the same kind: there are as many here as there."""
    for before, after in zip(sorted(old, key=_kind), sorted(new, key=_kind), strict=True):
        yield from _differences(before, after, path)


def _words(old: list[Any], new: list[Any], path: str) -> Differences:
    """Words may be added to a choice. One word is none: it is a constant, as a message's tag is."""
    before, after = set(map(_text, old)), set(map(_text, new))
    yield from (f"{path}: no longer says {word}" for word in sorted(before - after))
    if before != after and len(old) == 1:
        yield from (f"{path}: said {_text(old[0])} alone, says {word}" for word in sorted(after - before))
    yield from (f"{path}: says {_text(word)}, which is no text" for word in _no_texts(new) if _text(word) not in before)


def _no_texts(words: list[Any]) -> list[Any]:
    return [word for word in words if not isinstance(word, str)]


def _prefix(old: list[Any], new: list[Any], path: str) -> Differences:
    if len(old) != len(new):
        yield f"{path}: had {len(old)} places, has {len(new)}"
    for index, (before, after) in enumerate(zip(old, new, strict=False)):
        yield from _differences(before, after, f"{path}[{index}]")


def _items(old: Any, new: Any, path: str) -> Differences:
    return _differences(old, new, f"{path}[]")


def _others(old: Any, new: Any, path: str) -> Differences:
    return _differences(old, new, f"{path}.*")


_KNOWN: dict[str, Callable[[Any, Any, str], Differences]] = {
    "$defs": _definitions,
    "properties": _fields,
    "required": _required,
    "anyOf": _options,
    "enum": _words,
    "prefixItems": _prefix,
    "items": _items,
    "additionalProperties": _others,
}
