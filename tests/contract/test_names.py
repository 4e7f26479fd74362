"""One name for one thing: classes of the product, and modules within a package."""

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOPS = ("proto", "services", "operate", "testbed", "moretta")
CONVENTIONS = {"settings", "service", "metrics", "output", "__main__", "__init__"}
"""Names of modules that say the same wherever they stand."""
TWICE: dict[str, str] = {}
"""Names that two classes have, and why."""


def modules() -> list[Path]:
    return [path.relative_to(ROOT) for top in TOPS for path in sorted((ROOT / top).rglob("*.py"))]


def test_no_two_public_classes_have_one_name():
    places = defaultdict[str, list[str]](list)
    for path in modules():
        for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path))
    assert len(places) > 400
    assert {name: found for name, found in places.items() if len(found) > 1 and name not in TWICE} == {}
    assert len(TWICE) <= 10
    assert {name for name in TWICE if len(places[name]) < 2} == set()


def test_no_two_modules_of_a_package_have_one_name():
    """A package is a service, a library of services, or a folder of `operate` or `testbed`."""
    places = defaultdict[tuple[str, ...], list[str]](list)
    for path in modules():
        if path.stem not in CONVENTIONS:
            places[*path.parts[: min(2, len(path.parts) - 1)], path.stem].append(str(path))
    assert len(places) > 300
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def names(tree: ast.AST) -> set[str]:
    """Return the names that a module defines or uses."""
    found = {getattr(node, field, None) for node in ast.walk(tree) for field in ("id", "attr", "arg", "name", "asname")}
    return {name for name in found if isinstance(name, str)}


def parts(name: str) -> set[str]:
    return set(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_"))


def test_no_name_has_a_word_that_the_glossary_replaces():
    """Forms with an s at their end are the same words."""
    _, table = (ROOT / "docs/glossary.md").read_text("utf-8").split("## Words that no name in the code has")
    rows = re.findall(r"^\| ([a-z, ]+) \|", table, re.MULTILINE)
    words = {word for row in rows if row != "not" for word in row.split(", ")}
    assert {"told", "said"} < words
    found = {
        str(path): sorted(name for name in names(ast.parse((ROOT / path).read_text("utf-8"))) if parts(name) & forms)
        for forms in [words | {f"{word}s" for word in words}]
        for path in modules()
    }
    assert {path: some for path, some in found.items() if some} == {}
