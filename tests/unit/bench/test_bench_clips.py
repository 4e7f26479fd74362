"""The comparison of `moretta count` with a count by eye."""

import datetime as dt
import json

import pytest
from msgspec.structs import replace
from rich.console import Console

from bench.clips import VERDICTS, Clip, ClipSpan, Row, clips_by_eye, files_of, table

NAMES = ("persons", *VERDICTS)


def clip(**spans):
    """A clip with one masked person, but for the spans given."""
    values = (
        {name: ClipSpan(0, 0, 0) for name in NAMES}
        | {"persons": ClipSpan(1, 1, 1), "masked": ClipSpan(1, 1, 1)}
        | spans
    )
    return Clip(file="a_clip.mp4", seconds=3.0, note="", **values)


def counted(**numbers):
    """What was counted: nobody, but for the numbers given."""
    return dict.fromkeys(NAMES, 0) | numbers


def test_the_count_by_eye_is_consistent():
    """Every range holds its best number, and the verdicts' best numbers add up to the persons."""
    clips = clips_by_eye()
    assert len({one.file for one in clips}) == len(clips) >= 20
    for one in clips:
        assert all(getattr(one, name).holds(getattr(one, name).best) for name in NAMES), one.file
        assert sum(getattr(one, name).best for name in VERDICTS) == one.persons.best, one.file


def test_a_clip_counted_later_says_when():
    """The first twelve clips have the date of the file, the eight that came later their own."""
    assert [one.date for one in clips_by_eye()] == [None] * 12 + [dt.date(2026, 11, 29)] * 8


def test_clips_are_found_in_every_folder(tmp_path):
    """A clip is taken from the first folder that has it; one that no folder has is named beside the folders."""
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, names in ((one, ["a.mp4"]), (two, ["a.mp4", "b.mp4"])):
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes(b"")
    wanted = [replace(clip(), file=name) for name in ("a.mp4", "b.mp4")]
    assert files_of(wanted, [one, two]) == [one / "a.mp4", two / "b.mp4"]
    with pytest.raises(FileNotFoundError, match=r"one: has no b\.mp4; give each folder"):
        files_of(wanted, [one])


def test_what_lies_outside_is_named():
    """A number beyond the range is named, one at its edge is not."""
    row = Row(clip(persons=ClipSpan(3, 2, 4), masked=ClipSpan(2, 1, 2)), counted(persons=4, masked=3, unmasked=1))
    assert row.outside == ["masked", "unmasked"]
    assert Row(clip(), counted(persons=1, masked=1)).outside == []


def test_the_table_shows_both_numbers():
    """Each cell shows the eye's number with its range and the count."""
    console = Console(width=120, record=True)
    console.print(table([Row(clip(persons=ClipSpan(3, 2, 4)), counted(persons=5, masked=1))]))
    text = console.export_text()
    assert "a_clip" in text
    assert "3 (2-4) : 5" in text
    assert "1 : 1" in text


def test_json_lists_every_clip(tmp_path, monkeypatch, capsys):
    """The JSON names each clip, what was counted and what lies outside the eye's range."""
    from bench import clips

    for one in clips_by_eye():
        (tmp_path / one.file).write_bytes(b"")
    monkeypatch.setattr(clips, "count", lambda _path: counted(persons=1, masked=1))
    clips.run([tmp_path], as_json=True)
    rows = {row["file"]: row for row in json.loads(capsys.readouterr().out)}
    assert len(rows) == len(clips_by_eye())
    assert rows["gituatu_mask.mp4"]["outside"] == []
    assert "unmasked" in rows["gituatu_nomask.mp4"]["outside"]
