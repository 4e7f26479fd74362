"""How good models are on each source of faces that they did not learn from: `python -m bench.sources DATA MODEL...`

DATA holds the annotated folders. Each MODEL is a folder with a model and `left_out.txt`, which lists the photos to
measure it on; training leaves such folders in its --work, one for each group of sources that it leaves out.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench.left_out import LEFT_OUT, read_left_out
from bench.source_figures import COLUMNS, Seen, Source, rows, source_figures
from modelling.evaluation.labelled import InputError, Photo, read_annotations
from modelling.evaluation.measuring import predict
from operate.output import progress
from services.inference.model import FaceModel, ModelError, load_model


def left_out(folder: Path, data: Path) -> dict[str, list[Photo]]:
    """Return the photos that a model is to be measured on, by source; InputError for a list that can't be used."""
    wanted = read_left_out(folder)
    return {source: [p for p in read_annotations(data / source) if p.file in wanted[source]] for source in wanted}


def measure(data: Path, folders: Sequence[Path]) -> list[Source]:
    """Return the figures of each model on each of its sources; InputError or ModelError for unusable input."""
    jobs = [(load_model(folder), left_out(folder, data)) for folder in folders]
    total = sum(len(photos) for _, sources in jobs for photos in sources.values())
    found, done = [], 0
    with progress("photos", total) as advance:
        for model, sources in jobs:
            for name, photos in sources.items():
                seen = []
                for photo in photos:
                    seen.append((photo, predict(photo, data / name / photo.file, model)))
                    advance(done := done + 1)
                found.append(_of(model, name, seen))
    return found


def _of(model: FaceModel, name: str, seen: Seen) -> Source:
    return source_figures(name, model.id, seen, model.manifest.score_threshold)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.sources", description=main.__doc__)
    parser.add_argument("data", metavar="DATA", type=Path, help="the folder with the annotated sources")
    parser.add_argument("models", metavar="MODEL", type=Path, nargs="+", help=f"a folder with a model and {LEFT_OUT}")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print JSON")
    shape.add_argument("--markdown", action="store_true", help="print it as a table in Markdown")
    return parser.parse_args()


def main() -> int:
    """Measure models on the sources that they did not learn from; shares are in percent."""
    arguments = _arguments()
    try:
        found = measure(arguments.data, arguments.models)
    except (InputError, ModelError) as error:
        print(f"bench.sources: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(msgspec.json.encode(found).decode())
    elif arguments.markdown:
        lines = [["source", *COLUMNS], ["---", *("--:" for _ in COLUMNS)], *rows(found)]
        print("\n".join("| " + " | ".join(line) + " |" for line in lines))
    else:
        table = Table("source", *COLUMNS)
        for row in rows(found):
            table.add_row(*row)
        Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
