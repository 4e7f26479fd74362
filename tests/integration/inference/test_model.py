"""The shipped model under the real onnxruntime."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import shutil
import subprocess
import sys
import weakref
from pathlib import Path

import msgspec
import numpy as np
import pytest
import skimage.data
from portrait_picture import chroma, picture
from tiny_onnx import DOUBLE, FLOAT, UINT8, Array, classifier_of_two, network

from services.inference.core.faces import CLASSES
from services.inference.model import MANIFEST_NAME, MODELS, ModelError, load_model

FILES = ("model.json", "detector.onnx", "classifier.onnx")


def copied(folder: Path) -> Path:
    """A copy of the shipped model to damage."""
    for name in FILES:
        shutil.copy(MODELS / name, folder / name)
    return folder


def rewrite(folder: Path, **changes):
    """Changes keys of a copied manifest."""
    manifest = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**manifest, **changes}))


@pytest.mark.parametrize(("width", "height"), [(640, 360), (480, 272), (360, 640), (320, 320)])
def test_portrait_has_one_face(model, width, height):
    """In pictures of any shape the astronaut's one face is found where it is, and she wears no mask."""
    side = min(width, height)
    (face,) = model.find(picture(width, height))
    centre = ((face.x1 + face.x2) / 2 * width / side, (face.y1 + face.y2) / 2 * height / side)
    assert centre == pytest.approx((0.43, 0.22), abs=0.06)
    assert 0.1 < (face.x2 - face.x1) * width / side < 0.3
    assert face.verdict == "unmasked"


def test_mirrored_portrait(model):
    """The mirror image has its face at the mirrored place."""
    (straight,) = model.find(picture())
    (mirrored,) = model.find(picture(rgb=skimage.data.astronaut()[:, ::-1]))
    side = 360 / 640
    assert mirrored.x1 == pytest.approx(side - straight.x2, abs=0.02)
    assert mirrored.y1 == pytest.approx(straight.y1, abs=0.02)


