"""`moretta service` under a real systemd: a box goes on after its machine lost power."""

import asyncio
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from booted import BootedMachine
from box_windows import assert_it_counts_on, more_windows

from proto.public import WindowV1
from testbed.proof.site import make_film

MORETTA = Path(sys.executable).with_name("moretta")
pytestmark = pytest.mark.long


@pytest.fixture(name="machine")
def _machine(tmp_path: Path) -> Iterator[BootedMachine]:
    with BootedMachine(tmp_path) as machine:
        yield machine


@pytest.mark.timeout(400)
async def test_no_closed_window_is_lost_or_doubled(machine: BootedMachine, tmp_path: Path):
    """Installed, it runs; power is cut twice, each time a second after a window was published; it counts on by itself,
    all that was published is there, once, as it was; removed, it runs no more, and its numbers stay."""
    film, data, file = make_film(tmp_path / "film.mp4", seed=3), tmp_path / "data", tmp_path / "site.yaml"
    site = {"id": "hall", "profile": "lab", "window_s": 5, "lateness_s": 1}
    file.write_text(yaml.safe_dump({"sites": [site | {"cameras": [{"id": "a", "url": str(film), "loop": True}]}]}))
    done = await asyncio.to_thread(
        machine.run, MORETTA, "service", "install", "-c", file, "--data", data, "--as", "root"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:3] == [f"settings: {file}", f"numbers are kept in {data}"]
    before: list[WindowV1] = []
    for _ in range(2):
        before = await more_windows(data, before)
        assert machine.run(MORETTA, "service", "status").returncode == 0
        await asyncio.sleep(1)
        machine.cut_power()
        await asyncio.to_thread(machine.boot)

    await assert_it_counts_on(data, before)
    assert (
        '"sync_interval": "always"' in (data / "identities/nats.conf").read_text()
    )  # what is confirmed is on the disk
    removed = machine.run(MORETTA, "service", "remove")
    assert (removed.returncode, removed.stderr) == (0, "")
    assert machine.run(MORETTA, "service", "status").returncode == 1
    assert "moretta.service" not in machine.run("systemctl", "list-units", "--all", "--plain").stdout
    assert (data / "jetstream").is_dir()


def test_a_box_that_cannot_run_is_said_at_once(machine: BootedMachine, tmp_path: Path):
    """Its port is taken: `install` waits no minute, says where to look, and its exit code is 1; systemd does not try
    again."""
    file = tmp_path / "site.yaml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        page = {"page": {"port": taken.getsockname()[1]}}
        site = {"id": "hall", "profile": "lab", "cameras": []}
        file.write_text(yaml.safe_dump({"sites": [site], "aggregate": page}))
        words = ("service", "install", "-c", file, "--data", tmp_path / "data", "--as", "root")
        done = machine.run(MORETTA, *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert "is written, and the box does not run; see why: journalctl -u moretta -o cat" in done.stderr
    assert machine.run("systemctl", "show", "--value", "-p", "NRestarts", "moretta").stdout.strip() == "0"
