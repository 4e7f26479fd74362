"""What does H.265 cost to decode, beside H.264? `python -P -m bench.codecs [--seconds S] [--rounds N]`.

The same film, encoded twice at the same bit rate as cameras do, is decoded and scaled by ingest's own source and
decoder, in turns, in one thread.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import av
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.clip import FULL_HD, SECOND_HD, Format, make_clip
from bench.decode import own_s, played
from operate import show

FORMATS = (FULL_HD, SECOND_HD)
"""A camera's main stream and its second one (docs/cameras.md)."""


def measured(form: Format, seconds: float, rounds: int, folder: Path) -> dict[str, Any]:
    """Return both codecs' processor ms a picture, each round's, and the worst of the rounds' ratios."""
    clips = {one: make_clip(folder / f"{one}.mp4", replace(form, codec=one), seconds) for one in ("h264", "h265")}
    pictures = {codec: played(_pictures(clip)) for codec, clip in clips.items()}
    steps = track(range(rounds), form.name, console=Console(stderr=True), transient=True)
    ms = [{codec: 1000 * own_s(clip) / pictures[codec] for codec, clip in clips.items()} for _ in steps]
    ratios = [one["h265"] / one["h264"] for one in ms]
    found = {codec: [round(one[codec], 3) for one in ms] for codec in clips}
    return {"format": form.name, "megabits": form.megabits, **found, "ratio": median(ratios), "worst": max(ratios)}


def _pictures(clip: Path) -> int:
    with av.open(str(clip)) as container:
        return sum(1 for _ in container.decode(video=0))


def table(rows: list[dict[str, Any]]) -> Table:
    """Return the figures as a table."""
    shown = Table(title="processor ms a picture, decoded and scaled to 640x360 (median of the rounds)")
    for head in ("stream", "Mbit/s", "H.264", "H.265", "ratio", "worst round"):
        shown.add_column(head, justify="left" if head == "stream" else "right")
    for row in rows:
        both = [f"{median(row[codec]):.2f}" for codec in ("h264", "h265")]
        shown.add_row(row["format"], f"{row['megabits']:g}", *both, f"{row['ratio']:.2f}", f"{row['worst']:.2f}")
    return shown


def run(
    seconds: Annotated[float, typer.Option(min=1, help="how long each film is")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, help="how often each is decoded, in turns")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Tell what decoding costs by codec."""
    with tempfile.TemporaryDirectory(prefix="moretta-") as folder:
        rows = [measured(form, seconds, rounds, Path(folder)) for form in FORMATS]
    show.result(rows, table, as_json=as_json, width=110)


if __name__ == "__main__":
    typer.run(run)
