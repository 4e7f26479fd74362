"""An earlier version of Moretta beside today's: `proto` and `services` of its own wheel, built from git.

The libraries are those of today's environment: what differs is our own code.
"""

import fcntl
import json
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from lacking import lacks

ROOT = Path(__file__).parents[2]
PREVIOUS = "f3160a3e2311f858ad404151b62136f23ffdcb23"
"""The version that a rolling upgrade comes from; a release puts its predecessor's commit here."""
_BUILT = ROOT / "build" / "previous"
_PIP = ("-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index")


@dataclass(frozen=True)
class Version:
    """Code that services run: today's wheel, or an earlier one in `path`."""

    name: str
    path: Path | None = None
    source: Path = ROOT

    @property
    def environment(self) -> dict[str, str]:
        """What makes a Python process run it: what PYTHONPATH names comes before what is installed."""
        return {} if self.path is None else {"PYTHONPATH": str(self.path)}

    @property
    def home(self) -> Path:
        """Where its packages lie."""
        return self.path or Path(json.loads(TODAY.tell("import proto; print(json.dumps(proto.__path__[0]))"))).parent

    def tell(self, code: str, *arguments: str, text: str = "") -> str:
        """Return what a piece of code prints under this version, given a text; `json` and `sys` are there."""
        line = [sys.executable, "-P", "-c", f"import json, sys\n{code}", *arguments]
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | self.environment
        how: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 60, "check": False}
        done = subprocess.run(line, env=environment, input=text, **how)
        assert done.returncode == 0, f"under {self.name}: {done.stderr}"
        return str(done.stdout)

    def ask(self, code: str, *arguments: str) -> Any:
        """Return what a piece of code prints as JSON."""
        return json.loads(self.tell(code, *arguments))


TODAY = Version("today")


def previous() -> Version:
    """Return the earlier version, built once for all tests: MORETTA_PREVIOUS, if set, names another revision."""
    revision = _commit(os.environ.get("MORETTA_PREVIOUS", PREVIOUS))
    folder = _BUILT / revision
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            _build(revision, folder)
    return Version(revision[:12], folder / "installed", folder / "source")


def previous_chart(into: Path) -> Path:
    """Write the earlier version's chart into a folder; return where it is."""
    revision = _commit(os.environ.get("MORETTA_PREVIOUS", PREVIOUS))
    packed = subprocess.run(
        ["git", "-C", str(ROOT), "archive", revision, "k8s/moretta"], capture_output=True, check=True
    )
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
        archive.extractall(into, filter="data")
    return into / "k8s/moretta"


def _commit(revision: str) -> str:
    asked = ["git", "-C", str(ROOT), "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        lacks(f"an earlier version: git has no {revision} here")
    return found.stdout.strip()


def _build(revision: str, folder: Path) -> None:
    packed = subprocess.run(["git", "-C", str(ROOT), "archive", revision], capture_output=True, check=True)
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
        archive.extractall(folder / "source", filter="data")
    into = folder / "new"
    subprocess.run([sys.executable, *_PIP, "--target", str(into), str(folder / "source")], check=True, timeout=300)
    into.rename(folder / "installed")
