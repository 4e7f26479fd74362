"""Writes the classifier as one ONNX graph: I420 picture, boxes and the detector's own view in, probabilities out."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from modelling.training.blend import Blend
from modelling.training.colour import RGB_FROM_YUV
from modelling.training.config import Classifier
from modelling.training.export_detector import folded
from modelling.training.graph import Graph, i420_planes
from modelling.training.judge import Conv, Judge
from modelling.training.photos import CLASSES


def _squares(graph: Graph, boxes: str, margin: float) -> str:
    """Squares around the boxes, in pixels: `margin` times the longer side."""
    low, high = graph.add_many("Split", [boxes, graph.integers(2, 2)], 2, axis=1)
    centre = graph.add("Mul", graph.add("Add", low, high), graph.constant(0.5))
    longer = graph.add("ReduceMax", graph.add("Sub", high, low), axes=[1], keepdims=1)
    half = graph.add("Mul", longer, graph.constant(margin / 2))
    return graph.add("Concat", graph.add("Sub", centre, half), graph.add("Add", centre, half), axis=1)


def _crops(graph: Graph, picture: str, boxes: str, limits: Classifier) -> str:
    """RGB [N, 3, side, side], 0..255. Planes are cut first and coloured after: only faces are converted."""
    luma, chroma, _, _ = i420_planes(graph, picture)
    squares = _squares(graph, boxes, limits.margin)
    first = graph.add("Expand", graph.integers(0), graph.side(boxes, 0))
    cut = [
        graph.add(
            "RoiAlign",
            plane,
            squares,
            first,
            output_height=limits.side,
            output_width=limits.side,
            sampling_ratio=0,
            spatial_scale=scale,
            coordinate_transformation_mode="half_pixel",
            mode="avg",
        )
        for plane, scale in ((luma, 1.0), (chroma, 0.5))
    ]
    mixed = graph.add("Conv", graph.add("Concat", *cut, axis=1), graph.constant(RGB_FROM_YUV[:, :, None, None]))
    return graph.add("Clip", mixed, graph.constant(0.0), graph.constant(255.0))


def _conv(graph: Graph, x: str, part: Conv) -> str:
    weight, bias = folded(part.conv, part.norm)
    strides = list(part.conv.stride)
    return graph.add("Conv", x, graph.constant(weight), graph.constant(bias), strides=strides, pads=[1, 1, 1, 1])


def _logits(graph: Graph, x: str, net: Judge) -> str:
    x = graph.add("Div", graph.add("Sub", x, graph.constant(127.5)), graph.constant(64.0))
    x = graph.add("Relu", _conv(graph, x, net.stem))
    for block in net.blocks:
        x = graph.add("Relu", _conv(graph, x, block.down))
        x = graph.add("Relu", graph.add("Add", x, _conv(graph, x, block.same)))
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    weight, bias = net.last.weight.detach().numpy(), net.last.bias.detach().numpy()
    return graph.add("Gemm", x, graph.constant(weight), graph.constant(bias), transB=1)


def classifier_model(net: Judge, limits: Classifier, blend: Blend) -> onnx.ModelProto:
    """The graph: `i420` uint8 [3*H/2, W], `boxes` float32 [N, 4] in pixels and the detector's `worn` float32 [N, 3]
    (logits) to `probabilities` float32 [N, 3].
    """
    graph = Graph("moretta-classifier")
    picture = graph.input("i420", TensorProto.UINT8, ["rows", "width"])
    boxes = graph.input("boxes", TensorProto.FLOAT, ["faces", 4])
    worn = graph.input("worn", TensorProto.FLOAT, ["faces", len(CLASSES)])
    closer = _logits(graph, _crops(graph, picture, boxes, limits), net)
    parts = [
        graph.add("Mul", value, graph.constant(np.float32(weight)))
        for value, weight in ((worn, blend.head), (closer, blend.crop))
    ]
    logits = graph.add("Add", graph.add("Add", *parts), graph.constant(blend.bias))
    graph.output("probabilities", graph.add("Softmax", logits, axis=1), TensorProto.FLOAT, ["faces", len(CLASSES)])
    return graph.model()
