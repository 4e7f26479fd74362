"""One term, one thing: docs/glossary.md, and the names of types."""

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
ONCE = ("Place", "Line", "Span", "Part", "Camera", "Key", "Held")
"""Words that fit many things; each of them names at most one."""


def named(file: Path) -> set[str]:
    """The classes and aliases that a module defines."""
    found = set()
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.add(node.targets[0].id)
    return {name.lstrip("_") for name in found}


def test_a_name_means_one_thing():
    """In services, in what operators run and in the contract."""
    where = defaultdict(list)
    for folder in ("proto", "services", "operate", "testbed", "moretta"):
        for file in (ROOT / folder).rglob("*.py"):
            for name in named(file) & set(ONCE):
                where[name].append(str(file.relative_to(ROOT)))
    assert {name: files for name, files in where.items() if len(files) > 1} == {}


def test_the_glossary_says_each_term_once():
    """And names only messages that the contract has."""
    text = (ROOT / "docs/glossary.md").read_text("utf-8")
    terms = [term for row in re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE) for term in row.split(", ")]
    terms = [term for term in terms if term not in {"term", "---"}]
    assert len(terms) > 40
    assert sorted(terms) == sorted(set(terms))
    messages = set(re.findall(r"`([A-Z]\w+V1)`", text))
    contract = "".join(file.read_text("utf-8") for file in (ROOT / "proto").glob("*.py"))
    assert [name for name in messages if f"class {name}(" not in contract] == []
