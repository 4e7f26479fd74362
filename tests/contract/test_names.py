"""One name for one thing: classes of the product, and modules within a package."""

import ast
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
