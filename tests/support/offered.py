"""What Moretta offers on public subjects: rows of the table, their streams, and the rights of who reads them. Pure.

`offered` is plain JSON, which a release keeps; `narrowed` says what a later one takes away. Rows that are not public
are no promise: what two versions of the services need of each other tests/contract/test_contract_previous.py compares.
"""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from proto.permissions import ACCOUNTS, SERVICES, account_of, rights_of, user_of
from proto.subjects import TABLE, Identity, Subject, stream
from services.bus.connection.connection import headers_of

_EXPLAINS = frozenset({"purpose", "description"})
_GROW = frozenset({"publishers", "subscribers", "subjects", "publish", "subscribe"})
"""Lists of which nothing may go."""
_AT_LEAST = frozenset({"max_age_s", "max_bytes", "per_subject"})
"""Limits that may be raised, or lifted: None and -1 are none."""
_OPEN = frozenset({"$", "$.subjects", "$.streams", "$.rights"})
"""Where something may come newly; so may a header."""


def offered() -> dict[str, Any]:
    """Return public subjects by pattern, their streams by name, and the rights of outsiders by user."""
    rows = [row for row in TABLE if row.public]
    kept = {row.stream: dataclasses.asdict(stream(row.stream)) for row in rows if row.stream}
    found = {"subjects": {row.pattern: _row(row) for row in rows}, "streams": kept, "rights": _rights(rows)}
    plain: dict[str, Any] = json.loads(json.dumps(found))
    return plain


def _row(row: Subject) -> dict[str, Any]:
    """Return all columns, so that one that comes later counts as well."""
    columns = {column.name: getattr(row, column.name) for column in dataclasses.fields(row)}
    service = dataclasses.asdict(row.service) if row.service else None
    names = {"message": row.message.__name__, "reply": row.reply.__name__ if row.reply else None}
    return {**columns, **names, "service": service, "headers": headers_of(row)}


def _rights(rows: list[Subject]) -> dict[str, Any]:
    """Return the rights of all who read or ask, but the services: those come with the version."""
    here = {identity for row in rows for identity in (*row.publishers, *row.subscribers)} - {*SERVICES}
    return {user_of(one, account): _of(one, account) for one in sorted(here) for account in ACCOUNTS[one]}


def _of(identity: Identity, account: Any) -> dict[str, Any]:
    rights = rights_of(identity, account)
    return {**dataclasses.asdict(rights), "account": account_of(identity, account)}


def narrowed(old: Any, new: Any, path: str = "$") -> list[str]:
    """Return what `old` offers and `new` does not, each with its path. What is not known to grow has to stay."""
    return list(_narrowed(old, new, path, path))


def _narrowed(old: Any, new: Any, path: str, key: str) -> Iterator[str]:
    if key in _EXPLAINS:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _parts(old, new, path)
    elif key in _GROW:
        yield from (f"{path}: lacks {one}" for one in old if one not in new)
    elif key in _AT_LEAST:
        if _limit(new) < _limit(old):
            yield f"{path}: was {json.dumps(old)}, is {json.dumps(new)}"
    elif key == "version":
        if _version(new) < _version(old) or _version(new)[0] != _version(old)[0]:
            yield f"{path}: was {old}, is {new}"
    elif json.dumps(old) != json.dumps(new):
        yield f"{path}: was {json.dumps(old)}, is {json.dumps(new)}"


def _parts(old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[str]:
    for name, value in old.items():
        here = f"{path}[{name}]" if path in _OPEN - {"$"} else f"{path}.{name}"
        yield from _narrowed(value, new[name], here, name) if name in new else [f"{here}: is gone"]
    if path not in _OPEN and not path.endswith(".headers"):
        added = {name: value for name, value in new.items() if name not in old and value}
        yield from (f"{path}.{name}: was absent, is {json.dumps(value)}" for name, value in added.items())


def _limit(value: float | None) -> float:
    return float("inf") if value is None or value == -1 else value


def _version(text: str) -> list[int]:
    return [int(number) for number in text.split(".")]
