"""A network of nothing but named arrays, as bytes of an ONNX file: what onnxruntime loads, and what is not the model's.

ONNX's protocol buffers (onnx.proto3), of which a graph needs a dozen fields; the package that writes them is not here.
"""

FLOAT, UINT8, INT64, BOOL, DOUBLE = 1, 2, 7, 9, 11
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


def constant(name: str, kind: int, sides: tuple[int | str, ...], content: bytes | None = None) -> bytes:
    """Return a node of the operator Constant, zeros unless `content` is given; an open side has one element."""
    fixed = [side if isinstance(side, int) else 1 for side in sides]
    count = 1
    for side in fixed:
        count *= side
    size = {FLOAT: 4, UINT8: 1, INT64: 8, DOUBLE: 8}[kind]
    tensor = b"".join(_number(1, side) for side in fixed) + _number(2, kind)
    tensor += _field(9, bytes(size * count) if content is None else content)
    return node("Constant", [], [name], _text(1, "value") + _field(5, tensor) + _number(20, 4))


def node(operator: str, takes: list[str], gives: list[str], *attributes: bytes) -> bytes:
    """Return a node of an operator, from the names of its arrays."""
    names = b"".join(_text(1, one) for one in takes) + b"".join(_text(2, one) for one in gives)
    return names + _text(4, operator) + b"".join(_field(5, one) for one in attributes)


def product(name: str, left: str, right: str) -> bytes:
    """Return a node of the operator MatMul."""
    return node("MatMul", [left, right], [name])


def detector_that_hangs() -> bytes:
    """Return a detector that finds nobody in a grey picture, and turns in a loop for years if one pixel is brighter."""
    body = _field(1, node("Identity", ["go"], ["goes"])) + _field(1, node("Identity", ["before"], ["after"]))
    body += _text(2, "body") + b"".join(_field(11, _array(*one)) for one in (
        ("turn", INT64, ()), ("go", BOOL, ()), ("before", FLOAT, (1, 4)),
    ))  # fmt: skip
    body += _field(12, _array("goes", BOOL, ())) + _field(12, _array("after", FLOAT, (1, 4)))
    nodes = [
        node("ReduceMax", ["i420"], ["brightest"], _integer("keepdims", 0)),
        node("Cast", ["brightest"], ["number"], _integer("to", INT64)),
        constant("grey", INT64, (), (128).to_bytes(8, "little")),
        constant("years", INT64, (), (1 << 50).to_bytes(8, "little")),
        node("Sub", ["number", "grey"], ["above"]),
        node("Mul", ["above", "years"], ["turns"]),
        constant("first", FLOAT, (1, 4)),
        node("Loop", ["turns", "", "first"], ["boxes"], _text(1, "body") + _field(6, body) + _number(20, 5)),
        constant("scores", FLOAT, (1,)),
        constant("worn", FLOAT, (1, 3)),
    ]
    gives: list[Array] = [("boxes", FLOAT, ("n", 4)), ("scores", FLOAT, ("n",)), ("worn", FLOAT, ("n", 3))]
    return network([("i420", UINT8, ("rows", "width"))], gives, nodes)


def _integer(name: str, value: int) -> bytes:
    """Return an attribute of a node that is one whole number."""
    return _text(1, name) + _number(3, value) + _number(20, 2)


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
