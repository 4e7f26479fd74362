"""The capacity table's command and report, without measuring."""

import json
from pathlib import Path

import pytest
import typer
from fonts import open_fonts
from typer.testing import CliRunner

from bench import capacity
from bench.capacity import row_figures, warnings
from bench.capacity_report import markdown, write
from bench.histogram import Histogram
from bench.ratio import yardstick_ms
from bench.rows import QUICK, Bench
from bench.system import Run, Scenario
from bench.verdicts import at_most
from operate.box.error import BoxError

MACHINE = {"processor": "Z80", "cores": 2, "python": "3.11", "idle": 0.99}

LIFETIME = Histogram(((0.02, 90.0), (0.1, 99.0), (float("inf"), 100.0)))


@pytest.fixture(autouse=True, scope="module")
def _fonts():
    open_fonts()


@pytest.mark.parametrize(
    ("change", "others", "about"),
    [
        ({}, [0.05], []),
        ({}, [], []),
        ({"cores": 8}, [], ["8"]),
        ({"idle": 0.5}, [], ["50%"]),
        ({}, [0.0, 1.2], ["1.20 cores"]),
    ],
)
def test_it_is_said_what_makes_figures_doubtful(change, others, about):
    """Another number of cores, a busy machine before, other work meanwhile."""
    told = warnings(MACHINE | change, others)
    assert len(told) == len(about)
    assert all(part in text for part, text in zip(about, told, strict=True))


def test_a_row_that_fails_takes_no_other_with_it(tmp_path: Path, monkeypatch):
    """It says why, what was measured is written before and after it, and the exit code is 1."""

    def kept():
        return [row["name"] for row in json.loads((tmp_path / "capacity.json").read_text())["rows"]]

    async def breaks(_bench):
        assert kept() == ["a"]
        raise KeyError("ingest")

    async def ends(_bench):
        raise BoxError("nats-server did not start")

    async def works(_bench):
        return at_most("a", 2.0, [1.5])

    monkeypatch.setattr(capacity, "ROWS", {"bus": works, "ratio": breaks, "flat": ends, "decode": works})
    monkeypatch.setattr(capacity, "machine", lambda: MACHINE)
    command = typer.Typer()
    command.command()(capacity.main)
    assert CliRunner().invoke(command, ["--report", str(tmp_path)]).exit_code == 1
    assert kept() == ["a", "ratio", "flat", "a"]
    figures = json.loads((tmp_path / "capacity.json").read_text())
    told = [(row["measured"], row["verdict"]) for row in figures["rows"][1:3]]
    assert told == [("KeyError: 'ingest'", "not measured"), ("nats-server did not start", "not measured")]
    monkeypatch.setattr(capacity, "ROWS", {"bus": works})
    assert CliRunner().invoke(command, []).exit_code == 0


async def test_a_yardstick_that_fails_is_told(tmp_path: Path):
    """Not its missing answer: a file that isn't there ends it with a code."""
    with pytest.raises(BoxError, match="the yardstick ended with exit code 1"):
        await yardstick_ms(Scenario([tmp_path / "missing.mp4"], 1, seconds=1))


def test_the_report(tmp_path: Path):
    """Table, numbers and chart; a percentile beyond 100 ms is null and not infinite, since JSON has no infinity."""
    bench = Bench(tmp_path, QUICK, lambda _what, _done: None)
    bad = Run(due=5, seconds=10, analysed=20, lifetime=Histogram(((0.1, 0.0), (float("inf"), 9.0))))
    bench.searched["1080p25"] = [(1, Run(due=5, seconds=10, analysed=50, lifetime=LIFETIME)), (2, bad)]
    bench.costs = {"ingest": [20.0, 21.0], "in one process": [19.0]}
    row = row_figures(at_most("a|b", 1.08, [1.05, 1.2, 1.07], note="4 cameras"))
    figures = {"machine": MACHINE, "warnings": ["it was busy"], "rows": [row]}
    write(tmp_path, figures, bench)
    kept = json.loads((tmp_path / "capacity.json").read_text())
    assert [one["p99_ms"] for one in kept["runs"]["1080p25"]] == [100.0, None]
    assert (tmp_path / "capacity.png").read_bytes().startswith(b"\x89PNG")
    text = (tmp_path / "capacity.md").read_text()
    assert text == markdown(figures, has_chart=True)
    assert "| a\\|b | <= 1.08 | 1.07 | met | 1.05, 1.2, 1.07 | 4 cameras |" in text
    assert "**It was busy.**" in text


def test_cameras_take_the_clips_in_turn(tmp_path: Path):
    """Five cameras on two clips; what is due is all cameras' rate."""
    scenario = Scenario([tmp_path / "a.mp4", tmp_path / "b.mp4"], 5, seconds=1, fps=4, more={"skip_loop_filter": True})
    (site,) = scenario.settings()["sites"]
    assert [Path(camera["url"]).stem for camera in site["cameras"]] == ["a", "b", "a", "b", "a"]
    assert all(camera["skip_loop_filter"] and camera["loop"] for camera in site["cameras"])
    assert scenario.due == 20
