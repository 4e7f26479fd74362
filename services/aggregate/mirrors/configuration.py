"""Readers' mirrors as configuration: copies of the public streams in each account.

The server alone copies (`mirror`; ADR 45). Configurations are JSON as in JetStream's API (NATS ADR-1). Pure.
"""

import json
from collections.abc import Iterable

from proto.permissions import MIRRORING, ORIGIN, READER, READERS_API, heard_by, mirrored
from proto.subjects import WINDOWS, Stream, Subject
from services.bus.streams.stream_config import Config, config_of

EARLIER = "KV_moretta_latest"
"""A stream that the version before makes in readers' accounts, with the last message of each subject."""
_MIB = 1 << 20
_LARGE, _USUAL, _SMALL = 8 * _MIB, 2 * _MIB, _MIB
_AS_ORIGINAL = (
    *("name", "description", "storage", "retention", "discard", "max_age"),
    *("max_msgs_per_subject", "num_replicas", "allow_direct"),
)


def mirror(stream: Stream, account: str, replicas: int) -> Config:
    """Return a reader's mirror of a stream: smaller than its original, with the same age, not to be purged."""
    model = config_of(stream, replicas)
    return {name: model[name] for name in _AS_ORIGINAL} | {
        "max_bytes": _size(stream),
        "mirror": {"name": stream.name, "external": {"api": ORIGIN.rstrip("."), "deliver": f"{MIRRORING}{account}"}},
        "mirror_direct": True,
        "deny_delete": True,
        "deny_purge": True,
    }


def _size(stream: Stream) -> int:
    if stream.storage == "memory":
        return _SMALL
    return _LARGE if stream.name == WINDOWS.stream else _USUAL


def wanted(account: str, rows: Iterable[Subject], replicas: int) -> list[Config]:
    """Return all streams of a reader's account whose giver publishes these rows to it."""
    return [mirror(stream, account, replicas) for stream in mirrored(rows)]


def room() -> tuple[int, int]:
    """Return the bytes that a reader's streams may take: on disk, where a hub has all of them, and in memory."""
    every = wanted("", heard_by(READER), 1)
    in_memory = [one["max_bytes"] for one in every if one["storage"] == "memory"]
    return sum(one["max_bytes"] for one in every), sum(in_memory)


def readers_of(answer: bytes) -> dict[str, tuple[Subject, ...]]:
    """Return the rows whose messages each reader's account has, by the server's answer about our own rights.

    Those are of the streams that we may make there; by a configuration of an earlier version, `_READER.<account>.>`,
    all. A reader that was removed has none. There are no accounts on an open server.
    """
    data = json.loads(answer).get("data") or {}
    allowed = ((data.get("permissions") or {}).get("publish") or {}).get("allow") or []
    found: dict[str, set[str]] = {}
    for one in allowed:
        if one.startswith(READERS_API):
            account, _, asked = one.removeprefix(READERS_API).partition(".")
            found.setdefault(account, set()).add(asked)
    return {name: tuple(row for row in heard_by(READER) if _is_given(row, found[name])) for name in sorted(found)}


def _is_given(row: Subject, asked: set[str]) -> bool:
    return ">" in asked or f"STREAM.*.{row.stream}" in asked


def no_longer(there: Iterable[str], wanted: Iterable[Config]) -> list[str]:
    """Return which streams that are there a reader is to have no more; of those that are made for readers alone."""
    ours = {*(stream.name for stream in mirrored(heard_by(READER))), EARLIER}
    return sorted(({*there} & ours) - {one["name"] for one in wanted})


def is_old(ours: Config, theirs: Config) -> bool:
    """Return whether a mirror has what its original has no more, by both streams' states with `deleted`.

    It is ahead where the original began again, as after a restore; and a mirror does not learn of what was removed in
    its original (`moretta repair`), which is done in streams that keep each message of a subject.
    """
    first = max(1, ours["first_seq"])  # of an empty stream the server may say that 0 was deleted
    gone = {one for one in theirs.get("deleted") or () if first <= one <= ours["last_seq"]}
    return bool(ours["last_seq"] > theirs["last_seq"] or gone - {*(ours.get("deleted") or ())})


def made_for(account: str, rows: Iterable[Subject]) -> tuple[str, list[Config]]:
    """Return the prefix of JetStream's API in a hub reader's account, as the maker of its streams has it, and these.

    All are on disk: nobody is there to make them again after the server's restart.
    """
    return f"{READERS_API}{account}.", [one | {"storage": "file"} for one in wanted(account, rows, 1)]
