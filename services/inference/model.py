"""The onnxruntime adapter: the two networks and their manifest, checked before use."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from proto.types import ModelId
from services.inference.core.faces import CLASSES, Face, Limits, above, clipped, i420_sides, to_faces, visible

# From 1.29 on onnxruntime contacts a telemetry endpoint and writes below the home directory; earlier ones ignore this.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Only now: it reads the variable while it is imported.
import onnxruntime

MODELS = Path(__file__).with_name("models")
MANIFEST_NAME = "model.json"

_FATAL_ONLY = 4
"""Of what onnxruntime writes to standard error; its errors come as exceptions, and a log has lines of JSON alone."""
Arrays = dict[str, tuple[str, tuple[int | None, ...]]]
"""What a graph takes or gives, in order: each array's element type and sides by its name. A side of None is any."""
_I420 = ("tensor(uint8)", (None, None))
_BOXES, _SCORES, _WORN = ("tensor(float)", (None, 4)), ("tensor(float)", (None,)), ("tensor(float)", (None, 3))
_DETECTOR: tuple[Arrays, Arrays] = ({"i420": _I420}, {"boxes": _BOXES, "scores": _SCORES, "worn": _WORN})
_CLASSIFIER: tuple[Arrays, Arrays] = ({"i420": _I420, "boxes": _BOXES, "worn": _WORN}, {"probabilities": _WORN})


class ModelError(RuntimeError):
    """The model cannot be used; the text says in one line which file and what is wrong with it."""


class ModelFile(msgspec.Struct, frozen=True):
    """One file of the model, beside the manifest, and the checksum it must have."""

    file: str
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """The content of `model.json`.

    A face counts from `score_threshold` on; `unknown_below` is a calibrated probability. `min_face_px` is in pixels of
    the analysed picture. `long_side` is the analysis size for which the figures in the model card hold.
    """

    id: ModelId
    detector: ModelFile
    classifier: ModelFile
    score_threshold: float
    iou_threshold: float
    unknown_below: float
    min_face_px: float
    long_side: int
    classes: tuple[str, ...]


