"""What do the model's errors do to a rate? `python -m bench.model_errors FOLDER... [--left-out DIR]... [--write]`.

Each FOLDER holds annotated photos of a source that the model did not learn from. A model that learnt from all sources
is measured by its stand-ins: training leaves a folder for each group of sources that it left out, with a model that
learnt from none of them. With `--left-out` each source is measured by that one.

Printed are the errors as expected in a new place (`modelling.evaluation.errors`) and, with each source left out in
turn, how often the interval made with them holds the truth (`modelling.evaluation.interval_check`). `--write` writes
`errors.json` beside the model's manifest, from where inference tells aggregate (ADR 41).
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.left_out import read_left_out
from modelling.evaluation.errors import PhotoCounts, Sources, by_photo, estimate
from modelling.evaluation.interval_check import Draw, Held, check, pooled
from modelling.evaluation.labelled import InputError
from modelling.evaluation.measuring import predict, selected_photos, what_became
from services.inference.errors import ERRORS_NAME, ErrorsFile
from services.inference.model import MODELS, FaceModel, ModelError, load_model

SIZES = (30, 100, 400)
SCENES = 1_000
SEED = 20_261_129
SHARES = (0.3, 0.55, 0.8, 0.95)
_TRUTHS = {"passed": "of those who passed", "place": "of the place"}


class Judge(NamedTuple):
    """A source, the model that did not learn from it, and the photos that count; None: all."""

    folder: Path
    model: FaceModel
    photos: frozenset[str] | None = None


def judges(folders: Sequence[Path], model: FaceModel, left_out: Sequence[Path]) -> list[Judge]:
    """Return who judges which source; InputError if no stand-in left one of them out."""
    if not left_out:
        return [Judge(folder, model) for folder in folders]
    listed = {stand_in: read_left_out(stand_in) for stand_in in left_out}
    found = []
    for folder in folders:
        name = folder.resolve().name
        stand_in = next((one for one, sources in listed.items() if name in sources), None)
        if stand_in is None:
            raise InputError(f"{folder}: none of {', '.join(map(str, left_out))} left {name} out of its training")
        found.append(Judge(folder, load_model(stand_in), listed[stand_in][name]))
    return found


def measured(judge: Judge, console: Console) -> list[PhotoCounts]:
    """Return what became of the people of each photo; InputError for a folder that can't be used."""
    photos = [p for p in selected_photos(judge.folder, None) if judge.photos is None or p.file in judge.photos]
    steps = track(photos, judge.folder.name, console=console, disable=not console.is_terminal, transient=True)
    lines = [predict(photo, judge.folder / photo.file, judge.model) for photo in steps]
    return by_photo(what_became(photos, lines, judge.model.manifest.score_threshold))


def draws() -> list[Draw]:
    """Return the kinds of scenes: both truths with each source's own share of masks, and other shares at a place."""
    own = [Draw(truth, people) for truth in ("passed", "place") for people in SIZES]
    return own + [Draw("place", people, share) for share in SHARES for people in SIZES]


def table(rows: Sequence[Held]) -> Table:
    """Return how often intervals hold, and their median width in points, one line a source and kind of scenes."""
    shown = Table(title="95 % intervals that hold the truth, with the source left out of the estimate")
    for head in ("source", "truth", "masked", "people", "hold", "width", "by chance alone: hold", "width"):
        shown.add_column(head, justify="left" if head in {"source", "truth"} else "right")
    for row in sorted(rows, key=lambda row: (row.draw.share or 0, row.draw.truth, row.draw.people, row.held)):
        draw = row.draw
        share = "its own" if draw.share is None else f"{draw.share:.0%}"
        figures = (
            f"{row.held:.1%}",
            f"{100 * row.width:.0f}",
            f"{row.held_by_chance:.1%}",
            f"{100 * row.width_by_chance:.0f}",
        )
        shown.add_row(row.source, _TRUTHS[draw.truth], share, str(draw.people), *figures)
    return shown


def sums(sources: Sources) -> dict[str, dict[str, int]]:
    """Return how many photos and people each source has, and how many of them were judged, and judged rightly."""
    found = {}
    for name, photos in sources.items():
        kinds = {"masked": [one.masked for one in photos], "others": [one.others for one in photos]}
        found[name] = {"photos": len(photos)}
        for kind, some in kinds.items():
            counts = [sum(one[which] for one in some) for which in range(3)]
            found[name] |= dict(zip((kind, f"{kind}_judged", f"{kind}_right"), counts, strict=True))
    return found


def run(
    folders: Annotated[list[Path], typer.Argument(help="annotated photos, a folder a source")],
    model: Annotated[Path | None, typer.Option(help="a model's folder (default: the shipped one)")] = None,
    left_out: Annotated[
        list[Path] | None, typer.Option("--left-out", help="a model that learnt from none of a group; may be repeated")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="write errors.json beside the model's manifest")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Tell what the model's errors do to a rate in a new place, and how often intervals with them hold."""
    console = Console(stderr=True)
    try:
        faces = load_model(model)
        found = judges([one.resolve() for one in folders], faces, left_out or [])
        sources = {one.folder.name: measured(one, console) for one in found}
        errors = estimate(sources)
        rows = list(check(sources, draws(), SCENES, SEED))
    except (InputError, ModelError, ValueError) as error:
        print(f"bench.model_errors: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    rows = [*rows, *pooled(rows)]
    if write:
        told = ErrorsFile(faces.sha256, errors, sums(sources))
        content = msgspec.json.format(msgspec.json.encode(told), indent=2)
        ((model or MODELS) / ERRORS_NAME).write_bytes(content + b"\n")
    if as_json:
        print(json.dumps({"errors": msgspec.to_builtins(errors), "rows": rows, "sources": sums(sources)}))
        return
    print(msgspec.json.encode(errors).decode())
    Console(width=120).print(table(rows))


if __name__ == "__main__":
    typer.run(run)
