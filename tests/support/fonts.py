"""matplotlib's fonts."""

import os

import pytest
from matplotlib import font_manager

from services.charts.periods import Figure


def open_fonts() -> None:
    """Draw a word, and a bold one: matplotlib keeps a font open once used, which is not what a test leaves behind."""
    figure = Figure()
    figure.text(0, 0, "moretta")
    figure.text(0, 0, "moretta", fontweight="bold")
    figure.savefig(os.devnull, format="png")


def close_fonts() -> None:
    """Close those that were opened by a thread that has ended: it keeps them for each thread."""
    font_manager._get_font.cache_clear()


@pytest.fixture(autouse=True, scope="module", name="_fonts")
def _fonts() -> None:
    """For each test of a file that takes this name."""
    open_fonts()
