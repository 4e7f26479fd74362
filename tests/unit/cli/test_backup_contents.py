"""What a backup is: whether a folder is a whole one, in which order it is taken, and how a stream is made of it."""

import hashlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from operate.backup.backup_folder import checked, described, finish, fresh, parts_of
from operate.backup.contents import (
    FILES,
    FORMAT,
    LIST,
    Contents,
    StreamContent,
    configuration,
    order,
    problems,
    with_digest,
)
from proto.subjects import STREAMS, stream
from services.bus.streams.stream_config import config_of
from services.kernel.settings import SettingsError

WINDOWS = stream("WINDOWS")


def part(name: str) -> StreamContent:
    sizes = {file: len(name) for file in FILES}
    digests = {file: hashlib.sha256(f"{name}/{file}".encode()).hexdigest() for file in FILES}
    return StreamContent(stream=name, messages=1, last_seq=1, sizes=sizes, sha256=digests)


WHOLE = with_digest(
    Contents(format=FORMAT, moretta="1", taken="2026-11-25T12:00:00Z", parts=[part(one.name) for one in order()])
)
FOUND = {
    f"{one.stream}/{file}": (one.sizes[file], one.sha256[file]) for one in WHOLE.parts for file in FILES
}  # fmt: skip


def test_deliveries_are_taken_last_and_alerts_before_windows():
    """Nobody is told twice whose telling is in there; an alert that is not in there is made again of its window."""
    names = [one.name for one in order()]
    assert sorted(names) == sorted(one.name for one in STREAMS if one.kept)
    assert names[-1] == "DELIVERIES"
    assert names.index("ALERTS") < names.index("WINDOWS")
    assert names.index("RULES") < names.index("WINDOWS")


def test_a_whole_backup_has_no_problems():
    """Nor has one of fewer streams: an earlier version knew fewer, or some were not there; each is named once."""
    assert problems(WHOLE, FOUND) == []
    some = with_digest(structs.replace(WHOLE, parts=WHOLE.parts[:1]))
    assert problems(some, FOUND) == []
    assert problems(with_digest(structs.replace(WHOLE, parts=[])), FOUND) == [(LIST, "names no stream")]
    twice = with_digest(structs.replace(WHOLE, parts=[*WHOLE.parts, WHOLE.parts[0]]))
    assert problems(twice, FOUND) == [(LIST, f"names {WHOLE.parts[0].stream!r} 2 times")]
    assert "is of format 9" in problems(structs.replace(WHOLE, format=9), FOUND)[0][1]


@pytest.mark.parametrize("change", [{"taken": "2027-01-01T00:00:00Z"}, {"moretta": "2"}, {"sha256": ""}])
def test_a_list_that_was_changed_is_told(change: dict[str, str]):
    """By its own digest, before anything that it says is believed."""
    assert problems(structs.replace(WHOLE, **change), FOUND) == [
        (LIST, "was changed since the backup was made: its digest is another one")
    ]


def test_a_file_that_is_not_of_the_backup_is_told(tmp_path: Path):
    """Somebody copied two folders into one, or keeps notes there: nobody knows what it belongs to."""
    with fresh(tmp_path / "out") as folder:
        write(folder)
    for name in ("notes.txt", "WINDOWS/backup (1).json"):
        (tmp_path / "out" / name).touch()
    with pytest.raises(SettingsError) as error:
        checked(tmp_path / "out")
    assert error.value.problems == [
        (name, "is not of this backup; move it elsewhere") for name in ("WINDOWS/backup (1).json", "notes.txt")
    ]


@given(st.sampled_from(sorted(FOUND)), st.sampled_from(["gone", "shorter", "changed"]))
def test_every_file_that_is_another_one_is_named(file: str, how: str):
    """One problem for one file, whatever happened to it."""
    size, digest = FOUND[file]
    now = {"gone": None, "shorter": (size - 1, digest), "changed": (size, "0" * 64)}[how]
    found = {name: one for name, one in (FOUND | {file: now}).items() if one is not None}
    assert [name for name, _ in problems(WHOLE, found)] == [file]


@given(
    st.dictionaries(
        st.sampled_from(["max_age", "max_bytes", "max_msgs_per_subject", "republish", "sources", "mirror", "subjects",
                         "storage", "num_replicas", "name", "retention", "sealed", "subject_transform"]),
        st.one_of(st.integers(-1, 10**19), st.text(max_size=5), st.lists(st.text(max_size=3), max_size=2), st.none()),
    )
)  # fmt: skip
def test_nothing_but_higher_limits_is_taken_of_what_a_backup_says(said):
    """Whoever can write to the folder can't have a stream made that copies, repeats, or keeps less."""
    want = config_of(WINDOWS, 3)
    made = configuration(WINDOWS, want | said, 3)
    assert set(made) == set(want)
    for field in set(want) - {"max_age", "max_bytes", "max_msgs_per_subject"}:
        assert made[field] == want[field]
    assert made["max_age"] >= want["max_age"] or made["max_age"] <= 0
    assert made["max_bytes"] >= want["max_bytes"] or made["max_bytes"] <= 0


def write(folder: Path) -> None:
    for one in order():
        (folder / one.name).mkdir()
        for file in FILES:
            (folder / one.name / file).write_bytes(b'{"config": {}, "state": {}}')
    finish(folder, [described(folder, one.name, 1, 1) for one in order()])


def test_a_folder_is_whole_or_is_not_there(tmp_path: Path):
    """What breaks off leaves nothing; what is there already is left alone."""
    out = tmp_path / "out"

    def break_off() -> None:
        with fresh(out) as folder:
            write(folder)
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        break_off()
    assert list(tmp_path.iterdir()) == []
    with fresh(out) as folder:
        write(folder)
        assert not out.exists()
        with pytest.raises(SettingsError, match="broken off or still runs"), fresh(out):
            pass
    assert [one.name for one in tmp_path.iterdir()] == ["out"]
    assert {part.stream for part in checked(out).parts} == {one.name for one in order()}
    assert all(path.stat().st_mode & 0o077 == 0 for path in (out, out / LIST))
    with pytest.raises(SettingsError, match="is there already"), fresh(out):
        pass
    assert b"".join(parts_of(out / "WINDOWS" / FILES[1])) == b'{"config": {}, "state": {}}'


@pytest.mark.parametrize("text", [b"", b"{}", b"[1]", b"\xff\xfe", msgspec.json.encode(WHOLE)[:-9]])
def test_a_list_that_is_none_is_told(tmp_path: Path, text: bytes):
    """Cut off, empty, of another tool."""
    (tmp_path / LIST).write_bytes(text)
    with pytest.raises(SettingsError, match="is damaged"):
        checked(tmp_path)
