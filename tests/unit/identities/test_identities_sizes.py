"""The section `streams` of nats.yaml: sizes of streams, in all that is written of them."""

from typing import Any

import pytest
import yaml
from nats_folder import HUB, SITE, NatsFolder

from operate.identities import limits
from services.bus.stream_sizes import sizes_of

LARGE = {"streams": {"WINDOWS": "2GiB", "sightings": "512Mi"}}
SIZES = {"WINDOWS": 2 << 30, "SIGHTINGS": 512 << 20}


def jetstream(nats: NatsFolder) -> dict[str, int]:
    """The limits of the server's configuration."""
    return {name: value for name, value in nats.conf()["jetstream"].items() if name.startswith("max_")}


def kept(nats: NatsFolder, name: str = SITE) -> dict[str, int]:
    """What is remembered of sizes."""
    return nats.state(name)["streams"]


@pytest.mark.parametrize("at_once", [True, False])
def test_they_are_given_at_first_or_later_and_stay(nats: NatsFolder, at_once: bool):
    """In the limits and for whoever makes streams; a renewal of keys keeps them, and the file may add to them."""
    if not at_once:
        nats.apply({})
    printed = nats.apply(LARGE)
    assert "+ streams.SIGHTINGS: 512MiB\n+ streams.WINDOWS: 2GiB\n" in printed
    assert "larger than by itself: SIGHTINGS 512MiB, WINDOWS 2GiB; JetStream may hold 2980 MiB on the disk" in printed
    assert f"next: moretta nats streams {nats.path} " in printed
    assert (kept(nats), jetstream(nats)) == (SIZES, limits(SIZES))
    nats.rotate("ingest")
    nats.apply()
    assert (kept(nats), jetstream(nats)) == (SIZES, limits(SIZES))
    nats.apply({"streams": LARGE["streams"] | {"ALERTS": "128MiB"}})
    assert kept(nats) == SIZES | {"ALERTS": 128 << 20}
    assert jetstream(nats) == limits(kept(nats))


def test_only_the_maker_of_streams_gets_their_sizes(nats: NatsFolder):
    """By its variables: a stream in memory is made anew whenever the server was."""
    nats.apply(LARGE)
    files = {name: nats.read(f"{name}.env") for name in ("ingest", "inference", "aggregate", "notify")}
    assert [name for name, text in files.items() if "STREAMS" in text] == ["aggregate"]
    assert "MORETTA_NATS__STREAMS__SIGHTINGS=512MiB\nMORETTA_NATS__STREAMS__WINDOWS=2GiB\n" in files["aggregate"]


@pytest.mark.parametrize("back", [{"WINDOWS": "256MiB", "SIGHTINGS": "512MiB"}, {"SIGHTINGS": 512 << 20}])
def test_the_tables_size_takes_one_back(nats: NatsFolder, back: dict[str, Any]):
    """Told or left out: of what is as the table has it nothing is kept, and nothing said but that it goes."""
    nats.apply(LARGE)
    printed = nats.apply({"streams": back})
    assert [line for line in printed.splitlines() if "WINDOWS" in line] == ["- streams.WINDOWS: 2GiB"]
    assert kept(nats) == {"SIGHTINGS": 512 << 20}
    assert "STREAMS__WINDOWS" not in nats.read("aggregate.env")


def test_charts_get_quantities(nats: NatsFolder):
    """Ours as its value, NATS's own in the server's limits."""
    nats.apply(LARGE | {"kubernetes": {"release": "moretta"}})
    streams = nats.values()["streams"]
    assert streams == {"WINDOWS": "2Gi", "SIGHTINGS": "512Mi"}
    assert sizes_of(streams) == SIZES
    official = yaml.safe_load(nats.read("nats-values.yaml"))["config"]["jetstream"]["merge"]
    assert official["max_file_store"] == f"<< {limits(SIZES)['max_file_store']} >>"


def test_a_hubs_common_streams(nats: NatsFolder):
    """With room for them on its disk, and in the chart's values."""
    hub = {"hub": {"listen": "127.0.0.1:7422"}, "kubernetes": {"release": "moretta"}}
    nats.apply(hub)
    before = jetstream(nats)["max_file_store"]
    assert "larger than by itself: WINDOWS 2GiB" in nats.apply(hub | {"streams": {"WINDOWS": "2GiB"}})
    assert jetstream(nats)["max_file_store"] == before + (2 << 30) - (256 << 20)
    assert kept(nats, HUB) == {"WINDOWS": 2 << 30}
    assert nats.values()["streams"] == {"WINDOWS": "2Gi"}


@pytest.mark.parametrize(
    ("place", "name", "size", "why"),
    [
        ({}, "WINDOWS", None, "must be a size such as 512MiB or 2GiB"),
        ({}, "WINDOW", "2GiB", "unknown stream; known are SIGHTINGS, PASSAGES"),
        ({}, "WINDOWS", "2GB", "must be a size such as 512MiB or 2GiB"),
        ({}, "WINDOWS", ["2GiB"], "must be a size such as 512MiB or 2GiB"),
        ({}, "WINDOWS", "1MiB", "must be at least 256MiB, which it has without being told, got '1MiB'"),
        ({"hub": {}}, "SIGHTINGS", "2GiB", "unknown stream; known are WINDOWS, ALERTS, CAMERAS, DELIVERIES"),
    ],
)
def test_impossible_sizes_are_reported_before_anything_is_written(
    nats: NatsFolder, place: dict[str, Any], name: str, size: object, why: str
):
    """In one line with the stream's path."""
    [line] = nats.problems(place | {"streams": {name: size}})
    assert line.startswith(f"streams.{name}: {why}")
