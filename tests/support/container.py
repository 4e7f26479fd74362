"""Moretta's images as a cluster runs them: read-only, as nobody, without rights, their logs a line at a time."""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lacking import lacks
from program import Program

PODMAN = Path(__file__).parents[2] / ".ci/podman"
SERVICES = ("ingest", "inference", "aggregate", "notify")
IMAGES = {**{name: f"moretta-{name}" for name in SERVICES}, "box": "moretta"}
USER = 10001
PYTHON = "/opt/moretta/bin/python"
SETTINGS, IDENTITY = "/etc/moretta/settings", "/etc/moretta/identity"
HARDENED = (
    *("run", "--rm", "--pull=never", "--log-driver=none", "--http-proxy=false"),
    *("--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges"),
)
SCRATCH = {"notify": ["--tmpfs=/tmp:size=16m,mode=1777"], "box": ["--tmpfs=/tmp:size=16m,mode=1777"]}
"""In memory, for those who draw charts: matplotlib wants a folder to write to, be it never used."""


def require() -> None:
    """Skip the test by name when no image can be here; fail it if MORETTA_REQUIRE_ALL=1."""
    why = "" if os.geteuid() == 0 and shutil.which("podman") else "needs root and podman: .ci/system-packages images"
    if not why and (missing := [name for name in IMAGES.values() if not _exists(name)]):
        why = f"not built: {', '.join(missing)}; `make images` builds and tests them"
    if why:
        lacks(why)


def _exists(image: str) -> bool:
    return subprocess.run([PODMAN, "image", "exists", image], check=False).returncode == 0


def podman(*arguments: str | Path, limit_s: float = 60) -> str:
    """Return what podman prints; its own words on failure."""
    done = subprocess.run([PODMAN, *arguments], capture_output=True, text=True, timeout=limit_s, check=False)
    assert done.returncode == 0, f"podman {' '.join(map(str, arguments))}: {done.stderr}"
    return done.stdout.strip()


def inspected(service: str) -> dict[str, Any]:
    """Return what an image says of itself."""
    (found,) = json.loads(podman("image", "inspect", IMAGES[service]))
    return found


def once(service: str, *arguments: str, mounts: Iterable[str] = (), entry: str | None = None):
    """Run an image to its end, without any network; returns the finished process."""
    options = [*SCRATCH.get(service, []), *(f"--volume={mount}" for mount in mounts)]
    options += [f"--entrypoint={entry}"] if entry else []
    command = [PODMAN, *HARDENED, "--network=none", *options, IMAGES[service], *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def mount(folder: Path, files: Mapping[str, str]) -> Path:
    """Write a ConfigMap or a Secret as Kubernetes mounts it, for the group of the pod; again: with other content.

    Its files are links into a folder that is reached by a link, which is swapped (kubelet's AtomicWriter).
    """
    folder.mkdir(exist_ok=True)
    new = folder / f"..{uuid.uuid4().hex}"
    new.mkdir()
    for name, text in files.items():
        (new / name).write_text(text, encoding="utf-8")
    for path in (folder, new, *new.iterdir()):
        os.chown(path, -1, USER)
        path.chmod(0o750 if path.is_dir() else 0o440)
    (folder / "..data_tmp").symlink_to(new.name)
    (folder / "..data_tmp").rename(folder / "..data")
    for name in files:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    return folder


class Container:
    """A service that runs: `service` is its process as its log and its probes tell of it."""

    def __init__(self, name: str, mounts: Mapping[str, Path], environment: Mapping[str, str]) -> None:
        self.name = f"{name}-{uuid.uuid4().hex[:8]}"
        given = [f"--volume={folder}:{place}:ro" for place, folder in mounts.items()]
        given += [f"--env={key}={value}" for key, value in environment.items()]
        command = [PODMAN, *HARDENED, "--name", self.name, "--network=host", *SCRATCH.get(name, []), *given]
        self.service = Program([*command, IMAGES[name]])

    def main_process(self) -> Path:
        """Return what the host's kernel knows of the container's process 1."""
        return Path("/proc", podman("inspect", "--format", "{{.State.Pid}}", self.name))

    def ready(self) -> bool:
        """Whether it says of itself that it is ready; its own words if it has ended."""
        assert not self.service.is_over, self.service.last_words()
        return self.service.running and self.service.get("/readyz")[0] == 200

    def close(self) -> None:
        """End it if it still runs."""
        subprocess.run([PODMAN, "rm", "--force", "--ignore", "--time=0", self.name], check=True, capture_output=True)
        self.service.ended()
