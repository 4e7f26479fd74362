"""What one release's schemas take away from an earlier one's: within a version only additions (design §4). Pure."""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


def incompatible(old: Schema, new: Schema) -> list[str]:
    """Return what a reader or a writer of `old` could no longer rely on in `new`, each with its path; empty if nothing.

    Both are JSON Schemas as `proto.schema.schema_of` makes them. Additions are allowed: of fields that need not be
    there, and of words that a field may hold.
    """
    return list(_Comparison(old, new).differences(old, new, "$"))


class _Comparison:
    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old.get("$defs", {}), new.get("$defs", {})

    def differences(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        """Yield what `new` takes away from `old`."""
        old, new = _resolved(old, self._old), _resolved(new, self._new)
        if "anyOf" in old or "anyOf" in new:
            yield from self._of_options(_options(old, self._old), _options(new, self._new), path)
            return
        if old.get("type") != new.get("type"):
            yield f"{path}: was {old.get('type')}, is {new.get('type')}"
            return
        yield from _narrowed(old, new, path)
        yield from self._of_fields(old, new, path)
        yield from self._of_items(old, new, path)

    def _of_options(self, old: dict[str, Schema], new: dict[str, Schema], path: str) -> Iterator[str]:
        if old.keys() != new.keys():
            yield f"{path}: was {' or '.join(sorted(old))}, is {' or '.join(sorted(new))}"
            return
        for kind, option in old.items():
            yield from self.differences(option, new[kind], path)

    def _of_fields(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        fields, now = old.get("properties", {}), new.get("properties", {})
        for name in fields:
            if name not in now:
                yield f"{path}.{name}: is gone"
            else:
                yield from self.differences(fields[name], now[name], f"{path}.{name}")
        before, after = set(old.get("required", [])), set(new.get("required", []))
        yield from (f"{path}.{name}: must be there now" for name in sorted(after - before))
        yield from (f"{path}.{name}: need not be there any more" for name in sorted(before - after))

    def _of_items(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        pairs = zip(old.get("prefixItems", []), new.get("prefixItems", []), strict=False)
        for index, (before, after) in enumerate(pairs):
            yield from self.differences(before, after, f"{path}[{index}]")
        before, after = old.get("items", {}), new.get("items", {})
        if isinstance(before, dict) and isinstance(after, dict) and before and after:
            yield from self.differences(before, after, f"{path}[]")


def _resolved(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    reference = schema.get("$ref")
    return definitions[reference.rpartition("/")[2]] if isinstance(reference, str) else schema


def _options(schema: Schema, definitions: dict[str, Schema]) -> dict[str, Schema]:
    """Return what a schema permits, by type: a field that may be null has two."""
    options = [_resolved(option, definitions) for option in schema.get("anyOf", [schema])]
    return {_kind(option): option for option in options}


def _kind(schema: Schema) -> str:
    return str(schema.get("type") or schema.get("title") or "words")


def _narrowed(old: Schema, new: Schema, path: str) -> Iterator[str]:
    gone = [word for word in old.get("enum", []) if word not in new.get("enum", [])]
    if gone:
        yield f"{path}: no longer says {', '.join(map(repr, gone))}"
    if "enum" in new and "enum" not in old:
        yield f"{path}: says some words only"
    if old.get("pattern") != new.get("pattern"):
        yield f"{path}: pattern was {old.get('pattern')}, is {new.get('pattern')}"
    for bound in _LOWER + _UPPER:
        if old.get(bound) != new.get(bound):
            yield f"{path}: {bound} was {old.get(bound)}, is {new.get(bound)}"
