"""JSON Schema 2020-12 of the messages, from the types themselves."""

from typing import Any

import msgspec

from proto.subjects import TABLE, Subject

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(row: Subject) -> dict[str, Any]:
    """Return the JSON Schema of a row's message, self-contained."""
    return {"$schema": DIALECT, **msgspec.json.schema(row.message)}


def public_schemas() -> dict[str, dict[str, Any]]:
    """Return the schemas of the public messages by type name."""
    return {row.message.__name__: schema_of(row) for row in TABLE if row.public}
