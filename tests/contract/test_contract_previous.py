"""The earlier version reads what this one writes, and this one what it wrote; the rights of both (ADR 29)."""

import base64
import json
from typing import Any

import msgspec
import pytest
from golden import BY_TYPE, FOLDER, encodings, path_of
from previous_version import TODAY, Version, previous
from released import is_within

from proto.codec import decode_as

pytestmark = pytest.mark.xdist_group("previous-version")  # which is unpacked once
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
_SCHEMAS = """
import msgspec
from proto.subjects import TABLE
kinds = {k for row in TABLE for k in (row.message, row.reply) if k}
found = msgspec.json.schema_components(kinds)[1]
print(json.dumps({n: [c.get("properties", {}), sorted(c.get("required", []))] for n, c in found.items()}))
"""
_RIGHTS = """
from operate.identities import nats_config
from proto.permissions import ACCOUNTS, user_of
keys = {user_of(i, a): [user_of(i, a)] for i, accounts in ACCOUNTS.items() for a in accounts}
accounts = json.loads(nats_config(-1, "/", keys | {"subscriber-acme": ["subscriber-acme"]}))["accounts"]
rights = {user["nkey"]: user["permissions"] for one in accounts.values() for user in one["users"]}
ways = ("publish", "subscribe")
print(json.dumps({name: [may[way].get("allow", []) for way in ways] for name, may in rights.items()}))
"""


@pytest.fixture(name="old", scope="module")
def _old() -> Version:
    return previous()


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


def test_no_field_takes_what_the_earlier_version_refuses(old: Version):
    """A new value of an enumeration, or a wider limit, is no addition: who has not heard of it drops the message.

    It is read by one version and written by the next. Nor is a field demanded that was not there before.
    """
    before, now = old.ask(_SCHEMAS), TODAY.ask(_SCHEMAS)
    for name, (fields, required) in before.items():
        known = {field: schema for field, schema in now[name][0].items() if field in fields}
        assert (bare(known), now[name][1]) == (bare(fields), required), name


def bare(schema: Any) -> Any:
    """A schema without its words."""
    if isinstance(schema, dict):
        return {key: bare(value) for key, value in schema.items() if key not in {"description", "title"}}
    return schema


def test_rights_only_grow(old: Version):
    """So the server may be brought up first: the earlier version's services may do there all that they did before.

    By the server's configuration, in which a reader with a name is: aggregate learns from its own rights whose streams
    it makes. The other way round a service waits for what it may not do yet. What differs now is said (`-s`).
    """
    before, now = old.ask(_RIGHTS), TODAY.ask(_RIGHTS)
    assert set(before) <= set(now)
    assert any(one.startswith("_READER.") for one in before["aggregate"][0])
    lost = {user: [sorted(set(a) - set(b)) for a, b in zip(before[user], now[user], strict=True)] for user in before}
    assert {user: gone for user, gone in lost.items() if any(gone)} == {}
    new = {user: [sorted(set(b) - set(a)) for a, b in zip(before[user], now[user], strict=True)] for user in before}
    print("new rights:", {user: rights for user, rights in new.items() if any(rights)} or "none")


_CONFIG = """
from services.aggregate.core.config import SiteConfig
from services.sites.settings import SiteSettings
from proto.sightings import SiteConfigV1
import msgspec
config = SiteConfig.of(msgspec.json.decode(sys.argv[1], type=SiteSettings))
told = sys.stdin.read()
read = SiteConfig.decode(SiteConfigV1(site="market", sha256="a" * 64, config=told)) if told else config
print(json.dumps([config.message().config, read.sha256]))
"""
_AREA = [[0, 0], [1, 0], [1, 1]]
_SITE = {
    "id": "market",
    "zones": [{"id": "hall"}],
    "cameras": [
        {"id": "door", "url": "film.mp4", "zone_areas": [{"zone": "hall", "area": _AREA}]},
        {"id": "yard", "url": "film.mp4", "line": {"start": [0.5, 1], "end": [0.5, 0]}},
    ],
    "rules": [{"id": "low", "fire_below": 0.5, "clear_above": 0.6}],
}


def test_a_site_that_uses_nothing_new_has_one_configuration(old: Version):
    """Replicas of both versions announce the same bytes: a site that moves between them does not change its hash.

    What a version does not know it leaves out, and reads the rest.
    """
    site = json.dumps(_SITE)
    before, now = old.ask(_CONFIG, site), TODAY.ask(_CONFIG, site)
    assert before == now
    later = json.loads(now[0])
    for camera in later["cameras"]:
        camera["unheard-of"] = [_AREA]
    for version in (old, TODAY):
        assert json.loads(version.tell(_CONFIG, site, text=json.dumps(later)))[1] == before[1]
