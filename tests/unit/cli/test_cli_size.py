"""`moretta size`: what a number of cameras needs, and that documents and chart say the same."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from in_process import invoke
from nats_folder import NatsFolder

from operate.identities import Identities, server
from operate.sizing.machines import machines, table
from operate.sizing.needs import (
    BUSY,
    DECODE_MS,
    FRAME_MS,
    INFER_MS,
    LEAST_S,
    MAX_CAMERAS,
    REPLAY_PER_S,
    SIGHTING_BYTES,
    SIGHTING_MS,
    SITE_CORES,
    WINDOW_BYTES,
    Installation,
    cores_of,
    most_cameras,
    need,
)
from operate.sizing.values import doubts, values
from proto.subjects import stream
from services.bus.stream_sizes import in_words, problems, sizes_of
from services.inference.model import MODELS

DOCS = Path(__file__).parents[3] / "docs"
WANTED = st.builds(
    Installation,
    cameras=st.integers(1, 5_000),
    stream=st.sampled_from(sorted(MAX_CAMERAS)),
    fps=st.sampled_from([0.5, 1.0, 5.0, 10.0]),
    sites=st.integers(1, 50),
    zones=st.integers(0, 500),
)


@given(WANTED)
@example(Installation(2_690, fps=0.5, zones=0))  # whole cores but for what floating point adds
def test_pods_ask_for_what_is_in_use(wanted):
    """All pods of a service together ask for its cores with the reserve, and two are there, so that one may die."""
    found = need(wanted)
    for part in found.parts:
        assert part.asked_cores >= part.cores / BUSY - 1e-6
        assert part.replicas >= (1 if part.name == "nats" else 2)
        assert part.memory_mib % 128 == 0
    ingest = found.parts[0]
    assert ingest.replicas * MAX_CAMERAS[wanted.stream] >= wanted.cameras
    assert all(part.cpu_m <= 1_000 for part in found.parts if part.name == "inference")


@given(WANTED)
def test_streams_as_large_as_it_says_do(wanted):
    """Each holds what it is to hold and hardly more; what does by itself is not named."""
    sizes = need(wanted).sizes
    held = wanted.cameras * wanted.fps * SIGHTING_BYTES * LEAST_S
    windows = (wanted.zones + wanted.sites) * 72 * WINDOW_BYTES * 400
    for name, size in (("SIGHTINGS", held), ("WINDOWS", windows)):
        assert size <= sizes.get(name, stream(name).max_bytes)
        assert name not in sizes or stream(name).max_bytes < sizes[name] < size + (129 << 20)
    assert not list(problems(sizes))


@given(WANTED, st.integers(1, 500))
def test_more_is_never_less(wanted, more):
    """Of cameras, pictures and sites: every service takes as many cores or more, and streams reach back less far."""
    for larger in (
        replace(wanted, cameras=wanted.cameras + more),
        replace(wanted, fps=wanted.fps + more / 100),
        replace(wanted, sites=wanted.sites + more),
    ):
        before, after = cores_of(wanted), cores_of(larger)
        assert all(after[name] >= before[name] for name in before)
        assert need(larger).reach_s <= need(wanted).reach_s
        assert need(larger).window_days <= need(wanted).window_days


def test_one_site_is_decided_by_one_pod():
    """With one site one replica of aggregate does all of the work, with two each may have a half."""
    one, two = (need(Installation(2_000, sites=sites)).parts[2] for sites in (1, 2))
    assert (one.name, one.replicas, two.replicas) == ("aggregate", 2, 2)
    assert one.cpu_m >= 1e3 * one.cores / BUSY
    assert two.cpu_m < one.cpu_m


def test_what_does_not_fit_is_said():
    """Up to so many cameras and zones nothing is lost at a restart, beyond it is told what would do."""
    most = most_cameras()
    assert list(doubts(need(Installation(most)))) == []
    assert need(Installation(most)).reach_s >= LEAST_S
    told = " ".join(doubts(need(Installation(most + 1, zones=200))))
    assert (f"At most {most} cameras" in told, "windows are kept for" in told) == (True, True)
    assert f"then it reads for {need(Installation(200)).sightings / 10_000:.0f} s" in " ".join(
        doubts(need(Installation(200)))
    )
    assert "10 000 sightings a second" in (DOCS / "capacity.md").read_text(encoding="utf-8")
    assert need(Installation(1)).reach_s == stream("SIGHTINGS").max_age_s


def test_the_server_may_hold_what_is_asked_for(tmp_path):
    """nats-server's memory is at least twice what its configuration lets JetStream hold there."""
    config = server("127.0.0.1:-1", "store", Identities.make(tmp_path).public)["jetstream"]
    nats = need(Installation(1)).parts[-1]
    assert nats.memory_mib << 20 >= 2 * config["max_memory_store"]


