"""What documents say, looked up: the text under a heading, and a table's rows."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def text_of(name: str) -> str:
    """Return the text of a file of the repository."""
    return (ROOT / name).read_text("utf-8")


def section(document: str, heading: str) -> str:
    """Return what stands under a heading of the second order."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text_of(document), re.MULTILINE | re.DOTALL)
    assert found, f"{document} has no {heading}"
    return found[1]


def rows_of(document: str, under: str) -> list[list[str]]:
    """Return the cells of a table's rows, found by words of its head."""
    table = re.search(rf"^\|[^\n]*{re.escape(under)}[^\n]*\n\|[-|: ]+\n((?:\|.*\n)+)", text_of(document), re.MULTILINE)
    assert table, f"{document} has no table {under}"
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in table[1].splitlines()]
