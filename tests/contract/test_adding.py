"""docs/adding.md: each example's changes fit the sources as they are, and its programs do what the document says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/adding.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(folder: Path, *command: str, given: str = "") -> str:
    """Run a command of an example; what it says if it fails is the test's."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": f"{folder}:{folder}/tests/support"}
    done = subprocess.run(
        command, cwd=folder, env=environment, input=given, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def do(folder: Path, kind: str, text: str) -> str:
    if kind == "diff":
        run(folder, "git", "apply", "--whitespace=error", "-", given=text)
        changed = [name for name in re.findall(r"^\+\+\+ b/(.+)$", text, re.MULTILINE) if name.endswith(".py")]
        run(folder, "ruff", "format", "--check", *changed)
        return run(folder, "ruff", "check", *changed)
    command = {"python": (sys.executable, "-W", "error", "-c", text), "sh": ("bash", "-euo", "pipefail", "-c", text)}
    return run(folder, *command[kind])


@pytest.mark.parametrize("name", SECTIONS)
def test_an_example_fits_the_sources_and_works(tmp_path: Path, name: str):
    """In a copy of the sources: changes are applied and linted, then the programs run, which check themselves."""
    ignored = shutil.ignore_patterns("__pycache__", "*.onnx")
    for part in ("proto", "services", "operate", "testbed", "moretta", "tests/support", "tools", ".ci"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    run(tmp_path, "git", "init", "-q")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    blocks = BLOCK.findall(SECTIONS[name])
    assert blocks[-1][0] == "python"
    for kind, text in blocks:
        do(tmp_path, kind, text)


def test_what_issue_and_readers_ask_for_is_there():
    """The five things that people add."""
    assert list(SECTIONS) == ["A source", "A channel", "A legal profile", "A type of rule", "A language"]
