"""What `moretta aim` draws of static faces."""

import io

import pytest
from rich.console import Console

from operate.cli.aim import screen
from proto.aiming import HEAT_COLUMNS, Advice, AimReportV1, PictureSize, StaticPlaces

AT = 1_795_537_200_000_000_000
MARK = "□"


def drawn(static, advice="fine", analysed=PictureSize(640, 360)):  # noqa: B008 - a value that cannot change
    """The lines of the map, without its frame, and those behind it."""
    console = Console(width=100, file=io.StringIO(), record=True)
    report = AimReportV1(
        site="cannes", camera="gate", since=0, at=0, left=0, analysed=analysed, advice=[Advice(advice)], static=static
    )
    console.print(screen(report))
    lines = console.export_text().splitlines()
    return [line[1:-1] for line in lines[1:19]], " ".join(" ".join(lines[20:]).split())


def marks(lines):
    """Rows and columns of the map's cells that are marked."""
    return {(row, column) for row, line in enumerate(lines) for column in range(32) if line[2 * column + 1] == MARK}


INNER = {(10, 17), (10, 18), (11, 17), (11, 18)}


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ((0.15625, 0.277778, 0.1875, 0.333333), {(5, 5)}),
        ((0.16, 0.28, 0.161, 0.281), {(5, 5)}),
        ((0.5, 0.5, 0.5 + 1e-6, 0.5 + 1e-6), {(9, 16)}),
        ((0.984375, 0.972222, 1.0, 1.0), {(17, 31)}),
        ((0.5, 0.5, 0.625, 0.722222), {(r, c) for r in range(9, 13) for c in range(16, 20)} - INNER),
    ],
    ids=["one cell, rounded", "within a cell", "a millionth", "the last one", "an outline"],
)
def test_a_place_is_marked_where_it_is(place, expected):
    """In all cells that it covers, but not within: what faces are there is to be seen."""
    lines, _ = drawn(StaticPlaces(AT, [place]))
    assert {len(line) for line in lines} == {2 * HEAT_COLUMNS}
    assert marks(lines) == expected


SOME, AS_OF = [(0.1, 0.1, 0.2, 0.2)], "as of 2026-11-24 16:20 UTC, renewed once a day"


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"static": StaticPlaces(AT, SOME)}, f"{MARK} 1 place; the faces that hang there are not counted {AS_OF}"),
        ({"static": StaticPlaces(AT, 2 * SOME)}, f"{MARK} 2 places; the faces that hang there are not counted {AS_OF}"),
        ({"static": StaticPlaces(AT)}, f"none {AS_OF}"),
        ({"static": StaticPlaces()}, "none told yet: a camera learns for an hour"),
        ({"static": None}, "not known: aggregate does not answer"),
        ({"static": None, "analysed": None}, "–"),
        ({"static": None, "advice": "faces-withheld"}, "–"),
    ],
    ids=["one", "two", "none", "still learning", "no answer", "no picture yet", "withheld"],
)
def test_what_is_known_is_told(how, told):
    """That nothing hangs there is another thing than that nobody could say so."""
    assert f"faces on walls {told} No picture" in drawn(**how)[1]
