"""The earlier version reads what this one writes, and this one what it wrote; the rights of both (ADR 29)."""

import base64
import json
from typing import Any

import msgspec
import pytest
from golden import BY_TYPE, FOLDER, encodings, path_of
from previous_version import TODAY, Version, previous

from proto.codec import decode_as
from proto.permissions import ACCOUNTS

_GOLDEN = FOLDER.relative_to(FOLDER.parents[2])
BY_NAME = {kind.__name__: example for kind, example in BY_TYPE.items()}
_READ = """
import base64, msgspec
from proto.codec import decode_as
from proto.subjects import TABLE
kinds = {k.__name__: (k, row.encoding) for row in TABLE for k in (row.message, row.reply) if k}
found = {}
for name, data in json.loads(sys.stdin.read()).items():
    if name in kinds:
        kind, encoding = kinds[name]
        found[name] = msgspec.to_builtins(decode_as(kind, encoding, base64.b64decode(data)))
print(json.dumps(found))
"""
_RIGHTS = """
from proto.permissions import ACCOUNTS, rights_of, user_of
rights = {user_of(i, a): rights_of(i, a) for i, accounts in ACCOUNTS.items() for a in accounts}
print(json.dumps({name: [sorted(r.publish), sorted(r.subscribe)] for name, r in rights.items()}))
"""


@pytest.fixture(name="old", scope="module")
def _old(tmp_path_factory: pytest.TempPathFactory) -> Version:
    return previous(tmp_path_factory.mktemp("previous"))


def is_within(old: Any, new: Any) -> bool:
    """Whether all that one version knows of a message is in what the other knows of it, with the same values."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(key in new and is_within(value, new[key]) for key, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(is_within, old, new))
    return bool(old == new)


def as_json(value: Any) -> Any:
    return json.loads(json.dumps(msgspec.to_builtins(value)))


def test_the_earlier_version_reads_what_this_one_writes(old: Version):
    """Each message that it knows, with all the fields that it knows of it."""
    sent = {kind.__name__: base64.b64encode(path_of(kind).read_bytes()).decode() for kind in BY_TYPE}
    read = json.loads(old.tell(_READ, text=json.dumps(sent)))
    assert len(read) > 25
    assert [name for name, value in read.items() if not is_within(value, as_json(BY_NAME[name]))] == []


def test_this_version_reads_what_the_earlier_one_writes(old: Version):
    """Its golden messages, of every message that it had: none is gone."""
    files = {path.name: path for path in (old.source / _GOLDEN).iterdir()}
    kinds = {path_of(kind).name: kind for kind in BY_TYPE}
    assert set(files) <= set(kinds)
    for name, path in files.items():
        assert decode_as(kinds[name], encodings()[kinds[name]], path.read_bytes())


def test_rights_only_grow(old: Version):
    """So the server may be brought up first: the earlier version's services may do there all that they did before.

    The other way round a service waits for what it may not do yet. What differs now is said (`-s`).
    """
    before, now = old.ask(_RIGHTS), TODAY.ask(_RIGHTS)
    assert set(before) <= set(now)
    lost = {user: [sorted(set(a) - set(b)) for a, b in zip(before[user], now[user], strict=True)] for user in before}
    assert {user: gone for user, gone in lost.items() if any(gone)} == {}
    new = {user: [sorted(set(b) - set(a)) for a, b in zip(before[user], now[user], strict=True)] for user in before}
    print("new rights:", {user: rights for user, rights in new.items() if any(rights)} or "none")
    assert len(now) >= len(ACCOUNTS)
