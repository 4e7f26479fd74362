"""Words for what the chart's JSON Schema allows at a place, whichever version of helm refused the value there."""

import re
from typing import Any

_KINDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a section",
    "null": "nothing",
}
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "minItems": "of at least {}",
    "maxItems": "of at most {}",
    "minLength": "with at least {} characters",
    "maxLength": "with at most {} characters",
    "multipleOf": "a multiple of {}",
    "pattern": "matching {}",
}


def right(schema: Any, steps: list[str]) -> str:
    """Return what may stand at a place, as in "a whole number at least 1"; empty where the schema does not say."""
    for step in steps:
        schema = _below(schema, step)
    if not isinstance(schema, dict) or "type" not in schema:
        return ""
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    words = " or ".join(_KINDS[kind] for kind in kinds)
    names = f" with {', '.join(schema['properties'])}" if schema.get("properties") else ""
    bounds = " and ".join(text.format(schema[key]) for key, text in _BOUNDS.items() if key in schema)
    return f"{words}{names}{' ' if bounds else ''}{bounds}"


def _below(schema: Any, step: str) -> Any:
    """Return the schema of a key or of an index."""
    if not isinstance(schema, dict):
        return None
    if step in (parts := schema.get("properties", {})):
        return parts[step]
    if schema.get("type") == "array":
        return schema.get("items")
    matching = (part for key, part in schema.get("patternProperties", {}).items() if re.search(key, step))
    return next(matching, schema.get("additionalProperties"))
