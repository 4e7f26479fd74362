"""The JSON Schema (draft 7) of the settings file, as the chart's values have it under `settings`.

It is made of the types that services read, by hand and not by `msgspec.json.schema`: helm's validators know no later
draft, no template may be overtaken, and each secret has a sibling `_file`. What a template of the chart refuses with a
better sentence is left open here: the sections that the chart sets itself, secrets as values, and secrets that are
missing.
"""

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import NODEFAULT, UNSET, inspect, to_builtins

from operate.settings_file import SCHEMAS
from services.kernel.settings import SECRETS, SECTIONS, Secret

Schema = dict[str, Any]
SCALAR = ["string", "number", "boolean", "null"]
PLAIN = "url"
"""The one of the secrets that is a value, too: an address without a password."""
BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}


def settings_schema() -> Schema:
    """Return the schema of the whole file; a section that no service reads of the file is open."""
    found: dict[str, Any] = {name: {} for name in SECTIONS} | {name: schema_of(kind) for name, kind in _sections()}
    found["sites"].pop("minItems", None)  # a hub has none, and a template says what to give
    return {"type": "object", "additionalProperties": False, "properties": found}


def _sections() -> Iterable[tuple[str, inspect.Type]]:
    """Yield each section with the type of it that knows it best: a service's own, or the first that reads it."""
    fields = {name: inspect.type_info(file).fields for name, file in SCHEMAS.items()}  # type: ignore[attr-defined]
    for file, parts in fields.items():
        for field in parts:
            is_own = field.name == file or (field.name not in fields and file == next(iter(fields)))
            if is_own and field.name not in {"nats", "probes", "sealing", "tracing"}:
                yield field.name, field.type


def schema_of(info: inspect.Type) -> Schema:
    """Return the schema of one type; TypeError for a kind that no setting had so far."""
    if isinstance(info, inspect.Metadata):
        told = (info.extra_json_schema or {}).get("description")
        return ({"description": told} if told else {}) | schema_of(info.type)
    if type(info) not in _KINDS:
        raise TypeError(f"{info} has no schema yet: add it to {__file__}")
    return _KINDS[type(info)](info)


def _text(info: inspect.StrType) -> Schema:
    bounds = {"minLength": info.min_length, "maxLength": info.max_length, "pattern": _portable(info.pattern)}
    return {"type": "string"} | _given(bounds)


def _portable(pattern: str | None) -> str | None:
    """Return a pattern as Go reads it: `$` is its end of a text, and quotes need no backslash."""
    return None if pattern is None else pattern.replace(r"\Z", "$").replace(r"\"", '"')


def _number(info: inspect.IntType | inspect.FloatType) -> Schema:
    kind = "integer" if isinstance(info, inspect.IntType) else "number"
    return {"type": kind} | _given({word: getattr(info, name) for name, word in BOUNDS.items()})


def _list(info: inspect.ListType | inspect.VarTupleType) -> Schema:
    bounds = {"minItems": info.min_length, "maxItems": info.max_length}
    return {"type": "array", "items": schema_of(info.item_type)} | _given(bounds)


def _tuple(info: inspect.TupleType) -> Schema:
    """Return the schema of a fixed number of values, which are of one type in each setting."""
    count = len(info.item_types)
    return {"type": "array", "items": schema_of(info.item_types[0]), "minItems": count, "maxItems": count}


def _literal(info: inspect.LiteralType) -> Schema:
    return {"type": "string", "enum": list(info.values)}


def _union(info: inspect.UnionType) -> Schema:
    """Return one schema for all kinds: each keyword concerns values of its own kind, so none stands in another's way.

    An `anyOf` would have helm list what each branch has against a value.
    """
    parts = [schema_of(part) for part in info.types]
    kinds = [kind for part in parts for kind in ([part["type"]] if isinstance(part["type"], str) else part["type"])]
    found = {key: value for part in parts for key, value in part.items()} | {"type": kinds}
    if "enum" in found and "null" in kinds:
        found["enum"] = [*found["enum"], None]
    elif "enum" in found:
        found["pattern"] = f"^({'|'.join(found.pop('enum'))})$"
    return found


def _dict(info: inspect.DictType) -> Schema:
    names = _given({"pattern": schema_of(info.key_type).get("pattern")})
    named = {"propertyNames": names} if names else {}
    return {"type": "object", "additionalProperties": schema_of(info.value_type)} | named


def _struct(info: inspect.StructType) -> Schema:
    found: Schema = {"type": "object", "additionalProperties": False}
    parts: dict[str, Schema] = {}
    for field in info.fields:
        parts |= _field(field)
    required = [field.encode_name for field in info.fields if field.required and field.encode_name not in SECRETS]
    more = {"patternProperties": {_SECRET_KEYS: {"type": SCALAR}}} if _has_secrets(info) else {}
    return found | ({"required": required} if required else {}) | {"properties": parts} | more


_SECRET_KEYS = f"^({'|'.join(key for key in SECRETS if key != PLAIN)})$"


def _has_secrets(info: inspect.StructType) -> bool:
    return any(field.encode_name in SECRETS for field in info.fields)


def _field(field: inspect.Field) -> dict[str, Schema]:
    """Return a key's schema, and that of the file which may hold its value."""
    name = field.encode_name
    if name not in SECRETS:
        return {name: schema_of(field.type) | _default(field)}
    file = {f"{name}_file": {"type": ["string", "null"]}}
    return {name: schema_of(field.type)} | file if name == PLAIN else file


def _default(field: inspect.Field) -> Schema:
    """Return what holds where the key is not given, if that is a value and no section."""
    default = (
        field.default_factory()
        if field.default is NODEFAULT and field.default_factory in {list, dict}
        else field.default
    )
    return {} if default in (NODEFAULT, UNSET) else {"default": to_builtins(default)}


def _custom(info: inspect.CustomType) -> Schema:
    if info.cls is not Secret:
        raise TypeError(f"{info.cls} has no schema yet: add it to {__file__}")
    return {"type": "string"}


def _given(bounds: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in bounds.items() if value is not None}


_KINDS: dict[type, Callable[[Any], Schema]] = {
    inspect.StrType: _text,
    inspect.IntType: _number,
    inspect.FloatType: _number,
    inspect.BoolType: lambda _: {"type": "boolean"},
    inspect.NoneType: lambda _: {"type": "null"},
    inspect.AnyType: lambda _: {},
    inspect.DateType: lambda _: {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    inspect.LiteralType: _literal,
    inspect.UnionType: _union,
    inspect.ListType: _list,
    inspect.VarTupleType: _list,
    inspect.TupleType: _tuple,
    inspect.DictType: _dict,
    inspect.StructType: _struct,
    inspect.CustomType: _custom,
}
