"""What readers, operators and a chart's users may rely on (docs/compatibility.md): a line for each thing, to compare.

`make promised` writes tests/contract/promised: on purpose, with a line in the CHANGELOG that says what is new, what it
was before, and why. Explanations are no promise.
"""

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from golden import encodings, path_of
from offered import offered

from metrics_table import Measured, everything
from proto.subjects import TABLE
from schemas import schema_of
from settings_schema import settings_schema

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests/contract/promised"
CHART = ROOT / "k8s/moretta"
_EXPLAINS = frozenset({"description", "purpose", "title", "summary", "examples"})
_SHORT = 100
"""So many characters of JSON stand in one line."""
Tree = dict[str, Any]


@dataclass(frozen=True)
class Promises:
    """All of it, as the code has it."""

    offer: Tree
    """Public subjects, their streams, and the rights of who reads them (`offered`)."""
    schemas: Tree
    """JSON Schemas of public messages, requests and replies, by type."""
    examples: Mapping[str, bytes]
    """An example of each of them, by the file's name."""
    asyncapi: Tree
    settings: Tree
    """The JSON Schema of the settings file."""
    metrics: tuple[Measured, ...]
    values_schema: Tree
    """Of the chart's values, by their first names."""
    values: Tree


def present() -> Promises:
    """Return what is promised now."""
    kinds = {kind for row in TABLE if row.public for kind in (row.message, row.reply) if kind is not None}
    values_schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))["properties"]
    return Promises(
        offer=offered(),
        schemas={kind.__name__: schema_of(kind) for kind in kinds},
        examples={path_of(kind).name: path_of(kind).read_bytes() for kind in encodings() if kind in kinds},
        asyncapi=json.loads((ROOT / "docs/asyncapi.json").read_text("utf-8")),
        settings=settings_schema(),
        metrics=everything(),
        values_schema={name: part for name, part in values_schema.items() if name != "settings"},
        values=yaml.safe_load((CHART / "values.yaml").read_text("utf-8")),
    )


def lines(all_of_it: Promises) -> dict[str, list[str]]:
    """Return the lines of each file, by its name."""
    one = all_of_it
    parts = {key: part for key, part in one.asyncapi["components"].items() if key != "schemas"}  # the messages'
    document = {**one.asyncapi, "components": parts, "info": None}
    checksums = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(one.examples.items())}
    return {
        "messages": [*flat("", one.schemas), *flat("bytes of an example", checksums)],
        "subjects": [*flat("subjects", one.offer["subjects"]), *flat("streams", one.offer["streams"])],
        "rights": [*flat("", one.offer["rights"])],
        "asyncapi": [*flat("", document)],
        "settings": [*flat("", one.settings)],
        "metrics": [f"{m.exposed}{{{','.join(m.labels)}}}: {m.type} of {', '.join(m.services)}" for m in one.metrics],
        "values": [*flat("", one.values_schema), *flat("default", one.values)],
    }


def flat(path: str, value: Any) -> Iterator[str]:
    """Yield a tree's lines, each with its path: a part that is short is one line, and of the others each entry."""
    plain = _without_explanations(value)
    text = json.dumps(plain, ensure_ascii=False, sort_keys=True)
    if len(text) <= _SHORT or not isinstance(plain, dict | list):
        yield f"{path}: {text}"
    elif isinstance(plain, dict):
        for key in sorted(plain):
            yield from flat(f"{path}.{key}".lstrip("."), plain[key])
    else:
        for one in plain:
            yield from flat(f"{path}[]", one)


def _without_explanations(value: Any) -> Any:
    if isinstance(value, Mapping):
        told = {key for key in _EXPLAINS & value.keys() if isinstance(value[key], str | list)}
        return {key: _without_explanations(part) for key, part in value.items() if key not in told}
    return [_without_explanations(one) for one in value] if isinstance(value, list | tuple) else value


def differences(old: Mapping[str, list[str]], new: Mapping[str, list[str]]) -> list[str]:
    """Return each line that is gone (`-`) or new (`+`), with the name of its file."""
    return [
        f"{line[0]} {name}: {line[1:]}"
        for name in sorted(old.keys() | new.keys())
        for line in difflib.unified_diff(old.get(name, []), new.get(name, []), lineterm="", n=0)
        if line[:3] not in {"---", "+++"} and line[0] in "+-"
    ]


def written(folder: Path = FOLDER) -> dict[str, list[str]]:
    """Return what was written last."""
    return {file.stem: file.read_text("utf-8").splitlines() for file in folder.glob("*.txt")}


def write(folder: Path = FOLDER) -> None:
    """Write the lines as they are now."""
    folder.mkdir(exist_ok=True)
    for name, found in lines(present()).items():
        (folder / f"{name}.txt").write_text("".join(f"{line}\n" for line in found), "utf-8")


if __name__ == "__main__":
    write()
