"""What bench.scale tells, asks for and makes of it, without running anything."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest
import typer
import yaml
from fonts import open_fonts
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bench import scale
from bench.scale import QUICK, Plan, figures, rows, table
from bench.scale_found import Found, line, lines, per_site
from bench.scale_load import NOBODY, Crowd, Load, crowd_of, told
from bench.scale_system import Layout, Measured, Restart, _together
from services.aggregate.settings import AggregateFile
from services.kernel.settings import load
from services.notify.settings import NotifyFile
from testbed.simulation.scenario import Phase, Scenario

open_fonts()
PERIOD = 200_000_000
FEW = Crowd(Scenario(phases=[Phase(seconds=20, arrivals_per_minute=60)]), views=2)
CORES = {"nats-server": 0.01, "aggregate": 0.02, "notify": 0.005}


def ran(cameras: int, sites: int = 1, scenario: str = "medium", replicas: int = 1, each: float = 1e-3) -> Measured:
    """Return a run in which each camera costs every program 1 ms a second, and each site after the first 2 ms."""
    layout = Layout(Load(cameras=cameras, sites=sites, scenario=scenario), replicas=replicas)
    cores = {name: fixed + each * cameras + 2e-3 * (sites - 1) for name, fixed in CORES.items()}
    return Measured(
        layout,
        seconds=10.0,
        cpu_s={name: 10 * one for name, one in cores.items()},
        rss=dict.fromkeys(CORES, 1 << 20),
        stored={"SIGHTINGS": 10 * (5 * cameras + sites)},
        lags=[0.1, 0.2, 0.9],
        closing=[0.3, 0.4],
        faces=1.5,
    )


AGAIN = Restart(messages=40_000, passages=300, seconds=10.0, cpu_s=8.0, rss=1 << 27, stream_bytes=1 << 24)
FOUND = Found([ran(100), ran(10), ran(100, scenario=NOBODY), ran(100, 10), ran(100, 10, replicas=2)], AGAIN)


@given(cameras=st.integers(1, 60), sites=st.integers(1, 7))
def test_cameras_are_shared_evenly_by_sites(cameras, sites):
    """Each camera once, sites differ by one at most, and the file is one that the services take."""
    wanted = Load(cameras=cameras, sites=min(sites, cameras))
    assert len(set(wanted.places)) == cameras
    counts = [len(list(group)) for _, group in itertools.groupby(sorted(site for site, _ in wanted.places))]
    assert (len(counts), max(counts) - min(counts) <= 1) == (wanted.sites, True)
    assert sum(len(site["cameras"]) for site in Layout(wanted).settings["sites"]) == cameras


def test_the_services_take_these_settings(tmp_path: Path):
    """Several sites with zones and rules, as aggregate and notify read them."""
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(Layout(Load(cameras=13, sites=2)).settings))
    read = load(file, AggregateFile)
    assert [(len(site.cameras), len(site.zones), len(site.rules)) for site in read.sites] == [(7, 2, 2), (6, 2, 2)]
    assert len(load(file, NotifyFile).sites) == 2


def test_sightings_come_as_from_cameras():
    """In the order of time, five a second and camera, numbered without a gap, and not all cameras see the same."""
    wanted = Load(cameras=5, sites=2)
    seen = list(itertools.islice(told(wanted, FEW, began=7, lease=3), 5 * 50))
    assert [s.at for s in seen] == sorted(s.at for s in seen)
    assert {(s.site, s.camera) for s in seen} == set(wanted.places)
    own = [s for s in seen if (s.site, s.camera) == wanted.places[3]]
    assert [s.sequence for s in own] == list(range(50))
    assert {b.at - a.at for a, b in itertools.pairwise(own)} == {PERIOD}
    assert [s.faces for s in seen if s.camera == "c0000" and s.site == "s000"] != [s.faces for s in own]


def test_crowds_are_as_large_as_they_say():
    """Somebody where people come, nobody where none do."""
    assert 0.1 < FEW.mean < 10
    assert crowd_of(Load(cameras=3, scenario=NOBODY)).mean == 0.0


@given(
    fixed=st.floats(0, 0.5), each=st.floats(1e-5, 1e-2), cameras=st.lists(st.integers(1, 999), min_size=2, unique=True)
)
def test_a_line_is_found_again(fixed, each, cameras):
    """Points on a line give that line, and how many cameras fill a core."""
    found = line([(float(n), fixed + each * n) for n in cameras])
    assert found.fixed == pytest.approx(fixed, abs=1e-6)
    assert found.each == pytest.approx(each, rel=1e-4)
    assert found.at(found.full) == pytest.approx(1.0, rel=1e-6)


def test_what_costs_nothing_fills_no_core():
    """As of notify, whose cost cameras don't change."""
    assert line([(1.0, 0.1), (9.0, 0.1)]).full == float("inf")


