"""What is in each image, and what is not: its files, its packages, its settings, without any network."""

import json
import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import distributions
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from container import IMAGES, PYTHON, SERVICES, USER, inspected, mount, once, podman, require
from packaging.requirements import Requirement

from operate.box.programs import MALLOC

ROOT = Path(__file__).parents[2]
WHOSE = {
    **dict.fromkeys(("av", "aiortc"), "ingest"),
    **dict.fromkeys(("onnxruntime",), "inference"),
    **dict.fromkeys(("scipy",), "aggregate"),
    **dict.fromkeys(("matplotlib", "aiosmtplib", "babel", "phonenumbers", "jinja2"), "notify"),
    **{f"services.{name}": name for name in SERVICES},
    **dict.fromkeys(
        ("typer", "rich", "psutil", "operate", "testbed", "moretta", "bench", "modelling.evaluation"), "box"
    ),
    **dict.fromkeys(("pip", "setuptools", "ensurepip", "torch", "modelling.training"), "nobody"),
}
"""Which image can import what; and `box` can import all but nobody's."""
FOUND = """
import importlib, json, os, sys
def there(name):
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True
found = [name for name in json.loads(sys.argv[1]) if there(name)]
print(json.dumps({"found": found, "ids": [os.getresuid(), os.getresgid(), os.getgroups()], "prefix": sys.prefix}))
"""
TOOLS = {"cc", "c++", "gcc", "g++", "clang", "tcc", "ld", "as", "make", "pip", "pip3", "uv", "curl", "wget", "nc"}


@pytest.fixture(name="service", params=IMAGES, scope="module")
def _service(request: pytest.FixtureRequest) -> str:
    require()
    return request.param


@pytest.fixture(name="files", scope="module")
def _files(service: str) -> Iterator[Path]:
    """The image's files, as root sees them."""
    yield Path(podman("image", "mount", IMAGES[service]))
    podman("image", "unmount", IMAGES[service])


def test_it_says_what_it_is(service: str):
    """User, command, variables and labels; and nowhere a word of the machine that built it."""
    told = inspected(service)
    config = told["Config"]
    moretta = ["/opt/moretta/bin/moretta"]
    assert config["Entrypoint"] == (moretta if service == "box" else [PYTHON, "-P", "-m", f"services.{service}"])
    assert config["Cmd"] == (["--help"] if service == "box" else ["-c", "/etc/moretta/settings/settings.yaml"])
    assert (config["User"], config["StopSignal"], config["WorkingDir"]) == (f"{USER}:{USER}", "SIGTERM", "/")
    assert ("XDG_DATA_HOME=/var/lib" in config["Env"]) == (service == "box")
    variables = dict(line.split("=", 1) for line in config["Env"])
    ours = {k: v for k, v in variables.items() if k.startswith(("MALLOC", "GLIBC", "LD_", "ORT", "PYTHONU", "MORETTA"))}
    assert ours == MALLOC | {"ORT_DISABLE_TELEMETRY": "1", "PYTHONUNBUFFERED": "1"}
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
    assert (labels["title"], labels["licenses"]) == (f"moretta {service}", "Apache-2.0")
    assert labels["version"] in (ROOT / "pyproject.toml").read_text()
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert labels["revision"].removesuffix("-dirty") == head.stdout.strip(), (
        "an old image: `make images` builds it anew"
    )
    assert labels["moretta.lock"] == f"requirements/{service}.txt"
    assert not re.search(r"https?://|index.url|cert =", json.dumps(told))


