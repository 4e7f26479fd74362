"""Messages whose times travel as text with milliseconds; in Python they are plain nanoseconds."""

from functools import cache
from typing import Any, get_args

from msgspec import Struct, structs

from proto.types import Utc


class Timed(Struct, frozen=True):
    """A message with instants. What is below a millisecond is lost on its way."""

    def __post_init__(self) -> None:
        """Take instants that were read as plain numbers: other messages have those."""
        for name in instants_of(type(self)):
            if isinstance(value := getattr(self, name), Utc):
                structs.force_setattr(self, name, int(value))


@cache
def instants_of(kind: type[Struct]) -> tuple[str, ...]:
    """Return the names of a message's fields that are instants."""
    return tuple(one.name for one in structs.fields(kind) if _is_instant(one.type))


def _is_instant(kind: Any) -> bool:
    return kind is Utc or any(_is_instant(one) for one in get_args(kind))


def on_the_wire(value: Any) -> Any:
    """Return a message, or what holds messages, with its instants as `Utc`, which the encoder writes as text."""
    if isinstance(value, dict):
        return {name: on_the_wire(part) for name, part in value.items()}
    if isinstance(value, list):
        return [on_the_wire(one) for one in value] if any(isinstance(one, Struct) for one in value) else value
    if not isinstance(value, Struct):
        return value
    parts = {name: getattr(value, name) for name in value.__struct_fields__}
    instants: dict[str, Any] = {name: Utc(parts[name]) for name in instants_of(type(value)) if type(parts[name]) is int}
    changed = {name: on_the_wire(part) for name, part in parts.items() if name not in instants}
    return _copied(value, instants | {name: part for name, part in changed.items() if part is not parts[name]})


def _copied(value: Struct, changed: dict[str, Any]) -> Struct:
    if not changed:
        return value
    copy = structs.replace(value)
    for name, part in changed.items():
        structs.force_setattr(copy, name, part)
    return copy
