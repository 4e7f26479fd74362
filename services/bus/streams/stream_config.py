"""Makes streams, and brings existing streams up to this version's table.

Additions and larger values take effect at once. Nothing is reduced automatically, and nothing is taken away.
Configurations are JSON as in JetStream's API (NATS ADR-1): times are in ns, and a limit of 0 or -1 means no limit.
"""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from nats.aio.client import Client
from nats.js.errors import APIError, NotFoundError

from proto.permissions import JETSTREAM_API
from proto.subjects import Stream, covers

Config = dict[str, Any]
Outcome = Literal["extended", "kept", "refused"]

_LIMITS = frozenset({"max_age", "max_bytes", "max_msgs_per_subject"})
_NUMBERS = frozenset({"num_replicas", "duplicate_window", "subject_delete_marker_ttl"})
_FIXED = frozenset({"storage", "retention"})
_BY_THE_WAY = frozenset({"name", "description", "first_seq"})
"""Fields for which no stream is changed. Only a new stream can be given a `first_seq`."""
_NANOSECONDS = frozenset({"max_age", "duplicate_window", "subject_delete_marker_ttl"})
_MIB, _DAY = 1 << 20, 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """A field in which a stream differs from the table, and the outcome.

    `extended`: `want` is less strict, or adds to what exists. `kept`: an operator, or a newer version, keeps more
    than the table asks for. `refused`: no update can change it.
    """

    stream: str
    field: str
    have: Any
    want: Any
    outcome: Outcome

    def __str__(self) -> str:
        """Return the difference as a line for people."""
        return self.in_words()

    def in_words(self, *, shrink: bool = False) -> str:
        """Return the difference as a line for people; `shrink` means that a `kept` surplus is taken away."""
        want = _shown(self.field, self.want)
        texts: dict[Outcome, str] = {
            "extended": f"becomes {want}",
            "kept": f"becomes {want}, no more" if shrink else f"{want} is enough here: kept, --shrink takes it away",
            "refused": f"must be {want}: no update changes that, see Upgrade in docs/operations.md",
        }
        return f"{self.stream}: {self.field} is {_shown(self.field, self.have)}, {texts[self.outcome]}"


class StreamConflict(Exception):
    """A stream can't be changed as needed. Only another one in its place would do, and its content would be lost."""

    def __init__(self, differences: Iterable[FieldDifference]) -> None:
        self.differences = list(differences)
        super().__init__("; ".join(f"stream {one}" for one in self.differences))


def differences(have: Config, want: Config) -> list[FieldDifference]:
    """Return the differences between a stream's configuration on the server and in the table."""
    return [one for field in want if field not in _BY_THE_WAY for one in _compared(have, want, field)]


def becomes(have: Config, want: Config, found: Iterable[FieldDifference], *, shrink: bool = False) -> Config:
    """Return the whole configuration to send. Everything that others have set in it stays.

    With `shrink`, fields that are `kept` are lowered to the table too; messages may be lost by that.
    """
    wanted: tuple[Outcome, ...] = ("extended", "kept") if shrink else ("extended",)
    changed = {one.field: one.want for one in found if one.outcome in wanted}
    return have | changed | ({"description": want["description"]} if changed and "description" in want else {})


def _compared(have: Config, want: Config, field: str) -> Iterator[FieldDifference]:
    name, old, new = str(want["name"]), have.get(field), want[field]
    if field == "subjects":
        yield from _subjects(name, old or [], new)
    elif field == "metadata":
        if not new.items() <= (old or {}).items():  # the server adds keys of its own
            yield FieldDifference(name, field, old, (old or {}) | new, "extended")
    elif field in _FIXED:
        if old != new:
            yield FieldDifference(name, field, old, new, "refused")
    elif field in _LIMITS or field in _NUMBERS:
        before, after = (_size(field, value) for value in (old, new))
        if before != after:
            yield FieldDifference(name, field, old, new, "extended" if after > before else "kept")
    elif (old or False) != new:
        yield FieldDifference(name, field, old, new, "kept" if old is True else "extended")


def _subjects(name: str, old: list[str], new: list[str]) -> Iterator[FieldDifference]:
    """Yield the missing subjects, and the surplus. The server takes no two subjects of which one covers the other."""
    if added := [subject for subject in new if not _within(subject, old)]:
        yield FieldDifference(
            name, "subjects", old, [*(one for one in old if not _within(one, added)), *added], "extended"
        )
    if not all(_within(subject, new) for subject in old):
        yield FieldDifference(name, "subjects", old, new, "kept")


