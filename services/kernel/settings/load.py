"""Loads settings from all sources together, and reports every problem at once."""

import copy
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from services.kernel.settings.explain import join, problems
from services.kernel.settings.model import SECTIONS, Problem, SettingsError, convert
from services.kernel.settings.source import STAND_IN, overlay, read, resolve_files

T = TypeVar("T", bound=Struct)


def load(file: Path, schema: type[T], environ: Mapping[str, str] | None = None, *, secrets: bool = True) -> T:
    """Return the settings that this service declares; SettingsError lists every problem of the file with its path.

    The files of sites' secrets that the schema's `UNREAD` names are not opened. Without `secrets` no secret's file is
    opened, and no problem of its content is reported.
    """
    try:
        return _load(file, schema, os.environ if environ is None else environ, secrets=secrets)
    except RecursionError:
        raise SettingsError(file, [("", "is nested too deeply, or refers to itself")]) from None


def raw_settings(file: Path, schema: type[Struct], environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return this service's sections as file and environment give them, unchecked; open no secret's file."""
    raw, _, _ = overlay(read(file), os.environ if environ is None else environ)
    return {key: value for key, value in raw.items() if key in _sections_of(schema)}


def _sections_of(schema: type[Struct]) -> set[str]:
    return {field.name for field in msgspec.structs.fields(schema)}


def _load(file: Path, schema: type[T], environ: Mapping[str, str], *, secrets: bool) -> T:
    raw, origins, found = overlay(read(file), environ)
    found += [(key, f"unknown section; known are {', '.join(SECTIONS)}") for key in raw if key not in SECTIONS]
    # Before secrets are read: a service must not need the secrets of another one.
    raw = {key: value for key, value in raw.items() if key in _sections_of(schema)}
    unread = getattr(schema, "UNREAD", frozenset()) if secrets else frozenset({"*"})
    raw = resolve_files(raw, "", file.parent, found, unread=unread)
    unsaid = frozenset() if secrets else frozenset(_stand_ins(raw))
    missing = {path for path, _ in found}  # report nothing more about a secret whose file can't be read
    found += [each for each in problems(schema, raw) if f"{each[0]}_file" not in missing]
    settings: T | None = _convert_sound(raw, schema, [path for path, _ in found])
    found = [each for each in found if each[0] not in unsaid]
    check: Callable[[], list[Problem]] | None = getattr(settings, "problems", None)
    reported = [path for path, _ in found]
    # Report nothing more about a value with a wrong part: it was checked without that part.
    more = [each for each in (check() if check is not None else []) if each[0] not in unsaid]
    found += [each for each in more if not any(path.startswith(each[0]) for path in reported)]
    if settings is None or found:
        raise SettingsError(file, [(path, why + _origin(path, origins)) for path, why in found])
    return settings


def _stand_ins(value: Any, path: str = "") -> Iterator[str]:
    """Yield the path of each stand-in for a secret."""
    if isinstance(value, list):
        for i, item in enumerate(value):
            yield from _stand_ins(item, f"{path}[{i}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _stand_ins(item, join(path, key))
    elif value == STAND_IN:
        yield path


def _convert_sound(raw: Any, schema: type[T], bad: list[str]) -> T | None:
    """Return the settings without the bad keys, so that the others can be checked; None if a bad key is required."""
    rest = copy.deepcopy(raw)
    for path in bad:
        _remove(rest, [index or key for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path)])
    try:
        settings: T = convert(rest, schema)
    except msgspec.ValidationError:
        return None
    return settings


def _remove(tree: Any, steps: list[str]) -> None:
    for step in steps[:-1]:
        tree = tree[int(step)] if isinstance(tree, list) else tree.get(step) if isinstance(tree, dict) else None
    if steps and isinstance(tree, dict):
        tree.pop(steps[-1], None)


def _origin(path: str, origins: Mapping[str, str]) -> str:
    """Return a note on the variable that set a bad value; empty if the value is the file's."""
    for place, name in origins.items():
        if (
            path == place
            or path.startswith((f"{place}.", f"{place}["))
            or place.startswith((f"{path}.", f"{path}_file"))
        ):
            return f" (set by {name})"
    return ""
