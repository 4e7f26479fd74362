"""The tables of the model's bench."""

import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench.model_accuracy import LIMITS_PX, Found
from bench.model_sessions import SIZES
from bench.model_speed import Speed, Timing
from bench.model_tables import FACE_M, distance_m, headline, markdown, tables, terminal

DOCUMENT = Path(__file__).parents[3] / "docs" / "model" / "speed.md"


def took(dtype, size, total):
    return Speed(dtype, size, Timing(1, 1), {}, Timing(total, total + 1))


def cells(lines, row):
    """The cells of the row with this name, by column."""
    (found,) = [r for r in lines.rows if r[0] == row]
    return dict(zip(lines.columns, found, strict=True))


def named(title, report):
    (table,) = [t for t in tables(report) if t.title.startswith(title)]
    return table


def test_every_row_is_whole(report):
    """Each row has a cell a column, and no cell is empty."""
    for table in tables(report()):
        assert {len(row) for row in table.rows} == {len(table.columns)}
        assert all(cell for row in table.rows for cell in row)


def test_the_headline():
    """The target's figure is float32 at 640x360 with six faces of 32 px, over CenterFace with folded batch norms."""
    speeds = [took("float32", (480, 272), 1), took("int8", (640, 360), 2), took("float32", (640, 360), 6.8)]
    assert headline(speeds, Timing(34, 39)) == pytest.approx(0.2)


def test_the_larger_ratio_is_the_headline():
    """Where minima and medians differ, the figure is the less flattering one."""
    assert headline([took("float32", (640, 360), 6.8)], Timing(34, 30)) == pytest.approx(7.8 / 30)


@pytest.mark.parametrize(("ratio", "word"), [(0.2, "met"), (0.1999, "met"), (0.2001, "missed")])
def test_met_or_missed(ratio, word, report):
    """The bar itself is met; a little more is missed."""
    assert cells(named("The target", report(ratio)), "bar")["ms, ratio"] == f"0.2 ({word})"


def test_time(report):
    """Minimum and median of each part, and the total as a share of either form of CenterFace."""
    row = cells(named("Time", report()), "640x360 float32")
    assert row["detector"] == "6.0 / 6.0"
    assert row["6 faces of 16 px"] == "2.0 / 2.0"
    assert row["detector + 32 px"] == "8.0 / 9.0"
    assert row["/ as packaged"] == f"{9 / 62:.3f}"
    assert row["/ folded"] == f"{9 / 35:.3f}"


def test_accuracy_by_source_then_size(report):
    """One source after the other, the sizes rising, float32 above int8."""
    names = [row[0] for row in named("Accuracy", report()).rows]
    assert names[:4] == ["one, 480, float32", "one, 480, int8", "one, 640, float32", "one, 640, int8"]
    assert [name.split(",")[0] for name in names] == ["one"] * 8 + ["two"] * 8
    row = cells(named("Accuracy", report()), "two, 960, int8")
    assert (row["faces"], row["F1"], row["precision"], row["found masked"]) == ("100", "95.0 %", "96.0 %", "94.0 %")
    assert (row["found bare"], row["mask right"], row["unknown"]) == ("93.0 %", "99.0 %", "2.0 %")


def test_found_by_size(report):
    """A row for each size of a face, a column for each of the picture; unknown is of those found in all columns."""
    table = named("Found", report())
    assert table.rows[0][0] == f"{LIMITS_PX[0]}–{LIMITS_PX[1]} px"
    assert table.rows[-1][0] == f"{LIMITS_PX[-2]} px and more"
    row = cells(table, "16–24 px")
    assert row["found at 480"] == row["found at 1280"] == "75.0 % of 4"
    assert row["unknown of the found"] == "33.3 %"


def test_no_face_of_a_size(report):
    """Where there was nothing to find a dash says so."""
    none = [Found((8, 12), width, 0, 0, 0) for width, _ in SIZES]
    assert set(cells(named("Found", report(found=none)), "8–12 px").values()) == {"8–12 px", "–"}


def test_distance(report):
    """A face of 17 cm at 1 m before a lens of 90 degrees covers 8.5 % of the picture's width."""
    assert distance_m(640, 640 * FACE_M / 2, 90) == pytest.approx(1.0)
    assert cells(named("How far", report()), "640x360")["24 px, lens 90°"] == f"{640 * FACE_M / 2 / 24:.1f} m"


@given(st.sampled_from([480, 640, 960]), st.floats(4, 100), st.floats(20, 120))
def test_distance_grows_with_the_picture(width, px, lens):
    """Twice the width, twice the distance; half the pixels, twice the distance; a wider lens, less."""
    here = distance_m(width, px, lens)
    assert distance_m(2 * width, px, lens) == pytest.approx(2 * here)
    assert distance_m(width, px / 2, lens) == pytest.approx(2 * here)
    assert distance_m(width, px, lens + 5) < here


def test_markdown_is_well_formed(report):
    """Every table has a title, a rule below its header and as many bars in each line."""
    text = markdown(report())
    assert text.startswith("## Tables\n")
    assert text.endswith("|\n")
    blocks = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    assert len(blocks) == len(tables(report()))
    for block in blocks:
        first, rule, *rows = block.splitlines()
        assert rows
        assert set(rule) <= set("|-: ")
        assert {line.count("|") for line in (first, rule, *rows)} == {first.count("|")}
    assert all(f"**{table.title}**" in text for table in tables(report()))


def test_markdown_says_what_was_measured(report):
    """Model, processor, library and rounds stand above the tables."""
    head = markdown(report()).split("**")[0]
    assert all(word in head for word in ("moretta-test", "one processor", "1.2.3", "9 rounds"))


@pytest.mark.parametrize(("waited", "is_busy"), [(0.0, False), (0.02, False), (0.021, True), (0.9, True)])
def test_a_busy_machine(report, waited, is_busy):
    """Where other work took the processor, both forms say so, and that the times are not to be relied on."""
    busy = report(waited=waited)
    told = [line for line in terminal(busy) if isinstance(line, str)]
    assert ("not to be relied on" in markdown(busy), "not to be relied on" in "".join(told)) == (is_busy, is_busy)
    assert f"for {waited * 100:.1f} % of the timed part" in markdown(busy)
    assert ("not judged" in cells(named("The target", busy), "bar")["ms, ratio"]) == is_busy


def test_the_document_holds_these_tables(report):
    """docs/model/speed.md ends with the tables that this code writes: same titles, same columns, same first cells."""
    if not DOCUMENT.exists():
        pytest.skip("not a checkout")
    written = DOCUMENT.read_text("utf-8")
    assert written.count("\n## Tables\n") == 1
    section = written[written.index("\n## Tables\n") :]
    for table in tables(report()):
        assert f"**{table.title}**\n\n| {' | '.join(table.columns)} |\n" in section


def test_terminal_shows_every_cell(report):
    """What is printed on a wide terminal holds every title and every cell."""
    console = Console(file=io.StringIO(), width=200)
    console.print(*terminal(report()), sep="\n")
    printed = console.file.getvalue()
    for table in tables(report()):
        assert table.title in printed
        assert all(cell in printed for row in table.rows for cell in row)
