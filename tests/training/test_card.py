"""The model card: what its fixed part asks for is what a training run fills in."""

import ast
import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "modelling/training"


def test_every_gap_of_the_card_has_a_figure():
    """By name, both ways: a run of hours must not end with a gap that nobody fills, or a figure that nobody shows."""
    asked = set(re.findall(r"\{([A-Z_0-9]+)\}", (FOLDER / "card.md").read_text("utf-8")))
    functions = [
        one for one in ast.walk(ast.parse((FOLDER / "card.py").read_text("utf-8"))) if isinstance(one, ast.Dict)
    ]
    keys = {key.value for one in functions for key in one.keys if isinstance(key, ast.Constant)}
    assert {key for key in keys if isinstance(key, str) and key.isupper()} == asked
