"""Writes the model card: what the model is, what it was made from, how good it is and where it fails."""

from __future__ import annotations

import re
from importlib import resources
from typing import Any

import torch

from modelling.training.config import Config
from modelling.training.doubts import Doubt
from modelling.training.run import Report

_SIZES = ("12-20", "20-32", "32-64", "64-128", "128-")
_CLASSES = ("mask", "no_mask", "incorrect")
Figures = dict[str, dict[str, Any]]


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


_MAIN_HEADS = ["source", "photos", "faces", "precision", "recall", "F1", "mask right", "balanced", "unknown"]


def _main_rows(figures: Figures) -> list[list[str]]:
    keys = ("precision", "recall", "f1", "mask_acc_on_found", "mask_balanced_acc", "unknown_share")
    return [
        [name, str(one["images"]), str(one["faces"]), *(_percent(one.get(key)) for key in keys)]
        for name, one in figures.items()
    ]


def _bare_recalled(one: dict[str, Any], size: str) -> tuple[float | None, int]:
    """Recall of the faces without a properly worn mask of one size, and how many there are."""
    parts = [one["recall_by"].get(f"size {size} {label}", (0.0, 0)) for label in _CLASSES[1:]]
    faces = sum(count for _, count in parts)
    return (sum(share * count for share, count in parts) / faces if faces else None), faces


def _bias_rows(figures: Figures) -> list[list[str]]:
    rows = []
    for size in _SIZES:
        row = [f"{size} px"]
        for one in figures.values():
            masked, count = one["recall_by"].get(f"size {size} mask", (None, 0))
            bare, others = _bare_recalled(one, size)
            row += [f"{_percent(masked)} of {count}", f"{_percent(bare)} of {others}"]
        rows.append(row)
    return rows


def _elsewhere_rows(elsewhere: dict[str, Figures]) -> list[list[str]]:
    rows = []
    for figures in elsewhere.values():
        for (name, one), row, rate in zip(figures.items(), _main_rows(figures), _rate_rows(figures), strict=True):
            masked, bare = (_percent(one["recall_by"].get(f"class {label}", (None,))[0]) for label in _CLASSES[:2])
            rows.append([name, *row[1:5], masked, bare, *row[5:], *rate[1:]])
    return rows


def _groups(config: Config) -> str:
    """Which sources are left out together."""
    return "; ".join(", ".join(sources) for sources in config.data.left_out.values())


_JUDGES_HEADS = [
    "judged by",
    "source",
    "mask right",
    "incorrect said not masked",
    "unknown",
    "true rate",
    "predicted",
    "mean error, photos of 5 or more",
]


def _judges_rows(report: Report) -> list[list[str]]:
    judges = {
        "both, as shipped": report.figures,
        "detector's head alone": report.head_alone,
        "classifier alone": report.crop_alone,
    }
    return [
        [
            judge,
            name,
            _percent(one.get("mask_acc_on_found")),
            not_masked[1],
            _percent(one.get("unknown_share")),
            *rate[1:],
        ]
        for judge, figures in judges.items()
        for (name, one), not_masked, rate in zip(
            figures.items(), _not_masked(figures), _rate_rows(figures), strict=True
        )
    ]


def _effort_rows(report: Report) -> list[list[str]]:
    return [[one.name, f"{one.minutes:.1f}", str(one.epochs)] for one in report.spent]


def _not_masked(figures: Figures) -> list[list[str]]:
    rows = []
    for name, one in figures.items():
        counts = one.get("confusion gt->pred", {})
        total = sum(count for key, count in counts.items() if key.startswith("incorrect->"))
        right = total - counts.get("incorrect->mask", 0)
        rows.append([name, f"{right} of {total}", _percent(right / total if total else None)])
    return rows


def doubts_file(found: list[Doubt]) -> str:
    """The text of doubted.txt: one doubted label a line."""
    lines = ["photo\tbox\tlabel\tsaid\tlikelihood of the label"]
    lines += [f"{one.name}\t{one.index}\t{one.label}\t{one.said}\t{one.likely:.4f}" for one in found]
    return "\n".join(lines) + "\n"


