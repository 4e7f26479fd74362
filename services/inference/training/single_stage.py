"""The detector alone as the model: what is worn comes from its own head. For the comparison in ADR 10 only."""

from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from services.inference.core.faces import Face, Limits, above, clipped, i420_sides, to_faces, visible
from services.inference.model import Manifest

_LEAST_LIKELY = 1e-7


class SingleStage:
    """Finds and judges in one graph; the same calls as `FaceModel`."""

    def __init__(self, graph: bytes, manifest: Manifest, temperature: float) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.manifest, self._temperature = manifest, temperature

    def raw(
        self, i420: NDArray[np.uint8], floor: float = 0.0
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Boxes [N, 4] in pixels, scores [N] and probabilities [N, 3] of everything that scores at least `floor`."""
        boxes, scores, probabilities = self._session.run(None, {"i420": i420})
        rows = above(scores, floor)
        rows = rows[visible(clipped(boxes[rows], *i420_sides(i420.shape)))]
        # Softmax forgets a constant: the logs of probabilities serve as logits.
        cooled = np.maximum(probabilities[rows], _LEAST_LIKELY) ** (1 / self._temperature)
        return boxes[rows], scores[rows], cooled / cooled.sum(1, keepdims=True)

    def find(self, i420: NDArray[np.uint8], floor: float | None = None) -> list[Face]:
        """The faces in a planar I420 picture, best score first."""
        width, height = i420_sides(i420.shape)
        threshold = self.manifest.score_threshold if floor is None else floor
        limits = Limits(threshold, self.manifest.min_face_px, self.manifest.unknown_below)
        return to_faces(*self.raw(i420, threshold), width=width, height=height, limits=limits)
