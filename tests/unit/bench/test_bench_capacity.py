"""The capacity table's command and report, without measuring."""

import json
from pathlib import Path

import pytest
import typer
from fonts import _fonts  # noqa: F401 - a fixture
from typer.testing import CliRunner

from bench import capacity
from bench.capacity import row_figures, warnings
from bench.capacity_report import markdown, write
from bench.histogram import Histogram
from bench.kept import read_report
from bench.ratio import yardstick
from bench.rows import QUICK, Bench
from bench.system import Run, Scenario
from bench.verdicts import at_most
from operate.box.machine import BoxError

MACHINE = {"processor": "Z80", "cores": 2, "python": "3.11", "idle": 0.99}

LIFETIME = Histogram(((0.02, 90.0), (0.1, 99.0), (float("inf"), 100.0)))


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
    monkeypatch.setattr(capacity, "machine", lambda _plan: MACHINE)
    command = typer.Typer()
    command.command()(capacity.main)
    assert CliRunner().invoke(command, ["--report", str(tmp_path)]).exit_code == 1
    assert kept() == ["a", "ratio", "flat", "a"]
    figures = json.loads((tmp_path / "capacity.json").read_text())
    told = [(row["measured"], row["verdict"]) for row in figures["rows"][1:3]]
    assert told == [("KeyError: 'ingest'", "not measured"), ("nats-server did not start", "not measured")]
    monkeypatch.setattr(capacity, "ROWS", {"bus": works})
    assert CliRunner().invoke(command, []).exit_code == 0


def test_a_report_is_gone_on_with(tmp_path: Path, monkeypatch):
    """What was measured is kept, in the table's order, whatever fails, is asked for alone or breaks off."""
    asked: list[str] = []

    def row(name, *, works=True):
        async def measured(_bench):
            asked.append(name)
            if not works:
                raise BoxError("no")
            return [at_most(name, 2.0, [1.5]), at_most(f"{name} again", 1.0, [1.5])]

        return measured

    def kept():
        return [one["key"] for one in json.loads((tmp_path / "capacity.json").read_text())["rows"]]

    def run(*options, **rows):
        monkeypatch.setattr(capacity, "ROWS", rows)
        return CliRunner().invoke(command, ["--report", str(tmp_path), *options])

    monkeypatch.setattr(capacity, "machine", lambda _plan: MACHINE)
    command = typer.Typer()
    command.command()(capacity.main)
    assert run(flat=row("flat", works=False), bus=row("bus")).exit_code == 1
    assert kept() == ["flat", "bus", "bus"]
    assert run("--only", "late", flat=row("flat"), bus=row("bus"), late=row("late")).exit_code == 0
    assert kept() == ["bus", "bus", "late", "late"]
    assert run(flat=row("flat"), bus=row("bus"), late=row("late")).exit_code == 0
    assert asked == ["flat", "bus", "late", "flat"]
    assert kept() == ["flat", "flat", "bus", "bus", "late", "late"]


@pytest.mark.parametrize(
    ("content", "machine", "told"),
    [
        ("{", MACHINE, "is no report of this bench"),
        ("[]", MACHINE, "is no report of this bench"),
        ('{"machine": {}, "warnings": [], "rows": [{}], "runs": {}, "cpu_ms": {}}', MACHINE, "no report of this bench"),
        (None, {**MACHINE, "cores": 64}, "with another cores"),
        (None, {**MACHINE, "plan": "quick"}, "with another plan"),
    ],
)
def test_a_report_of_another_kind_is_left_as_it_is(tmp_path: Path, content, machine, told):
    """Nothing is lost by measuring elsewhere, or in another way."""
    file = tmp_path / "capacity.json"
    write(tmp_path, {"machine": MACHINE, "warnings": [], "rows": []}, Bench(tmp_path, QUICK, lambda *_: None))
    if content is not None:
        file.write_text(content)
    before = file.read_text()
    with pytest.raises(ValueError, match=told):
        read_report(tmp_path, machine)
    assert file.read_text() == before


async def test_a_yardstick_that_fails_is_told(tmp_path: Path):
    """Not its missing answer: a file that isn't there ends it with a code."""
    with pytest.raises(BoxError, match="the yardstick ended with exit code 1"):
        await yardstick(Scenario([tmp_path / "missing.mp4"], 1, seconds=1))


def test_the_report(tmp_path: Path):
    """Table, numbers and chart; a percentile beyond 100 ms is null and not infinite, since JSON has no infinity."""
    bench = Bench(tmp_path, QUICK, lambda _what, _done: None)
    bad = Run(due=5, seconds=10, analysed=20, lifetime=Histogram(((0.1, 0.0), (float("inf"), 9.0))))
    bench.searched["1080p25"] = [(1, Run(due=5, seconds=10, analysed=50, lifetime=LIFETIME)), (2, bad)]
    bench.costs = {"1080p25": {"ingest": [20.0, 21.0], "in one process": [19.0]}}
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
    scenario = Scenario([tmp_path / "a.mp4", tmp_path / "b.mp4"], 5, seconds=1, fps=4)
    (site,) = scenario.settings()["sites"]
    assert [Path(camera["url"]).stem for camera in site["cameras"]] == ["a", "b", "a", "b", "a"]
    assert all(camera["loop"] for camera in site["cameras"])
    assert scenario.due == 20
