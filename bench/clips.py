"""Compares `moretta count` with a count by eye: `python -m bench.clips FOLDER [FOLDER ...] [--json]`.

The clips are not part of the repository. clips_by_eye.toml has the counts by eye, and the definition they follow.
"""

import datetime as dt
import json
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer
from msgspec import Struct, convert
from rich.console import Console
from rich.progress import track
from rich.table import Table

VERDICTS = ("masked", "unmasked", "incorrect", "unknown")


class ClipSpan(Struct, frozen=True, forbid_unknown_fields=True):
    """A number counted by eye, and the range that another careful count may give."""

    best: int
    low: int
    high: int

    def holds(self, value: int) -> bool:
        """Whether the value lies in the range."""
        return self.low <= value <= self.high


class Clip(Struct, frozen=True, forbid_unknown_fields=True):
    """One clip as counted by eye."""

    file: str
    seconds: float
    persons: ClipSpan
    masked: ClipSpan
    unmasked: ClipSpan
    incorrect: ClipSpan
    unknown: ClipSpan
    note: str
    date: dt.date | None = None  # None: the date at the top of the file


class Row(Struct, frozen=True):
    """One clip: its counts by eye and by `moretta count`, and whether every number lies in the eye's range."""

    clip: Clip
    counted: dict[str, int]

    @property
    def outside(self) -> list[str]:
        """The numbers that lie outside the range counted by eye."""
        names = ("persons", *VERDICTS)
        return [name for name in names if not getattr(self.clip, name).holds(self.counted[name])]


def clips_by_eye() -> list[Clip]:
    """Return every clip that was counted by eye."""
    text = resources.files("bench").joinpath("clips_by_eye.toml").read_text("utf-8")
    return convert(tomllib.loads(text)["clip"], list[Clip])


def files_of(clips: list[Clip], folders: list[Path]) -> list[Path]:
    """Return each clip's file, from the first folder that has it; FileNotFoundError names the clips that none has."""
    paths = [folder / clip.file for clip in clips for folder in reversed(folders)]
    found = {path.name: path for path in paths if path.is_file()}
    missing = [clip.file for clip in clips if clip.file not in found]
    if missing:
        where, what = ", ".join(map(str, folders)), ", ".join(missing)
        raise FileNotFoundError(f"{where}: has no {what}; give each folder that holds clips")
    return [found[clip.file] for clip in clips]


def count(path: Path) -> dict[str, int]:
    """Return the counts of `moretta count` for one clip; RuntimeError with its error text if it fails."""
    command = [sys.executable, "-P", "-m", "moretta", "count", str(path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{path}: {done.stderr.strip()}")
    values: dict[str, Any] = json.loads(done.stdout)
    return {"persons": values["passages"], **{name: values[name] for name in VERDICTS}}


def _cell(span: ClipSpan, value: int) -> str:
    eye = str(span.best) if span.low == span.high else f"{span.best} ({span.low}-{span.high})"
    return f"{eye} : {value}" if span.holds(value) else f"[bold red]{eye} : {value}[/]"


def table(rows: list[Row]) -> Table:
    """Return the table, by eye : counted. Numbers outside the eye's range are marked."""
    shown = Table(title="people in each clip, by eye (range) : by moretta count")
    shown.add_column("clip", overflow="fold")
    for name in ("persons", *VERDICTS):
        shown.add_column(name)
    for row in rows:
        cells = [_cell(getattr(row.clip, name), row.counted[name]) for name in ("persons", *VERDICTS)]
        shown.add_row(Path(row.clip.file).stem, *cells)
    return shown


def run(
    folders: Annotated[list[Path], typer.Argument(help="folders that hold the clips", exists=True, file_okay=False)],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Count every clip that was counted by eye, looked for by its name in the folders, and compare."""
    clips = clips_by_eye()
    console = Console(stderr=True)
    try:
        pairs = list(zip(clips, files_of(clips, folders), strict=True))
        steps = track(pairs, "counting", console=console, disable=not console.is_terminal, transient=True)
        rows = [Row(clip, count(path)) for clip, path in steps]
    except (FileNotFoundError, RuntimeError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    if as_json:
        print(json.dumps([{"file": r.clip.file, "counted": r.counted, "outside": r.outside} for r in rows]))
    else:
        Console().print(table(rows))


if __name__ == "__main__":
    typer.run(run)
