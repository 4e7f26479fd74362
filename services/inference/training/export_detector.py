"""Writes the detector as one ONNX graph: I420 picture in, boxes and scores out."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto
from torch import nn

from services.inference.training.colour import BGR_FROM_YUV
from services.inference.training.config import Detector
from services.inference.training.graph import Graph, i420_planes
from services.inference.training.yunet import PointDepth, Stage, Stem, YuNet

Array = NDArray[np.float32]
_MULTIPLE = 32
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

    def stage(self, x: str, stage: Stage) -> str:
        return self.point_depth(self.point_depth(x, stage.conv1), stage.conv2)

    def stem(self, luma: str, chroma: str, stem: Stem) -> str:
        """The first convolution with the colour conversion worked in.

        Colour conversion is linear, so luma takes the 3x3 weights at stride 2; of the chroma planes, already at half
        the size, the picture rows 2y-1, 2y, 2y+1 are the rows y-1, y, y: a 2x2 kernel at stride 1.
        """
        weight, bias = folded(stem.conv1, stem.bn1)
        mixed = np.einsum("ochw,cp->ophw", weight.astype(np.float64), BGR_FROM_YUV)
        halved = np.stack([mixed[:, 1:, 0], mixed[:, 1:, 1] + mixed[:, 1:, 2]], axis=2)
        halved = np.stack([halved[..., 0], halved[..., 1] + halved[..., 2]], axis=3)
        bright = self._conv(luma, mixed[:, :1].astype(np.float32), bias, strides=[2, 2], pads=[1, 1, 1, 1])
        tint = self.graph.add("Conv", chroma, self.graph.constant(halved.astype(np.float32)), pads=[1, 1, 0, 0])
        return self.point_depth(self.graph.add("Relu", self.graph.add("Add", bright, tint)), stem.conv2)

    def backbone(self, luma: str, chroma: str, net: YuNet) -> list[str]:
        x = self.stem(luma, chroma, net.backbone.model0)
        levels = []
        for index in range(1, 6):
            if index != 2:
                x = self.graph.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
            x = self.stage(x, net.backbone.get_submodule(f"model{index}"))
            levels.append(x)
        return levels[2:]

    def neck(self, levels: list[str], net: YuNet) -> list[str]:
        levels = list(levels)
        scales = self.graph.constant([1.0, 1.0, 2.0, 2.0])
        for index in (2, 1):
            levels[index] = self.point_depth(levels[index], net.neck.lateral_convs[index])
            doubled = self.graph.add(
                "Resize",
                levels[index],
                "",
                scales,
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
            levels[index - 1] = self.graph.add("Add", levels[index - 1], doubled)
        levels[0] = self.point_depth(levels[0], net.neck.lateral_convs[0])
        return levels

    def head(self, levels: list[str], net: YuNet) -> list[str]:
        """Per level raw values [1, 6, h, w]; the three branches run as one."""
        rows = []
        head = net.bbox_head
        for index, level in enumerate(levels):
            shared = self.point_depth(level, head.multi_level_share_convs[index][0])
            parts = [b[index] for b in (head.multi_level_cls, head.multi_level_obj, head.multi_level_bbox)]
            points = [np.concatenate(pair) for pair in zip(*(folded(p.conv1, None) for p in parts), strict=True)]
            depths = [np.concatenate(pair) for pair in zip(*(folded(p.conv2, None) for p in parts), strict=True)]
            x = self._conv(shared, points[0], points[1])
            rows.append(self._conv(x, depths[0], depths[1], pads=[1, 1, 1, 1], group=6))
        return rows


def _padded(graph: Graph, plane: str, height: str, width: str, multiple: int) -> str:
    """The plane [1, C, H, W] with black below and to the right, up to a multiple of `multiple`."""

    def missing(side: str) -> str:
        step = graph.integers(multiple)
        return graph.add("Mod", graph.add("Sub", step, graph.add("Mod", side, step)), step)

    zeros = graph.integers(0, 0, 0, 0, 0, 0)
    return graph.add("Pad", plane, graph.shape(zeros, missing(height), missing(width)))


def _decoded(graph: Graph, level: str, stride: int) -> tuple[str, str]:
    """Scores [P] and boxes [P, 4] of one level's raw values."""
    width = graph.side(level, 3)
    flat = graph.add("Transpose", graph.add("Reshape", level, graph.integers(6, -1)), perm=[1, 0])
    scores, centre, sides = graph.add_many("Split", [flat, graph.integers(2, 2, 2)], 3, axis=1)
    certainty = graph.add("ReduceProd", graph.add("Sigmoid", scores), axes=[1], keepdims=0)
    none = graph.constant(0, np.int64)
    count = graph.add("Squeeze", graph.side(flat, 0), graph.integers(0))
    index = graph.add("Range", none, count, graph.constant(1, np.int64))
    cells = [graph.add("Mod", index, width), graph.add("Div", index, width)]
    cells = [graph.add("Unsqueeze", cell, graph.integers(1)) for cell in cells]
    corner = graph.add("Cast", graph.add("Concat", *cells, axis=1), to=TensorProto.FLOAT)
    step = graph.constant(float(stride))
    centre = graph.add("Mul", graph.add("Add", centre, corner), step)
    sides = graph.add("Min", sides, graph.constant(_LARGEST_LOG_SIDE))
    half = graph.add("Mul", graph.add("Exp", sides), graph.constant(stride / 2))
    boxes = graph.add("Concat", graph.add("Sub", centre, half), graph.add("Add", centre, half), axis=1)
    return graph.add("Sqrt", certainty), boxes


