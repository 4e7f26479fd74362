"""What goes into a site's core and what comes out of it."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from proto.public import AlertV1, OperationalAlertV1, RuleStateV1, WindowV1
from proto.sightings import PassageV1

DropReason = Literal[
    "fenced", "late", "ahead", "other-model", "unknown-camera", "unreadable-config", "not-under-this-profile"
]


class Stored(Protocol):
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
    """The stream is another one than before; what it held is lost."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A message that changes nothing, or that may not be published, and why. Counts messages, never faces."""

    reason: DropReason


Output = PassageV1 | WindowV1 | AlertV1 | RuleStateV1 | OperationalAlertV1 | Dropped
