"""Writes the model card: what the model is, what it was made from, how good it is and where it fails."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any

from services.inference.training.config import Config
from services.inference.training.release import Released

_SIZES = ("12-20", "20-32", "32-64", "64-128", "128-")
_CLASSES = ("mask", "no_mask", "incorrect")


@dataclass(frozen=True)
class Effort:
    """What the training cost: minutes of wall clock per part, epochs, and the cores used."""

    detector_minutes: float
    detector_epochs: int
    classifier_minutes: float
    classifier_epochs: int
    cores: int


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _main_rows(figures: dict[str, dict[str, Any]]) -> list[list[str]]:
    keys = ("precision", "recall", "f1", "mask_acc_on_found", "mask_balanced_acc", "unknown_share")
    return [
        [name, str(one["images"]), str(one["faces"]), *(_percent(one.get(key)) for key in keys)]
        for name, one in figures.items()
    ]


def _recall_rows(figures: dict[str, dict[str, Any]], kind: str, names: tuple[str, ...]) -> list[list[str]]:
    rows = []
    for name in names:
        row = [f"{name} px" if kind == "size" else name]
        for one in figures.values():
            share, faces = one["recall_by"].get(f"{kind} {name}", (None, 0))
            row.append(f"{_percent(share)} of {faces}")
        rows.append(row)
    return rows


def _confusion_rows(figures: dict[str, dict[str, Any]]) -> list[list[str]]:
    rows = []
    for true in _CLASSES:
        for dataset, one in figures.items():
            counts = one.get("confusion gt->pred", {})
            rows.append([dataset, true, *(str(counts.get(f"{true}->{said}", 0)) for said in _CLASSES)])
    return rows


def _rate_rows(figures: dict[str, dict[str, Any]]) -> list[list[str]]:
    rows = []
    for dataset, one in figures.items():
        rate = one.get("mask_rate")
        if rate:
            crowd = f"{rate['mean_abs_error_pp_images_with_5_faces']:.1f} points in {rate['images_with_5_faces']}"
            rows.append([dataset, f"{rate['true']:.1f} %", f"{rate['predicted']:.1f} %", crowd])
    return rows


def model_card(released: Released, effort: Effort, config: Config) -> str:
    """The text of MODEL_CARD.md: the fixed part (card.md beside this file) with this run's figures filled in."""
    figures, manifest = released.figures, released.manifest
    datasets = list(figures)
    template = resources.files(__package__).joinpath("card.md").read_text("utf-8")
    heads = ["source", "photos", "faces", "precision", "recall", "F1", "mask right", "balanced", "unknown"]
    values = {
        "ID": manifest.id,
        "LONG_SIDE": str(manifest.long_side),
        "THRESHOLD": f"{manifest.score_threshold:.2f}",
        "UNKNOWN_BELOW": f"{manifest.unknown_below:.2f}",
        "MIN_FACE_PX": f"{manifest.min_face_px:.0f}",
        "TEMPERATURE": f"{released.temperature:.2f}",
        "SEED": str(config.seed),
        "SHARE": f"{100 * config.split.validation_share:.0f} %",
        "MAIN": _table(heads, _main_rows(figures)),
        "BY_SIZE": _table(["face size", *datasets], _recall_rows(figures, "size", _SIZES)),
        "BY_CLASS": _table(["class", *datasets], _recall_rows(figures, "class", _CLASSES)),
        "CONFUSION": _table(["source", "annotated", *(f"said {c}" for c in _CLASSES)], _confusion_rows(figures)),
        "RATES": _table(["source", "true", "predicted", "mean error, photos of 5 or more"], _rate_rows(figures)),
        "DETECTOR_MINUTES": f"{effort.detector_minutes:.0f}",
        "DETECTOR_EPOCHS": str(effort.detector_epochs),
        "CLASSIFIER_MINUTES": f"{effort.classifier_minutes:.0f}",
        "CLASSIFIER_EPOCHS": str(effort.classifier_epochs),
        "CORES": str(effort.cores),
    }
    for key, value in values.items():
        template = template.replace("{" + key + "}", value)
    return template
