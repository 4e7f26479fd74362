"""Node.js and the packages of .ci/node, which `make node` installs."""

import shutil
import subprocess
from pathlib import Path

from lacking import lacks

FOLDER = Path(__file__).parents[2] / "build" / "node"


def require() -> None:
    """Skip the test by name without Node.js and its packages; fail it if MORETTA_REQUIRE_ALL=1."""
    if shutil.which("node") is not None and (FOLDER / "node_modules").is_dir():
        return
    lacks("Node.js and the packages of .ci/node are needed: `make node`")


def node(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of the scripts of .ci/node to its end."""
    command = ["node", str(FOLDER / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
