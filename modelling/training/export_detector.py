"""Writes the detector as one ONNX graph: I420 picture in, boxes, scores and what may be worn out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto
from torch import nn

from modelling.training.certainty import Certainty
from modelling.training.colour import BGR_FROM_YUV
from modelling.training.config import Detector
from modelling.training.graph import Graph, i420_planes
from modelling.training.photos import CLASSES
from modelling.training.yunet import POOLED_AFTER, WIDER_AFTER, PointDepth, Stem, Wider, YuNet

Array = NDArray[np.float32]
_MULTIPLE = 32
_COLUMNS = 6
# Of the kernel's rows (or columns): which pair, counted from the one before, and whether the odd one of it.
_PAIR = ((0, 1), (1, 0), (1, 1))
# No face is larger than exp(6) cells; the limit keeps infinities out of the suppression.
_LARGEST_LOG_SIDE = 6.0


def _array(value: nn.Parameter) -> Array:
    return np.asarray(value.detach().numpy(), dtype=np.float32)


def folded(conv: nn.Conv2d, norm: nn.BatchNorm2d | None) -> tuple[Array, Array]:
    """Weight and bias of a convolution with the batch norm after it worked in."""
    weight, bias = _array(conv.weight), _array(conv.bias) if conv.bias is not None else np.zeros(len(conv.weight))
    if norm is None:
        return weight, bias
    scale = norm.weight.detach().numpy() / np.sqrt(norm.running_var.numpy() + norm.eps)
    shifted = (bias - norm.running_mean.numpy()) * scale + norm.bias.detach().numpy()
    return (weight * scale[:, None, None, None]).astype(np.float32), shifted.astype(np.float32)


class _Writer:
    """Adds YuNet's parts to a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def _conv(self, x: str, weight: Array, bias: Array, **attributes: object) -> str:
        constants = (self.graph.constant(weight), self.graph.constant(bias))
        return self.graph.add("Conv", x, *constants, **attributes)

    def point_depth(self, x: str, part: PointDepth) -> str:
        x = self._conv(x, *folded(part.conv1, None))
        weight, bias = folded(part.conv2, part.bn)
        x = self._conv(x, weight, bias, pads=[1, 1, 1, 1], group=len(weight))
        return x if part.bn is None else self.graph.add("Relu", x)

    def stem(self, planes: str, stem: Stem) -> str:
        """The first convolution with the colour conversion worked in, on the planes that `_six_planes` makes.

        Colour conversion is linear, so luma takes the 3x3 weights. Picture rows 2y-1, 2y, 2y+1 are row 1 of the pair
        before and rows 0 and 1 of this pair; of the chroma planes they are the rows y-1, y, y: a 2x2 kernel.
        """
        weight, bias = folded(stem.conv1, stem.bn1)
        mixed = np.einsum("ochw,cp->ophw", weight.astype(np.float64), BGR_FROM_YUV)
        kernel = np.zeros((len(weight), 6, 2, 2))
        for row, column in np.ndindex(3, 3):
            (y, odd_row), (x, odd_column) = _PAIR[row], _PAIR[column]
            kernel[:, 2 * odd_row + odd_column, y, x] += mixed[:, 0, row, column]
            kernel[:, 4:, y, x] += mixed[:, 1:, row, column]
        found = self._conv(planes, kernel.astype(np.float32), bias, pads=[1, 1, 0, 0])
        return self.point_depth(self.graph.add("Relu", found), stem.conv2)

    def _halved(self, x: str) -> str:
        return self.graph.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])

    def wider(self, x: str, part: Wider) -> str:
        inner = self.graph.add("Relu", self._conv(x, *folded(*part.widen)))
        weight, bias = folded(*part.depth)
        inner = self.graph.add("Relu", self._conv(inner, weight, bias, pads=[2, 2, 2, 2], group=len(weight)))
        return self.graph.add("Relu", self.graph.add("Add", x, self._conv(inner, *folded(*part.narrow))))

    def backbone(self, planes: str, net: YuNet) -> list[str]:
        x = self._halved(self.stem(planes, net.backbone.model0))
        levels = {}
        for index in range(1, 6):
            stage = net.backbone.get_submodule(f"model{index}")
            x = self.point_depth(x, stage.conv1)
            x = self.point_depth(x, stage.conv2)
            if index in WIDER_AFTER:
                for block in net.backbone.get_submodule(f"wider{index}"):
                    x = self.wider(x, block)
            levels[index] = x
            x = self._halved(x) if index in POOLED_AFTER else x
        return [levels[index] for index in net.backbone.tapped_after]

    def neck(self, levels: list[str], net: YuNet) -> list[str]:
        levels = list(levels)
        for index in (2, 1):
            levels[index] = self.point_depth(levels[index], net.neck.lateral_convs[index])
            levels[index - 1] = self.graph.add("Add", levels[index - 1], self._doubled(levels[index]))
        levels[0] = self.point_depth(levels[0], net.neck.lateral_convs[0])
        if net.shape.fine:
            narrowed = self._conv(levels[0], *folded(*net.neck.fine_down))
            levels[3] = self.graph.add("Add", self.point_depth(levels[3], net.neck.fine), self._doubled(narrowed))
        return levels

    def _doubled(self, x: str) -> str:
        """The map at twice its sides, by nearest neighbour."""
        scales = self.graph.constant([1.0, 1.0, 2.0, 2.0])
        where = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.graph.add("Resize", x, "", scales, mode="nearest", **where)

    def head(self, levels: list[str], net: YuNet, columns: int) -> list[str]:
        """Per level raw values [1, columns, h, w]; the branches run as one."""
        rows = []
        for index, level in enumerate(levels):
            shared = self.point_depth(level, net.bbox_head.shared(index))
            parts = net.bbox_head.branches(index)
            points = [
                np.concatenate(pair)[:columns] for pair in zip(*(folded(p.conv1, None) for p in parts), strict=True)
            ]
            depths = [
                np.concatenate(pair)[:columns] for pair in zip(*(folded(p.conv2, None) for p in parts), strict=True)
            ]
            x = self._conv(shared, points[0], points[1])
            rows.append(self._conv(x, depths[0], depths[1], pads=[1, 1, 1, 1], group=columns))
        return rows