def _doubt_rows(report: Report) -> list[list[str]]:
    rows = []
    for source, faces in report.faces.items():
        count = sum(one.name.startswith(f"{source}/") for one in report.doubts)
        rows.append([source, str(faces), str(count), _percent(count / max(1, faces))])
    return rows


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


def _rate_rows(figures: Figures) -> list[list[str]]:
    return [[dataset, *_rate_cells(one.get("mask_rate"))] for dataset, one in figures.items()]


def _rate_cells(rate: dict[str, float] | None) -> list[str]:
    if rate is None:
        return ["-", "-", "-"]
    crowd = f"{rate['mean_abs_error_pp_images_with_5_faces']:.1f} points in {rate['images_with_5_faces']}"
    return [f"{rate['true']:.1f} %", f"{rate['predicted']:.1f} %", crowd]


def _tables(report: Report) -> dict[str, str]:
    figures = report.figures
    datasets = list(figures)
    pairs = [f"{name}: {kind}" for name in datasets for kind in ("masked", "not masked")]
    rate_heads = ["source", "true", "predicted", "mean error, photos of 5 or more"]
    elsewhere_heads = [*_MAIN_HEADS[:5], "recall, masked", "recall, bare", *_MAIN_HEADS[5:], *rate_heads[1:]]
    return {
        "MAIN": _table(_MAIN_HEADS, _main_rows(figures)),
        "BY_SIZE": _table(["face size", *datasets], _recall_rows(figures, "size", _SIZES)),
        "BIAS": _table(["face size", *pairs], _bias_rows(figures)),
        "BY_CLASS": _table(["class", *datasets], _recall_rows(figures, "class", _CLASSES)),
        "CONFUSION": _table(["source", "annotated", *(f"said {c}" for c in _CLASSES)], _confusion_rows(figures)),
        "NOT_MASKED": _table(["source", "incorrect faces said not to be masked", "share"], _not_masked(figures)),
        "RATES": _table(rate_heads, _rate_rows(figures)),
        "ELSEWHERE": _table(elsewhere_heads, _elsewhere_rows(report.elsewhere)),
        "JUDGES": _table(_JUDGES_HEADS, _judges_rows(report)),
        "DOUBTS": _table(["source", "faces learnt from", "doubted", "share"], _doubt_rows(report)),
        "EFFORT": _table(["leg", "minutes", "epochs"], _effort_rows(report)),
    }


def model_card(report: Report, config: Config) -> str:
    """The text of MODEL_CARD.md: the fixed part (card.md beside this file) with this run's figures filled in."""
    manifest = report.manifest
    values = _tables(report) | {
        "ID": manifest.id,
        "SHA256": report.sha256,
        "LONG_SIDE": str(manifest.long_side),
        "THRESHOLD": f"{manifest.score_threshold:.2f}",
        "UNKNOWN_BELOW": f"{manifest.unknown_below:.2f}",
        "MIN_FACE_PX": f"{manifest.min_face_px:.0f}",
        "HEAD_WEIGHT": f"{report.point.both.head:.2f}",
        "CROP_WEIGHT": f"{report.point.both.crop:.2f}",
        "SEED": str(config.seed),
        "GROUPS": _groups(config),
        "SIDE": str(config.classifier.side),
        "CALIBRATION": f"{100 * config.split.calibration_share:.0f} %",
        "MINUTES": f"{sum(one.minutes for one in report.spent):.0f}",
        "DEVICE": "a GPU" if torch.cuda.is_available() else f"at most {config.threads} processor cores, without a GPU",
    }
    text = resources.files(__package__).joinpath("card.md").read_text("utf-8")
    for key, value in values.items():
        text = text.replace("{" + key + "}", value)
    if left := re.findall(r"\{[A-Z_0-9]+\}", text):
        raise ValueError(f"card.md: nothing is known of {', '.join(left)}")
    return text