def _suppressed(graph: Graph, scores: str, boxes: str, limits: Detector) -> tuple[str, str]:
    """The best boxes without those that overlap a better one, best first."""
    most = graph.add("Min", graph.integers(limits.most_candidates), graph.side(scores, 0))
    best, index = graph.add_many("TopK", [scores, most], 2, axis=0)
    boxes = graph.add("Gather", boxes, index, axis=0)
    kept = graph.add(
        "NonMaxSuppression",
        graph.add("Unsqueeze", boxes, graph.integers(0)),
        graph.add("Unsqueeze", best, graph.integers(0, 1)),
        graph.integers(limits.most_faces),
        graph.constant([limits.iou_threshold]),
        graph.constant([limits.score_floor]),
    )
    chosen = graph.add("Gather", kept, graph.constant(2, np.int64), axis=1)
    return graph.add("Gather", best, chosen, axis=0), graph.add("Gather", boxes, chosen, axis=0)


def detector_model(net: YuNet, limits: Detector) -> onnx.ModelProto:
    """The graph: `i420` uint8 [3*H/2, W] to `boxes` float32 [N, 4] in pixels and `scores` float32 [N]."""
    graph = Graph("moretta-detector")
    luma, chroma, height, width = i420_planes(graph, graph.input("i420", TensorProto.UINT8, ["rows", "width"]))
    two = graph.integers(2)
    chroma = _padded(graph, chroma, graph.add("Div", height, two), graph.add("Div", width, two), _MULTIPLE // 2)
    luma = _padded(graph, luma, height, width, _MULTIPLE)
    writer = _Writer(graph)
    levels = writer.head(writer.neck(writer.backbone(luma, chroma, net), net), net)
    pairs = [_decoded(graph, level, stride) for level, stride in zip(levels, (8, 16, 32), strict=True)]
    scores = graph.add("Concat", *(score for score, _ in pairs), axis=0)
    boxes = graph.add("Concat", *(box for _, box in pairs), axis=0)
    scores, boxes = _suppressed(graph, scores, boxes, limits)
    graph.output("boxes", boxes, TensorProto.FLOAT, ["faces", 4])
    graph.output("scores", scores, TensorProto.FLOAT, ["faces"])
    return graph.model()
