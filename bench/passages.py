"""Is a person missed as often as a face? `python -m bench.passages FOLDER [--only FILE] [--model DIR] [--json]`.

A detector that misses a face in one picture may find it in the next. Then missed faces bias a rate per passage less
than a rate per picture. How much less, if at all, depends on how alike the misses of one person are, and photos do not
show that. This bench analyses each annotated photo at nine sizes, 15 % smaller to 15 % larger, as if everybody in it
came nearer. Its misses are more alike than on the street, where people also turn and walk through the light. A passage
counts as found if the face is found in three of the nine pictures or more, as aggregate confirms a track (`min_hits`).
"""

import json
import sys
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer
from msgspec import Struct
from rich.console import Console
from rich.progress import track
from rich.table import Table

from modelling.evaluation.labelled import InputError, Photo
from modelling.evaluation.measuring import predict, selected_photos, what_became
from modelling.evaluation.outcomes import Outcome
from services.inference.model import FaceModel, ModelError, load_model
from services.sites.settings import TrackingSettings
from services.statistics.proportions import newcombe

SIZES = (0.85, 0.89, 0.93, 0.96, 1.0, 1.04, 1.07, 1.11, 1.15)
MIN_HITS = TrackingSettings().min_hits
_MULTIPLE = 4


class Person(Struct, frozen=True):
    """One annotated face: its label, and the number of pictures in which it was found."""

    label: str
    hits: int


class Shares(Struct, frozen=True):
    """One kind of people: their number, their pictures, the pictures in which they were found, and their passages.

    A passage is a person found in three or more pictures.
    """

    people: int
    pictures: int
    found: int
    passages: int


def people(views: Sequence[Sequence[Outcome]]) -> list[Person]:
    """Return the annotated faces of one photo, from their outcomes in each of its views."""
    faces = zip(*([one for one in view if one.truth is not None] for view in views), strict=True)
    return [Person(str(face[0].truth), sum(one.is_found for one in face)) for face in faces]


def shares(some: Iterable[Person], views: int) -> Shares:
    """Return how often these people were found."""
    some = list(some)
    passages = sum(one.hits >= MIN_HITS for one in some)
    return Shares(len(some), views * len(some), sum(one.hits for one in some), passages)


def bias(everybody: Sequence[Person], views: int) -> dict[str, Any]:
    """Return recall by picture and by passage of masked people and all others, the difference, and the rate's error.

    Shares are 0 to 1; differences and errors are in points, masked minus others, with Newcombe's 95 % interval. The
    interval for pictures is as wide as if every person were one picture: the views of one person are not independent.
    """
    masked = shares((one for one in everybody if one.label == "mask"), views)
    others = shares((one for one in everybody if one.label != "mask"), views)
    kinds = (masked, others)
    picture = [(round(kind.found / views), kind.people) for kind in kinds]
    passage = [(kind.passages, kind.people) for kind in kinds]
    return {
        "people": [kind.people for kind in kinds],
        "picture": _gap([kind.found / max(1, kind.pictures) for kind in kinds], picture),
        "passage": _gap([kind.passages / max(1, kind.people) for kind in kinds], passage),
        "rate_error_picture": _rate_error([kind.found for kind in kinds], masked.people, others.people),
        "rate_error_passage": _rate_error([kind.passages for kind in kinds], masked.people, others.people),
    }


def _gap(recalls: Sequence[float], counts: Sequence[tuple[int, int]]) -> dict[str, Any]:
    interval = newcombe(counts[0], counts[1])
    points = None if interval is None else [100 * interval[0], 100 * interval[1]]
    return {"recall": list(recalls), "difference": 100 * (recalls[0] - recalls[1]), "interval": points}


def _rate_error(found: Sequence[int], masked: int, others: int) -> float:
    """Return the points by which the rate among the found is off, if every verdict is right."""
    return 100 * (found[0] / max(1, sum(found)) - masked / max(1, masked + others))


def sides(long_side: int) -> list[int]:
    """Return the long sides at which each photo is analysed: multiples of 4."""
    return [round(long_side * size / _MULTIPLE) * _MULTIPLE for size in SIZES]


def _people(photo: Photo, path: Path, model: FaceModel) -> list[Person]:
    lines = (predict(photo, path, model, long_side=side) for side in sides(model.manifest.long_side))
    threshold = model.manifest.score_threshold
    return people([what_became([photo], [line], threshold) for line in lines])


def table(name: str, values: dict[str, Any]) -> Table:
    """Return the result of `bias` as a table."""
    shown = Table(title=f"{name}: {values['people'][0]} masked people, {values['people'][1]} others")
    for head in ("", "masked found", "others found", "difference", "rate off by"):
        shown.add_column(head, justify="right")
    for kind, what in (("picture", "in one picture"), ("passage", f"in {MIN_HITS} of {len(SIZES)}")):
        one = values[kind]
        interval = one["interval"]
        span = "" if interval is None else f" ({interval[0]:+.1f} to {interval[1]:+.1f})"
        recalls = [f"{share:.1%}" for share in one["recall"]]
        shown.add_row(what, *recalls, f"{one['difference']:+.1f}{span}", f"{values[f'rate_error_{kind}']:+.1f} points")
    return shown


def run(
    folder: Annotated[Path, typer.Argument(help="annotated photos")],
    only: Annotated[Path | None, typer.Option(help="a list of photos to restrict it to")] = None,
    model: Annotated[Path | None, typer.Option(help="a model's folder (default: the shipped one)")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Tell by how much masked people are found more often than others, by picture and by passage."""
    console = Console(stderr=True)
    try:
        faces, photos = load_model(model), selected_photos(folder, only)
        steps = track(photos, "nine sizes", console=console, disable=not console.is_terminal, transient=True)
        everybody = list(chain.from_iterable(_people(photo, folder / photo.file, faces) for photo in steps))
    except (InputError, ModelError) as error:
        print(f"bench.passages: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    values = bias(everybody, len(SIZES))
    if as_json:
        print(json.dumps(values))
    else:
        Console().print(table(folder.resolve().name, values))


if __name__ == "__main__":
    typer.run(run)