def test_what_it_prints_for_a_server_of_ones_own_is_taken(tmp_path):
    """The section, by the command that it is for; the chart's values have the same sizes."""
    printed = invoke("size", "--cameras", "300", "--zones", "100").stdout
    section = re.search(r"nats\.yaml of a server of your own \(moretta nats apply\): (streams: .*)", printed).group(1)
    nats = NatsFolder(tmp_path / "nats")
    nats.apply(yaml.safe_load(section))
    wanted = need(Installation(300, zones=100)).sizes
    assert nats.state()["streams"] == wanted
    assert sizes_of(yaml.safe_load(printed)["nats"]["streams"]) == wanted


def test_it_prints_values_for_helm():
    """YAML of the chart's own keys; what it rests on is comments, and a price is told where one was given."""
    done = invoke("size", "--cameras", "40", "--core-month", "20")
    assert done.exit_code == 0
    found = yaml.safe_load(done.stdout)
    assert list(found) == ["ingest", "inference", "aggregate", "notify", "nats"]
    assert found["ingest"]["replicas"] == -(-40 // MAX_CAMERAS["1080p25"])
    each = need(Installation(40)).cost_per_camera(20)
    assert f"a camera costs {each:.2f} a month where a core costs 20" in done.stdout
    assert "month" not in values(need(Installation(40)))


@pytest.mark.parametrize(
    "options",
    [
        ["--cameras", "0"],
        ["--cameras", "4", "--stream", "4k"],
        ["--cameras", "4", "--stream", "360p8", "--fps", "10"],
        [],
    ],
)
def test_a_mistake_is_told(options):
    """No camera, a stream that nobody measured, no number at all: exit code 2."""
    assert invoke("size", *options).exit_code == 2


@pytest.mark.parametrize("sent", ["1080p25", "720p25", "720p8", "360p8"])
@pytest.mark.parametrize("cameras", [10, 20, 40, 70])
def test_the_documents_have_the_same_table(cameras, sent):
    """Each line of the sizing table in docs/operations.md is what the command says."""
    assert row(Installation(cameras, sent)) in (DOCS / "operations.md").read_text(encoding="utf-8")


def test_the_documents_have_the_same_numbers():
    """The worked example of what a camera costs, the limits of one server, and the constants of the formula."""
    operations, capacity = ((DOCS / name).read_text(encoding="utf-8") for name in ("operations.md", "capacity.md"))
    for sent in MAX_CAMERAS:
        found = need(Installation(40, sent))
        assert f"| {sent} | {found.asked_cores:.1f} | {found.cost_per_camera(25):.2f} |" in operations
        assert f"{DECODE_MS[sent]:g}{' ms' * (sent == '1080p25')} at {sent}" in capacity
    assert f"up to {most_cameras()} a restart" in operations
    many, few = need(Installation(100)), need(Installation(1, zones=50))
    assert f"take `WINDOWS={in_words(few.sizes['WINDOWS'])}` for 400 days" in operations
    assert f"of 100 cameras {many.sightings / REPLAY_PER_S:.0f} s, in which windows are late" in operations
    assert f"c x f x {INFER_MS:g} ms" in capacity
    assert f"c x f x ({FRAME_MS:g} + {SIGHTING_MS['nats']:g}) ms + s x {1e3 * SITE_CORES['nats']:.1f} ms" in capacity
    assert f"c x f x {SIGHTING_MS['aggregate']:g} ms + s x {1e3 * SITE_CORES['aggregate']:.1f} ms" in capacity


def row(wanted: Installation) -> str:
    """Return a line of the table."""
    found = need(wanted)
    cells = [f"{part.replicas} x {part.cpu_m}m, {part.memory_mib}Mi" for part in found.parts]
    place = [f"{wanted.cameras} at {wanted.stream}", *cells]
    return f"| {' | '.join(place)} | {found.frames_mb_s:.0f} MB/s | {found.asked_cores:.1f} |"


def test_the_table_of_machines_is_that_of_the_documents():
    """Worst first of the shipped model, whose name is the model's; what is computed is not more than ingest served."""
    printed = invoke("size", "--table").stdout
    assert printed == f"{table()}\n"
    assert printed in (DOCS / "operations.md").read_text()
    shipped = json.loads((MODELS / "model.json").read_text())["id"]
    of_shipped = [one for one in machines() if one.basis == "measured" and one.model == shipped]
    assert [one.cameras for one in of_shipped] == sorted(one.cameras for one in of_shipped)
    assert all(one.cameras <= MAX_CAMERAS[one.stream] for one in machines() if one.basis == "computed")
    assert "| any | | Raspberry Pi 5 and other arm64 | not tried | | |" in printed


def test_without_a_number_of_cameras_there_is_nothing_to_size():
    """The option that is missing is named, and the other."""
    ran = invoke("size")
    assert ran.exit_code == 2
    assert "say how many cameras, or take --table" in ran.stderr
