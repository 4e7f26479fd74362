"""Trains and releases the model: `python -m services.inference.training DATA [--out F] [--config F] [--work F]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from tqdm import tqdm

from services.inference.model import MODELS
from services.inference.training.card import doubts_file, model_card
from services.inference.training.config import DEFAULT_PATH, read_config
from services.inference.training.photos import load_corpus
from services.inference.training.run import Run


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.inference.training", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with the datasets and the initial weights")
    parser.add_argument("--out", type=Path, default=MODELS, help="where the model is written (default: %(default)s)")
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, help="settings (default: %(default)s)")
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="checkpoints (default: %(default)s)")
    return parser.parse_args(argv)


def _listed(names: frozenset[str]) -> str:
    return "".join(f"{name}\n" for name in sorted(names))


def main(argv: list[str]) -> int:
    """Trains, or goes on from the checkpoints in --work, and writes the model; returns the exit code."""
    wanted = _arguments(argv)
    try:
        config = read_config(wanted.config)
        torch.set_num_threads(config.threads)
        wanted.work.mkdir(parents=True, exist_ok=True)
        with tqdm(desc="photos", unit="photo") as bar:
            corpus = load_corpus(wanted.data, config, bar.update)
        run = Run(wanted.data, wanted.work, config, corpus)
        with tqdm(desc="measuring", unit="photo") as bar:
            report = run.report(wanted.out, bar.update)
    except (ValueError, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    (wanted.out / "validation.txt").write_text(_listed(corpus.validation), "utf-8")
    (wanted.out / "calibration.txt").write_text(_listed(corpus.calibration), "utf-8")
    (wanted.out / "doubted.txt").write_text(doubts_file(report.doubts), "utf-8")
    (wanted.out / "MODEL_CARD.md").write_text(model_card(report, config), "utf-8")
    print(f"{report.manifest.id} is in {wanted.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
