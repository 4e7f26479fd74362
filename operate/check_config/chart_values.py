"""Values of the Helm chart: the files that are given, read as helm reads them and laid one over another."""

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.kernel.settings import Problem, SettingsError
from services.kernel.settings.source import read

BELOW = "settings"
"""The part of values that services read."""
MAX_BYTES = 1_048_576
"""Of one file. Kubernetes keeps no more in the Secret of a release, and less in a ConfigMap."""
MAX_VALUES = 200_000
"""With each alias of YAML written out."""


@dataclass(frozen=True)
class Values:
    """Values files, copies of them (a pipe is read once only), and all of them as one document."""

    files: list[Path]
    copies: list[Path]
    parts: list[dict[str, Any]]

    def merged(self) -> dict[str, Any]:
        """Return the values as helm merges them: maps by key, everything else as a whole, the last file first."""
        found: dict[str, Any] = {}
        for part in self.parts:
            found = _over(found, part)
        return found

    def names(self, problems: Iterable[Problem] = ()) -> str:
        """Return the names of the files that set what these problems are about; of all of them, if none does."""
        found = [self._file_of(path or why) for path, why in problems]
        return ", ".join(str(file) for file in self.files if file in found or None in found or not found)

    def refused(self, problems: list[Problem]) -> SettingsError:
        """Return the error that tells these problems."""
        return SettingsError(self.names(problems), problems)

    def _file_of(self, path: str) -> Path | None:
        """Return the last of the files that go furthest along a path, or along the one that a sentence begins with."""
        steps = re.findall(r"[^.\[\]:]+", path.partition(" ")[0])
        depths = [_depth(part, steps) for part in self.parts]
        most = max(depths)
        return self.files[len(depths) - 1 - depths[::-1].index(most)] if most else None


def section(values: Any, name: str) -> dict[str, Any]:
    """Return a section of values; an empty one where there is none, or something else."""
    found = values.get(name) if isinstance(values, dict) else None
    return found if isinstance(found, dict) else {}


def read_values(files: list[Path], folder: Path) -> Values:
    """Return the values of these files, of which copies are left in `folder`; SettingsError if one can't be read."""
    copies = [folder / f"{index}.yaml" for index in range(len(files))]
    for file, copy in zip(files, copies, strict=True):
        copy.touch(mode=0o600)
        copy.write_bytes(_content(file))
    return Values(files, copies, [_parsed(*one) for one in zip(files, copies, strict=True)])


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            found = opened.read(MAX_BYTES + 1)
    except OSError as error:
        why = f"cannot be read: {error.strerror or error}; name a readable YAML file"
        raise SettingsError(file, [("", why)]) from None
    if len(found) > MAX_BYTES:
        why = f"is larger than {MAX_BYTES} bytes, the most that Kubernetes keeps of a release; is it a values file?"
        raise SettingsError(file, [("", why)])
    return found


def _parsed(file: Path, copy: Path) -> dict[str, Any]:
    try:
        values = read(copy, f"{BELOW}:")
    except RecursionError:
        raise SettingsError(file, [("", "is nested too deeply")]) from None
    except SettingsError as error:
        raise SettingsError(file, error.problems) from None
    if _count(values) > MAX_VALUES:
        why = f"holds more than {MAX_VALUES} values, or refers to itself; write out its aliases (*name)"
        raise SettingsError(file, [("", why)])
    return values


def _count(value: Any) -> int:
    """Return how many values there are, up to one more than the limit: a few aliases can stand for billions."""
    count, waiting = 0, [value]
    while waiting and count <= MAX_VALUES:
        one = waiting.pop()
        count += 1
        below = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        waiting.extend(below)
        count += len(below) if len(waiting) > MAX_VALUES else 0
    return count


def _over(base: Any, over: Any) -> Any:
    if not (isinstance(base, Mapping) and isinstance(over, Mapping)):
        return deepcopy(over)
    return {**base, **{key: _over(base.get(key), value) for key, value in over.items()}}


def _depth(part: Any, steps: list[str]) -> int:
    """Return how many steps of a path a document has; an index leads into a list."""
    for count, step in enumerate(steps):
        if isinstance(part, dict) and step in part:
            part = part[step]
        elif isinstance(part, list) and step.isdecimal() and int(step) < len(part):
            part = part[int(step)]
        else:
            return count
    return len(steps)
