"""Output of `moretta calibrate`: a table on standard error, the lines for the settings on standard output."""

import msgspec
from rich.console import Console
from rich.table import Table

from operate.calibrating import Calibration
from proto.model_errors import ModelErrors
from services.sites.figures import rates
from services.sites.measurement import Judged

PEOPLE = 100
"""The width of an interval is shown for so many people."""


def shown(found: Calibration, *, as_json: bool) -> None:
    """Print what was found."""
    if as_json:
        print(msgspec.json.encode(found).decode())
        return
    console = Console(stderr=True)
    console.print(table(found))
    console.print(f"Put these lines into the section of {found.site} in its settings:")
    print(found.lines())


def table(found: Calibration) -> Table:
    """Return what was counted by hand beside what was judged, and the interval before and after."""
    shown = Table(title=f"{found.site}: {found.windows} windows counted by hand")
    for name in ("", "with a mask", "others", "not judged", "share"):
        shown.add_column(name, justify="right" if name else "left")
    for name, kinds, unknown in (("by hand", found.counted, "–"), ("by Moretta", found.judged, str(found.unknown))):
        shown.add_row(name, str(kinds.masked), str(kinds.others), unknown, f"{kinds.masked / max(1, sum(kinds)):.1%}")
    shown.add_section()
    for name, errors in (("before", found.before), ("from now on", found.after)):
        shown.add_row(f"{PEOPLE} people at 60 %: {name}", "", "", "", _span(errors))
    return shown


def _span(errors: ModelErrors) -> str:
    ends = rates(6 * PEOPLE // 10, [Judged(PEOPLE, errors)]).interval
    assert ends is not None
    return f"{ends[0]:.0%} to {ends[1]:.0%}"
