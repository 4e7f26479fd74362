"""Output of `moretta calibrate`: a table, or JSON."""

from collections.abc import Iterator

import msgspec
from rich.console import Console
from rich.table import Table

from operate.output import percent
from operate.stats.calibrate import Calibration
from proto.types import WHOLE_SITE
from services.statistics.proportions import Interval

NONE = "–"


def shown(found: Calibration, *, as_json: bool) -> None:
    """Print what was found."""
    if as_json:
        print(msgspec.json.encode(found).decode())
    else:
        Console().print(table(found))


def table(found: Calibration) -> Table:
    """Return a table of both sides, with a line for each figure."""
    place = "the whole site" if found.zone == WHOLE_SITE else f"zone {found.zone}"
    windows = "1 window" if found.windows == 1 else f"{found.windows} windows"
    title = f"{found.site}, {place}: {windows} counted by hand"
    caption = "Nothing is corrected. If they differ: docs/operations.md#calibrate"
    drawn = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    drawn.add_column("")
    for name in ("by hand", "published", "difference"):
        drawn.add_column(name, justify="right")
    for line in _lines(found):
        drawn.add_row(*line)
    return drawn


def _lines(found: Calibration) -> Iterator[tuple[str, str, str, str]]:
    """Yield what each line says: the figure's name, by hand, published, and how they differ."""
    hand, published, apart = found.by_hand, found.published, found.difference
    more = NONE if apart.persons is None else f"{apart.persons:+.1%}"
    points = NONE if apart.rate is None else f"{100 * apart.rate:+.1f} points"
    yield "people (passages)", str(hand.persons), str(published.persons), more
    yield "with a mask", str(hand.masked), str(published.masked), ""
    yield "others", str(hand.others), str(published.others), ""
    yield "not judged", NONE, str(published.unknown), ""
    yield "rate", percent(hand.rate), percent(published.rate), points
    yield "95 % interval", NONE, _span(published.interval), _holds(found.inside)


def _span(ends: Interval | None) -> str:
    return NONE if ends is None else f"{percent(ends[0])} to {percent(ends[1])}"


def _holds(inside: bool | None) -> str:
    return NONE if inside is None else f"rate by hand is {'inside' if inside else 'outside'}"
