"""The inputs and outputs of a site's core."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from proto.public import AlertV1, OperationalAlertV1, RuleStateV1, WindowV1
from proto.sightings import PassageV1

DropReason = Literal[
    "fenced", "late", "ahead", "other-model", "unknown-camera", "unreadable-config", "not-under-this-profile"
]


class StoredMessage(Protocol):
    """A message of the stream, with the server's sequence and timestamps in ns."""

    @property
    def message(self) -> Any: ...
    @property
    def sequence(self) -> int: ...
    @property
    def time(self) -> int: ...
    @property
    def stream_created(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Reset:
    """The stream was replaced by another one; the old one's messages are lost."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A message that changes nothing or may not be published, with the reason. Counts messages, never faces."""

    reason: DropReason


@dataclass(frozen=True, slots=True)
class Passed:
    """Somebody passed, as the count of a camera's day takes it (ADR 9); also one whose passage was published before.

    `stayed` says that they neither came nor went: the face was lost where it was found, in one size, after some
    seconds, as where people sit, queue or talk.
    """

    camera: str
    at: int
    stayed: bool


Output = Passed | PassageV1 | WindowV1 | AlertV1 | RuleStateV1 | OperationalAlertV1 | Dropped