def test_sides_that_are_no_multiple_of_32(model):
    """Padding inside the graph moves no box: 4 pixels more change it by less than a pixel or two."""
    (one,) = model.find(picture(640, 352))
    wider = np.full((352 * 3 // 2, 644), 128, np.uint8)
    wider[:352] = 16
    wider[:352, :640] = picture(640, 352)[:352]
    chroma(wider)[:, :, :320] = chroma(picture(640, 352))
    (other,) = model.find(wider)
    assert (other.x1 * 644, other.y2 * 352) == pytest.approx((one.x1 * 640, one.y2 * 352), abs=2)


@pytest.mark.parametrize("luma", [0, 16, 128, 255])
def test_empty_picture_has_no_face(model, luma):
    """A picture of one brightness holds nobody."""
    blank = np.full((540, 640), 128, np.uint8)
    blank[:360] = luma
    assert model.find(blank) == []


def test_noise_has_no_face(model):
    """Random pixels hold nobody."""
    noise = np.random.default_rng(7).integers(0, 256, (540, 640)).astype(np.uint8)
    assert model.find(noise) == []


def test_tiny_picture(model):
    """The smallest pictures are taken as well."""
    assert model.find(np.full((6, 4), 128, np.uint8)) == []


def test_repeatable(model):
    """The same pixels give the same faces, to the last bit, and so does a second session."""
    pixels = picture()
    assert model.find(pixels) == model.find(pixels.copy()) == load_model().find(pixels)


def test_floor_shows_more(model):
    """A floor under the operating point never hides a face, and one above every score hides all."""
    sure, all_boxes = model.find(picture()), model.find(picture(), floor=0.05)
    assert all_boxes[: len(sure)] == sure
    assert model.find(picture(), floor=1.01) == []


def test_pixels_are_not_changed(model):
    """The picture handed in is read and not written."""
    pixels = picture()
    before = pixels.copy()
    model.find(pixels)
    assert np.array_equal(pixels, before)


def test_no_reference_is_kept(model):
    """After the return nothing refers to the picture's memory: no binding, no crop, no cached array."""
    buffer = picture()
    held = weakref.ref(buffer)
    before = sys.getrefcount(buffer)
    view = buffer[:]
    faces = model.find(view)
    del view
    gc.collect()
    assert sys.getrefcount(buffer) == before
    del buffer
    gc.collect()
    assert held() is None
    assert len(faces) == 1


def test_faces_outlive_the_buffer(model):
    """Overwriting the buffer after the return changes no face, and the next picture is seen afresh."""
    buffer = picture()
    faces = model.find(buffer)
    copy = msgspec.json.encode(faces)
    buffer[:] = 128
    assert msgspec.json.encode(faces) == copy
    assert model.find(buffer) == []


def test_buffer_may_be_a_view(model):
    """A view into a larger buffer is as good as an array of its own."""
    pixels = picture()
    large = np.zeros(pixels.size + 100, np.uint8)
    view = large[64 : 64 + pixels.size].reshape(pixels.shape)
    view[:] = pixels
    assert model.find(view) == model.find(pixels)


def test_warm_up(model):
    """Warming up runs both networks at the size asked for and refuses a size that is none."""
    model.warm_up(640, 360)
    with pytest.raises(ValueError, match="multiples of 4"):
        model.warm_up(638, 360)


@pytest.mark.parametrize("shape", [(541, 640), (540, 642), (540, 640, 1)])
def test_array_that_is_no_picture(model, shape):
    """An array of another shape is refused before the network sees it."""
    with pytest.raises(ValueError, match="I420"):
        model.find(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("limit", [{"min_face_px": 400.0}, {"unknown_below": 1.1}])
def test_limits_of_the_manifest_hold(tmp_path, limit):
    """A face under the manifest's size or confidence is found and not judged."""
    rewrite(copied(tmp_path), **limit)
    (face,) = load_model(tmp_path).find(picture())
    assert face.verdict == "unknown"


def test_manifest_says_what_the_model_is(model):
    """Id, classes and limits are in the manifest; the checksum is the manifest's, which holds those of both files."""
    manifest = model.manifest
    assert (model.id, manifest.classes) == (manifest.id, CLASSES)
    assert model.sha256 == hashlib.sha256((MODELS / MANIFEST_NAME).read_bytes()).hexdigest()
    assert 0 < manifest.unknown_below < 1
    assert 0.05 < manifest.score_threshold < 1
    assert manifest.long_side % 32 == 0


def test_another_threshold_is_another_model(tmp_path, model):
    """A window is judged by one model: the same networks at another operating point are told apart."""
    rewrite(copied(tmp_path), score_threshold=0.123)
    assert load_model(tmp_path).sha256 != model.sha256


def test_model_is_small():
    """Everything that is shipped is under 2 MB."""
    assert sum((MODELS / name).stat().st_size for name in FILES) < 2_000_000


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_named(tmp_path, name):
    """A file that is not there is named."""
    (copied(tmp_path) / name).unlink()
    with pytest.raises(ModelError, match=rf"{name}: cannot be read: No such file"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", FILES[1:])
def test_damage_is_noticed(tmp_path, name):
    """One changed bit is an error that tells the file and both checksums."""
    path = copied(tmp_path) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    found, expected = hashlib.sha256(content).hexdigest(), hashlib.sha256((MODELS / name).read_bytes()).hexdigest()
    with pytest.raises(ModelError, match=rf"{name}: sha256 is {found}, expected {expected}") as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["detector", "classifier"])
def test_file_that_is_no_network(tmp_path, name):
    """A file with the right checksum that onnxruntime cannot load is named."""
    path = copied(tmp_path) / f"{name}.onnx"
    path.write_bytes(b"no network")
    rewrite(tmp_path, **{name: {"file": path.name, "sha256": hashlib.sha256(b"no network").hexdigest()}})
    with pytest.raises(ModelError, match=rf"{name}.onnx: onnxruntime cannot load it: ") as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)


def test_network_that_is_another_one(tmp_path):
    """A sound network that takes or gives something else, as an older release's, is refused with both lists."""
    content = (copied(tmp_path) / "classifier.onnx").read_bytes()
    rewrite(tmp_path, detector={"file": "classifier.onnx", "sha256": hashlib.sha256(content).hexdigest()})
    with pytest.raises(ModelError, match=r"classifier.onnx: takes i420 .*; boxes .* expected i420 tensor\(uint8\) \["):
        load_model(tmp_path)


TAKES: list[Array] = [("i420", UINT8, ("rows", "width"))]
GIVES: list[Array] = [("boxes", FLOAT, ("n", 4)), ("scores", FLOAT, ("n",)), ("worn", FLOAT, ("n", 3))]


def own(folder, takes=TAKES, gives=GIVES):
    """A detector of one's own beside the shipped classifier."""
    (copied(folder) / "own.onnx").write_bytes(content := network(takes, gives))
    rewrite(folder, detector={"file": "own.onnx", "sha256": hashlib.sha256(content).hexdigest()})


def test_a_model_of_ones_own_is_taken(tmp_path):
    """One that takes and gives what docs/weights.md says; this one finds a face without a score."""
    own(tmp_path)
    mine = load_model(tmp_path)
    mine.warm_up(640, 360)
    assert mine.find(picture()) == []


@pytest.mark.parametrize(
    ("takes", "gives", "said"),
    [
        (
            [("i420", FLOAT, ("rows", "width"))],
            GIVES,
            r"takes i420 tensor\(float\) \[any, any\]; expected i420 tensor\(uint8\)",
        ),
        ([("i420", UINT8, (1, 3, "rows", "width"))], GIVES, r"takes i420 tensor\(uint8\) \[1, 3, any, any\]; expected"),
        (TAKES, [("boxes", DOUBLE, ("n", 4)), *GIVES[1:]], r"gives boxes tensor\(double\) \[1, 4\]; .* expected"),
        (
            TAKES,
            [*GIVES[:2], ("worn", FLOAT, ("n", 2))],
            r"gives .*; worn tensor\(float\) \[1, 2\]; expected .* \[any, 3\]",
        ),
        (TAKES, [GIVES[1], GIVES[0], GIVES[2]], r"gives scores .*; boxes .*; expected boxes "),
    ],
)
def test_a_model_that_takes_or_gives_other_arrays_is_refused(tmp_path, takes, gives, said):
    """With what it has, and what it should have: it would fail at the first picture, or judge by wrong numbers."""
    own(tmp_path, takes, gives)
    with pytest.raises(ModelError, match=rf"own.onnx: {said}"):
        load_model(tmp_path)


def test_a_model_that_cannot_work_is_told_in_one_line(tmp_path):
    """When it is warmed up: what its classifier does with a face of three classes is for two."""
    (copied(tmp_path) / "own.onnx").write_bytes(content := classifier_of_two())
    rewrite(tmp_path, classifier={"file": "own.onnx", "sha256": hashlib.sha256(content).hexdigest()})
    mine = load_model(tmp_path)
    with pytest.raises(ModelError, match=r"model .*: fails on a grey picture of 640x360: .*MatMul") as caught:
        mine.warm_up(640, 360)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"id": "x"}'])
def test_manifest_that_is_none(tmp_path, content):
    """A manifest that cannot be decoded is named."""
    (copied(tmp_path) / "model.json").write_text(content)
    with pytest.raises(ModelError, match=r"model.json: is no model manifest: "):
        load_model(tmp_path)


@pytest.mark.parametrize("id_", ["", "Model 1", "../model", "x" * 65])
def test_id_that_no_message_can_carry(tmp_path, id_):
    """The id goes into every message, so one that the contract refuses is refused at start, not at the first face."""
    rewrite(copied(tmp_path), id=id_)
    with pytest.raises(ModelError, match=r"model.json: is no model manifest: .*\$\.id"):
        load_model(tmp_path)


def test_other_classes_are_refused(tmp_path):
    """A model with classes in another order would turn verdicts round: refused."""
    rewrite(copied(tmp_path), classes=["unmasked", "masked", "incorrect"])
    with pytest.raises(ModelError, match=r"model.json: classes are .*, expected "):
        load_model(tmp_path)


def test_manifest_stays_in_its_folder(tmp_path):
    """A manifest cannot point to a file elsewhere."""
    rewrite(copied(tmp_path), detector={"file": "../detector.onnx", "sha256": "0"})
    with pytest.raises(ModelError, match="must be a plain name"):
        load_model(tmp_path)


def test_folder_is_unreadable(tmp_path):
    """A folder that is none is told like a missing file."""
    with pytest.raises(ModelError, match=r"model.json: cannot be read"):
        load_model(tmp_path / "nowhere")


WATCHED = """
import os, sys
asked = []
sys.addaudithook(lambda event, args: asked.append((event, args)) if event.startswith("socket.") else None)
import numpy as np
from services.inference.model import load_model
model = load_model()
model.warm_up(640, 360)
model.find(np.full((540, 640), 128, np.uint8))
assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
assert not [a for a in asked if a[0] != "socket.__new__"], asked
"""


def run(code: str, home: Path, *prefix: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a Python of its own with a fresh home directory."""
    root = Path(__file__).parents[3]
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "LD_LIBRARY_PATH", "LANG")}
    environment = {**kept, "HOME": str(home), "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [*prefix, sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, cwd=home.parent)


def test_no_telemetry(tmp_path):
    """Loading and running the model writes nothing below the home directory and asks for no address."""
    home = tmp_path / "home"
    home.mkdir()
    done = run(WATCHED, home)
    assert done.returncode == 0, done.stderr
    assert list(home.rglob("*")) == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_no_connection_in_native_code(tmp_path):
    """Nor does native code, which no audit hook sees, open a connection to anywhere."""
    home = tmp_path / "home"
    home.mkdir()
    trace = tmp_path / "trace"
    done = run(WATCHED, home, "strace", "-f", "-qq", "-e", "trace=connect,sendto", "-o", str(trace))
    assert done.returncode == 0, done.stderr
    assert "AF_INET" not in trace.read_text()


def test_setting_of_the_user_stays(tmp_path):
    """A value that the user gave ORT_DISABLE_TELEMETRY is not overwritten."""
    code = "import os; os.environ['ORT_DISABLE_TELEMETRY'] = '2'\nimport services.inference.model\n"
    done = run(f"{code}assert os.environ['ORT_DISABLE_TELEMETRY'] == '2'", tmp_path)
    assert done.returncode == 0, done.stderr
