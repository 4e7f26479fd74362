"""Writes the AsyncAPI 3.1 document of the public messages and requests, from the one table (docs/architecture.md).

The document takes Moretta's side: it *sends* windows, alerts and states, and *receives* requests and replies to them.
AsyncAPI has no word for the stream that keeps a channel's messages, or for the identities that may read it. These stand
in `x-` fields.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from proto.subjects import TABLE, Subject, stream
from schemas import schema_of
from services.aggregate.mirrors.configuration import mirror

VERSION = "3.1.0"
_TITLE = "Moretta: mask rates of places, for those who may subscribe"
_PATTERN = {
    "site": "1-32 of a-z, 0-9 and inner hyphens",
    "zone": "a zone's id, or `_site` for the whole site",
    "camera": "a camera's id",
    "rule": "a rule's id",
    "kind": "the kind of an operational alert",
    "name": "what an operational alert names: a camera, a zone, a channel, a receiver",
    "receiver": "a receiver's id",
}
Examples = Mapping[str, Any]
"""Examples of the messages by type name."""


def document(version: str, examples: Examples) -> dict[str, Any]:
    """Return the document. `version` is the release's; `examples` are shown with their messages."""
    rows = [row for row in TABLE if row.public]
    kinds = [kind for row in rows for kind in (row.message, row.reply) if kind is not None]
    return {
        "asyncapi": VERSION,
        "info": {
            "title": _TITLE,
            "version": version,
            "description": "To connect: docs/subscribing.md; the fields: docs/messages.md. Within v1 only additions.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {_key(row): _channel(row) for row in rows} | _inboxes(rows),
        "operations": {_key(row): _operation(row) for row in rows},
        "components": {
            "messages": {kind.__name__: _message(kind, examples) for kind in kinds},
            "schemas": {name: schema for kind in kinds for name, schema in draft_07(schema_of(kind))["$defs"].items()},
            "securitySchemes": {"nkey": {"type": "asymmetricEncryption", "description": "an nkey's seed (Ed25519)"}},
        },
    }


def _servers() -> dict[str, Any]:
    security = [{"$ref": "#/components/securitySchemes/nkey"}]
    bus = {"host": "{host}:4222", "protocol": "nats", "description": "NATS; with TLS where the site has it"}
    page = {"host": "{host}:443", "protocol": "wss", "description": "the same by WebSocket, where the site has it"}
    where = {"variables": {"host": {"description": "the site's or the hub's NATS server", "default": "localhost"}}}
    return {name: {**one, **where, "security": security} for name, one in (("nats", bus), ("websocket", page))}


def _key(row: Subject) -> str:
    return row.pattern.split(".")[2]


def _channel(row: Subject) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": row.pattern,
        "description": row.purpose,
        "parameters": {name: {"description": _PATTERN[name]} for name in row.fields},
        "messages": {row.message.__name__: {"$ref": f"#/components/messages/{row.message.__name__}"}},
        "x-publishers": list(row.publishers),
        "x-subscribers": list(row.subscribers),
    }
    return channel | ({"x-jetstream": _jetstream(row.stream)} if row.stream else {})


def _jetstream(name: str) -> dict[str, Any]:
    """Return the stream that keeps a channel; each reader's account has a mirror of it, with less room."""
    kept = stream(name)
    return {
        "stream": name,
        "storage": kept.storage,
        "max-age-s": kept.max_age_s,
        "max-bytes": kept.max_bytes,
        "max-bytes-of-a-readers-mirror": mirror(kept, "", 1)["max_bytes"],
        "messages-per-subject": kept.per_subject,
    }


def _inboxes(rows: list[Subject]) -> dict[str, Any]:
    """Return a channel for each kind of reply. Only the requester knows its address."""
    return {
        f"{_key(row)}-answer": {
            "address": None,
            "description": f"an inbox of the one who asked: answers to {row.pattern}",
            "messages": {row.reply.__name__: {"$ref": f"#/components/messages/{row.reply.__name__}"}},
        }
        for row in rows
        if row.reply is not None
    }


def _operation(row: Subject) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "action": "send" if row.reply is None else "receive",
        "channel": {"$ref": f"#/channels/{_key(row)}"},
        "summary": row.purpose,
    }
    if row.queue is not None:
        operation["bindings"] = {"nats": {"queue": row.queue, "bindingVersion": "0.1.0"}}
    if row.reply is not None:
        inbox = {"location": "$message.header#/reply", "description": "NATS's reply subject"}
        operation["reply"] = {"address": inbox, "channel": {"$ref": f"#/channels/{_key(row)}-answer"}}
    return operation


def _message(kind: type[Struct], examples: Examples) -> dict[str, Any]:
    name = kind.__name__
    return {
        "name": name,
        "title": name,
        "summary": (kind.__doc__ or "").strip().partition("\n")[0],
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "examples": [{"name": "example", "payload": examples[name]}],
    }


def draft_07(schema: Any) -> Any:
    """Return a JSON Schema 2020-12 as draft 07, which AsyncAPI's own schemas extend, with references into the document.

    Of the differences between the two, only `prefixItems` occurs here.
    """
    if isinstance(schema, list):
        return [draft_07(part) for part in schema]
    if isinstance(schema, str):
        return schema.replace("#/$defs/", "#/components/schemas/")
    if not isinstance(schema, dict):
        return schema
    names = {"prefixItems": "items", "items": "additionalItems"} if "prefixItems" in schema else {}
    return {names.get(key, key): draft_07(value) for key, value in schema.items() if key != "$schema"}


def write(target: Path, version: str, examples: Path) -> Path:
    """Write the document and return its path; `examples` is a folder with a file `TypeName.json` for each message."""
    shown = {file.stem: msgspec.json.decode(file.read_bytes()) for file in examples.glob("*.json")}
    target.write_text(json.dumps(document(version, shown), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return target


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