class FaceModel:
    """Finds faces in I420 pictures and judges them. Not for two threads at once; load one per thread."""

    def __init__(
        self,
        manifest: Manifest,
        sha256: str,
        detector: onnxruntime.InferenceSession,
        classifier: onnxruntime.InferenceSession,
    ) -> None:
        self.manifest = manifest
        self.sha256 = sha256
        self._detector = detector
        self._classifier = classifier

    @property
    def id(self) -> str:
        """The manifest's id."""
        return self.manifest.id

    def raw(
        self, i420: NDArray[np.uint8], floor: float = 0.0
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return boxes [N, 4] in pixels, scores [N] and probabilities [N, 3] of all that score at least `floor`.

        Best score first; boxes wholly outside the picture are left out. Raises ValueError as `find` does.
        """
        width, height = i420_sides(i420.shape)
        boxes, scores, worn = self._detector.run(None, {"i420": i420})
        rows = above(scores, floor)
        rows = rows[visible(clipped(boxes[rows], width, height))]
        boxes, scores, worn = boxes[rows], scores[rows], worn[rows]
        if not len(rows):
            return boxes, scores, np.zeros((0, len(CLASSES)), dtype=np.float32)
        (probabilities,) = self._classifier.run(None, {"i420": i420, "boxes": boxes, "worn": worn})
        return boxes, scores, probabilities

    def find(self, i420: NDArray[np.uint8], floor: float | None = None) -> list[Face]:
        """Return the faces in a planar I420 picture [3 * H / 2, W] (BT.601, limited range), best score first.

        `floor` None means the operating point; a lower floor shows less certain boxes too. Nothing keeps a reference to
        `i420` after the return. Raises ValueError for an array that is no such picture.
        """
        width, height = i420_sides(i420.shape)
        limits = self._limits(floor)
        boxes, scores, probabilities = self.raw(i420, limits.score_threshold)
        return to_faces(boxes, scores, probabilities, width=width, height=height, limits=limits)

    def warm_up(self, width: int, height: int) -> None:
        """Run both networks once on a grey picture: the first run is slow. ModelError if one of them cannot."""
        grey = np.full((height * 3 // 2, width), 128, dtype=np.uint8)
        i420_sides(grey.shape)
        box = np.array([[0, 0, width, height]], dtype=np.float32)
        worn = np.zeros((1, len(CLASSES)), dtype=np.float32)
        try:
            self._detector.run(None, {"i420": grey})
            self._classifier.run(None, {"i420": grey, "boxes": box, "worn": worn})
        except Exception as error:
            raise ModelError(
                f"model {self.id}: fails on a grey picture of {width}x{height}: {_reason(error)}"
            ) from error

    def _limits(self, floor: float | None) -> Limits:
        threshold = self.manifest.score_threshold if floor is None else floor
        return Limits(threshold, self.manifest.min_face_px, self.manifest.unknown_below)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error


def _manifest(path: Path, content: bytes) -> Manifest:
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        raise ModelError(f"{path}: is no model manifest: {error}") from error
    if manifest.classes != CLASSES:
        raise ModelError(f"{path}: classes are {list(manifest.classes)}, expected {list(CLASSES)}")
    for name in (manifest.detector.file, manifest.classifier.file):
        if Path(name).name != name:
            raise ModelError(f"{path}: file {name!r} must be a plain name beside the manifest")
    return manifest


def _checked(folder: Path, part: ModelFile) -> bytes:
    content = _read(folder / part.file)
    found = hashlib.sha256(content).hexdigest()
    if found != part.sha256:
        raise ModelError(f"{folder / part.file}: sha256 is {found}, expected {part.sha256}")
    return content


def _reason(error: Exception) -> str:
    """Return the first line of what onnxruntime says; it has an exception class per kind, all below Exception alone."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _array(one: onnxruntime.NodeArg) -> tuple[str, tuple[int | None, ...]]:
    """Return what a graph says of an array: its element type, and its sides as far as they are fixed."""
    return one.type, tuple(side if isinstance(side, int) else None for side in one.shape)


def _described(arrays: Arrays) -> str:
    """Return arrays in words."""
    parts = []
    for name, (kind, sides) in arrays.items():
        parts.append(f"{name} {kind} [{', '.join('any' if side is None else str(side) for side in sides)}]")
    return "; ".join(parts)


def _fits(found: Arrays, wanted: Arrays) -> bool:
    """Return whether a graph has the arrays that are wanted; sides that it leaves open, or does not tell, fit any."""
    return list(found) == list(wanted) and all(
        kind == right
        and (not sides or len(sides) == len(due))
        and all(None in {side, of} or side == of for side, of in zip(sides, due, strict=False))
        for (kind, sides), (right, due) in zip(found.values(), wanted.values(), strict=True)
    )


def _session(content: bytes, path: Path, arrays: tuple[Arrays, Arrays]) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # Spinning threads would double the processor time at ten pictures a second.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # An arena would keep what was made of one picture until the next one; freed memory is overwritten (ADR 22).
    options.enable_cpu_mem_arena = False
    options.log_severity_level = _FATAL_ONLY
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"{path}: onnxruntime cannot load it: {_reason(error)}") from error
    found = [{one.name: _array(one) for one in some} for some in (session.get_inputs(), session.get_outputs())]
    for does, there, due in zip(("takes", "gives"), found, arrays, strict=True):
        if not _fits(there, due):
            raise ModelError(f"{path}: {does} {_described(there)}; expected {_described(due)}")
    return session


def load_model(folder: Path | None = None) -> FaceModel:
    """Return the model in `folder` (default: the one that is shipped), with both files' checksums verified.

    Raises ModelError when the manifest or a file is missing, unreadable, damaged or not what it should be.
    """
    folder = MODELS if folder is None else folder
    described = _read(folder / MANIFEST_NAME)
    manifest = _manifest(folder / MANIFEST_NAME, described)
    # The manifest holds both files' checksums and the thresholds, so its hash covers all that decides a verdict.
    sha256 = hashlib.sha256(described).hexdigest()
    contents = [_checked(folder, part) for part in (manifest.detector, manifest.classifier)]
    detector = _session(contents[0], folder / manifest.detector.file, _DETECTOR)
    classifier = _session(contents[1], folder / manifest.classifier.file, _CLASSIFIER)
    return FaceModel(manifest, sha256, detector, classifier)
