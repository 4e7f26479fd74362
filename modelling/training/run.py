"""One training run: every leg in order, then the operating point and figures.

Groups of sources are left out in turn. The networks that learnt from none of a group say how good the recipe is where
nobody has been, and doubt the group's labels.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

import torch
from tqdm import tqdm

from modelling.training.blend import Blend
from modelling.training.classifier import probabilities, train_classifier
from modelling.training.config import Config
from modelling.training.detector import fine_start, train_detector
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
    Point,
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
    elsewhere: dict[str, Figures]
    """By group of sources: figures of networks that did not learn from it."""
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
        net = load_published(self.weights).to(memory_format=torch.channels_last)
        score = self.config.detector.unlabelled_score
        path, side = self.work / "landmarks.pt", self.config.long_side
        known = torch.load(path, weights_only=False) if path.exists() else {}
        with tqdm(desc="landmarks", total=len(scenes) + len(crops), unit="photo", mininterval=2.0) as bar:
            scenes = with_teacher(scenes, net, long_side=side, least_score=score, tick=bar.update, known=known)
            # A photo that shows one face has no unlabelled ones.
            crops = with_teacher(crops, net, long_side=side, least_score=1.0, tick=bar.update, known=known)
        torch.save(known, path)
        return scenes, crops

    def _noted(self, leg: Leg[Net]) -> Leg[Net]:
        self.spent.append(Spent(leg.name, leg.seconds / 60, leg.epoch))
        return leg

    def _without(self, sources: Collection[str]) -> tuple[list[Sample], list[Sample]]:
        """The scenes and the crops of all other sources."""
        scenes = [sample for sample in self.scenes if sample.dataset not in sources]
        return scenes, [sample for sample in self.crops if sample.dataset not in sources]

    def _classifier(self, name: str, samples: list[Sample], epochs: int) -> Judge:
        patches = cut_patches(samples, self.config.classifier, self.config.long_side)
        return self._noted(train_classifier(self.config, patches, self.work / f"{name}.pt", epochs)).average.net

    def _detector(self, name: str, scenes: list[Sample], epochs: int) -> YuNet:
        torch.manual_seed(self.config.seed)
        start = fine_start(load_published(self.weights))
        leg = train_detector(self.config, start, scenes, self.work / f"{name}.pt", epochs)
        return self._noted(leg).average.net

    def _left_out(self, group: str, sources: Collection[str]) -> Networks:
        """Trained on all sources but these."""
        scenes, crops = self._without(sources)
        detector = self._detector(f"detector-without-{group}", scenes, self.config.detector.left_out_epochs)
        judge = self._classifier(
            f"classifier-without-{group}", [*scenes, *crops], self.config.classifier.left_out_epochs
        )
        return Networks(detector, judge)

    def _doubts(self, source: str, judge: Networks) -> tuple[list[Doubt], int]:
        scenes = [sample for sample in self.scenes if sample.dataset == source]
        patches = cut_patches(scenes, self.config.classifier, self.config.long_side)
        said = probabilities(judge.classifier, patches, self.config)
        return doubts(patches.faces, patches.classes, said), len(patches.faces)

    def _without_doubts(self, left_out: dict[str, Networks]) -> tuple[list[Doubt], dict[str, int]]:
        """Takes back the labels that networks doubt which did not learn from their source; returns them, and of how
        many.
        """
        found: list[Doubt] = []
        faces = {}
        for group, sources in self.config.data.left_out.items():
            for source in sources:
                if source in self.config.data.detection:
                    some, faces[source] = self._doubts(source, left_out[group])
                    found.extend(some)
        self.scenes = without(self.scenes, found)
        return found, faces

    def _photos(self, part: str, *sources: str) -> Annotated:
        return chosen(self.data, sources, self.aside[part])

    def _strangers(self, sources: Collection[str]) -> Annotated:
        """Every photo of these sources but twins of what the networks without them learnt."""
        detection = [name for name in sources if name in self.config.data.detection]
        scenes, crops = self._without(sources)
        learnt = frozenset(sample.name for sample in (*scenes, *crops))
        return chosen(self.data, detection, self.corpus.strangers(detection, learnt))

    def _elsewhere(self, group: str, networks: Networks, tick: Callable[[], None]) -> Figures:
        """The networks without a group, on that group; calibrated on photos of the other sources."""
        sources = self.config.data.left_out[group]
        folder = self.work / f"without-{group}"
        others = [name for name in self.config.data.detection if name not in sources]
        point = self._point(networks, self._photos("calibration", *others), tick)
        write_model(folder, Point.of(networks, self.config, point))
        strangers = self._strangers(sources)
        names = [f"{dataset}/{photo.file}\n" for dataset, photo, _ in strangers.each()]
        (folder / "left_out.txt").write_text("".join(names), "utf-8")
        return measure(load_model(folder), strangers, tick)

    def _point(self, networks: Networks, photos: Annotated, tick: Callable[[], None]) -> Operating:
        """What fits these photos best."""
        return operating_point(self.work / "uncalibrated", networks, photos, self.config, tick)

    def _judged(self, by: str, networks: Networks, point: Operating, blend: Blend, tick: Callable[[], None]) -> Figures:
        """The same detector with verdicts made otherwise, on the validation part: for the comparison in ADR 10."""
        folder = self.work / by
        write_model(folder, Point(networks, self.config, point.threshold, blend, point.certainty))
        return measure(load_model(folder), self._validation(), tick)

    def _validation(self) -> Annotated:
        """The validation part of the sources that have one."""
        known = {name.split("/", 1)[0] for name in self.corpus.validation}
        return self._photos("validation", *(name for name in self.config.data.detection if name in known))

    def report(self, out: Path, tick: Callable[[], None]) -> Report:
        """Trains every leg, writes the model to `out` and measures it and what it is compared with."""
        sources = self.config.data.detection
        left_out = {group: self._left_out(group, names) for group, names in self.config.data.left_out.items()}
        elsewhere = {group: self._elsewhere(group, networks, tick) for group, networks in left_out.items()}
        found, faces = self._without_doubts(left_out)
        detector = self._detector("detector", self.scenes, self.config.detector.epochs)
        judge = self._classifier("classifier", [*self.scenes, *self.crops], self.config.classifier.epochs)
        networks = Networks(detector, judge)
        point = self._point(networks, self._photos("calibration", *sources), tick)
        manifest = write_model(out, Point.of(networks, self.config, point))
        model = load_model(out)
        return Report(
            manifest,
            model.sha256,
            point,
            figures=measure(model, self._validation(), tick),
            head_alone=self._judged("head-alone", networks, point, point.head, tick),
            crop_alone=self._judged("crop-alone", networks, point, point.crop, tick),
            elsewhere=elsewhere,
            doubts=found,
            faces=faces,
            spent=self.spent,
        )
