"""What bench.scaling plans, and what it makes of what it saw, without running anything."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import typer
import yaml
from fonts import open_fonts
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bench import scaling
from bench.scaling_autoscalers import LEAST, MOST, calmed, desired, shed_share, wishes
from bench.scaling_crew import Event
from bench.scaling_found import Found, figures, rows
from bench.scaling_frames import holes, in_hand, windows
from bench.scaling_off import SHED, Off, Settled, caused, holder_at, off_at, offs, settled, takeovers
from bench.scaling_plan import ACTS, SCALED, Plan, Step, possible
from bench.scaling_run import Ran
from bench.scaling_scrapes import Scrape, wanted
from bench.scaling_seen import Held, Seen, Share, Sighted
from services.aggregate.settings import AggregateFile
from services.ingest.settings import IngestFile
from services.kernel.settings import load

open_fonts()
BEGAN, PERIOD_S = 1_000.0, 4.0


def seen(moments, lease=1, first=0):
    """Sightings at these moments, numbered without a gap."""
    return [Sighted(at, lease, first + number) for number, at in enumerate(moments)]


def steadily(start, end, lease=1):
    """Sightings of a camera that is never off, from one moment to another."""
    return seen([start + PERIOD_S * number for number in range(int((end - start) / PERIOD_S) + 1)], lease)


def scrape(at, *, shed=0.0, done=0.0, cpu=0.0, name="ingest-1"):
    """One process of ingest with these counters, and one of inference."""
    frames = {name: {("c0000", "shed"): shed, ("c0000", "done"): done}}
    spent = {"inference-1": cpu, "nats-server": cpu / 2, name: cpu}
    return Scrape(at, spent, dict.fromkeys(spent, 1 << 20), 3 * cpu, frames)


@given(
    minutes=st.floats(0.5, 60),
    every_s=st.floats(3, 60),
    running=st.integers(1, 9),
    first=st.integers(1, 9),
)
def test_each_act_comes_to_each_service_in_turn(minutes, every_s, running, first):
    """Six steps in a row are all pairs of act and service; none is at the end; nothing goes below the minimum."""
    plan = Plan(minutes=minutes, every_s=every_s, ingest=first, inference=first)
    steps = plan.steps
    assert all(0 < step.at_s < 60 * minutes for step in steps)
    for start in range(len(steps) - 5):
        assert len({(step.act, step.service) for step in steps[start : start + 6]}) == len(ACTS) * len(SCALED)
    act = possible(Step(0.0, "remove", "ingest"), {"ingest": running, "inference": 9}, plan.least)
    assert running - (act == "remove") >= min(running, plan.least["ingest"])


def test_a_minute_has_one_of_each():
    """With 20 s between them; and half an hour 89 of them, since the last has no time to settle."""
    steps = Plan().steps
    assert {step.act for step in steps if step.at_s <= 60} == set(ACTS)
    assert len(steps) == 89


@pytest.mark.parametrize("cameras", [1, 7, 300])
def test_the_services_take_these_settings(tmp_path: Path, cameras):
    """Every camera loops one of the films, in zones of five."""
    file = tmp_path / "settings.yaml"
    plan = Plan(cameras=cameras, period_s=6.0)
    file.write_text(yaml.safe_dump(plan.settings([tmp_path / "a.mp4", tmp_path / "b.mp4"])))
    (site,) = load(file, IngestFile).sites
    assert len(site.cameras) == cameras == round(plan.due * 6)
    assert all(camera.loop and camera.paced for camera in site.cameras)
    assert len(load(file, AggregateFile).sites[0].zones) == -(-cameras // 5)


@given(st.lists(st.integers(-80, 480).map(lambda quarter: quarter / 4), max_size=40))
def test_off_is_what_no_picture_vouches_for(moments):
    """Times are apart, within the clock, and none has a picture in it; with a picture each period nothing is off."""
    sightings = {"a": seen(sorted(BEGAN + one for one in moments))}
    found = offs(sightings, ["a"], PERIOD_S, BEGAN, BEGAN + 100)
    assert all(BEGAN <= start < end <= BEGAN + 100 for _, start, end in found)
    assert all(one[2] <= two[1] for one, two in pairwise(found))
    for _, start, end in found:
        assert not any(start - PERIOD_S < one.at < end for one in sightings["a"])
    sightings["b"] = steadily(BEGAN - 3, BEGAN + 110)
    assert not offs(sightings, ["b"], PERIOD_S, BEGAN, BEGAN + 100)
    assert offs(sightings, ["never"], PERIOD_S, BEGAN, BEGAN + 100) == [("never", BEGAN, BEGAN + 100)]


KILL = Event(BEGAN + 20, "kill", "ingest", "ingest-1")
LEASES = {
    "c0000": [Held(BEGAN - 9, "ingest-1"), Held(BEGAN + 23.2, ""), Held(BEGAN + 23.4, "ingest-2")],
    "c0001": [Held(BEGAN - 9, "ingest-2")],
}
SIGHTINGS = {
    "c0000": [*steadily(BEGAN - 4, BEGAN + 19), *steadily(BEGAN + 24.5, BEGAN + 60, lease=2)],
    "c0001": [one for one in steadily(BEGAN - 4, BEGAN + 60) if one.sequence not in (10, 11)],
}


def test_a_kill_is_counted_from_the_kill():
    """And, by its gap less the period, from when the next picture was due; others were shed."""
    assert [one.seconds for one in takeovers(SIGHTINGS, LEASES, [KILL], "kill")] == [pytest.approx(4.5)]
    assert not takeovers(SIGHTINGS, LEASES, [KILL], "remove")
    spans = offs(SIGHTINGS, ["c0000", "c0001"], PERIOD_S, BEGAN, BEGAN + 60)
    found = caused(spans, LEASES, [KILL], PERIOD_S)
    assert [(one.camera, one.cause, one.seconds) for one in found] == [
        ("c0000", "kill ingest-1", pytest.approx(4.5)),
        ("c0001", SHED, pytest.approx(8.0)),
    ]
    assert [off_at(found, BEGAN + moment) for moment in (19, 21, 37)] == [0, 1, 1]


def test_a_camera_that_never_comes_back_was_off_for_ever():
    """Whatever was analysed under its old lease after the kill."""
    late = {"c0000": seen([BEGAN + 19, BEGAN + 20.1])}
    assert [one.seconds for one in takeovers(late, LEASES, [KILL], "kill")] == [float("inf")]


def test_who_held_a_lease():
    """At each moment, and nobody before the first entry."""
    moments = (-10, 0, 23.3, 30)
    assert [holder_at(LEASES["c0000"], BEGAN + one) for one in moments] == ["", "ingest-1", "", "ingest-2"]


def test_settled_is_for_good():
    """Even for a moment is not settled; each event has until the next one of ingest."""
    events = [KILL, Event(BEGAN + 40, "kill", "inference", "x"), Event(BEGAN + 60, "add", "ingest", "ingest-3")]
    spreads = {22: 3, 24: 1, 26: 2, 28: 1, 59: 0, 61: 2, 99: 2}
    shares = [Share(BEGAN + at, {"a": 9, "b": 9 - spread}, 0) for at, spread in spreads.items()]
    assert settled(shares, events, BEGAN + 100) == [Settled(0, pytest.approx(8.0)), Settled(2, None)]
    free = [share._replace(free=1) for share in shares]
    assert settled(free, events, BEGAN + 100)[0].seconds is None


@given(st.sets(st.integers(1, 28)))
def test_what_is_missing_is_counted_once(gone):
    """Each number that has no sighting within a lease; none between two leases."""
    kept = [one for one in seen([BEGAN + n for n in range(30)]) if one.sequence not in gone]
    both = {"a": [*kept, *seen([BEGAN + 40], lease=2, first=7)]}
    assert holes(both, BEGAN, BEGAN + 100) == len(gone)
    assert holes(both, BEGAN + 50, BEGAN + 100) == 0


def test_what_was_in_hand_is_lost_unless_it_was_shed():
    """A picture without an answer, and one whose sightings nobody got; of ingest's events none is asked."""
    event = Event(BEGAN + 10, "remove", "inference", "inference-1")
    shot = scrape(BEGAN + 16, shed=1, done=20)
    shot.frames["ingest-1"]["c0000", "unconfirmed"] = 1
    numbers = {"c0000": [one for one in seen([BEGAN + n for n in range(20)]) if one.sequence not in (11, 12, 13)]}
    (found,) = in_hand(numbers, [scrape(BEGAN + 9), shot], [event, KILL])
    assert (found.event, found.holes, found.shed, found.unconfirmed, found.lost) == (0, 3, 1, 1, 2)


