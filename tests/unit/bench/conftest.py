"""A report of the model's bench, with figures that are easy to check."""

from itertools import pairwise

import pytest

from bench.model_accuracy import LIMITS_PX, Accuracy, Found
from bench.model_sessions import SIZES
from bench.model_speed import FACES_PX, Speed, Timing
from bench.model_tables import BAR, Report


def speed(dtype, size, total):
    by_px = {px: Timing(total / 4, total / 4) for px in FACES_PX}
    return Speed(dtype, size, Timing(total * 3 / 4, total * 3 / 4), by_px, Timing(total, total + 1))


def made(ratio=0.19, **changes):
    """A report with a line for everything."""
    found = [Found(limits, width, 4, 3, 1) for width, _ in SIZES for limits in pairwise(LIMITS_PX)]
    usual = {
        "model": "moretta-test",
        "processor": "one processor",
        "onnxruntime": "1.2.3",
        "rounds": 9,
        "waited": 0.004,
        "reference": {"as packaged": Timing(60, 62), "folded": Timing(34, 35)},
        "speed": [speed(dtype, size, size[0] / 80) for size in SIZES for dtype in ("float32", "int8")],
        "accuracy": [
            Accuracy(dtype, width, source, 100, 0.95, 0.96, 0.94, 0.93, 0.99, 0.02)
            for dtype in ("float32", "int8")
            for width, _ in SIZES
            for source in ("one", "two")
        ],
        "found": found,
        "bar": BAR,
        "ratio": ratio,
    }
    return Report(**usual | changes)


@pytest.fixture(name="report")
def _report():
    """What makes a report; its arguments replace fields."""
    return made
