"""The measured picture sizes, and onnxruntime sessions on one thread, set up like the service's own."""

from typing import Any

# This import reads and sets the environment that onnxruntime needs at its own import.
from services.inference.model import ModelError

import onnxruntime  # isort: skip

SIZES = ((480, 272), (640, 360), (960, 540), (1280, 720))
"""Width and height of the analysed picture. 480x270 is analysed as 480x272: both sides are multiples of 4."""
DEFAULT_SIZE = SIZES[1]
_ERRORS_ONLY = 3


def session(content: bytes, name: str) -> Any:
    """Return an onnxruntime session on one thread, without spinning; ModelError names what cannot be loaded."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = _ERRORS_ONLY
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"{name}: onnxruntime cannot load it: {str(error).splitlines()[0]}") from error


def runtime() -> str:
    """Return onnxruntime's version."""
    return str(onnxruntime.__version__)
