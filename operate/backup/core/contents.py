"""What is in a backup, in which order it is taken, and what is wrong with one.

Beside each stream's two files, laid out as by `nats stream backup`, lies a list with their sizes and digests: a
folder that lacks anything, or was changed, is known before anything is.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from proto.subjects import STREAMS, Stream
from services.bus.making import config_of
from services.bus.migration import Config, differences

LIST = "moretta-backup.json"
FILES = ("backup.json", "stream.tar.s2")
"""Configuration and state, and the snapshot: by the names at which `nats stream restore` looks (jsm.go)."""
FORMAT = 1
_LIMITS = ("max_age", "max_bytes", "max_msgs_per_subject")
_TAKEN = ("ALERTS", "RULES", "WINDOWS", "OPERATIONS", "KV_SILENCES", "CONTROL", "AUDIT", "DELIVERIES")
"""Effects before causes: an alert that is not in its stream yet is made again of its window. Deliveries last: nobody is
told twice whose telling is in there."""


class StreamContent(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One stream: its last sequence, how many messages, and digests (SHA-256) of its files by their names."""

    stream: str
    messages: int
    last_seq: int
    sizes: dict[str, int]
    sha256: dict[str, str]


class Said(Struct, frozen=True, kw_only=True):
    """What the server said of a stream when it gave the snapshot; it wants the state back."""

    config: dict[str, Any]
    state: dict[str, Any]


class Contents(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The list. `taken` is when it was begun, RFC 3339."""

    format: int
    moretta: str
    taken: str
    parts: list[StreamContent]


def order() -> list[Stream]:
    """Return the streams of a backup in the order in which they are taken."""
    known = {stream.name: stream for stream in STREAMS if stream.kept}
    assert known.keys() == set(_TAKEN)
    return [known[name] for name in _TAKEN]


def problems(contents: Contents, found: Mapping[str, tuple[int, str]]) -> list[tuple[str, str]]:
    """Return what is wrong with a folder, as file and reason; `found` has size and digest of each file there."""
    if contents.format != FORMAT:
        return [
            (LIST, f"is of format {contents.format}, and this version reads {FORMAT}; restore it with that version")
        ]
    strange = {part.stream for part in contents.parts} - set(_TAKEN)
    wrong = [(LIST, f"names {name!r}, which no backup of this version has") for name in sorted(strange)]
    wrong += [] if contents.parts else [(LIST, "names no stream")]
    times = Counter(part.stream for part in contents.parts)
    wrong += [(LIST, f"names {name!r} {count} times") for name, count in times.items() if count > 1]
    for part in contents.parts:
        for name in FILES:
            file = f"{part.stream}/{name}"
            wrong += [(file, why) for why in _wrong(part, name, found.get(file))]
    return wrong


def _wrong(part: StreamContent, name: str, found: tuple[int, str] | None) -> list[str]:
    if found is None:
        return ["is missing: it is not a whole backup"]
    size, digest = found
    if size != part.sizes.get(name):
        return [f"has {size} bytes instead of {part.sizes.get(name)}: it is damaged, or was changed"]
    return [] if digest == part.sha256.get(name) else ["is damaged, or was changed: its digest is another one"]


def configuration(stream: Stream, said: Config, replicas: int) -> Config:
    """Return how a stream is made anew: as this version's table has it, and no less kept than it was.

    A stream may copy from others and repeat what it gets, so of what the backup says nothing but numbers is taken (ADR
    20). The server takes the configuration that it is given, not the snapshot's own (tried).
    """
    want = config_of(stream, replicas)
    numbers = {field: value for field in _LIMITS if isinstance(value := said.get(field), int)}
    more = [one for one in differences(want | numbers, want) if one.outcome == "kept"]
    return want | {one.field: one.have for one in more}
