"""Trains and releases the model: `python -m services.inference.training DATA [--out F] [--config F] [--work F]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from tqdm import tqdm

from services.inference.model import MODELS
from services.inference.training.card import Effort, model_card
from services.inference.training.classifier import ClassifierTraining
from services.inference.training.config import DEFAULT_PATH, Config, read_config
from services.inference.training.detector import DetectorTraining
from services.inference.training.patches import cut_patches
from services.inference.training.photos import Corpus, Sample, load_corpus
from services.inference.training.release import Networks, release
from services.inference.training.unlabelled import with_unlabelled
from services.inference.training.yunet import load_published


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.inference.training", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with the datasets and the initial weights")
    parser.add_argument("--out", type=Path, default=MODELS, help="where the model is written (default: %(default)s)")
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, help="settings (default: %(default)s)")
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="checkpoints (default: %(default)s)")
    return parser.parse_args(argv)


def _scenes_of(corpus: Corpus, config: Config, weights: Path) -> list[Sample]:
    photos = corpus.training(config.data.detection)
    score = config.detector.unlabelled_score
    with tqdm(desc="unlabelled faces", total=len(photos), unit="photo") as bar:
        net = load_published(weights)
        return with_unlabelled(photos, net, long_side=config.long_side, least_score=score, tick=bar.update)


def _trained(data: Path, work: Path, config: Config, corpus: Corpus) -> tuple[Networks, Effort]:
    detector = DetectorTraining(config, data / config.data.initial_weights, work / "detector.pt")
    found = detector.run(_scenes_of(corpus, config, data / config.data.initial_weights))
    samples = corpus.training([*config.data.detection, *config.data.crops])
    classifier = ClassifierTraining(config, work / "classifier.pt")
    judge = classifier.run(cut_patches(samples, config.classifier, config.long_side))
    minutes = detector.seconds / 60, classifier.seconds / 60
    return Networks(found, judge), Effort(minutes[0], detector.epoch, minutes[1], classifier.epoch, config.threads)


def main(argv: list[str]) -> int:
    """Trains, or goes on from the checkpoints in --work, and writes the model; returns the exit code."""
    wanted = _arguments(argv)
    try:
        config = read_config(wanted.config)
        torch.set_num_threads(config.threads)
        wanted.work.mkdir(parents=True, exist_ok=True)
        wanted.out.mkdir(parents=True, exist_ok=True)
        with tqdm(desc="photos", unit="photo") as bar:
            corpus = load_corpus(wanted.data, config, bar.update)
        networks, effort = _trained(wanted.data, wanted.work, config, corpus)
        with tqdm(desc="measuring", unit="photo") as bar:
            names = corpus.validation
            released = release(wanted.out, wanted.data, networks, validation=names, config=config, tick=bar.update)
    except (ValueError, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    (wanted.out / "MODEL_CARD.md").write_text(model_card(released, effort, config), "utf-8")
    print(f"{released.manifest.id} is in {wanted.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