def test_costs_are_told_apart():
    """A camera's from runs at one site, a site's from runs with the same cameras; other crowds and replicas in none."""
    by_camera, by_site = lines(FOUND.curve()), per_site(FOUND.runs)
    assert [run.layout.load.cameras for run in FOUND.curve()] == [10, 100]
    assert by_camera["aggregate"].each == pytest.approx(1e-3)
    assert by_camera["aggregate"].fixed == pytest.approx(0.02)
    assert {round(one.each, 6) for one in by_site.values()} == {2e-3}


def test_what_fell_behind_is_in_no_line():
    """A machine that is too slow makes cameras look cheap: too few were told, or they were decided too late."""
    slow, few = replace(ran(1000, each=1e-4), lags=[3.0]), replace(ran(500, each=1e-4), stored={"SIGHTINGS": 9_000})
    assert [run.kept_up for run in (ran(10), slow, few)] == [True, False, False]
    assert lines([ran(10), ran(100), slow, few])["aggregate"].each == pytest.approx(1e-3)
    assert lines([slow])["aggregate"].each == 0.0


def test_the_rows_say_what_is_missed():
    """By the run with most cameras: 0.24 ms a sighting are too many, half of the looks at the lag count."""
    found = {row.name: row for row in rows(FOUND)}
    assert [row.verdict for row in found.values()] == ["missed", "missed", "met", "met", "met"]
    assert all("100 cameras at one site" in name for name in list(found)[:4])
    slow = Found([replace(ran(10), lags=[2.0]), ran(10, 2)], replace(AGAIN, seconds=20.0))
    assert [row.verdict for row in rows(slow)][2:] == ["missed", "met", "missed"]


def test_replicas_count_as_one():
    """Of aggregate's processes the sum of what they take, and the largest."""
    apart = {"aggregate-0": 2, "aggregate-1": 3, "notify": 1}
    assert (_together(apart, sum)["aggregate"], _together(apart, max)["aggregate"]) == (5, 3)
    assert ran(10).told_share == pytest.approx(1.0)


def test_the_plan_has_each_run_once():
    """Cameras, crowds, sites, and replicas at the fewest sites; the quick one is one round of each kind."""
    found = Plan().layouts
    assert len({str(layout) for layout in found}) == len(found) == 9
    assert [(one.load.sites, one.replicas) for one in found if one.replicas > 1] == [(10, 2)]
    assert {one.load.scenario for one in QUICK.layouts} == {"medium", NOBODY}


def test_the_report_is_written(tmp_path: Path):
    """Every number as JSON, a chart, and a line for each run."""
    from bench.scale_chart import chart

    chart(tmp_path / "scale.png", FOUND)
    assert (tmp_path / "scale.png").read_bytes()[:4] == b"\x89PNG"
    again = json.loads(json.dumps(figures(FOUND)))
    assert (len(again["found"]["runs"]), again["per_camera"]["notify"]["fixed"]) == (5, pytest.approx(0.005))
    assert table(FOUND).row_count == 5
    assert scale.in_words(FOUND.runs[3].layout) == "100 cameras, 10 sites, medium, 1 aggregate"


def test_the_command_writes_what_was_found(tmp_path: Path, monkeypatch):
    """The table and the rows are printed, or everything as JSON; the report is written in either case."""

    async def look(plan, hears):
        hears("four cameras", 0.0)
        return replace(FOUND, runs=FOUND.runs[: 5 if plan == QUICK else 4])

    monkeypatch.setattr(scale, "look", look)
    command = typer.Typer()
    command.command()(scale.run)
    done = CliRunner().invoke(command, ["--quick", "--report", str(tmp_path / "made")])
    assert (done.exit_code, "0.24 ms (<= 0.2 ms, missed)" in done.stdout) == (0, True)
    assert len(json.loads((tmp_path / "made/scale.json").read_text())["found"]["runs"]) == 5
    assert (tmp_path / "made/scale.png").exists()
    told_runs = json.loads(CliRunner().invoke(command, ["--json"]).stdout)["found"]["runs"]
    assert len(told_runs) == 4
