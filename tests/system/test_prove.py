"""`moretta prove` on the real system: it sees what is planted in every kind of place, and fails for it."""

import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import moretta
from lacking import lacks
from program import Program

from testbed.proof import disk, memory
from testbed.proof.search import PLACES, WITHOUT_CANARY

COMMAND = [Path(sys.executable).with_name("moretta"), "prove"]
LEAKING = [sys.executable, "-P", Path(__file__).parents[1] / "support" / "leaking_proof.py"]
LIMIT_S = 800
pytestmark = pytest.mark.alone  # it traces and searches every process of its box, and says what it could not in time
SPEED = "lifetime"
"""Pixels live as long as the machine is slow: no test depends on that."""


def require() -> None:
    """Skip by name what only root with strace can do; with MORETTA_REQUIRE_ALL=1 that is a failure."""
    why = disk.why_not() or memory.may_read()
    if why is None:
        return
    lacks(why)


@pytest.mark.timeout(900)
def test_nothing_is_found_and_everything_was_searched(tmp_path):
    """With kills, faults and crashes: every canary is found and no row of any picture."""
    require()
    report = tmp_path / "proof.html"
    code, found, said = proved(*COMMAND, "--json", "--seconds", "5", "--report", report)
    places = {place["place"]: place for place in found["places"]}
    assert set(places) == {*PLACES, *WITHOUT_CANARY}
    assert {name: place for name, place in places.items() if place["verdict"] not in GOOD} == {}, said
    assert all(place["canary"] for name, place in places.items() if name in PLACES)
    assert found["faults"] == []
    assert places["network"]["bytes"] > 20_000_000, "frames passed, and were looked at"
    assert places["memory"]["searched"] >= 2 * 6, "five programs and the planter, after each pause"
    assert places["cores"]["searched"] == 2
    told = "\n".join(found["story"])
    assert all(f"{name} was killed" in told for name in ("ingest", "inference", "aggregate", "notify", "nats-server"))
    assert code == (0 if found["lifetime_ms"]["verdict"] == "nothing" else 1)
    assert found["lifetime_ms"]["pictures"] > 0
    assert "How long pixels lived" in report.read_text()


GOOD = {"nothing", "within bounds"}


def proved(*command: str | Path) -> tuple[int, dict[str, Any], list[str]]:
    """Run a proof; return its exit code, what it found and what it said."""
    with Program(command) as run:
        code = run.ended(LIMIT_S)
    assert len(run.objects) == 1, run.last_words()
    return code, run.objects[0], run.words


@pytest.mark.timeout(900)
def test_a_leak_in_any_place_is_found_and_named(tmp_path):
    """A process beside the services writes, sends, says and holds rows of the film: each place says where."""
    require()
    code, found, _ = proved(*LEAKING, tmp_path)
    assert code == 0
    places = {place["place"]: place for place in found["places"]}
    assert {name: places[name]["verdict"] for name in PLACES} == dict.fromkeys(PLACES, "found")
    for name, where in {
        "files": "box/leaker.bin",
        "jetstream": "box/jetstream/jetstream/MORETTA/streams/DRIFT/msgs/1.blk",
        "strace": "leaker-elsewhere/leaker.bin",
        "bus": "aggregate heard moretta.v1.drift.leak.cam.2026-01-01",
        "logs": "leaker",
        "mails": "planted",
        "sms": "an SMS",
        "metrics": "notify/metrics",
        "memory": "(testbed.proof.planter)",
        "cores": "leaker dumped core",
        "network": "port ",
        "images": "box/leaker.png: a PNG image",
    }.items():
        assert any(where in hit for hit in places[name]["hits"]), (name, places[name]["hits"])
    assert not found["proven"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--without", "disk"], "'disk' is no place; there are files, jetstream"),
        (["--report", "/nowhere/proof.html"], "cannot be written"),
        (["--seconds", "0"], "--seconds"),
    ],
)
def test_a_mistake_is_told_at_once(arguments, words):
    """Before anything is started; exit code 2."""
    done = moretta("prove", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
