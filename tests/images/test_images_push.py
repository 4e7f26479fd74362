"""`make push`: what a cluster is told to run is what the registry has. The registry is real, the images are small."""

import json
import os
import shutil
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import chart
import pytest
import yaml
from free_ports import free_port
from lacking import lacks
from patience import wait_until
from program import Program

ROOT = Path(__file__).parents[2]
MANIFEST = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
CONFIG = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@pytest.fixture(name="registry")
def _registry(tmp_path: Path) -> Iterator[str]:
    """A registry of the test's own, on loopback and without TLS."""
    if os.geteuid() or not (shutil.which("podman") and shutil.which("docker-registry")):
        lacks("needs root, podman and docker-registry: .ci/system-packages images")
    port = free_port()
    config = tmp_path / "registry.yaml"
    config.write_text(CONFIG.format(folder=tmp_path / "registry", port=port))
    with Program(["docker-registry", "serve", config]):
        wait_until(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/").status == 200, ignoring=(OSError,))
        yield f"127.0.0.1:{port}/masks"


@pytest.fixture(name="push")
def _push(tmp_path: Path) -> ModuleType:
    """The program, with a store of the test's own."""
    loader = SourceFileLoader("push", str(ROOT / ".ci/push"))
    module = module_from_spec(spec_from_loader("push", loader))
    loader.exec_module(module)
    module.PODMAN = tmp_path / "podman"
    command = (ROOT / ".ci/podman").read_text().replace("store=$here/build/images", f"store={tmp_path}/images")
    module.PODMAN.write_text(command.replace('here=$(cd "$(dirname "$0")/.." && pwd)', f"here={ROOT}"))
    module.PODMAN.chmod(0o755)
    return module


def make(push: ModuleType, folder: Path) -> None:
    """Make small images under the names of ours, no two the same."""
    for name in push.IMAGES.values():
        (folder / "name").write_text(name)
        with tarfile.open(folder / f"{name}.tar", "w") as archive:
            archive.add(folder / "name", "name")
        subprocess.run(
            [push.PODMAN, "import", "--quiet", folder / f"{name}.tar", name], check=True, capture_output=True
        )


def test_the_values_name_what_the_registry_has(registry: str, push: ModuleType, tmp_path: Path):
    """Each digest is the registry's own, five different ones; the chart renders them, and they can be pulled."""
    make(push, tmp_path)
    file = tmp_path / "values-digests.yaml"
    assert push.main(registry, file, ["--tls-verify=false"]) == 0
    image = yaml.safe_load(file.read_text())["image"]
    host, _, path = registry.partition("/")
    for name, pushed in push.IMAGES.items():
        address = f"http://{host}/v2/{path}/{pushed}/manifests/{image['tag']}"
        with urllib.request.urlopen(urllib.request.Request(address, headers={"Accept": MANIFEST})) as answer:
            assert answer.headers["Docker-Content-Digest"] == image["digests"][name]
    assert len(set(image["digests"].values())) == 5
    pods = chart.ours(chart.render({"image": image})).values()
    used = {chart.container(pod)["image"] for pod in pods}
    wanted = {f"{registry}/{push.IMAGES[name]}@{digest}" for name, digest in image["digests"].items()}
    assert used == wanted
    for reference in used:
        pull = [push.PODMAN, "pull", "--quiet", "--tls-verify=false", reference]
        subprocess.run(pull, check=True, capture_output=True)
        (found,) = json.loads(subprocess.check_output([push.PODMAN, "image", "inspect", reference]))
        assert found["Digest"] == reference.partition("@")[2]


def test_nothing_is_pushed_of_images_that_are_not_there(push: ModuleType, tmp_path: Path, capsys):
    """Which are missing, and what makes them; exit code 2 and no file."""
    if os.geteuid() or not shutil.which("podman"):
        pytest.skip("needs root and podman: .ci/system-packages images")
    assert push.main("registry.example.org/masks", tmp_path / "values.yaml", []) == 2
    assert "moretta-ingest" in capsys.readouterr().err
    assert not (tmp_path / "values.yaml").exists()
