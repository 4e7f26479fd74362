"""Which machine carries how many cameras: what was measured, what is computed from it, what nobody has tried. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from operate.sizing import Sent
from operate.sizing.needs import MAX_CAMERAS

_SHIPPED, _TWO = "moretta-2026-12", "two virtual cores of an AMD EPYC"
_LOADED, _SLOW = f"{_TWO}, other work on up to 0.26 of them", f"{_TWO}, a slow hour"
_FAST = f"{_TWO}, a fast hour, other work on up to 0.14"
_TWICE = "four such cores"


@dataclass(frozen=True)
class Machine:
    """So many cameras that one machine carries with all of Moretta on it, five analysed pictures a second of each."""

    stream: str
    machine: str
    basis: Literal["measured", "computed", "not tried"]
    cameras: int | None = None
    model: str = ""
    date: str = ""
    long_side: int | None = None
    """The longer side of the analysed picture, pixels."""


_CARRIED: dict[Sent, int] = {"1080p25": 4, "360p8": 9, "720p8": 10}
SHIPPED = {
    stream: Machine(stream, _LOADED, "measured", cameras, _SHIPPED, "2026-12-03", 640)
    for stream, cameras in _CARRIED.items()
}
"""With the model that is shipped; one run of `python -m bench.capacity --rounds 1` (docs/capacity.md)."""
OLDER = (
    Machine("1080p25, B-frames", _SLOW, "measured", 6, "moretta-2026-11-c", "2026-11-29", 640),
    Machine("1080p25", _SLOW, "measured", 8, "moretta-2026-11-c", "2026-11-29", 640),
    Machine("1080p25", _FAST, "measured", 14, "moretta-2026-11-b", "2026-11-25", 640),
    Machine("720p25", _FAST, "measured", 21, "moretta-2026-11-b", "2026-11-25", 640),
)
"""With models of before: the first takes a little longer than the shipped one, the second 0.6 of its time."""
NOT_TRIED = (Machine("any", "Raspberry Pi 5 and other arm64", "not tried"),)


def machines() -> Iterator[Machine]:
    """Yield every row of the table, of what was measured the worst first."""
    yield from SHIPPED.values()
    yield from OLDER
    for stream, found in SHIPPED.items():
        cameras = min(2 * _CARRIED[stream], MAX_CAMERAS[stream])
        yield replace(found, machine=_TWICE, basis="computed", cameras=cameras)
    yield from NOT_TRIED


def table() -> str:
    """Return the table as Markdown, as the documents quote it."""
    lines = ["| cameras | stream | `long_side` | machine | | model | date |", "|--:|---|--:|---|---|---|---|"]
    return "\n".join((*lines, *(_line(one) for one in machines())))


def _line(one: Machine) -> str:
    numbers = ["" if number is None else str(number) for number in (one.cameras, one.long_side)]
    cells = (numbers[0], one.stream, numbers[1], one.machine, one.basis, one.model, one.date)
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)
