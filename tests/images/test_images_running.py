"""The images as a cluster runs them, with a real NATS server and a camera over HTTP."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from container import IDENTITY, SERVICES, SETTINGS, USER, Container, mount, require
from http_camera import HttpCamera
from patience import patient, until
from site_process import Site

from operate.identities.made import environment
from proto.subjects import WINDOWS
from services.sandbox.measures import MEASURES
from testbed.proof.site import make_film, make_stream

pytestmark = pytest.mark.timeout(300)
READY_S, STOP_S = 60.0, 25.0
"""The second is shorter than the grace period that Kubernetes gives, of 30 s."""
Start = Callable[[str], Container]


def settings(camera: str, **site) -> dict:
    """A site with one camera, and probes that may be asked from elsewhere."""
    site |= {"id": "market", "cameras": [{"id": "door", "url": camera}]}
    return {"sites": [site], "probes": {"host": "0.0.0.0", "port": 0}}


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Iterator[Site]:
    """A site on a real server with the product's own table of rights; the server is this machine's, not a container."""
    require()
    site = Site(tmp_path)
    site.server.start()
    yield site
    site.close()


def configured(folder: Path, settings: dict) -> Path:
    return mount(folder / "settings", {"settings.yaml": yaml.safe_dump(settings)})


@pytest.fixture(name="start")
def _start(site: Site, tmp_path: Path) -> Iterator[Start]:
    """Starts a service's container with settings and its own secrets, mounted as into its pod."""
    running: list[Container] = []

    def start(name: str) -> Container:
        site.server.make()
        own = environment(Path(IDENTITY), name)
        files = [Path(value).name for value in own.values() if value.startswith(IDENTITY)]
        secrets = {file: (site.identities.folder / file).read_text() for file in files}
        mounts = {SETTINGS: tmp_path / "settings", IDENTITY: mount(tmp_path / f"identity-{name}", secrets)}
        running.append(Container(name, mounts, own | {"MORETTA_NATS__URL": site.server.url}))
        return running[-1]

    yield start
    for container in running:
        container.close()


def status(process: Path) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)


@pytest.mark.parametrize("name", SERVICES)
async def test_a_service_runs_as_nobody_and_ends_in_order(name: str, start: Start, tmp_path: Path):
    """Process 1 is Python itself, without any right; ready with NATS, in its sandbox, reloading, and gone at SIGTERM.

    The site has a legal profile, under which no service starts with less of its sandbox.
    """
    configured(tmp_path, settings("rtsp://127.0.0.1:9/", profile="alerting"))
    container = start(name)
    await until(container.ready, "ready", READY_S)
    process = container.main_process()
    words = (process / "cmdline").read_bytes().decode().split("\0")
    assert words[:4] == ["/opt/moretta/bin/python", "-P", "-m", f"services.{name}"]
    told = status(process)
    assert (told["Uid"].split(), told["Gid"].split()) == ([str(USER)] * 4, [str(USER)] * 4)
    assert {int(told[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {0}
    assert (told["NoNewPrivs"], told["Seccomp"]) == ("1", "2")
    if name in {"ingest", "inference"}:
        in_force = {
            m for m in MEASURES if container.service.metric("moretta_sandbox_state", measure=m, state="applied")
        }
        assert in_force | {"memory-lock"} == set(MEASURES)
    configured(tmp_path, settings("rtsp://127.0.0.1:10/", profile="alerting"))
    await until(lambda: container.service.said("new settings in force"), "the new ConfigMap", READY_S)
    code = await asyncio.to_thread(container.service.stop, signal.SIGTERM, STOP_S)
    assert (code, [line["code"] for line in container.service.said("stopped")]) == (0, [0])
    assert not [line for line in container.service.lines if line.get("level") in {"error", "critical"}]


async def test_the_four_together_publish_a_window(site: Site, start: Start, tmp_path: Path):
    """From a camera to a window with people in it, through four containers that have nothing in common but the bus."""
    film = make_stream(make_film(tmp_path / "film.mp4", seed=3), tmp_path / "film.ts")
    async with HttpCamera(streams=[(film, 96)]) as camera, site.bus("aggregate") as bus:
        configured(tmp_path, settings(camera.url("stream.ts"), profile="lab", window_s=10, lateness_s=2))
        containers = [start(name) for name in reversed(SERVICES)]
        await until(lambda: all(c.ready() for c in containers), "all four ready", READY_S)
        windows: list = []
        async with asyncio.timeout(patient(READY_S)):
            while not any(window.persons and window.coverage > 0.8 for window in windows):
                await asyncio.sleep(0.5)
                windows = [stored.message for stored in await bus.history(WINDOWS, site="market", zone="_site")]
    for container in reversed(containers):
        assert await asyncio.to_thread(container.service.stop, signal.SIGTERM, STOP_S) == 0, container.service.lines
