"""The contents of a backup, the order in which its streams are taken, and the problems that it can have.

Each stream has two files, laid out as by `nats stream backup`. Beside them lies a list with their sizes and digests.
So a folder that is incomplete or was changed is recognised before anything else is changed.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct, structs

from proto.subjects import STREAMS, Stream
from services.bus.streams.stream_config import Config, config_of, differences

LIST = "moretta-backup.json"
FILES = ("backup.json", "stream.tar.s2")
"""Configuration and state, and the snapshot, under the names that `nats stream restore` looks for (jsm.go)."""
FORMAT = 2
_LIMITS = ("max_age", "max_bytes", "max_msgs_per_subject")
_TAKEN = ("ALERTS", "RULES", "WINDOWS", "OPERATIONS", "KV_SILENCES", "CONTROL", "AUDIT", "DELIVERIES")
"""Effects come before causes: an alert that is not in its stream yet is made again from its window. Deliveries come
last: a recipient whose delivery is in the backup is not told again."""


class StreamContent(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One stream: its last sequence, how many messages, and digests (SHA-256) of its files by their names."""

    stream: str
    messages: int
    last_seq: int
    sizes: dict[str, int]
    sha256: dict[str, str]


class StreamDescription(Struct, frozen=True, kw_only=True):
    """The server's description of a stream, which came with the snapshot; the server wants the state back."""

    config: dict[str, Any]
    state: dict[str, Any]


class Contents(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The list. `taken` is the time when the backup was begun, RFC 3339; `sha256` the digest of the list without it."""

    format: int
    moretta: str
    taken: str
    parts: list[StreamContent]
    sha256: str = ""


def with_digest(contents: Contents) -> Contents:
    """Return the list with its digest, by which a change by mistake is recognised; it proves nothing to an attacker."""
    bare = structs.replace(contents, sha256="")
    return structs.replace(bare, sha256=hashlib.sha256(msgspec.json.encode(bare)).hexdigest())


def order() -> list[Stream]:
    """Return the streams of a backup in the order in which they are taken."""
    known = {stream.name: stream for stream in STREAMS if stream.kept}
    assert known.keys() == set(_TAKEN)
    return [known[name] for name in _TAKEN]


def problems(
    contents: Contents, found: Mapping[str, tuple[int, str]], others: Iterable[str] = ()
) -> list[tuple[str, str]]:
    """Return the problems of a folder, as file and reason.

    `found` has size and digest of each file that the list names and that is there, `others` the names of the rest.
    """
    if contents.format != FORMAT:
        return [
            (LIST, f"is of format {contents.format}, and this version reads {FORMAT}; restore it with that version")
        ]
    if contents != with_digest(contents):
        return [(LIST, "was changed since the backup was made: its digest is another one")]
    strange = {part.stream for part in contents.parts} - set(_TAKEN)
    wrong = [(LIST, f"names {name!r}, which no backup of this version has") for name in sorted(strange)]
    wrong += [] if contents.parts else [(LIST, "names no stream")]
    times = Counter(part.stream for part in contents.parts)
    wrong += [(LIST, f"names {name!r} {count} times") for name, count in times.items() if count > 1]
    for part in contents.parts:
        for name in FILES:
            file = f"{part.stream}/{name}"
            wrong += [(file, why) for why in _wrong(part, name, found.get(file))]
    return wrong + [(file, "is not of this backup; move it elsewhere") for file in sorted(others)]


def _wrong(part: StreamContent, name: str, found: tuple[int, str] | None) -> list[str]:
    if found is None:
        return ["is missing: it is not a whole backup"]
    size, digest = found
    if size != part.sizes.get(name):
        return [f"has {size} bytes instead of {part.sizes.get(name)}: it is damaged, or was changed"]
    return [] if digest == part.sha256.get(name) else ["is damaged, or was changed: its digest is another one"]


def configuration(stream: Stream, config: Config, replicas: int) -> Config:
    """Return the configuration of a restored stream: this version's table, but with no limit lower than it was.

    A stream can be configured to copy from others and to republish, so only numbers are taken from the backup (ADR 20).
    The server takes the configuration that it is given, not the snapshot's own (tried).
    """
    want = config_of(stream, replicas)
    numbers = {field: value for field in _LIMITS if isinstance(value := config.get(field), int)}
    more = [one for one in differences(want | numbers, want) if one.outcome == "kept"]
    return want | {one.field: one.have for one in more}
