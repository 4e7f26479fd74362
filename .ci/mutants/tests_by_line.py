"""Which tests can tell that a line has changed."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any


class Tests:
    """All tests with what they cost, and the lines of the cores that each runs."""

    def __init__(self, folder: Path) -> None:
        self.cost_s: dict[str, float] = {}
        self.failed: set[str] = set()
        """What fails without any change kills nothing."""
        self._folder = folder
        self._by_line: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._imported: dict[str, set[int]] = defaultdict(set)
        self._reach: dict[str, int] = defaultdict(int)
        """How many lines of the cores a file of tests runs."""
        self._importers = _importers(folder)

    def add(self, result: dict[str, Any]) -> None:
        """Take in what a run with `lines` said."""
        tests = list(result["cost_s"])
        self.cost_s |= result["cost_s"]
        self.failed |= set(result["failed"])
        for file, lines in result["lines"].items():
            for line, by in lines.items():
                if -1 in by:
                    self._imported[file].add(int(line))
                names = {tests[i] for i in by if i >= 0}
                self._by_line[file][int(line)] |= names
                for path in {_file(test) for test in names}:
                    self._reach[path] += 1

    def of(self, file: str, line: int) -> list[list[str]]:
        """Return the tests to try, in three stages: of the file that is most about this module, of others, the rest.

        The rest are the other tests of the same files: what a line made may be kept for them, by a fixture or a cache.
        A line that runs when its module is imported can show anywhere: in all tests that run something of the module,
        or of a module that imports it, and in all tests of a file that imports it.
        """
        lines = statement(self._folder / file, line)
        found = {test for one in lines for test in self._by_line[file].get(one, ())}
        if self._imported[file] & set(lines):
            about = {file} | {name for name in self._importers[file] if name.startswith(("services/", "modelling/"))}
            files = self._importers[file] - about
            found |= {test for name in about for by in self._by_line[name].values() for test in by}
            found |= {test for test in self.cost_s if _file(test) in files}
        return self._stages(file, found - self.failed)

    def _stages(self, file: str, tests: Iterable[str]) -> list[list[str]]:
        by_file: dict[str, list[str]] = defaultdict(list)
        for test in sorted(tests, key=lambda test: (self.cost_s[test], test)):
            by_file[_file(test)].append(test)
        about = {path: self._share(file, path) for path in by_file}
        ordered = sorted(by_file, key=lambda path: (-about[path], path))
        chosen = [[test for path in some for test in by_file[path]] for some in (ordered[:1], ordered[1:])]
        known = {test for stage in chosen for test in stage} | self.failed
        rest = [test for test in self.cost_s if _file(test) in by_file and test not in known]
        return [stage for stage in (*chosen, rest) if stage]

    @cache  # noqa: B019 - there is one of it
    def _share(self, file: str, path: str) -> float:
        """How much of what a file of tests runs is of this module."""
        own = sum(any(_file(test) == path for test in by) for by in self._by_line[file].values())
        return own / max(1, self._reach[path])


def statement(path: Path, line: int) -> range:
    """Return the lines of the statement that a line belongs to; of one with a body its head."""
    return next((lines for lines in _statements(path) if line in lines), range(line, line + 1))


@cache
def _statements(path: Path) -> list[range]:
    """Return the lines of each statement, the innermost first."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return sorted((_head(node) for node in nodes if isinstance(node, ast.stmt)), key=len)


def _head(node: ast.stmt) -> range:
    first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
    body = getattr(node, "body", None)
    last = min(one.lineno for one in body) - 1 if body else node.end_lineno or first
    return range(first, max(first, last) + 1)


def _importers(folder: Path) -> dict[str, set[str]]:
    """Return by file the files of services/, modelling/ and tests/unit that import it."""
    found: dict[str, set[str]] = defaultdict(set)
    for root in ("services", "modelling", "tests/unit"):
        for path in (folder / root).rglob("*.py"):
            for name in _imports(ast.parse(path.read_text())):
                for file in (f"{name.replace('.', '/')}.py", f"{name.replace('.', '/')}/__init__.py"):
                    found[file].add(path.relative_to(folder).as_posix())
    return found


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _file(test: str) -> str:
    return test.partition("::")[0]