def test_its_files(service: str, files: Path):
    """Nothing gives rights, builds or installs; nothing of the build is left; all is compiled; its licence is there.

    The box's user has one folder, for its numbers; the services' own nothing.
    """
    everything = [path for path in files.rglob("*") if not path.is_symlink() and files / "dev" not in path.parents]
    assert not [path for path in everything if path.is_file() and path.stat().st_mode & 0o6000]
    assert not [path for path in everything if path.parent.name in {"bin", "sbin"} and path.name in TOOLS]
    theirs = [path for path in everything if path.stat().st_uid == USER or path.stat().st_gid == USER]
    writable = [path for path in everything if path.stat().st_mode & 0o002]
    numbers = [files / "var/lib/moretta"] if service == "box" else []
    assert theirs == numbers
    assert {path.relative_to(files).as_posix() for path in writable} == {"tmp", "var/tmp", "run/lock"}
    assert not [name for name in ("etc/pip.conf", "root/.cache", "out", "dist", "src") if (files / name).exists()]
    opt = files / "opt/moretta"
    elsewhere = [path for path in everything if opt not in path.parents and "moretta" in path.name and path != opt]
    assert elsewhere == numbers
    for name in ("LICENSE", "NOTICE"):
        assert (opt / name).read_bytes() == (ROOT / name).read_bytes()
    assert {path.name for path in (opt / "bin").iterdir()} - {"python", "python3", "python3.13"} == (
        {"moretta", "nats-server"} if service == "box" else set()
    )
    sources = list((opt / "lib").rglob("*.py"))
    stale = [path for path in sources if not _is_compiled(path)]
    assert (len(sources) > 500, stale) == (True, [])


def _is_compiled(source: Path) -> bool:
    """Whether Python takes what is compiled without a look at the source (PEP 552)."""
    cache = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
    assert Path(cache_from_source(str(source))).parent == cache.parent
    return cache.exists() and cache.read_bytes()[4:8] == b"\x01\0\0\0"


def test_its_packages_are_those_of_its_lock_file(service: str, files: Path):
    """No more, no less, no other version; the lock file lies beside them."""
    lock = (ROOT / f"requirements/{service}.txt").read_text()
    assert (files / "opt/moretta/requirements.txt").read_text() == lock
    marked = [Requirement(line) for line in re.findall(r"^([a-z0-9][^\\\n]+?) *\\?$", lock, re.MULTILINE)]
    image = {"python_version": "3.13", "python_full_version": "3.13.5"}
    wanted = {one.name: str(one.specifier)[2:] for one in marked if one.marker is None or one.marker.evaluate(image)}
    path = [str(next((files / "opt/moretta/lib").glob("python3.13/site-packages")))]
    found = {one.name.lower().replace("_", "-").replace(".", "-"): one.version for one in distributions(path=path)}
    assert found.pop("moretta") in (ROOT / "pyproject.toml").read_text()
    assert found == wanted


def test_it_cannot_import_what_is_anothers(service: str):
    """As nobody, with a root that can't be written, without rights and network: its own libraries, and no others."""
    ran = once(service, "-P", "-c", FOUND, json.dumps(list(WHOSE)), entry=PYTHON)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    able = [name for name, owner in WHOSE.items() if owner == service or (service == "box" and owner != "nobody")]
    assert told["found"] == able
    assert (told["ids"], told["prefix"]) == ([[USER] * 3, [USER] * 3, [USER]], "/opt/moretta")


@pytest.mark.parametrize("service", SERVICES)
def test_bad_settings_end_it_with_the_line_that_says_what_to_mend(service: str, tmp_path: Path):
    """Exit code 2, one line that names the file and the place, no traceback."""
    require()
    folder = mount(tmp_path / "settings", {"settings.yaml": "sites: [{id: s, window_s: soon}]"})
    ran = once(service, mounts=[f"{folder}:/etc/moretta/settings:ro"])
    assert (ran.returncode, ran.stdout) == (2, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith("/etc/moretta/settings/settings.yaml: sites[0].window_s: ")


def test_the_command_line_checks_settings(tmp_path: Path):
    """What `helm test` and an operator run: nothing to write, nobody to ask."""
    require()
    assert once("box", "--version").stdout.strip() in (ROOT / "pyproject.toml").read_text()
    text = "sites: [{id: s, cameras: [{id: gate, url: 'rtsp://camera.example/'}]}]"
    folder = mount(tmp_path / "settings", {"settings.yaml": text})
    ran = once("box", "check-config", "/etc/moretta/settings/settings.yaml", mounts=[f"{folder}:/etc/moretta/settings"])
    assert (ran.returncode, ran.stdout) == (0, "/etc/moretta/settings/settings.yaml: good\n"), ran.stderr


def test_the_command_line_measures_and_simulates():
    """What of it is in a folder of its own is there: a model is asked for pictures, and a crowd has its truth."""
    require()
    ran = once("box", "eval", "/nowhere")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("moretta eval: /nowhere: no such folder")
    assert '"passages"' in once("box", "simulate", "sparse", "--truth", "-").stdout
