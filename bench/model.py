"""The model's time and accuracy at four sizes of the picture, in float32 and int8, beside CenterFace.

Run it as `python -m bench.model DATA` on a machine that trains models (`make bench-model`). DATA holds the annotated
folders.
"""

import argparse
import hashlib
import json
import logging
import platform
import shutil
import sys
import tempfile
import time
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from bench import model_accuracy, model_int8, model_reference, model_speed, model_tables
from bench.model_sessions import SIZES, runtime, session
from modelling.evaluation.labelled import InputError
from operate.output import progress
from services.inference.model import MANIFEST_NAME, MODELS, FaceModel, Manifest, ModelError, load_model

VALIDATION_NAME = "validation.txt"
NETWORKS = ("detector", "classifier")


def measure(data: Path, folder: Path, rounds: int) -> model_tables.Report:
    """Return all figures of the model in `folder`; InputError or ModelError for unusable input."""
    whole = load_model(folder)
    reference = model_reference.centerface(model_reference.packaged())
    ours, others = model_accuracy.parts(data, folder / VALIDATION_NAME)
    with tempfile.TemporaryDirectory(prefix="moretta-") as scratch:
        small = Path(scratch) / "int8"
        _write_int8(folder, small, list(chain.from_iterable(others.values())))
        folders = {"float32": folder, "int8": small}
        models = {"float32": whole, "int8": load_model(small)}
        networks = {name: _network(place, models[name].manifest) for name, place in folders.items()}
    (speed, times), waited = _time(networks, reference, _crowd(ours), rounds)
    accuracy, found = _accuracy(models, ours)
    ratio = model_tables.headline(speed, times["folded"])
    about = (whole.id, processor(), runtime(), rounds, waited)
    return model_tables.Report(*about, times, speed, accuracy, found, model_tables.BAR, ratio)


def _write_int8(folder: Path, target: Path, photos: list[Any]) -> None:
    """Write a copy of the model with both networks in int8."""
    shutil.copytree(folder, target)
    manifest = json.loads((folder / MANIFEST_NAME).read_bytes())
    chosen = model_int8.drawn(photos)
    feeds = (model_int8.detector_feeds(chosen), model_int8.classifier_feeds(chosen))
    with progress("int8", len(NETWORKS)) as advance:
        for done, (name, feed) in enumerate(zip(NETWORKS, feeds, strict=True), start=1):
            content = model_int8.quantised(folder / manifest[name]["file"], feed)
            (target / manifest[name]["file"]).write_bytes(content)
            manifest[name]["sha256"] = hashlib.sha256(content).hexdigest()
            advance(done)
    (target / MANIFEST_NAME).write_text(json.dumps(manifest), "utf-8")


def _network(folder: Path, manifest: Manifest) -> model_speed.Network:
    files = (folder / manifest.detector.file, folder / manifest.classifier.file)
    return model_speed.Network(*(session(file.read_bytes(), str(file)) for file in files))


def _crowd(photos: model_accuracy.Photos) -> Path:
    """Return the photo with the most faces, so that the suppression has work to do."""
    return max(chain.from_iterable(photos.values()), key=lambda pair: len(pair[1].boxes))[0]


def _time(networks: dict[str, model_speed.Network], reference: dict[str, bytes], photo: Path, rounds: int) -> Any:
    """Return the result of `model_speed.measure`, and the share of its time in which this process did not run."""
    references = {name: session(content, f"CenterFace {name}") for name, content in reference.items()}
    wall, cpu = time.perf_counter(), time.process_time()
    with progress("time", rounds) as advance:
        measured = model_speed.measure(networks, references, photo, rounds=rounds, progress=advance)
    return measured, max(0.0, 1 - (time.process_time() - cpu) / (time.perf_counter() - wall))


def _accuracy(models: dict[str, FaceModel], photos: model_accuracy.Photos) -> Any:
    total = len(models) * len(SIZES) * sum(map(len, photos.values()))
    with progress("accuracy", total) as advance:
        return model_accuracy.measure(models, photos, [width for width, _ in SIZES], advance)


def processor() -> str:
    """Return the processor's name as Linux tells it, else what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.model", description=main.__doc__)
    parser.add_argument("data", metavar="DATA", type=Path, help="the folder with kaggle853 and ilc2021")
    parser.add_argument("--model", metavar="DIR", type=Path, default=MODELS, help="another model than the shipped one")
    parser.add_argument("--rounds", metavar="N", type=int, default=model_speed.ROUNDS, help="runs of each network")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print JSON")
    shape.add_argument("--markdown", action="store_true", help="print the tables of docs/model/speed.md")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error(f"--rounds {arguments.rounds}: give 1 or more")
    return arguments


def main() -> int:
    """Measure the model's time and accuracy by size of the picture and dtype, beside CenterFace."""
    arguments = _arguments()
    # onnxruntime advises rewriting the graphs before quantising; our graphs are already in their final form.
    logging.disable(logging.WARNING)
    try:
        report = measure(arguments.data, arguments.model, arguments.rounds)
    except (InputError, ModelError) as error:
        print(f"bench.model: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(msgspec.json.encode(report).decode())
    elif arguments.markdown:
        print(model_tables.markdown(report), end="")
    else:
        Console().print(*model_tables.terminal(report), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
