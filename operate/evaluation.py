"""The figures of `moretta eval` in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from operate.output import percent
from services.inference.model import FaceModel, load_model

_WORN = {"mask": "masked", "no_mask": "bare", "incorrect": "incorrect"}


def _points(value: float | None) -> str:
    # What rounds to zero gets a plus, never "-0.0".
    return "–" if value is None else f"{round(value, 1) + 0.0:+.1f}"


def _models(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the figures of each model: of one, or of two that are compared."""
    return [values, values["compared"]] if "compared" in values else [values]


def _title(values: dict[str, Any]) -> str:
    names = " and ".join(f"{one['model']} at {one['long_side']} px" for one in _models(values))
    return f"{names}, on {values['images']} pictures; faces of at least {values['min_px']:.0f} px"


def _found(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "annotated faces", str(values["faces"])
    yield "found, of the annotated faces (recall)", percent(values["recall"])
    yield "really faces, of what was found (precision)", percent(values["precision"])
    yield "both in one number (F1)", percent(values["f1"])
    if values.get("ap50") is not None:
        yield "average precision over all scores (AP50)", percent(values["ap50"])
    yield "false alarms per picture", f"{values['false_per_image']:.2f}"


def _judged(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "left unknown, of the found faces", percent(values["unknown_share"])
    yield "right about mask / no mask, of the found and judged faces", percent(values["mask_acc_on_found"])
    yield "the same, as the mean of masked and bare faces", percent(values["mask_balanced_acc"])
    yield "confidence too high or too low, on average (ECE, points)", f"{100 * values['calibration']['ece']:.1f}"


def _rates(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    rate, effect = values["mask_rate"], values["unknown_effect"]
    yield "mask rate by the annotations", f"{rate['true']:.1f}%"
    yield "mask rate by the model, unknown faces left out as published", f"{rate['predicted']:.1f}%"
    yield "its error (points)", _points(effect["left_out"]["error_pp"])
    yield "its error if unknown faces got their likeliest verdict", _points(effect["likeliest"]["error_pp"])
    yield "judged faces, more (+) or fewer (-) than annotated", f"{rate['signed_count_error_pct']:+.1f}%"
    if rate["images_with_5_faces"]:
        error, other = (effect[name]["mean_abs_error_pp_images_with_5_faces"] for name in ("left_out", "likeliest"))
        crowds = rate["images_with_5_faces"]
        yield f"mean error of a picture's rate, if 5 faces or more ({crowds} such)", f"{error:.1f}"
        yield "the same if unknown faces got their likeliest verdict", f"{other:.1f}"


def _summary(values: dict[str, Any]) -> Table:
    table, models = Table(), _models(values)
    table.add_column("all faces")
    for one in models:
        table.add_column(one["model"] if len(models) > 1 else "", justify="right")
    for part in (_found, _judged, _rates):
        columns = [dict(part(one)) if part is _found or "mask_rate" in one else {} for one in models]
        for words in max(columns, key=len):
            table.add_row(words, *(one.get(words, "–") for one in columns))
        table.add_section()
    return table


def _named(values: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for row in values["by_size"]:
        low, _, high = row["size"].partition("-")
        yield (f"{low} to {high} px" if high else f"{low} px and more"), row
    yield "all", values["total"]


def _by_size_and_class(values: dict[str, Any]) -> Table:
    table = Table()
    table.add_column("size", no_wrap=True)
    table.add_column("annotated")
    for name in ("faces", "found", "unknown, of the found", "right about mask / no mask, of the judged"):
        table.add_column(name, justify="right", max_width=24)
    for size, row in _named(values):
        for name, counts in row["classes"].items():
            shares = (percent(counts[key]) for key in ("recall", "unknown_share", "right"))
            table.add_row(size if name == "mask" else "", _WORN[name], str(counts["faces"]), *shares)
        table.add_section()
    return table


def _side_by_side(values: dict[str, Any]) -> Table:
    """Return what both models find, and how often both are right, by size and what is worn."""
    table = Table()
    table.add_column("size", no_wrap=True)
    table.add_column("annotated", no_wrap=True)
    for head in ("faces", "found", "by the other", "right", "by the other"):
        table.add_column(head, justify="right")
    for (size, row), (_, other) in zip(*map(_named, _models(values)), strict=True):
        for name, counts in row["classes"].items():
            both = (counts, other["classes"][name])
            shares = (percent(one[key]) for key in ("recall", "right") for one in both)
            table.add_row(size if name == "mask" else "", _WORN[name], str(counts["faces"]), *shares)
        table.add_section()
    return table


def _difference(row: dict[str, Any]) -> str:
    difference = row["recall_difference"]
    if difference is None:
        return "–"
    low, high = difference["interval"]
    return f"{_points(difference['points'])} ({_points(low)} to {_points(high)})"


def _bias(values: dict[str, Any]) -> Table:
    table = Table()
    table.add_column("size", no_wrap=True)
    table.add_column("faces", justify="right")
    heads = (
        "masked found more often than bare (95 % interval)",
        "error of the rate, unknown left out",
        "error, likeliest verdict instead",
    )
    for name in heads:
        table.add_column(name, justify="right", max_width=26)
    for size, row in _named(values):
        if size == "all":
            table.add_section()
        errors = (_points(row[key]) for key in ("rate_error_pp", "rate_error_likeliest_pp"))
        table.add_row(size, str(row["faces"]), _difference(row), *errors)
    return table


def _sliced(rows: list[dict[str, Any]]) -> Table:
    """Return what is found of each part, and how far off its rate is; the worst rate first."""
    table = Table()
    table.add_column("", no_wrap=True)
    heads = ("faces", "masked found", "bare found", "right, of the judged", "error of the rate (points)")
    for name in heads:
        table.add_column(name, justify="right", max_width=14)
    for row in sorted(rows, key=lambda one: -abs(one["rate_error_pp"] or 0.0)):
        found = (percent(row["classes"][name]["recall"]) for name in ("mask", "no_mask"))
        table.add_row(
            Text(row["name"]), str(row["faces"]), *found, percent(row["right"]), _points(row["rate_error_pp"])
        )
    return table


def scores(values: dict[str, Any]) -> Group:
    """Return the tables of `moretta eval`: all faces, by size and class, the bias of the rate, by source and pose.

    Of two models the first two tables have both, and the others do not come.
    """
    tables = {_title(values): _summary(values)}
    if "compared" in values:
        tables["By size of the face and what is worn"] = _side_by_side(values)
    else:
        tables["By size of the face and what is worn"] = _by_size_and_class(values)
        tables["What that does to the mask rate (points)"] = _bias(values)
        tables |= {f"By {name}": _sliced(rows) for name in ("source", "pose") if (rows := values.get(f"by_{name}"))}
    return Group(*(part for title, table in tables.items() for part in (Text(title, "italic"), table, "")))


def model_of(name: str) -> FaceModel:
    """Return the model in a folder of this name; for `shipped` the one that is shipped. ModelError if there is none."""
    return load_model(None if name == "shipped" else Path(name))
