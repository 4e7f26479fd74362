"""Sizes of streams: how they are written, which can't be, and where they are in force."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.subjects import STREAMS, stream
from services.aggregate.settings import AggregateFile
from services.bus.stream_sizes import in_words, problems, size_of, sized, sizes_of
from services.kernel.settings import SettingsError, load

GIB = 1 << 30


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GiB", 2 * GIB), ("2Gi", 2 * GIB), ("512 MiB", 512 << 20), ("1Ti", 1 << 40), ("4096KiB", 4 << 20), (7, 7)],
)
def test_a_size_is_read(text: object, size: int):
    """By powers of two, as Kubernetes writes them or with a B; a bare number is bytes."""
    assert size_of(text) == size == size_of(str(text))


@pytest.mark.parametrize(
    "text", ["", "2GB", "2G", "2gib", "1.5GiB", "-1", "GiB", "2GiB ", "٢GiB", "1e9", True, None, 1.5, [], "9" * 300]
)
def test_what_is_no_size_is_told(text: object):
    """Powers of ten, which NATS and Kubernetes read differently, too: with what would be right, and in short."""
    with pytest.raises(
        ValueError, match=r"must be a size such as 512MiB or 2GiB \(512Mi and 2Gi are the same\)"
    ) as told:
        size_of(text)
    assert len(str(told.value)) < 200


def test_no_size_is_beyond_what_a_server_counts():
    """Its limits are 64 bits, and several are added."""
    assert size_of("1024TiB") == 1 << 50
    with pytest.raises(ValueError, match="must be 1024TiB at most, got '1025TiB'"):
        size_of("1025TiB")


@given(st.integers(0, 1 << 50))
def test_a_size_in_words_is_the_same_size(size: int):
    """To the byte, for us and as a quantity of Kubernetes'."""
    assert size_of(in_words(size)) == size_of(in_words(size).removesuffix("B")) == size


def test_streams_only_grow():
    """Less than the table has, and what is in no table, is refused; the table's own size is no change."""
    wrong = dict(problems({"WINDOWS": "255MiB", "NONE": "2GiB", "alerts": "1GiB", "RULES": "much"}))
    assert wrong.keys() == {"WINDOWS", "NONE", "RULES"}
    assert wrong["WINDOWS"] == "must be at least 256MiB, which it has without being told, got '255MiB'"
    assert wrong["NONE"].startswith("unknown stream; known are SIGHTINGS, PASSAGES, ")
    assert sizes_of({"windows": "512MiB", "ALERTS": "64MiB", "WINDOWS": "1GiB"}) == {"WINDOWS": GIB}


def test_the_table_in_these_sizes():
    """Those that are named are larger, never smaller; of all others, and of them, nothing else is new."""
    found = {one.name: one for one in sized({"WINDOWS": GIB, "ALERTS": 1})}
    assert found["WINDOWS"].max_bytes == GIB
    assert {name for name, one in found.items() if one != stream(name)} == {"WINDOWS"}
    assert sized({}) == STREAMS


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    file = tmp_path / "site.yaml"
    file.write_text("nats: {streams: {WINDOWS: 2GiB, SIGHTINGS: 512Mi}}\nsites: [{id: a}]\n")
    return file


def test_settings_have_sizes_and_the_environment_others(file: Path):
    """A variable of a stream is laid over the file's, whose names have other letters."""
    assert load(file, AggregateFile, {}).nats.sizes == {"SIGHTINGS": 512 << 20, "WINDOWS": 2 * GIB}
    over = load(file, AggregateFile, {"MORETTA_NATS__STREAMS__WINDOWS": "3GiB"}).nats.sizes
    assert over == {"SIGHTINGS": 512 << 20, "WINDOWS": 3 * GIB}
    assert load(file, AggregateFile, {"MORETTA_NATS__STREAMS": "{ALERTS: 1Gi}"}).nats.sizes == {"ALERTS": GIB}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{WINDOW: 2GiB}", "nats.streams.WINDOW: unknown stream; known are SIGHTINGS"),
        ("{WINDOWS: 2GB}", "nats.streams.WINDOWS: must be a size such as 512MiB"),
        ("{WINDOWS: 1MiB}", "nats.streams.WINDOWS: must be at least 256MiB"),
        ("{WINDOWS: {max_bytes: 1}}", "nats.streams.WINDOWS: must be a size such as 512MiB"),
        ("{1: 2GiB}", "nats.streams.1: the key must be a text"),
        ("2GiB", "nats.streams: must be a section of streams with their sizes, such as {WINDOWS: 2GiB}"),
    ],
)
def test_a_mistake_in_settings_is_told_with_its_path(file: Path, text: str, why: str):
    """The file, the path in it, and what would be right."""
    file.write_text(f"nats: {{streams: {text}}}\nsites: [{{id: a}}]\n")
    with pytest.raises(SettingsError, match=re.escape(f"{file}: {why}")):
        load(file, AggregateFile, {})
