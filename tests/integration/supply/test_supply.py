"""What is delivered: bills of materials, licences that may be taken, the same wheel from the same source."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
import pytest

pytestmark = pytest.mark.xdist_group("supply")
HERE = Path(__file__).parents[3]
SOMEONE_ELSES = {
    "ingest": {"onnxruntime", "scipy", "aiosmtplib", "matplotlib", "typer"},
    "inference": {"av", "aiortc", "scipy", "aiosmtplib", "matplotlib", "typer"},
    "aggregate": {"av", "aiortc", "onnxruntime", "aiosmtplib", "typer"},
    "notify": {"av", "aiortc", "onnxruntime", "scipy", "typer"},
}
OURS = ("proto", "services", "operate", "testbed", "moretta", "bench", "modelling")
STARTED = {name: [f"services.{name}.__main__"] for name in SOMEONE_ELSES}
STARTED["box"] = ["moretta.entry", *(module for [module] in STARTED.values())]
"""The modules that an image's commands begin with; all that these import, be it within a function, is in the image."""
ELSEWHERE = {"faster_coco_eval"}
"""What computes AP50 for `moretta eval` where it is installed: no image measures a model."""


@pytest.fixture(name="bills", scope="module")
def _bills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sbom")
    run = subprocess.run([sys.executable, HERE / ".ci/sbom", folder], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")
    return folder


def locked(name: str) -> dict[str, str]:
    """Return what the lock file installs everywhere, without what only other systems need."""
    text = (HERE / f"requirements/{name}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+) \\", text, re.MULTILINE))


@pytest.mark.parametrize("name", ["ingest", "inference", "aggregate", "notify", "box"])
def test_a_bill_has_what_the_lock_file_has_and_a_licence_for_each(bills: Path, name: str):
    """Each package with its version and who needs it; nothing is without a way to Moretta itself."""
    bill = json.loads((bills / f"{name}.cdx.json").read_text())
    told = {part["name"]: part["version"] for part in bill["components"]}
    assert locked(name).items() <= told.items()
    assert all(part["licenses"] for part in bill["components"])
    needs = {one["ref"]: one.get("dependsOn", []) for one in bill["dependencies"]}
    reached, left = set(), [f"moretta-{name}"]
    while left:
        if (ref := left.pop()) not in reached:
            reached.add(ref)
            left += needs[ref]
    assert reached == {f"moretta-{name}", *(part["bom-ref"] for part in bill["components"])}


@pytest.mark.parametrize("name", SOMEONE_ELSES)
def test_a_service_brings_nothing_that_it_does_not_run(bills: Path, name: str):
    """Design §3: an image has nothing it does not run."""
    bill = json.loads((bills / f"{name}.cdx.json").read_text())
    assert not SOMEONE_ELSES[name] & {part["name"] for part in bill["components"]}


@pytest.fixture(name="imports", scope="module")
def _imports() -> grimp.ImportGraph:
    """Who imports whom, of the installed wheel."""
    return grimp.build_graph(*OURS, include_external_packages=True, cache_dir=None)


@pytest.mark.parametrize("name", STARTED)
def test_a_lock_file_has_what_its_images_commands_import(imports: grimp.ImportGraph, name: str):
    """Whatever a command imports when it is called, too: the try-out's mail server was missing in the image alone."""
    begun = set(STARTED[name])
    reached = begun.union(*(imports.find_upstream_modules(module) for module in begun))
    others = {module for module in reached if module.partition(".")[0] not in {*OURS, *sys.stdlib_module_names}}
    providers = packages_distributions()
    found = {module: {one.lower().replace("_", "-") for one in providers.get(module, [])} for module in others}
    pinned = set(re.findall(r"^([a-z0-9.-]+)==", (HERE / f"requirements/{name}.txt").read_text(), re.MULTILINE))
    missing = {module for module, packages in found.items() if not packages & pinned}
    assert len(others) > 10
    assert {m: imports.find_modules_that_directly_import(m) & reached for m in missing - ELSEWHERE} == {}


def test_no_lock_file_and_no_bill_names_a_registry(bills: Path):
    """Which mirror a package comes from is the installer's to say."""
    for file in (*(HERE / "requirements").iterdir(), *bills.iterdir()):
        assert not re.search(r"https?://(?!cyclonedx\.org/schema/)|index-url", file.read_text()), file


def test_a_licence_that_is_not_allowed_is_an_error(tmp_path: Path):
    """The command names the package and exits with 1, so that CI fails."""
    script = (HERE / ".ci/sbom").read_text().replace('"Apache-2.0", "MIT",', '"MIT",')
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci/sbom").write_text(script)
    shutil.copytree(HERE / "requirements", tmp_path / "requirements")
    shutil.copy(HERE / "pyproject.toml", tmp_path)
    command = [sys.executable, tmp_path / ".ci/sbom", tmp_path / "out", "aggregate"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    assert re.search(r"^nats-py \S+: Apache-2.0; see ALLOWED", run.stderr, re.MULTILINE)


def test_the_same_source_gives_the_same_wheel(tmp_path: Path):
    """In another folder, at another time, with other rights: anybody can check what was delivered."""
    digests = []
    for name, umask, epoch in (("one", 0o022, 1_700_000_000), ("another", 0o077, 1_790_000_000)):
        folder = tmp_path / name
        keep = shutil.ignore_patterns(".*", "build", "dist", "tests", "docs", "__pycache__", "shared")
        shutil.copytree(HERE, folder, ignore=keep)
        for path in folder.rglob("*"):
            os.utime(path, (epoch, epoch))
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / f"{name}-out"]
        subprocess.run(build, cwd=folder, check=True, capture_output=True, timeout=60, umask=umask)
        (wheel,) = (tmp_path / f"{name}-out").glob("*.whl")
        digests.append(hashlib.sha256(wheel.read_bytes()).hexdigest())
    assert digests[0] == digests[1]