def _within(subject: str, patterns: Iterable[str]) -> bool:
    return any(covers(pattern, subject) for pattern in patterns)


def _size(field: str, value: int | None) -> float:
    number = value or 0
    return float("inf") if field in _LIMITS and number <= 0 else number


def _shown(field: str, value: Any) -> str:
    if _size(field, value if isinstance(value, int) else 1) == float("inf"):
        return "without limit"
    if field in _NANOSECONDS:
        return f"{value // _DAY} days" if value and value % _DAY == 0 else f"{(value or 0) / 1e9:g} s"
    if field == "max_bytes":
        return f"{value / _MIB:g} MiB"
    return ", ".join(value) if isinstance(value, list) and value and isinstance(value[0], str) else str(value)


TIMEOUT_S = 5.0
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Made:
    """The outcome for a stream, or with `plan` the expected one: whether it is new, and how it differed."""

    name: str
    is_new: bool
    found: tuple[FieldDifference, ...] = ()


async def ensure(
    client: Client, want: Config, *, shrink: bool = False, plan: bool = False, api: str = JETSTREAM_API
) -> Made:
    """Make a stream, or extend an existing one; `shrink` also lowers it. With `plan` nothing is done.

    `api` is what the subjects of JetStream's API begin with, of another account than ours. StreamConflict if only
    another stream in its place would do; APIError with the server's text.
    """
    name = str(want["name"])
    have = await _there(client, name, api)
    if have is None:
        if plan:
            return Made(name, is_new=True)
        try:
            await ask(client, f"{api}STREAM.CREATE.{name}", want)
            return Made(name, is_new=True)
        except APIError as error:
            have = await _there(client, name, api)  # another service was faster
            if have is None:
                raise error from None
    found = differences(have, want)
    if refused := [one for one in found if one.outcome == "refused"]:
        if not plan:
            raise StreamConflict(refused)
    elif not plan and (new := becomes(have, want, found, shrink=shrink)) != have:
        await ask(client, f"{api}STREAM.UPDATE.{name}", new)
    return Made(name, is_new=False, found=tuple(found))


async def _there(client: Client, name: str, api: str) -> Config | None:
    # Ask first: on a create, the server reserves a stream's bytes before it sees that the stream exists already.
    try:
        config: Config = (await ask(client, f"{api}STREAM.INFO.{name}"))["config"]
    except NotFoundError:
        return None
    return config


async def ask(
    client: Client, subject: str, body: Config | None = None, *, timeout: float = TIMEOUT_S
) -> dict[str, Any]:
    """Return the answer of JetStream's API; APIError with the server's text."""
    request = json.dumps(body).encode() if body else b""
    answer: dict[str, Any] = json.loads((await client.request(subject, request, timeout=timeout)).data)
    if "error" in answer:
        APIError.from_error(answer["error"])
    return answer


def config_of(stream: Stream, replicas: int) -> Config:
    """Return a stream's configuration, as in JetStream's API (NATS ADR-1): times are in ns."""
    age = round((stream.max_age_s or 0) * _SECOND)
    return {
        "name": stream.name,
        "description": stream.purpose,
        "subjects": list(stream.subjects),
        "storage": stream.storage,
        "retention": "limits",
        "discard": "old",
        "max_age": age,
        "max_bytes": stream.max_bytes,
        "max_msgs_per_subject": stream.per_subject,
        "num_replicas": replicas,
        "allow_direct": True,
        "duplicate_window": min(120 * _SECOND, age or 120 * _SECOND),
        **(_expiring() if stream.expires else {}),
        **({"first_seq": _rising()} if stream.storage == "memory" and stream.per_subject == 1 else {}),
    }


def _rising() -> int:
    """Return a first sequence above all earlier ones: readers of a stream in memory go on when it is made again."""
    return time.time_ns() // 1_000


def _expiring() -> Config:
    """Return the fields of a KV bucket of leases."""
    return {
        "allow_msg_ttl": True,
        "subject_delete_marker_ttl": 5 * _SECOND,
        "allow_rollup_hdrs": True,
        "deny_delete": True,
    }
