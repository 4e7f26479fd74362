"""Log events are short noun phrases; all else about them is fields."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
MAX_WORDS = 5


def events() -> Iterator[tuple[str, str]]:
    """Yield where something is logged, and its event; of an f-string each part that is filled in counts as one word."""
    for top in ("services", "operate", "testbed", "moretta"):
        for file in sorted((ROOT / top).rglob("*.py")):
            tree = ast.parse(file.read_text("utf-8"))
            named = dict(constants(tree))
            for call in ast.walk(tree):
                match call:
                    case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=level), args=[event, *_]):
                        if level in LEVELS:
                            place = f"{file.relative_to(ROOT)}:{call.lineno}"
                            yield from ((place, text) for text in texts(event, named))


def constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names of a module's constants, and what they are."""
    for line in tree.body:
        match line:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value


def texts(event: ast.expr, named: dict[str, ast.expr]) -> Iterator[str]:
    """Yield what an expression may be; what is not written down there is no event."""
    match event:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in parts)
        case ast.IfExp(body=one, orelse=other):
            yield from (*texts(one, named), *texts(other, named))
        case ast.Name(id=name) if name in named:
            yield from texts(named[name], named)
        case _:
            yield f"not written down: {ast.unparse(event)}, so nobody can look for it"


def test_each_is_a_phrase_of_five_words_at_most():
    """A sentence is a reason, an advice, an error: a field."""
    found = list(events())
    assert len(found) > 100
    wrong = [(place, text) for place, text in found if len(text.split()) > MAX_WORDS or set(text) & set(".;:?!")]
    assert [one for one in wrong if one[1] not in {"notify.receivers is empty", "notify.salt is not set"}] == []