def _six_planes(graph: Graph) -> str:
    """The picture [1, 6, H/2, W/2]: luma of the four pixels of each 2x2 square, then chroma; black to a full cell."""
    luma, chroma, height, width = i420_planes(graph, graph.input("i420", TensorProto.UINT8, ["rows", "width"]))
    planes = graph.add("Concat", graph.add("SpaceToDepth", luma, blocksize=2), chroma, axis=1)
    two = graph.integers(2)
    return _padded(graph, planes, graph.add("Div", height, two), graph.add("Div", width, two), _MULTIPLE // 2)


def _padded(graph: Graph, plane: str, height: str, width: str, multiple: int) -> str:
    """The plane [1, C, H, W] with black below and to the right, up to a multiple of `multiple`."""

    def missing(side: str) -> str:
        step = graph.integers(multiple)
        return graph.add("Mod", graph.add("Sub", step, graph.add("Mod", side, step)), step)

    zeros = graph.integers(0, 0, 0, 0, 0, 0)
    return graph.add("Pad", plane, graph.shape(zeros, missing(height), missing(width)))


@dataclass(frozen=True)
class _Levels:
    """All levels' cells in one row of N: scores [N], the other raw values [C, N], and what a place in it means."""

    scores: str
    values: str
    offsets: str
    """Where each level begins, int64 [L]."""
    widths: str
    """Cells across each level, int64 [L]."""
    strides: tuple[int, ...]


def _flat(graph: Graph, levels: list[str], strides: tuple[int, ...], columns: int) -> _Levels:
    """The levels [1, columns, h, w] side by side."""
    flat = [graph.add("Reshape", level, graph.integers(columns, -1)) for level in levels]
    sizes = graph.shape(*(graph.side(one, 1) for one in flat))
    parts = [graph.add_many("Split", [one, graph.integers(2, columns - 2)], 2, axis=0) for one in flat]
    certain = [graph.add("ReduceProd", graph.add("Sigmoid", two), axes=[0], keepdims=0) for two, _ in parts]
    return _Levels(
        graph.add("Sqrt", graph.add("Concat", *certain, axis=0)),
        graph.add("Concat", *(rest for _, rest in parts), axis=1),
        graph.add("CumSum", sizes, graph.constant(0, np.int64), exclusive=1),
        graph.shape(*(graph.side(level, 3) for level in levels)),
        strides,
    )


def _best(graph: Graph, levels: _Levels, limits: Detector) -> tuple[str, str]:
    """The best scores [K] above the floor, best first, and their places [K]: most cells see nothing."""
    above = graph.add("Greater", levels.scores, graph.constant(limits.score_floor))
    places = graph.add("Squeeze", graph.add("NonZero", above), graph.integers(0))
    scores = graph.add("Gather", levels.scores, places, axis=0)
    most = graph.add("Min", graph.integers(limits.most_candidates), graph.side(scores, 0))
    best, index = graph.add_many("TopK", [scores, most], 2, axis=0)
    return best, graph.add("Gather", places, index, axis=0)


def _decoded(graph: Graph, levels: _Levels, places: str, columns: int) -> list[str]:
    """Boxes [K, 4] of these places and, if there are more columns, logits of the classes [K, 3]."""
    column = graph.integers(1)
    begun = graph.add("GreaterOrEqual", graph.add("Unsqueeze", places, column), levels.offsets)
    begun = graph.add("ReduceSum", graph.add("Cast", begun, to=TensorProto.INT64), column, keepdims=0)
    level = graph.add("Sub", begun, graph.constant(1, np.int64))
    cell = graph.add("Sub", places, graph.add("Gather", levels.offsets, level, axis=0))
    width = graph.add("Gather", levels.widths, level, axis=0)
    step = graph.add("Unsqueeze", graph.add("Gather", graph.constant(levels.strides), level, axis=0), column)
    corner = [graph.add("Unsqueeze", graph.add(kind, cell, width), column) for kind in ("Mod", "Div")]
    corner_px = graph.add("Cast", graph.add("Concat", *corner, axis=1), to=TensorProto.FLOAT)
    rows = graph.add("Transpose", graph.add("Gather", levels.values, places, axis=1), perm=[1, 0])
    widths = [2, 2] if columns == _COLUMNS else [2, 2, len(CLASSES)]
    centre, sides, *worn = graph.add_many("Split", [rows, graph.integers(*widths)], len(widths), axis=1)
    centre = graph.add("Mul", graph.add("Add", centre, corner_px), step)
    sides = graph.add("Exp", graph.add("Min", sides, graph.constant(_LARGEST_LOG_SIDE)))
    half = graph.add("Mul", graph.add("Mul", sides, step), graph.constant(0.5))
    boxes = graph.add("Concat", graph.add("Sub", centre, half), graph.add("Add", centre, half), axis=1)
    return [boxes, *worn]


def _suppressed(graph: Graph, scores: str, rows: list[str], limits: Detector) -> list[str]:
    """Scores and rows (boxes first), without those whose box overlaps a better one, best first."""
    kept = graph.add(
        "NonMaxSuppression",
        graph.add("Unsqueeze", rows[0], graph.integers(0)),
        graph.add("Unsqueeze", scores, graph.integers(0, 1)),
        graph.integers(limits.most_faces),
        graph.constant([limits.iou_threshold]),
    )
    chosen = graph.add("Gather", kept, graph.constant(2, np.int64), axis=1)
    return [graph.add("Gather", one, chosen, axis=0) for one in (scores, *rows)]


def _sorted(graph: Graph, scores: str, rows: list[str]) -> list[str]:
    """Scores and rows, best first."""
    best, index = graph.add_many("TopK", [scores, graph.side(scores, 0)], 2, axis=0)
    return [best, *(graph.add("Gather", one, index, axis=0) for one in rows)]


def detector_model(net: YuNet, limits: Detector, certainty: Certainty | None = None) -> onnx.ModelProto:
    """The graph: `i420` uint8 [3*H/2, W] to `boxes` float32 [N, 4] in pixels and `scores` float32 [N], best first.

    If the network's shape has a head for it, `worn` float32 [N, 3] as well: logits of what is worn. `certainty` says
    what a score means at each size; the boxes that suppression keeps are the same with any.
    """
    graph = Graph("moretta-detector")
    writer, columns = _Writer(graph), _COLUMNS + len(CLASSES) * net.shape.classes
    levels = writer.head(writer.neck(writer.backbone(_six_planes(graph), net), net), net, columns)
    cells = _flat(graph, levels, net.shape.strides, columns)
    best, places = _best(graph, cells, limits)
    scores, boxes, *worn = _suppressed(graph, best, _decoded(graph, cells, places, columns), limits)
    if certainty is not None:
        scores, boxes, *worn = _sorted(graph, certainty.write(graph, scores, boxes), [boxes, *worn])
    graph.output("boxes", boxes, TensorProto.FLOAT, ["faces", 4])
    graph.output("scores", scores, TensorProto.FLOAT, ["faces"])
    for one in worn:
        graph.output("worn", one, TensorProto.FLOAT, ["faces", len(CLASSES)])
    return graph.model()
