"""One training run: every leg in order, then calibration and figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from services.inference.model import Manifest, load_model
from services.inference.training.classifier import probabilities, train_classifier
from services.inference.training.config import Config
from services.inference.training.detector import light_start, train_detector
from services.inference.training.doubts import Doubt, doubts, without
from services.inference.training.leg import Leg
from services.inference.training.patches import cut_patches
from services.inference.training.photos import Corpus, Sample
from services.inference.training.release import (
    Annotated,
    Figures,
    Networks,
    chosen,
    measure,
    release,
    single_stage,
)
from services.inference.training.teacher import with_teacher
from services.inference.training.yunet import YuNet, load_published


@dataclass(frozen=True)
class Spent:
    """What a leg cost: minutes of wall clock and epochs."""

    name: str
    minutes: float
    epochs: int


@dataclass
class Report:
    """What the model card tells of a run; figures are per dataset."""

    manifest: Manifest
    sha256: str
    temperature: float
    figures: Figures
    single_stage: Figures
    cross: dict[str, Figures]
    doubts: list[Doubt]
    faces: dict[str, int]
    spent: list[Spent] = field(default_factory=list)


class Run:
    """The legs of a run share data, settings and the folder of checkpoints."""

    def __init__(self, data: Path, work: Path, config: Config, corpus: Corpus) -> None:
        self.data, self.work, self.config = data, work, config
        self.aside = {"calibration": corpus.calibration, "validation": corpus.validation}
        self.weights = data / config.data.initial_weights
        self.scenes, self.crops = self._samples(corpus)
        self.spent: list[Spent] = []

    def _samples(self, corpus: Corpus) -> tuple[list[Sample], list[Sample]]:
        scenes, crops = corpus.training(self.config.data.detection), corpus.training(self.config.data.crops)
        net, score = load_published(self.weights), self.config.detector.unlabelled_score
        with tqdm(desc="landmarks", total=len(scenes) + len(crops), unit="photo") as bar:
            side = self.config.long_side
            scenes = with_teacher(scenes, net, long_side=side, least_score=score, tick=bar.update)
            # A photo that shows one face has no unlabelled ones.
            crops = with_teacher(crops, net, long_side=side, least_score=1.0, tick=bar.update)
        return scenes, crops

    def _noted(self, leg: Leg) -> Leg:
        self.spent.append(Spent(leg.name, leg.seconds / 60, leg.epoch))
        return leg

    def _of(self, source: str) -> list[Sample]:
        return [sample for sample in self.scenes if sample.dataset == source]

    def _networks(self, name: str, start: YuNet, scenes: list[Sample], minutes: tuple[float, float]) -> Networks:
        detector = self._noted(train_detector(self.config, start, scenes, self.work / f"detector{name}.pt", minutes[0]))
        patches = cut_patches([*scenes, *self.crops], self.config.classifier, self.config.long_side)
        checkpoint = self.work / f"classifier{name}.pt"
        classifier = self._noted(train_classifier(self.config, patches, checkpoint, minutes[1]))
        return Networks(detector.average.net, classifier.average.net)

    def _doubts(self, source: str, judge: Networks) -> tuple[list[Doubt], int]:
        patches = cut_patches(self._of(source), self.config.classifier, self.config.long_side)
        said = probabilities(judge.classifier, patches, self.config)
        return doubts(patches.faces, patches.classes, said), len(patches.faces)

    def networks(self) -> tuple[Networks, dict[str, Networks], list[Doubt], dict[str, int]]:
        """Trains all legs: those on one source alone first, which then doubt the labels of the other."""
        config = self.config
        start = self._noted(light_start(config, self.weights, self.scenes, self.work / "hints.pt")).average.net
        minutes = config.detector.cross_minutes, config.classifier.cross_minutes
        alone = {s: self._networks(f"-{s}", start, self._of(s), minutes) for s in config.data.detection}
        found: list[Doubt] = []
        faces = {}
        for source in config.data.detection:
            judge = next(alone[other] for other in alone if other != source)
            some, faces[source] = self._doubts(source, judge)
            found.extend(some)
        self.scenes = without(self.scenes, found)
        full = config.detector.minutes, config.classifier.minutes
        return self._networks("", start, self.scenes, full), alone, found, faces

    def _photos(self, part: str, *sources: str) -> Annotated:
        return chosen(self.data, sources, self.aside[part])

    def _cross(self, source: str, networks: Networks, tick: Callable[[], None]) -> Figures:
        """The networks trained on `source` alone, on every photo of the other sources."""
        folder = self.work / f"only-{source}"
        release(folder, networks, self._photos("calibration", source), self.config, tick)
        others = [name for name in self.config.data.detection if name != source]
        return measure(load_model(folder), chosen(self.data, others, None), tick)

    def report(self, out: Path, tick: Callable[[], None]) -> Report:
        """Trains, writes the model to `out` and measures it and what it is compared with."""
        networks, alone, found, faces = self.networks()
        sources = self.config.data.detection
        calibration, validation = self._photos("calibration", *sources), self._photos("validation", *sources)
        manifest, temperature = release(out, networks, calibration, self.config, tick)
        one = single_stage(networks, manifest, calibration, self.config, tick)
        model = load_model(out)
        return Report(
            manifest,
            model.sha256,
            temperature,
            figures=measure(model, validation, tick),
            single_stage=measure(one, validation, tick),
            cross={source: self._cross(source, alone[source], tick) for source in sources},
            doubts=found,
            faces=faces,
            spent=self.spent,
        )
