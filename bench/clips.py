"""Compares `moretta count` with a count by eye: `python -m bench.clips FOLDER [--json]`.

The clips are not part of the repository; what was counted by eye, and by which definition, is in clips_by_eye.toml.
"""

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


class Row(Struct, frozen=True):
    """One clip: what the eye and what `moretta count` counted, and whether every number lies in the eye's range."""

    clip: Clip
    counted: dict[str, int]

    @property
    def outside(self) -> list[str]:
        """The numbers that lie outside the range counted by eye."""
        names = ("persons", *VERDICTS)
        return [name for name in names if not getattr(self.clip, name).holds(self.counted[name])]


def clips_by_eye() -> list[Clip]:
    """Every clip that was counted by eye."""
    text = resources.files("bench").joinpath("clips_by_eye.toml").read_text("utf-8")
    return convert(tomllib.loads(text)["clip"], list[Clip])


def count(path: Path) -> dict[str, int]:
    """What `moretta count` counts in one clip; RuntimeError with its words if it fails."""
    command = [sys.executable, "-P", "-m", "operate.cli", "count", str(path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{path}: {done.stderr.strip()}")
    values: dict[str, Any] = json.loads(done.stdout)
    return {"persons": values["passages"], **{name: values[name] for name in VERDICTS}}


def _cell(span: ClipSpan, value: int) -> str:
    eye = str(span.best) if span.low == span.high else f"{span.best} ({span.low}-{span.high})"
    return f"{eye} : {value}" if span.holds(value) else f"[bold red]{eye} : {value}[/]"


def table(rows: list[Row]) -> Table:
    """By eye : counted, with what lies outside the eye's range marked."""
    shown = Table(title="people in each clip, by eye (range) : by moretta count")
    shown.add_column("clip", overflow="fold")
    for name in ("persons", *VERDICTS):
        shown.add_column(name)
    for row in rows:
        cells = [_cell(getattr(row.clip, name), row.counted[name]) for name in ("persons", *VERDICTS)]
        shown.add_row(Path(row.clip.file).stem, *cells)
    return shown


def run(
    folder: Annotated[Path, typer.Argument(help="the folder that holds the clips", exists=True, file_okay=False)],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Count every clip of the folder that was counted by eye, and compare."""
    clips = clips_by_eye()
    missing = [clip.file for clip in clips if not (folder / clip.file).is_file()]
    if missing:
        print(f"{folder}: has no {', '.join(missing)}; give the folder that holds the clips", file=sys.stderr)
        raise typer.Exit(2)
    console = Console(stderr=True)
    steps = track(clips, "counting", console=console, disable=not console.is_terminal, transient=True)
    try:
        rows = [Row(clip, count(folder / clip.file)) for clip in steps]
    except RuntimeError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    if as_json:
        print(json.dumps([{"file": r.clip.file, "counted": r.counted, "outside": r.outside} for r in rows]))
    else:
        Console().print(table(rows))


if __name__ == "__main__":
    typer.run(run)
