"""The sources of settings: the YAML file, the environment laid over it, and the files that hold secrets."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from services.kernel.settings.explain import join, shown
from services.kernel.settings.model import SECRETS, SECTIONS, Problem, SettingsError

_PREFIX = "MORETTA_"
MAX_BYTES = 1 << 20
"""A larger file is none of settings. Without a limit, reading 50 MB of something else as YAML takes minutes."""
STAND_IN = "nats://not-read-by-this-service"
"""A stand-in that fits every secret, so that one mistake gives one line."""
_SEED = re.compile("SU[A-Z2-7]{40}")
_SEED_ITSELF = "names the file of the seed, and holds a seed itself; save that in a file and name it"
"""The error for a seed in place of its file's name: a seed is never shown."""


class _Loader(yaml.SafeLoader):
    """A YAML loader that refuses a duplicate key: the first value would be lost silently."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key.value, str) and key.value in seen:
                raise yaml.MarkedYAMLError(problem="a key is there twice", problem_mark=key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _yaml(text: str) -> Any:
    """Return the value of a YAML text; ValueError says in one line what is wrong with it."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(_one_line(error)) from None
    except (ValueError, KeyError, AttributeError, IndexError, TypeError, OverflowError):
        # PyYAML's own constructors raise these, for example on the date 2026-02-30 and on `!!bool x`.
        raise ValueError("a value is not what it looks like, such as a date that does not exist; quote it") from None


def _one_line(error: yaml.YAMLError) -> str:
    """Return what is wrong and where, without YAML's quotes of the text: they may hold a secret."""
    mark = getattr(error, "problem_mark", None)
    where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    what = re.sub(r"'[^'<\s]{3,}'", "...", str(getattr(error, "problem", None) or error))
    return f"{what}{where}".replace("\n", " ")


def _text(file: Path) -> str:
    """Return the file's text; SettingsError if it can't be read, or is none of settings."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            why = f"is larger than {MAX_BYTES >> 20} MiB, which is what a ConfigMap holds; name a settings file"
            raise SettingsError(file, [("", why)])
        return content.decode("utf-8")
    except OSError as error:
        why = f"cannot be read: {error.strerror or error}; name a readable YAML file"
        raise SettingsError(file, [("", why)]) from None
    except UnicodeDecodeError:
        raise SettingsError(file, [("", "is not UTF-8 text; a settings file is YAML")]) from None


def read(file: Path, example: str = "sites:") -> dict[str, Any]:
    text = _text(file)
    try:
        raw = _yaml(text)
    except ValueError as error:
        raise SettingsError(file, [("", f"is not YAML: {error}")]) from None
    if raw is None:
        return {}
    if not isinstance(raw, dict) or not all(isinstance(k, str) for k in raw):
        # Quote nothing of a text: somebody may have named the file of a secret.
        kind = "a text" if isinstance(raw, str) else shown(raw)
        raise SettingsError(file, [("", f"must hold sections such as `{example}`, got {kind}")])
    return raw


def overlay(raw: dict[str, Any], environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str], list[Problem]]:
    """Lay `MORETTA_A__B=value` over `a.b`; ignore the names of unknown sections."""
    origins: dict[str, str] = {}
    found: list[Problem] = []
    for name in sorted(environ):
        keys = name.removeprefix(_PREFIX).lower().split("__")
        if not name.startswith(_PREFIX) or keys[0] not in SECTIONS:
            continue
        origins[".".join(keys)] = name
        try:
            _set(raw, keys, environ[name] if keys[-1] in SECRETS else _yaml(environ[name]))
        except ValueError as error:
            found.append((".".join(keys), str(error)))
    return raw, origins, found


def _set(raw: dict[str, Any], keys: list[str], value: Any) -> None:
    target = raw
    for key in keys[:-1]:
        below = target.get(key)
        if isinstance(below, list):
            raise ValueError(f"{key} is a list; the environment can only set it as a whole")  # noqa: TRY004 - no type error
        target[key] = dict(below) if isinstance(below, dict) else {}
        target = target[key]
    name = keys[-1].removesuffix("_file")
    if name in SECRETS:  # replaces the file's secret, in whichever form the file gives it
        target.pop(name, None)
        target.pop(f"{name}_file", None)
    target[keys[-1]] = value


def resolve_files(
    value: Any, path: str, folder: Path, found: list[Problem], *, unread: frozenset[str] = frozenset()
) -> Any:
    """Replace `x_file: path` by `x: content` for secrets; paths are relative to the settings file's folder.

    This service may know of the secrets of `sites` that `unread` names, but may not have them: a stand-in takes their
    place. With `*` in `unread`, a stand-in takes the place of all secrets of all sections.
    """
    if isinstance(value, list):
        return [resolve_files(v, f"{path}[{i}]", folder, found, unread=unread) for i, v in enumerate(value)]
    if not isinstance(value, dict):
        return value
    result: dict[str, Any] = {}
    for key, item in value.items():
        here = join(path, key)
        name = str(key).removesuffix("_file")
        if name == key or name not in SECRETS:
            result[key] = resolve_files(item, here, folder, found, unread=unread)
        elif name in value:
            found.append((here, f"{name} is given too; give only one of them"))
        elif not isinstance(item, str):
            found.append((here, f"must be the path of a file, got {shown(item)}"))
            result[name] = STAND_IN
        elif "*" in unread or (name in unread and here.startswith("sites[")):
            result[name] = STAND_IN
        else:
            result[name] = _content(item, here, folder, found)
    return result


def _content(item: str, path: str, folder: Path, found: list[Problem]) -> str:
    """Return the content of the secret's file. On a problem, note it and return a stand-in."""
    try:
        text: str = (folder / item).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not a text file"
        unreadable = f"cannot read {item!r}: {why}; name a readable file with the secret"
        found.append((path, _SEED_ITSELF if _SEED.search(item) else unreadable))
    else:
        if text:
            return text
        found.append((path, f"{item!r} is empty; it must hold the secret"))
    return STAND_IN
