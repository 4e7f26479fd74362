"""Writes ONNX graphs node by node, so that exactly what is meant ends up in the file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import helper, numpy_helper

# Opset 17 and IR 8 run on every onnxruntime since 1.12.
_OPSET, _IR = 17, 8


class Graph:
    """Collects nodes and constants; every method returns the name of the value that it adds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._initialisers: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, kind: int, shape: Sequence[int | str]) -> str:
        """Declares an input; text in `shape` names a dynamic side."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, value: str, kind: int, shape: Sequence[int | str]) -> None:
        """Declares that the graph hands out `value` as `name`."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def constant(self, value: ArrayLike, kind: type[np.generic] = np.float32) -> str:
        """A constant; equal ones are stored once."""
        array: NDArray[np.generic] = np.ascontiguousarray(np.asarray(value, dtype=kind)).reshape(np.shape(value))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = f"c{len(self._constants)}"
            self._initialisers.append(numpy_helper.from_array(array, self._constants[key]))
        return self._constants[key]

    def add(self, kind: str, *inputs: str, **attributes: object) -> str:
        """A node with one output."""
        return self.add_many(kind, inputs, 1, **attributes)[0]

    def add_many(self, kind: str, inputs: Sequence[str], outputs: int, **attributes: object) -> list[str]:
        """A node with several outputs."""
        names = [f"v{len(self._nodes)}_{index}" for index in range(outputs)]
        self._nodes.append(helper.make_node(kind, list(inputs), names, name=f"n{len(self._nodes)}", **attributes))
        return names

    def integers(self, *values: int) -> str:
        """A constant int64 vector."""
        return self.constant(values, np.int64)

    def side(self, value: str, axis: int) -> str:
        """The length of one axis as an int64 vector of one."""
        return self.add("Gather", self.add("Shape", value), self.integers(axis), axis=0)

    def rows(self, value: str, first: str, last: str) -> str:
        """value[first:last] along the first axis; both are int64 vectors of one."""
        return self.add("Slice", value, first, last, self.integers(0))

    def shape(self, *parts: str) -> str:
        """A shape put together from int64 vectors."""
        return self.add("Concat", *parts, axis=0)

    def model(self) -> onnx.ModelProto:
        """The finished, checked model."""
        graph = helper.make_graph(self._nodes, self.name, self._inputs, self._outputs, self._initialisers)
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=_IR, producer_name="moretta")
        onnx.checker.check_model(model, full_check=True)
        return model


def i420_planes(graph: Graph, picture: str) -> tuple[str, str, str, str]:
    """Splits a planar I420 picture [3*H/2, W] (uint8).

    Returns luma [1, 1, H, W] less its black level of 16 and chroma [1, 2, H/2, W/2] less 128, both float32, so that
    zero is black, and height and width as int64 vectors of one.
    """
    rows, width = graph.side(picture, 0), graph.side(picture, 1)
    third = graph.add("Div", rows, graph.integers(3))
    height = graph.add("Mul", third, graph.integers(2))
    one, two = graph.integers(1), graph.integers(2)
    luma = graph.rows(picture, graph.integers(0), height)
    luma = graph.add("Reshape", luma, graph.shape(one, one, height, width))
    chroma = graph.rows(picture, height, rows)
    half_width = graph.add("Div", width, two)
    chroma = graph.add("Reshape", chroma, graph.shape(one, two, third, half_width))
    # One pass over the picture instead of two: float32 less the zero point.
    luma, chroma = (
        graph.add("DequantizeLinear", plane, graph.constant(1.0), graph.constant(zero, np.uint8))
        for plane, zero in ((luma, 16), (chroma, 128))
    )
    return luma, chroma, height, width
