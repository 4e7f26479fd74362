"""The parts of settings: sections, secrets, and the error that lists the problems."""

import re
from pathlib import Path
from typing import Any

import msgspec

SECTIONS = (
    "nats",
    "log",
    "probes",
    "sealing",
    "sites",
    "ingest",
    "inference",
    "aggregate",
    "notify",
    "transparency",
    "tracing",
)
"""Every top-level key a settings file may have. Each service reads those it declares and ignores the others."""
SECRETS = (
    "password",
    "token",
    "operator_token",
    "salt",
    "secret",
    "signing_key",
    "verify_key",
    "frames_password",
    "seed",
    "frames_seed",
    "url",
)
"""Keys that may be given as `x_file`. Their values are never shown."""
Problem = tuple[str, str]
"""A path such as `sites[0].cameras[1].url`, and a text: what is wrong there, and what would be right."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class SettingsError(ValueError):
    """The problems of a settings file, one line each: `file: path: what, and what would be right`."""

    def __init__(self, file: Path | str, problems: list[Problem]) -> None:
        self.file, self.problems = str(file), problems
        lines = [": ".join(part for part in (str(file), *problem) if part) for problem in problems]
        super().__init__("\n".join(_CONTROL.sub("?", line) for line in lines))


class Secret:
    """A text that only `reveal()` shows."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._value

    def __repr__(self) -> str:
        """Return a text without the value."""
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        """Return whether the values are equal, so that a reload notices a new password."""
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        """Return the hash of the value."""
        return hash(self._value)


def convert(raw: Any, schema: Any) -> Any:
    """Return `raw` as `schema`; msgspec.ValidationError names the first path that does not fit."""
    return msgspec.convert(raw, schema, dec_hook=_dec_hook)


def _dec_hook(kind: type, value: Any) -> Any:
    # Refuse a number: YAML has already turned the password 0123 into 83.
    if issubclass(kind, Secret) and isinstance(value, str):
        return kind(value)
    raise TypeError(f"expected a text, got {type(value).__name__}")
