"""A figure as PNG, and which letters it can show."""

from functools import cache
from io import BytesIO
from threading import Lock

from services.sites.charts.periods import Figure

# After the charts' own: that says where matplotlib keeps its list of fonts.
from matplotlib.font_manager import FontProperties, findfont  # isort: skip
from matplotlib.ft2font import FT2Font  # isort: skip

_ONE_AT_A_TIME = Lock()
"""matplotlib keeps fonts and measures of text in common."""
_FONT = "DejaVu Sans"
"""Comes with matplotlib, and is what it writes with."""


def png(figure: Figure) -> bytes:
    """Return the picture; the same figure gives the same bytes with the same matplotlib. Threads take turns."""
    out = BytesIO()
    with _ONE_AT_A_TIME:
        figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def drawable(name: str, otherwise: str) -> str:
    """Return the name; where the font has no letters for it, what is to be written instead."""
    return name if all(ord(sign) in _letters() for sign in name) else otherwise


@cache
def _letters() -> frozenset[int]:
    return frozenset(FT2Font(findfont(FontProperties(family=_FONT))).get_charmap())
