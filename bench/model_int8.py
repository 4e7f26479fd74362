"""The model with 8-bit integers: onnxruntime's static quantisation, calibrated on training photos.

Of the methods tried (docs/model/speed.md) this one was the most accurate and among the fastest. Activations are
unsigned and weights signed, with one scale a channel. The first and the last convolutions stay float, and so does
everything outside the convolution network (colour, padding, cutting, decoding, suppression).
"""

import random
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from modelling.evaluation.labelled import Photo, read_i420
from services.inference.core.faces import CLASSES

PHOTOS = 64
_MAX_FACES = 8
_LONG_SIDE = 640
_OPS = ("Conv", "Relu", "MaxPool", "Add", "Resize")
Feed = dict[str, Any]


class Node(NamedTuple):
    """The relevant fields of a graph's node."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def kept_float(nodes: Sequence[Node]) -> list[str]:
    """Return the names of the nodes to leave float, of a graph in topological order.

    These are the convolutions without another convolution before or after them, and all nodes before the first or
    after the last convolutions.
    """
    before = _touched(nodes, forward=True)
    after = _touched(nodes, forward=False)
    return [n.name for n in nodes if n.name and not (n.name in before and n.name in after)]


def _touched(nodes: Sequence[Node], *, forward: bool) -> set[str]:
    """Return the nodes that a convolution reaches, going with the data or against it."""
    values: set[str] = set()
    names: set[str] = set()
    for node in nodes if forward else reversed(nodes):
        entry, end = (node.inputs, node.outputs) if forward else (node.outputs, node.inputs)
        reached = not values.isdisjoint(entry)
        if reached:
            names.add(node.name)
        if reached or node.op == "Conv":
            values.update(value for value in end if value)
    return names


def drawn(photos: Sequence[tuple[Path, Photo]], count: int = PHOTOS) -> list[tuple[Path, Photo]]:
    """Return `count` of the photos at random, the same ones every time."""
    return random.Random(1).sample(list(photos), min(count, len(photos)))


def detector_feeds(photos: Iterable[tuple[Path, Photo]]) -> Iterator[Feed]:
    """Yield the detector's inputs."""
    for path, _ in photos:
        yield {"i420": read_i420(path, _LONG_SIDE)}


def classifier_feeds(photos: Iterable[tuple[Path, Photo]]) -> Iterator[Feed]:
    """Yield the classifier's inputs: the judged faces as a person marked them."""
    for path, photo in photos:
        boxes = [box for box, label in zip(photo.boxes, photo.label, strict=True) if label != "ignore"][:_MAX_FACES]
        if boxes:
            i420 = read_i420(path, _LONG_SIDE)
            scale = np.array([i420.shape[1] / photo.width, i420.shape[0] / 1.5 / photo.height] * 2)
            # Only convolutions become int8, and the detector's opinion goes through none of them.
            worn = np.zeros((len(boxes), len(CLASSES)), dtype=np.float32)
            yield {"i420": i420, "boxes": (np.array(boxes) * scale).astype(np.float32), "worn": worn}


def quantised(path: Path, feeds: Iterator[Feed]) -> bytes:
    """Return the network at `path` in int8, with its activations' ranges taken from `feeds`."""
    import onnx  # type: ignore[import-not-found] # only where models are trained
    from onnxruntime import quantization as q

    reader = type("Reader", (q.CalibrationDataReader,), {"get_next": lambda _self: next(feeds, None)})
    graph = onnx.load(path).graph
    nodes = [Node(n.name, n.op_type, tuple(n.input), tuple(n.output)) for n in graph.node]
    with tempfile.TemporaryDirectory(prefix="moretta-") as folder:
        out = Path(folder) / "int8.onnx"
        q.quantize_static(
            path,
            out,
            reader(),
            quant_format=q.QuantFormat.QDQ,
            op_types_to_quantize=list(_OPS),
            nodes_to_exclude=kept_float(nodes),
            per_channel=True,
            activation_type=q.QuantType.QUInt8,
            weight_type=q.QuantType.QInt8,
        )
        return out.read_bytes()
