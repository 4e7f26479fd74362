"""One training run: every leg in order, then calibration and figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from tqdm import tqdm

from modelling.training.blend import Blend
from modelling.training.classifier import probabilities, train_classifier
from modelling.training.config import Config
from modelling.training.detector import learn_hints, train_detector, wide_start
from modelling.training.doubts import Doubt, doubts, without
from modelling.training.judge import Judge
from modelling.training.leg import Leg, Net
from modelling.training.patches import cut_patches
from modelling.training.photos import Corpus, Sample
from modelling.training.release import (
    Annotated,
    Figures,
    Networks,
    Operating,
    chosen,
    measure,
    operating_point,
    write_model,
)
from modelling.training.teacher import with_teacher
from modelling.training.yunet import YuNet, load_published
from services.inference.model import Manifest, load_model


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
    point: Operating
    figures: Figures
    head_alone: Figures
    crop_alone: Figures
    teacher: Figures
    cross: dict[str, Figures]
    doubts: list[Doubt]
    faces: dict[str, int]
    spent: list[Spent] = field(default_factory=list)


class Run:
    """The legs of a run share data, settings and the folder of checkpoints."""

    def __init__(self, data: Path, work: Path, config: Config, corpus: Corpus) -> None:
        self.data, self.work, self.config, self.corpus = data, work, config, corpus
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

    def _noted(self, leg: Leg[Net]) -> Leg[Net]:
        self.spent.append(Spent(leg.name, leg.seconds / 60, leg.epoch))
        return leg

    def _of(self, source: str) -> list[Sample]:
        return [sample for sample in self.scenes if sample.dataset == source]

    def _classifier(self, name: str, scenes: list[Sample], minutes: float) -> Judge:
        patches = cut_patches([*scenes, *self.crops], self.config.classifier, self.config.long_side)
        checkpoint = self.work / f"classifier{name}.pt"
        return self._noted(train_classifier(self.config, patches, checkpoint, minutes)).average.net

    def _wide(self, name: str, scenes: list[Sample], minutes: float) -> YuNet:
        torch.manual_seed(self.config.seed)
        start, rate = wide_start(load_published(self.weights)), self.config.detector.teacher_learning_rate
        leg = train_detector(self.config, start, scenes, self.work / f"{name}.pt", minutes, rate)
        return self._noted(leg).average.net

    def _light(self, teacher: YuNet) -> YuNet:
        wanted = self.config.detector
        start = self._noted(learn_hints(self.config, teacher, self.scenes, self.work / "hints.pt")).average.net
        path = self.work / "detector.pt"
        leg = train_detector(self.config, start, self.scenes, path, wanted.minutes, wanted.learning_rate)
        return self._noted(leg).average.net

    def _alone(self, source: str) -> Networks:
        """Trained on one source alone, at the full width."""
        scenes = self._of(source)
        detector = self._wide(f"detector-{source}", scenes, self.config.detector.cross_minutes)
        return Networks(detector, self._classifier(f"-{source}", scenes, self.config.classifier.cross_minutes))

    def _doubts(self, source: str, judge: Networks) -> tuple[list[Doubt], int]:
        patches = cut_patches(self._of(source), self.config.classifier, self.config.long_side)
        said = probabilities(judge.classifier, patches, self.config)
        return doubts(patches.faces, patches.classes, said), len(patches.faces)

    def _without_doubts(self, alone: dict[str, Networks]) -> tuple[list[Doubt], dict[str, int]]:
        """Takes back the labels that the networks trained on the other source doubt; returns them, and of how many."""
        found: list[Doubt] = []
        faces = {}
        for source in self.config.data.detection:
            judge = next(alone[other] for other in alone if other != source)
            some, faces[source] = self._doubts(source, judge)
            found.extend(some)
        self.scenes = without(self.scenes, found)
        return found, faces

    def _photos(self, part: str, *sources: str) -> Annotated:
        return chosen(self.data, sources, self.aside[part])

    def _cross(self, source: str, networks: Networks, tick: Callable[[], None]) -> Figures:
        """The networks trained on `source` alone, on every photo of the other sources but twins of what they learnt.

        Single faces cut out of photos (the crops) were learnt as well.
        """
        folder = self.work / f"only-{source}"
        point = operating_point(folder, networks, self._photos("calibration", source), self.config, tick)
        write_model(folder, networks, self.config, point.threshold, point.both)
        others = [name for name in self.config.data.detection if name != source]
        learnt = frozenset(sample.name for sample in (*self._of(source), *self.crops))
        return measure(load_model(folder), chosen(self.data, others, self.corpus.strangers(others, learnt)), tick)

    def _judged(self, by: str, networks: Networks, threshold: float, blend: Blend, tick: Callable[[], None]) -> Figures:
        """The same detector with verdicts made otherwise, on the validation part: for the comparison in ADR 10."""
        folder = self.work / by
        write_model(folder, networks, self.config, threshold, blend)
        return measure(load_model(folder), self._photos("validation", *self.config.data.detection), tick)

    def _measured(self, name: str, networks: Networks, tick: Callable[[], None]) -> Figures:
        """The networks calibrated for themselves, on the validation part."""
        sources = self.config.data.detection
        folder = self.work / name
        point = operating_point(folder, networks, self._photos("calibration", *sources), self.config, tick)
        return self._judged(name, networks, point.threshold, point.both, tick)

    def report(self, out: Path, tick: Callable[[], None]) -> Report:
        """Trains every leg, writes the model to `out` and measures it and what it is compared with.

        The networks on one source alone come first: they doubt the labels of the other.
        """
        sources = self.config.data.detection
        alone = {source: self._alone(source) for source in sources}
        found, faces = self._without_doubts(alone)
        teacher = self._wide("teacher", self.scenes, self.config.detector.teacher_minutes)
        networks = Networks(self._light(teacher), self._classifier("", self.scenes, self.config.classifier.minutes))
        calibration, validation = self._photos("calibration", *sources), self._photos("validation", *sources)
        point = operating_point(self.work / "uncalibrated", networks, calibration, self.config, tick)
        manifest = write_model(out, networks, self.config, point.threshold, point.both)
        model = load_model(out)
        return Report(
            manifest,
            model.sha256,
            point,
            figures=measure(model, validation, tick),
            head_alone=self._judged("head-alone", networks, point.threshold, point.head, tick),
            crop_alone=self._judged("crop-alone", networks, point.threshold, point.crop, tick),
            teacher=self._measured("wide", Networks(teacher, networks.classifier), tick),
            cross={source: self._cross(source, alone[source], tick) for source in sources},
            doubts=found,
            faces=faces,
            spent=self.spent,
        )
