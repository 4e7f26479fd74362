"""The official AsyncAPI parser reads docs/asyncapi.json, and has nothing to say."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lacking import lacks

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docs/asyncapi.json"
FOLDER = ROOT / "build/node"
"""Where `make node` installs the packages of .ci/node."""


@pytest.fixture(autouse=True)
def _needs_node() -> None:
    if shutil.which("node") is None or not (FOLDER / "node_modules").is_dir():
        lacks("Node.js and the packages of .ci/node are needed: `make node`")


def node(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of the scripts of .ci/node to its end."""
    command = ["node", str(FOLDER / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_parser_finds_nothing():
    """Neither an error nor a warning, and every channel is there."""
    run = node("asyncapi.mjs", str(FILE))
    assert (run.returncode, run.stderr) == (0, "")
    channels = len(json.loads(FILE.read_text("utf-8"))["channels"])
    assert run.stdout.startswith(f"{channels} channels, ")


@pytest.mark.parametrize(
    ("where", "wrong", "said"),
    [
        (("components", "messages", "WindowV1", "payload", "$ref"), "#/components/schemas/Nobody", "invalid-ref"),
        (("operations", "windows", "action"), "shout", "must be equal to one of the allowed values"),
        (("channels", "windows", "adress"), "x", '"adress"'),
    ],
)
def test_the_parser_would_find_it(where: tuple[str, ...], wrong: Any, said: str, tmp_path: Path):
    """A reference to nothing, an action that is none, a word that AsyncAPI does not have."""
    document = json.loads(FILE.read_text("utf-8"))
    part = document
    for key in where[:-1]:
        part = part[key]
    part[where[-1]] = wrong
    (tmp_path / "broken.json").write_text(json.dumps(document), "utf-8")
    run = node("asyncapi.mjs", str(tmp_path / "broken.json"))
    assert run.returncode == 1
    assert said in run.stdout
