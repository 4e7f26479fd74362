"""Trains and releases the model: `python -m modelling.training DATA [--out F] [--config F] [--work F]`."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import torch
from tqdm import tqdm

from modelling.training.card import doubts_file, model_card
from modelling.training.config import DEFAULT_PATH, Config, read_config
from modelling.training.photos import Corpus, load_corpus
from modelling.training.run import Report, Run


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m modelling.training", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with the datasets and the initial weights")
    parser.add_argument(
        "--out", type=Path, default=Path("build/model"), help="where the model is written (default: %(default)s)"
    )
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, help="settings (default: %(default)s)")
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="checkpoints (default: %(default)s)")
    return parser.parse_args(argv)


def _listed(names: frozenset[str]) -> str:
    return "".join(f"{name}\n" for name in sorted(names))


def _write_lists(folder: Path, corpus: Corpus, report: Report, config: Config) -> None:
    (folder / "validation.txt").write_text(_listed(corpus.validation), "utf-8")
    (folder / "calibration.txt").write_text(_listed(corpus.calibration), "utf-8")
    (folder / "doubted.txt").write_text(doubts_file(report.doubts), "utf-8")
    (folder / "MODEL_CARD.md").write_text(model_card(report, config), "utf-8")


def _train(wanted: argparse.Namespace) -> Report:
    """Everything is made beside the checkpoints first: an interrupted run leaves no half a model in --out."""
    config = read_config(wanted.config)
    torch.set_num_threads(config.threads)
    made = wanted.work / "model"
    made.mkdir(parents=True, exist_ok=True)
    with tqdm(desc="photos", unit="photo") as bar:
        corpus = load_corpus(wanted.data, config, bar.update)
    run = Run(wanted.data, wanted.work, config, corpus)
    with tqdm(desc="measuring", unit="photo") as bar:
        report = run.report(made, bar.update)
    _write_lists(made, corpus, report, config)
    shutil.copytree(made, wanted.out, dirs_exist_ok=True)
    return report


def main(argv: list[str]) -> int:
    """Trains, or goes on from the checkpoints in --work, and writes the model; returns the exit code."""
    wanted = _arguments(argv)
    try:
        report = _train(wanted)
    # torch tells of files that it cannot read by RuntimeError, Pillow by OSError.
    except (ValueError, OSError, RuntimeError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    print(f"{report.manifest.id} is in {wanted.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
