"""A network of nothing but named arrays, as bytes of an ONNX file: what onnxruntime loads, and what is not the model's.

ONNX's protocol buffers (onnx.proto3), of which a graph needs a dozen fields; the package that writes them is not here.
"""

FLOAT, UINT8, DOUBLE = 1, 2, 11
"""Element types."""
Array = tuple[str, int, tuple[int | str, ...]]
"""An array's name, its element type, and its sides; a text is a side that is open."""


def network(takes: list[Array], gives: list[Array], nodes: list[bytes] | None = None) -> bytes:
    """Return a network of these nodes; by default it gives constants of zeros, whatever it takes."""
    named = nodes or [constant(*one) for one in gives]
    ends = b"".join(_field(11, _array(*one)) for one in takes) + b"".join(_field(12, _array(*one)) for one in gives)
    return (
        _number(1, 8)
        + _field(8, _number(2, 17))
        + _field(7, b"".join(_field(1, node) for node in named) + _text(2, "graph") + ends)
    )


def constant(name: str, kind: int, sides: tuple[int | str, ...]) -> bytes:
    """Return a node of the operator Constant, whose one value has one element for each open side."""
    fixed = [side if isinstance(side, int) else 1 for side in sides]
    count = 1
    for side in fixed:
        count *= side
    size = {FLOAT: 4, UINT8: 1, DOUBLE: 8}[kind]
    tensor = b"".join(_number(1, side) for side in fixed) + _number(2, kind) + _field(9, bytes(size * count))
    value = _text(1, "value") + _field(5, tensor) + _number(20, 4)
    return _text(2, name) + _text(4, "Constant") + _field(5, value)


def product(name: str, left: str, right: str) -> bytes:
    """Return a node of the operator MatMul."""
    return _text(1, left) + _text(1, right) + _text(2, name) + _text(4, "MatMul")


def classifier_of_two() -> bytes:
    """Return a classifier that takes and gives what it should, and fails when it runs: it has weights for two."""
    takes: list[Array] = [
        ("i420", UINT8, ("rows", "width")), ("boxes", FLOAT, ("n", 4)), ("worn", FLOAT, ("n", "k")),
    ]  # fmt: skip
    nodes = [constant("two", FLOAT, (2, 3)), product("probabilities", "worn", "two")]
    return network(takes, [("probabilities", FLOAT, ("n", 3))], nodes)


def _array(name: str, kind: int, sides: tuple[int | str, ...]) -> bytes:
    shape = b"".join(_field(1, _number(1, one) if isinstance(one, int) else _text(2, one)) for one in sides)
    return _text(1, name) + _field(2, _field(1, _number(1, kind) + _field(2, shape)))


def _text(field: int, text: str) -> bytes:
    return _field(field, text.encode())


def _field(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])
