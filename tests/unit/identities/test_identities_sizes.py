"""`moretta nats-config --stream`: sizes of streams, in all that is written of them."""

import json
from pathlib import Path

import pytest
import yaml
from in_process import invoke

from operate.identities import limits
from services.bus.sizes import sizes_of
from services.kernel.settings import SettingsError

SITE = ["--listen", "127.0.0.1:4222"]
HUB = ["--hub", "127.0.0.1:7422"]
LARGE = ["--stream", "WINDOWS=2GiB", "--stream", "sightings=512Mi"]
SIZES = {"WINDOWS": 2 << 30, "SIGHTINGS": 512 << 20}


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    return tmp_path / "nats"


@pytest.fixture(name="run")
def _run(folder: Path):
    """What the command prints; a user's mistake is raised as it is told."""

    def run(*words: str) -> str:
        result = invoke("nats-config", "--out", str(folder), *words)
        assert result.exit_code == 0
        return " ".join(result.output.split())

    return run


def jetstream(folder: Path) -> dict[str, int]:
    """The limits of the server's configuration."""
    found = json.loads((folder / "nats.conf").read_text())["jetstream"]
    return {name: value for name, value in found.items() if name.startswith("max_")}


def kept(folder: Path, name: str = "nats-config.json") -> dict[str, int]:
    """What is remembered of sizes."""
    return json.loads((folder / name).read_text())["streams"]


@pytest.mark.parametrize("at_once", [True, False])
def test_they_are_given_at_first_or_later_and_stay(folder: Path, run, at_once: bool):
    """In the limits and for whoever makes streams; another update keeps them, and adds to them."""
    printed = run(*LARGE) if at_once else [run(), run("--update", *LARGE)][-1]
    assert "larger than by itself: WINDOWS 2GiB, SIGHTINGS 512MiB; JetStream may hold 2500 MiB on the disk" in printed
    assert f"next: moretta nats-streams --out {folder} " in printed
    assert (kept(folder), jetstream(folder)) == (SIZES, limits(SIZES))
    run("--update", "--stream", "ALERTS=128MiB")
    assert kept(folder) == SIZES | {"ALERTS": 128 << 20}
    assert jetstream(folder) == limits(kept(folder))


def test_who_makes_streams_is_told_and_nobody_else(folder: Path, run):
    """By its variables: a stream in memory is made anew whenever the server was."""
    run(*LARGE)
    told = {name: (folder / f"{name}.env").read_text() for name in ("ingest", "inference", "aggregate", "notify")}
    assert [name for name, text in told.items() if "STREAMS" in text] == ["aggregate"]
    assert "MORETTA_NATS__STREAMS__WINDOWS=2GiB\nMORETTA_NATS__STREAMS__SIGHTINGS=512MiB\n" in told["aggregate"]


def test_the_tables_size_takes_one_back(folder: Path, run):
    """Of what is as the table has it nothing is kept, and nothing said."""
    run(*LARGE)
    assert "WINDOWS" not in run("--update", "--stream", "WINDOWS=256MiB")
    assert kept(folder) == {"SIGHTINGS": 512 << 20}
    assert "STREAMS__WINDOWS" not in (folder / "aggregate.env").read_text()


def test_charts_get_quantities(folder: Path, run):
    """Ours as its value, NATS's own in the server's limits."""
    run("--kubernetes", "moretta", *LARGE)
    streams = yaml.safe_load((folder / "values.yaml").read_text())["nats"]["streams"]
    assert streams == {"WINDOWS": "2Gi", "SIGHTINGS": "512Mi"}
    assert sizes_of(streams) == SIZES
    official = yaml.safe_load((folder / "nats-values.yaml").read_text())["config"]["jetstream"]["merge"]
    assert official["max_file_store"] == f"<< {limits(SIZES)['max_file_store']} >>"


def test_a_hubs_common_streams(folder: Path, run):
    """With room for them on its disk, and in the chart's values."""
    run(*HUB, "--kubernetes", "moretta")
    before = jetstream(folder)["max_file_store"]
    assert "larger than by itself: WINDOWS 2GiB" in run("--update", "--stream", "WINDOWS=2GiB")
    assert jetstream(folder)["max_file_store"] == before + (2 << 30) - (256 << 20)
    assert kept(folder, "nats-hub.json") == {"WINDOWS": 2 << 30}
    assert yaml.safe_load((folder / "values.yaml").read_text())["nats"]["streams"] == {"WINDOWS": "2Gi"}


@pytest.mark.parametrize(
    ("place", "given", "why"),
    [
        (SITE, "WINDOWS", "'WINDOWS' is no NAME=SIZE, such as WINDOWS=2GiB"),
        (SITE, "WINDOW=2GiB", "WINDOW: unknown stream; known are SIGHTINGS, PASSAGES"),
        (SITE, "WINDOWS=2GB", "WINDOWS: must be a size such as 512MiB or 2GiB"),
        (SITE, "WINDOWS=1MiB", "WINDOWS: must be at least 256MiB, which it has without being told, got '1MiB'"),
        (HUB, "SIGHTINGS=2GiB", "SIGHTINGS: unknown stream; known are WINDOWS, ALERTS, CAMERAS, DELIVERIES"),
    ],
)
def test_what_can_not_be_is_told_before_anything_is_written(folder: Path, run, place: list[str], given: str, why: str):
    """In one line with the option's name."""
    with pytest.raises(SettingsError) as told:
        run(*place, "--stream", given)
    assert str(told.value).startswith(f"moretta nats-config: --stream: {why}")
    assert not folder.exists()


def test_keys_are_changed_alone(folder: Path, run):
    """Sizes are an update's."""
    run()
    with pytest.raises(SettingsError, match=r"--rotate: changes keys only; --update changes .*--stream"):
        run("--rotate", "ingest", *LARGE)