def test_windows_are_there_once():
    """Missing and doubled ones of the run are named; those at its edges are nobody's."""
    zones = ["_site", "z000"]
    all_ = [(zone, start, 0.9) for zone in zones for start in (940.0, 960.0, 1020.0, 1080.0, 1140.0)]
    whole = windows(all_, zones, 60.0, 1_000.0, 1_190.0)
    assert (whole.expected, whole.missing, whole.doubled, whole.coverage_least) == (4, [], [], 0.9)
    torn = windows([*all_[:-2], all_[2], ("z000", 1020.0, 0.2)], zones, 60.0, 1_000.0, 1_190.0)
    assert (torn.missing, torn.doubled) == (["z000 1080"], ["_site 1020", "z000 1020"])
    assert torn.coverage_least == 0.2


@given(pods=st.integers(1, 20), value=st.floats(0, 20), more=st.floats(0, 20))
def test_an_autoscaler_wants_no_fewer_for_more(pods, value, more):
    """Within the chart's limits; and what it has while the value is within a tenth of the target."""
    found = desired(pods, value, 0.7)
    assert LEAST <= found <= MOST
    assert desired(pods, value + more, 0.7) >= min(found, desired(pods, 0.7, 0.7))
    assert desired(pods, 0.7 * 1.09, 0.7) == min(MOST, max(LEAST, pods))


