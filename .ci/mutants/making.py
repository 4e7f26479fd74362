"""Makes mutants with cosmic-ray, and draws some."""

import ast
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from functools import cache, cached_property
from pathlib import Path

import fixed
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

_OF_SIGNATURES = (",", "/", ")")
"""What may follow the star of a signature, which cosmic-ray takes for arithmetic."""
_PLAIN = {"name", "string", "newline", "endmarker", "trailer", "atom", "parameters", "suite", "file_input", "arglist"}
"""What no operator changes; not to look is faster."""
Place = tuple[int, int]
"""A line from 1 on and a column in characters."""


@dataclass(frozen=True)
class Mutant:
    """One change of one module. `occurrence` counts the operator's places in it; `nth` those with the same text."""

    part: str
    file: str
    operator: str
    occurrence: int
    line: int
    text: str
    """The line that is changed, stripped: names the mutant in a way that outlives changes elsewhere in the module."""
    nth: int

    @cached_property
    def lot(self) -> bytes:
        """Where it comes in the draw: by its name alone, so that a change of one line redraws no other."""
        name = (fixed.SEED, self.file, self.operator, self.text, str(self.nth))
        return hashlib.sha256("\0".join(name).encode()).digest()

    @property
    def module(self) -> str:
        return self.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @cache  # noqa: B019 - of 300
    def source(self, folder: Path) -> str | None:
        """Return the changed module's text; None if that is no Python, such as a sign of a signature."""
        plain = (folder / self.file).read_text()
        changed: str | None = mutate_code(plain, get_operator(f"core/{self.operator}")(), self.occurrence)
        if changed is None or changed == plain:
            return None
        try:
            compile(changed, self.file, "exec")
        except SyntaxError:
            return None
        return changed

    def diff(self, folder: Path) -> str:
        before, after = (folder / self.file).read_text(), self.source(folder) or ""
        lines = list(unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0))
        return "\n".join(line for line in lines[2:] if not line.startswith("@@"))


def modules(folder: Path) -> dict[str, list[str]]:
    """Return the modules of each part, by name."""
    return {
        part: sorted({path.relative_to(folder).as_posix() for pattern in patterns for path in folder.glob(pattern)})
        for part, patterns in fixed.PARTS.items()
    }


def drawn(folder: Path) -> tuple[list[Mutant], dict[str, int]]:
    """Return the mutants that the seed draws, and how many each part has in all; each part gets its share."""
    made = {part: sorted(_of(part, files, folder), key=lambda m: m.lot) for part, files in modules(folder).items()}
    counts = {part: len(mutants) for part, mutants in made.items()}
    chosen: list[Mutant] = []
    for part, share in shares(counts, fixed.DRAWN).items():
        valid = (mutant for mutant in made[part] if mutant.source(folder) is not None)
        chosen += [mutant for mutant, _ in zip(valid, range(share), strict=False)]
    return chosen, counts


def shares(counts: dict[str, int], total: int) -> dict[str, int]:
    """Return each one's part of a total, by largest remainder."""
    whole = sum(counts.values())
    exact = {name: count * total / whole for name, count in counts.items()}
    found = {name: int(share) for name, share in exact.items()}
    for name in sorted(exact, key=lambda name: found[name] - exact[name])[: total - sum(found.values())]:
        found[name] += 1
    return found


def _of(part: str, files: list[str], folder: Path) -> Iterator[Mutant]:
    for file in files:
        source = (folder / file).read_text()
        lines, ranges = source.splitlines(), list(skipped(source))
        places: dict[str, list[Place]] = defaultdict(list)
        operators = [(name, get_operator(f"core/{name}")()) for name in fixed.OPERATORS]
        for node in ast_nodes(get_ast(source)):
            if node.type in _PLAIN:
                continue
            for name, operator in operators:
                places[name] += (start for start, _ in operator.mutation_positions(node))
        for name, starts in places.items():
            seen: Counter[str] = Counter()
            for occurrence, start in enumerate(starts):
                text = lines[start[0] - 1].strip()
                seen[text] += 1
                is_star = "Binary" in name and lines[start[0] - 1][start[1] + 1 :].startswith(_OF_SIGNATURES)
                if not is_star and not any(begin <= start < end for begin, end in ranges):
                    yield Mutant(part, file, name, occurrence, start[0], text, seen[text])


def skipped(source: str) -> Iterator[tuple[Place, Place]]:
    """Yield where nothing is changed: some arguments, aliases of types, and annotations that call nothing."""
    lines = source.splitlines()

    def span(node: ast.expr | ast.keyword) -> tuple[Place, Place]:
        ends = ((node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0))
        begin, end = ((line, len(lines[line - 1].encode()[:column].decode())) for line, column in ends)
        return begin, end

    tree = ast.parse(source)
    values = [statement.value for statement in tree.body if isinstance(statement, ast.Assign)]
    kinds: list[ast.expr] = [
        value for value in values if isinstance(value, ast.Subscript | ast.BinOp) and _names_types(value)
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in fixed.SKIPPED_KEYWORDS:
            yield span(node)
        kinds += [
            kind
            for kind in (getattr(node, "annotation", None), getattr(node, "returns", None))
            if kind is not None and not any(isinstance(inner, ast.Call) for inner in ast.walk(kind))
        ]
    yield from map(span, kinds)


def _names_types(value: ast.expr) -> bool:
    """Whether an expression is made of names alone, joined by `|` or in brackets: an alias of a type."""
    allowed = ast.Subscript | ast.Tuple | ast.List | ast.Name | ast.Attribute | ast.Load | ast.BinOp | ast.BitOr
    others = [inner for inner in ast.walk(value) if not isinstance(inner, allowed)]
    return all(isinstance(one, ast.Constant) and not isinstance(one.value, int | float) for one in others)
