"""Public messages as JSON, with their times as nanoseconds: what tests compute with."""

from typing import Any

from proto.types import Utc

TIMES = {"start", "end", "since", "until", "at"}


def in_ns(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message with its times, and those of its parts, as nanoseconds."""
    return {name: _part(value, name in TIMES) for name, value in message.items()}


def _part(value: Any, is_time: bool = False) -> Any:
    if isinstance(value, list):
        return [_part(one) for one in value]
    if is_time and isinstance(value, str):
        return Utc.read(value)
    return in_ns(value) if isinstance(value, dict) else value
