#!/usr/bin/env python
"""Writes the Helm chart's schema and its tables of values, both from the comments in values.yaml; and Chart.yaml.

What `settings` may hold, the schema has from the types that services read (tools/settings_schema.py).

    tools/chart_docs.py [FOLDER]    where to write values.schema.json, README.md and Chart.yaml; or the chart's folder

`# --` before a key begins its description. `# @schema {...}` below that adds JSON Schema to the type of the default.
A section whose keys have such comments is strict: it allows no other keys. The chart passes any other section on to
Kubernetes. `# == TITLE ==` begins a table of its own: it and the keys below it. Chart.yaml below its line MADE is
tools/chart_hub.py's.
"""

import itertools
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from chart_hub import CHART, chart_yaml
from settings_schema import settings_schema

BEGIN, END = "<!-- values -->", "<!-- end of values -->"
HEAD = "| value | default | meaning |\n|---|---|---|"
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


class Value:
    """A key of values.yaml with the content of its comments."""

    def __init__(self, path: str, key: yaml.Node, node: yaml.Node, lines: list[str]) -> None:
        self.path, self.default, self.line = path, yaml.safe_load(yaml.serialize(node)), key.start_mark.line
        above: list[str] = []
        for line in reversed(lines[: key.start_mark.line] if path else []):
            if not line.lstrip().startswith("#"):
                break
            above.insert(0, line.strip())
        comment = "\n".join(above).partition("# -- ")[2]
        told, _, more = comment.partition("# @schema ")
        self.told = re.sub(r"\s*\n# ?", " ", told).strip()
        self.more: dict[str, Any] = yaml.safe_load(more.replace("# ", "")) if more else {}
        # What stands in braces has no comments, and is passed on to Kubernetes.
        below = node.value if isinstance(node, yaml.MappingNode) and not node.flow_style else []
        self.parts = [Value(f"{path}.{name.value}".lstrip("."), name, part, lines) for name, part in below]

    @property
    def is_section(self) -> bool:
        """Whether keys within it are documented; then it allows no others."""
        return any(part.told or part.is_section for part in self.parts)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the value."""
        found: dict[str, Any] = {"description": self.told} if self.told else {}
        found["type"] = TYPES[type(self.default)]
        if self.is_section:
            names = {part.path.rpartition(".")[2]: part.schema() for part in self.parts}
            # All of them are there; one that is missing was taken away by `null`, and templates would trip over it.
            found |= {"additionalProperties": False, "required": [*names], "properties": names}
        return found | self.more

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield its lines of the table: what it is called, and what is told of it."""
        if self.told:
            shown = "" if self.is_section else f"`{json.dumps(self.default, ensure_ascii=False)}`"
            yield self.path, f"{shown} | {self.told.replace('|', chr(92) + '|')}"
        for part in self.parts if self.is_section else ():
            yield from part.rows()


def tables(parts: list[Value], lines: list[str]) -> Iterator[str]:
    """Yield the tables' lines; a heading stands above the keys that follow it."""
    titles = {at: found[1] for at, line in enumerate(lines) if (found := re.fullmatch(r"# == (.+) ==", line))}
    heading = lambda part: max((at for at in titles if at < part.line), default=-1)  # noqa: E731
    for above, under in itertools.groupby(parts, heading):
        if above in titles:
            yield f"\n## {titles[above]}\n"
        yield HEAD
        yield from folded(row for part in under for row in part.rows())


def folded(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield a table's lines; what several components have alike is one line, `{ingest,notify}.replicas`."""
    owners: dict[tuple[str, str], list[str]] = {}
    for path, told in rows:
        owner, _, key = path.partition(".")
        owners.setdefault((key, told), []).append(owner)
    for (key, told), names in owners.items():
        owner = f"{{{','.join(names)}}}" if len(names) > 1 else names[0]
        yield f"| `{owner}{'.' * bool(key)}{key}` | {told} |"


def main(folder: Path) -> None:
    """Write the files."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    root = yaml.compose(text)
    assert root is not None, "values.yaml has something in it"
    whole = Value("", root, root, text.splitlines())
    found = {"$schema": "http://json-schema.org/draft-07/schema#", **whole.schema()}
    found["properties"]["settings"] |= settings_schema()
    for name, kind in (("global", "object"), ("enabled", "boolean")):
        found["properties"][name] = {"description": "A parent chart's; not read here", "type": kind}
    (folder / "values.schema.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    head, _, rest = (CHART / "README.md").read_text(encoding="utf-8").partition(BEGIN)
    shown = "\n".join(tables(whole.parts, text.splitlines()))
    readme = f"{head}{BEGIN}\n{shown}\n{END}{rest.partition(END)[2]}"
    (folder / "README.md").write_text(readme, encoding="utf-8")
    (folder / "Chart.yaml").write_text(chart_yaml(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else CHART)
