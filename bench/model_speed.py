"""Times detector, classifier on six faces, and CenterFace on one thread, in turn: a busy moment hits all alike."""

import gc
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import av
import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.model_reference import INPUT, SIDES
from bench.model_sessions import SIZES
from services.inference.core.faces import CLASSES

FACES = 6
FACES_PX = (16, 32, 64)
HEADLINE_PX = 32
ROUNDS = 120
WARM_UP = 5
_FACE_ASPECT = 1.25
_MS = 1e-6
Call = Callable[[], object]
Pixels = NDArray[np.uint8]


class Timing(msgspec.Struct, frozen=True):
    """Milliseconds of one thread, over all rounds."""

    min_ms: float
    median_ms: float

    @classmethod
    def of(cls, times: list[float]) -> "Timing":
        """Return the minimum and the median of these times."""
        return cls(min(times), median(times))

    def over(self, other: "Timing") -> float:
        """Return how many times the other's time this takes: of the two ratios, minima and medians, the larger."""
        return max(self.min_ms / other.min_ms, self.median_ms / other.median_ms)


class Speed(msgspec.Struct, frozen=True):
    """One dtype at one size. `classifier` is by the faces' size in pixels; `total` is with faces of 32 px."""

    dtype: str
    size: tuple[int, int]
    detector: Timing
    classifier: dict[int, Timing]
    total: Timing


class Network(msgspec.Struct, frozen=True):
    """The two sessions of a model."""

    detector: Any
    classifier: Any


def in_turn(calls: Mapping[str, Call], rounds: int, progress: Callable[[int], None]) -> dict[str, list[float]]:
    """Return each call's milliseconds, a round each; a round runs all calls once, in an order of its own."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    names, order = list(calls), random.Random(1)
    gc.disable()
    try:
        for number in range(-WARM_UP, rounds):
            order.shuffle(names)
            for name in names:
                start = time.perf_counter_ns()
                calls[name]()
                if number >= 0:
                    times[name].append((time.perf_counter_ns() - start) * _MS)
            progress(number + 1)
    finally:
        gc.enable()
    return times


def measure(
    networks: Mapping[str, Network],
    references: Mapping[str, Any],
    photo: Path,
    *,
    rounds: int = ROUNDS,
    progress: Callable[[int], None] = lambda _done: None,
) -> tuple[list[Speed], dict[str, Timing]]:
    """Return the time of each dtype at each size, and of the references, all on the one photo, stretched."""
    calls: dict[str, Call] = {}
    for name, reference in references.items():
        calls[name] = _call(reference, {INPUT: centerface_input(photo)})
    for size in SIZES:
        i420 = _picture(photo, size, "yuv420p")
        for dtype, network in networks.items():
            calls |= _calls(f"{dtype} {size}", network, i420)
    times = in_turn(calls, rounds, progress)
    speeds = [_speed(dtype, size, times) for size in SIZES for dtype in networks]
    return speeds, {name: Timing.of(times[name]) for name in references}


def _calls(name: str, network: Network, i420: Pixels) -> dict[str, Call]:
    calls = {name: _call(network.detector, {"i420": i420})}
    for px in FACES_PX:
        boxes = six_boxes(i420.shape[1], i420.shape[0] * 2 // 3, px)
        worn = np.zeros((len(boxes), len(CLASSES)), dtype=np.float32)
        calls[f"{name} {px} px"] = _call(network.classifier, {"i420": i420, "boxes": boxes, "worn": worn})
    return calls


def _call(session: Any, feeds: dict[str, Any]) -> Call:
    return lambda: session.run(None, feeds)


def _speed(dtype: str, size: tuple[int, int], times: Mapping[str, list[float]]) -> Speed:
    name = f"{dtype} {size}"
    found = times[name]
    judged = {px: times[f"{name} {px} px"] for px in FACES_PX}
    total = [a + b for a, b in zip(found, judged[HEADLINE_PX], strict=True)]
    by_px = {px: Timing.of(each) for px, each in judged.items()}
    return Speed(dtype, size, Timing.of(found), by_px, Timing.of(total))


def six_boxes(width: int, height: int, px: float) -> NDArray[np.float32]:
    """Return boxes [6, 4] in pixels, spread over the picture, each with the area of a square of `px`."""
    half = np.array([px / _FACE_ASPECT**0.5, px * _FACE_ASPECT**0.5]) / 2
    columns = FACES // 2
    middles = [((x + 0.5) * width / columns, (y + 0.5) * height / 2) for y in range(2) for x in range(columns)]
    return np.array([[*(middle - half), *(middle + half)] for middle in np.array(middles)], dtype=np.float32)


def centerface_input(photo: Path) -> NDArray[np.float32]:
    """Return the photo as CenterFace takes it: [1, 3, 384, 640], RGB, 0 to 255."""
    rgb = _picture(photo, SIDES, "rgb24")
    return np.ascontiguousarray(rgb.transpose(2, 0, 1)[None], dtype=np.float32)


def _picture(photo: Path, size: tuple[int, int], kind: str) -> Pixels:
    with av.open(str(photo)) as container:
        frame = next(container.decode(video=0))
    return np.asarray(frame.reformat(*size, format=kind, dst_colorspace="itu601").to_ndarray(), dtype=np.uint8)