def test_scaling_in_waits_for_ten_calm_minutes():
    """The highest wish of the last ten minutes counts."""
    assert calmed([(0, 4), (60, 2), (599, 3), (601, 2), (1_300, 2)]) == [4, 4, 4, 3, 2]


def test_the_share_shed_is_that_of_two_minutes():
    """By each process's own counters; what a process did before it was first seen is not counted."""
    scrapes = [scrape(BEGAN, done=0), scrape(BEGAN + 100, shed=9, done=99), scrape(BEGAN + 200, shed=19, done=1_089)]
    assert shed_share(scrapes) == pytest.approx(10 / 1_000)
    scrapes[2].frames["ingest-2"] = {("c0001", "shed"): 500.0}
    assert shed_share(scrapes) == pytest.approx(10 / 1_000)
    assert shed_share(scrapes[:1]) == 0.0


def test_busy_processes_are_wanted_more():
    """0.5 cores are asked for and 0.7 of it the target: at 0.7 cores one process is twice too few."""
    (found,) = wishes([scrape(BEGAN, cpu=0), scrape(BEGAN + 10, cpu=7)])
    assert (found.pods, found.cpu, found.by_cpu, found.by_shed, found.keda) == (1, pytest.approx(1.4), 2, 2, 2)


def test_only_what_is_looked_at_is_read():
    """A page has thousands of lines."""
    assert wanted('# HELP x\nmoretta_ingest_frames_total{a="b"} 1\nother 2\n') == (
        'moretta_ingest_frames_total{a="b"} 1\n'
    )


def made() -> Found:
    """A minute in which one replica was killed and one process of inference ended in order."""
    told = Seen(2, SIGHTINGS, LEASES)
    told.shares = [Share(BEGAN + at, {"ingest-1": 1, "ingest-2": 1}, 0) for at in range(60)]
    events = [KILL, Event(BEGAN + 40, "remove", "inference", "inference-2", 0.5, 0)]
    scrapes = [scrape(BEGAN + at, done=at, cpu=at) for at in range(0, 70, 10)]
    published = [(zone, 1_020.0, 0.95) for zone in ("_site", "z000")]
    return Found(Ran(Plan(cameras=2, minutes=1.0), BEGAN, BEGAN + 80, told, scrapes, events, published))


def test_the_rows_say_what_is_missed():
    """A camera that was shed is told apart from one whose replica was killed, and the longest time counts."""
    found = {row.name: row for row in rows(made())}
    assert [row.verdict for row in found.values()] == ["met", "met", "missed", "met", "met", "missed", "missed"]
    assert found["pictures in hand that were lost when scaling in"].measured == "2"
    assert found["longest time in which a camera was shed"].measured == "19.5 s"
    assert isinstance(made().off[0], Off)


def test_the_command_writes_what_was_found(tmp_path: Path, monkeypatch):
    """A row a line; numbers as JSON and a chart in the folder."""

    async def run(plan, films, logs, told):
        told("12 min left")
        assert films.is_dir()
        assert logs.is_dir()
        return made().ran

    monkeypatch.setattr(scaling, "run", run)
    command = typer.Typer()
    command.command()(scaling.main)
    done = CliRunner().invoke(command, ["--cameras", "2", "--report", str(tmp_path / "made")])
    assert (done.exit_code, "(<= 5 s, missed)" in done.stdout) == (0, True), done.output
    told = json.loads((tmp_path / "made/scaling.json").read_text())
    assert told["windows"]["expected"] == 2
    assert told["killed"]["max"] == pytest.approx(4.5)
    assert told["autoscalers"]["hpa"]["more"] > 0
    assert figures(made())["analysed_per_s"] == pytest.approx(told["analysed_per_s"])
    assert (tmp_path / "made/scaling.png").read_bytes()[:4] == b"\x89PNG"
