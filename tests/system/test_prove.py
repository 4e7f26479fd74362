"""`moretta prove` on the real system: it sees what is planted in every kind of place, and fails for it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.cli.prove import memory, trace
from services.cli.prove.planting import canary_image, planted
from services.cli.prove.proof import Options, Proof, prove
from services.cli.prove.search import PLACES, WITHOUT_CANARY
from services.log import LogSettings, configure

COMMAND = [str(Path(sys.executable).with_name("moretta")), "prove"]
SPEED = "lifetime"
"""Pixels live as long as the machine is slow: no test depends on that."""


def require() -> None:
    """Skip by name what only root with strace can do; with MORETTA_REQUIRE_ALL=1 that is a failure."""
    why = trace.why_not() or memory.may_read()
    if why is None:
        return
    if os.environ.get("MORETTA_REQUIRE_ALL") == "1":
        pytest.fail(why)
    pytest.skip(why)


@pytest.mark.timeout(400)
def test_nothing_is_found_and_everything_was_searched(tmp_path):
    """With kills, faults and crashes: every canary is found and no row of any picture."""
    require()
    report = tmp_path / "proof.html"
    done = subprocess.run(
        [*COMMAND, "--json", "--seconds", "5", "--report", report], capture_output=True, text=True, timeout=380
    )
    found = json.loads(done.stdout)
    places = {place["place"]: place for place in found["places"]}
    assert set(places) == {*PLACES, *WITHOUT_CANARY}
    assert {name: place["verdict"] for name, place in places.items() if place["verdict"] not in GOOD} == {}, done.stderr
    assert all(place["canary"] for name, place in places.items() if name in PLACES)
    assert found["faults"] == []
    assert places["network"]["bytes"] > 20_000_000, "frames passed, and were looked at"
    assert places["memory"]["searched"] >= 2 * 6, "five programs and the planter, after each pause"
    assert places["cores"]["searched"] == 2
    told = "\n".join(found["story"])
    assert all(f"{name} was killed" in told for name in ("ingest", "inference", "aggregate", "notify", "nats-server"))
    assert done.returncode == (0 if found["lifetime_ms"]["verdict"] == "nothing" else 1)
    assert found["lifetime_ms"]["pictures"] > 0
    assert "How long pixels lived" in report.read_text()


GOOD = {"nothing", "within bounds"}


async def leak(proof: Proof) -> None:
    """Plant rows of the real film wherever the planter plants canaries, and let them stay."""
    rows = {name: proof.secret.rows[index] for index, name in enumerate(PLACES)}
    holding = planted("leaker", rows, canary_image(), proof.ground)
    url = await holding.__aenter__()
    proof.closing.push_async_exit(holding)
    await proof.taps.of("aggregate").publish("moretta.v1.drift.leak.cam.2026-01-01", rows["bus"] + rows["jetstream"])
    # The page that notify would have served.
    proof.box.children["notify"].program.environment["MORETTA_PROBES__PORT"] = url.split(":")[2].split("/")[0]


@pytest.mark.timeout(400)
async def test_a_leak_in_any_place_is_found_and_named(tmp_path, monkeypatch):
    """A process beside the services writes, sends, says and holds rows of the film: each place says where."""
    require()
    configure("moretta", LogSettings(level="error"))
    findings = await prove(tmp_path, Options(seconds=2, trouble=False, leak=leak), print)
    places = {place.name: place for place in findings.places}
    assert {name: places[name].verdict for name in PLACES} == dict.fromkeys(PLACES, "found")
    for name, where in {
        "files": "box/leaker.bin",
        "jetstream": "box/jetstream/jetstream/MAIN/streams/DRIFT/msgs/1.blk",
        "strace": "leaker-elsewhere/leaker.bin",
        "bus": "aggregate heard moretta.v1.drift.leak.cam.2026-01-01",
        "logs": "leaker",
        "mails": "planted",
        "sms": "an SMS",
        "metrics": "notify/metrics",
        "memory": "(services.cli.prove.planter)",
        "cores": "leaker dumped core",
        "network": "port ",
        "images": "box/leaker.png: a PNG image",
    }.items():
        assert any(where in found for found in places[name].hits), (name, places[name].hits)
    assert not findings.is_proven


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
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
