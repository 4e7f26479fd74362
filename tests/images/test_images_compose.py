"""compose.yaml with a real podman-compose: the box in one container, whose numbers outlive it."""

import asyncio
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml
from box_windows import assert_it_counts_on, more_windows
from container import PODMAN, podman, require
from free_ports import free_port
from lacking import lacks
from patience import wait_until

from proto.public import WindowV1
from testbed.proof.site import make_film

ROOT = Path(__file__).parents[2]


class Composed:
    """A folder with compose.yaml and settings, under a project's name of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, f"moretta-{uuid.uuid4().hex[:8]}"
        shutil.copy(ROOT / "compose.yaml", folder)
        (folder / "settings").mkdir()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run podman-compose to its end."""
        command = ["podman-compose", "--podman-path", PODMAN, "-p", self.name, *words]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=120, check=False)

    def start(self) -> None:
        """Make the container of the image that is there, and start it."""
        done = self.run("up", "-d", "--no-build")
        assert done.returncode == 0, done.stderr

    def process(self, kind: str = "Pid") -> int:
        """The container's first process, or the one that watches it (ConmonPid)."""
        return int(podman("inspect", "--format", f"{{{{.State.{kind}}}}}", f"{self.name}_moretta_1"))

    def numbers(self) -> Path:
        """Where the volume of the numbers is on this machine."""
        return Path(podman("volume", "inspect", "--format", "{{.Mountpoint}}", f"{self.name}_numbers"))

    def close(self) -> None:
        """Remove the container and its numbers."""
        self.run("down", "-v", "-t", "0")


@pytest.fixture(name="composed")
def _composed(tmp_path: Path) -> Iterator[Composed]:
    require()
    if shutil.which("podman-compose") is None:
        lacks("needs podman-compose: .ci/system-packages images")
    composed = Composed(tmp_path)
    yield composed
    composed.close()


def configure(composed: Composed, cameras: Sequence[dict]) -> None:
    site = {"id": "hall", "profile": "lab", "window_s": 5, "lateness_s": 1, "cameras": list(cameras)}
    settings = {"sites": [site], "aggregate": {"page": {"port": free_port()}}}
    (composed.folder / "settings/site.yaml").write_text(yaml.safe_dump(settings))


@pytest.mark.timeout(400)
async def test_no_closed_window_is_lost_or_doubled(composed: Composed):
    """Killed, it starts again by itself; killed with what watches it and made anew, it has its numbers, too."""
    make_film(composed.folder / "settings/film.mp4", seed=3)
    configure(composed, [{"id": "a", "url": "/etc/moretta/film.mp4", "loop": True}])
    await asyncio.to_thread(composed.start)
    before: list[WindowV1] = await more_windows(composed.numbers(), [])
    killed = composed.process()
    os.kill(killed, signal.SIGKILL)  # the first of its processes: the kernel ends the others with it
    before = await more_windows(composed.numbers(), before)
    assert composed.process() not in {0, killed}
    for kind in ("ConmonPid", "Pid"):
        os.kill(composed.process(kind), signal.SIGKILL)
    await asyncio.to_thread(composed.run, "down")
    await asyncio.to_thread(composed.start)
    await assert_it_counts_on(composed.numbers(), before)
    shown = await asyncio.to_thread(composed.run, "exec", "moretta", "moretta", "stats", "hall", "--format", "csv")
    assert (shown.returncode, shown.stdout.count("hall,_site")) == (0, 1), shown.stderr


def test_wrong_settings_are_in_its_log(composed: Composed):
    """The line that names the file, the place and what would be right; no traceback."""
    configure(composed, [{"id": "a", "url": 5}])
    composed.start()
    wait_until(lambda: "site.yaml" in (log := composed.run("logs")).stdout + log.stderr, "a line of its log", 20)
    log = composed.run("logs")
    words = log.stdout + log.stderr
    assert "/etc/moretta/site.yaml: sites[0].cameras[0].url: " in words
    assert "Traceback" not in words
