"""The sizes of streams: those of the table, or larger ones where an operator says so (ADR 29). Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from proto.subjects import STREAMS, Stream

Sizes = Mapping[str, int]
"""Bytes by stream, only of streams that are larger than in the table."""
RIGHT = "a size such as 512MiB or 2GiB (512Mi and 2Gi are the same), or a whole number of bytes"
_UNITS = {"TiB": 1 << 40, "GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10}
_SIZE = re.compile(r"(\d{1,16})\s?(?:([KMGT]i)B?)?\Z", re.ASCII)
_MAX_SIZE = 1 << 50


def size_of(value: object) -> int:
    """Return the bytes of a text such as `2GiB` or `2Gi`, or of a whole number; ValueError says what would be right."""
    found = _SIZE.match(str(value)) if isinstance(value, (str, int)) and not isinstance(value, bool) else None
    if found is None:
        raise ValueError(f"must be {RIGHT}, got {_short(value)}")
    count = int(found[1]) * (_UNITS[f"{found[2]}B"] if found[2] else 1)
    if count > _MAX_SIZE:
        raise ValueError(f"must be {in_words(_MAX_SIZE)} at most, got {_short(value)}")
    return count


def in_words(size: int) -> str:
    """Return a number of bytes as an exact text, such as `2GiB`; without its `B` it is a quantity in Kubernetes."""
    return next((f"{size // unit}{name}" for name, unit in _UNITS.items() if size and not size % unit), str(size))


def problems(given: Mapping[str, Any], known: tuple[Stream, ...] = STREAMS) -> Iterator[tuple[str, str]]:
    """Yield each name with an impossible size, and why. Names may be in lower case, as in an environment variable."""
    table = {stream.name: stream for stream in known}
    for name, value in given.items():
        stream = table.get(str(name).upper())
        if stream is None:
            yield str(name), f"unknown stream; known are {', '.join(table)}"
            continue
        try:
            size = size_of(value)
        except ValueError as error:
            yield name, str(error)
            continue
        if size < stream.max_bytes:
            least = in_words(stream.max_bytes)
            yield name, f"must be at least {least}, which it has without being told, got {_short(value)}"


def sizes_of(given: Mapping[str, Any]) -> dict[str, int]:
    """Return the sizes above the table's; `given` must have no `problems`. Of two for one name the last counts."""
    sizes = {name.upper(): size_of(value) for name, value in given.items()}
    return {stream.name: sizes[stream.name] for stream in STREAMS if sizes.get(stream.name, 0) > stream.max_bytes}


def sized(sizes: Sizes, streams: tuple[Stream, ...] = STREAMS) -> tuple[Stream, ...]:
    """Return the table's streams with these sizes."""
    return tuple(replace(one, max_bytes=max(one.max_bytes, sizes.get(one.name, 0))) for one in streams)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
