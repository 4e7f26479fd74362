"""Settings: one YAML file for all services, an environment overlay, secrets from files; all problems at once.

Order: the file, then `MORETTA_SECTION__KEY=value` (the value is read as YAML), then `x_file` beside a secret `x`.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml
from msgspec import Struct

SECTIONS = ("nats", "log", "probes", "sealing", "sites", "ingest", "inference", "aggregate", "notify")
"""Every top-level key a settings file may have; each service reads those it declares and leaves the others alone."""
_PREFIX = "MORETTA_"
T = TypeVar("T", bound=Struct)
Problem = tuple[str, str]


class SettingsError(ValueError):
    """What is wrong with a settings file: one line a problem, each `file: path: what, and what would be right`."""

    def __init__(self, file: Path | str, problems: list[Problem]) -> None:
        self.file, self.problems = str(file), problems
        super().__init__("\n".join(f"{file}: {path}: {why}" if path else f"{file}: {why}" for path, why in problems))


class Secret:
    """A text that shows itself only to `reveal()`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._value

    def __repr__(self) -> str:
        """Never the value."""
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        """Equal when the values are, so that a reload notices a new password."""
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        """Hash of the value."""
        return hash(self._value)


def load(file: Path, schema: type[T], environ: Mapping[str, str] | None = None) -> T:
    """Return the settings that this service declares; SettingsError lists every problem of the file with its path."""
    raw = _overlay(_read(file), os.environ if environ is None else environ)
    found: list[Problem] = [
        (key, f"unknown section; known are {', '.join(SECTIONS)}") for key in raw if key not in SECTIONS
    ]
    raw = _resolve_files(raw, "", file.parent, found)
    wanted = {field.name for field in msgspec.structs.fields(schema)}
    found += _problems(schema, {k: v for k, v in raw.items() if k in wanted}, "")
    if found:
        raise SettingsError(file, found)
    settings: T = convert({k: v for k, v in raw.items() if k in wanted}, schema)
    check: Callable[[], list[Problem]] | None = getattr(settings, "problems", None)
    if check is not None and (cross := check()):
        raise SettingsError(file, list(cross))
    return settings


def convert(raw: Any, schema: Any) -> Any:
    """Return `raw` as `schema`; msgspec.ValidationError names the first path that does not fit."""
    return msgspec.convert(raw, schema, dec_hook=_dec_hook)


def _dec_hook(kind: type, value: Any) -> Any:
    if kind is Secret and isinstance(value, (str, int, float)):
        return Secret(str(value))
    raise TypeError(f"expected a text, got {type(value).__name__}")


def _read(file: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(file, [("", f"cannot be read: {error.strerror or error}")]) from None
    except UnicodeDecodeError:
        raise SettingsError(file, [("", "is not UTF-8 text; a settings file is YAML")]) from None
    except yaml.YAMLError as error:
        raise SettingsError(file, [("", f"is not YAML: {_one_line(error)}")]) from None
    if raw is None:
        return {}
    if not isinstance(raw, dict) or not all(isinstance(k, str) for k in raw):
        raise SettingsError(file, [("", f"must hold sections such as `sites:`, got {type(raw).__name__}")])
    return raw


def _one_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"{getattr(error, 'problem', None) or error}{where}".replace("\n", " ")


def _overlay(raw: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Lay `MORETTA_A__B=value` over `a.b`; names of other sections than the known ones are not ours."""
    for name in sorted(environ):
        path = name.removeprefix(_PREFIX).lower().split("__")
        if not name.startswith(_PREFIX) or path[0] not in SECTIONS:
            continue
        target = raw
        for key in path[:-1]:
            below = target.get(key)
            target[key] = dict(below) if isinstance(below, dict) else {}
            target = target[key]
        try:
            target[path[-1]] = yaml.safe_load(environ[name])
        except yaml.YAMLError as error:
            raise SettingsError(f"environment variable {name}", [("", _one_line(error))]) from None
    return raw


_SECRETS = ("password", "token", "salt", "secret", "signing_key", "verify_key", "frames_password", "url")


def _resolve_files(value: Any, path: str, folder: Path, found: list[Problem]) -> Any:
    """Replace `x_file: path` by `x: content` for secrets, relative to the settings file's folder."""
    if isinstance(value, list):
        return [_resolve_files(v, f"{path}[{i}]", folder, found) for i, v in enumerate(value)]
    if not isinstance(value, dict):
        return value
    result: dict[str, Any] = {}
    for key, item in value.items():
        here = f"{path}.{key}" if path else str(key)
        name = str(key).removesuffix("_file")
        if name == key or name not in _SECRETS or not isinstance(item, str):
            result[key] = _resolve_files(item, here, folder, found)
            continue
        try:
            result[name] = (folder / item).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            found.append((here, f"cannot read {item}: {getattr(error, 'strerror', None) or 'not a text'}"))
    return result


def _problems(schema: Any, value: Any, path: str) -> Iterator[Problem]:
    """Yield every problem below `path`: where a whole does not fit, its parts are asked one by one."""
    try:
        convert(value, schema)
        return
    except msgspec.ValidationError as error:
        parts = list(_part_problems(schema, value, path))
        if parts:
            yield from parts
        else:
            yield path, _explain(str(error), value)


def _part_problems(schema: Any, value: Any, path: str) -> Iterator[Problem]:
    info = msgspec.inspect.type_info(schema)
    if isinstance(info, msgspec.inspect.ListType) and isinstance(value, list):
        item = schema.__args__[0]
        for index, part in enumerate(value):
            yield from _problems(item, part, f"{path}[{index}]")
    elif isinstance(info, msgspec.inspect.StructType) and isinstance(value, dict):
        yield from _field_problems(info.cls, value, path)
    elif isinstance(info, msgspec.inspect.UnionType) and value is not None:
        for option in getattr(schema, "__args__", ()):
            if option is not type(None):
                yield from _problems(option, value, path)


def _field_problems(schema: type[Struct], value: dict[str, Any], path: str) -> Iterator[Problem]:
    fields = {f.encode_name: f for f in msgspec.structs.fields(schema)}
    for key in value:
        if key not in fields:
            yield _join(path, key), f"unknown key; known here are {', '.join(fields)}"
    for name, field in fields.items():
        if name in value:
            yield from _problems(field.type, value[name], _join(path, name))
        elif field.required:
            yield _join(path, name), "is missing"


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _explain(error: str, value: Any) -> str:
    text = error.split(" - at `$", maxsplit=1)[0]
    shown = repr(value) if isinstance(value, (int, float, bool, type(None))) else _short(value)
    return f"{text[:1].lower()}{text[1:]}, got {shown}" if "got" not in text else f"{text[:1].lower()}{text[1:]}"


def _short(value: Any) -> str:
    from services.log import redact

    text = redact(repr(value))
    return text if len(text) <= 60 else text[:57] + "..."
