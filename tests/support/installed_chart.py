"""The chart with keys that its own Job makes, as processes on one machine: the try-out, and a first camera."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from aiohttp import ClientSession
from chart import NAMESPACE, RELEASE, ROOT, container, helm, merged, objects_of
from free_ports import free_ports
from kubernetes_api import KubernetesApi
from patience import patient, wait_until
from program import Program
from rendered_pods import RenderedPods
from secrecy import keep

SERVICES = ("notify", "ingest", "inference", "aggregate")
LIMIT_S = 90
TRYOUT = ROOT / "k8s/tryout-values.yaml"
IMAGE = {"image": {"registry": "registry.example.org"}}
Secrets = Mapping[str, Mapping[str, str]]
Job = Callable[[list[str], KubernetesApi], None]
"""Runs the command of the Job that makes keys, with this API of Kubernetes."""


def hide(secrets: Secrets) -> None:
    """Let no seed be printed by a test that fails."""
    for files in secrets.values():
        for name, text in files.items():
            if name.endswith((".nk", ".key")):
                keep(text.strip())


def until_ready(running: Mapping[str, Program]) -> None:
    """Wait until each service runs, and is ready."""
    for name, service in running.items():
        wait_until(lambda service=service: service.running or service.is_over, f"{name} runs", LIMIT_S)
        wait_until(
            lambda service=service: service.get("/readyz")[0] == 200,
            lambda service=service: (service.get("/readyz"), service.lines[-5:]),
            LIMIT_S,
        )


class InstalledChart(RenderedPods):
    """`helm install` of these values, from the Job before it on; `secrets` are those that an operator makes."""

    def __init__(
        self, folder: Path, job: Job, values: Mapping[str, Any], places: Mapping[str, str], secrets: Secrets
    ) -> None:
        done = helm("template", RELEASE, str(ROOT / "k8s/moretta"), "--namespace", NAMESPACE, values=values)
        assert done.returncode == 0, done.stderr
        objects = objects_of(done.stdout)
        words = container(objects["Job/moretta-identities"]["spec"]["template"])["command"]
        with KubernetesApi(folder, NAMESPACE, objects["Role/moretta-identities"]["rules"]) as api:
            job(words, api)
            made = api.files()
        hide(made)
        super().__init__(folder, objects, made | secrets, places)
        keys = self.nats.root / "nats-keys"
        keys.mkdir(parents=True)
        for name, text in made[f"{RELEASE}-nats-keys"].items():
            (keys / name).write_text(text)

    def numbers(self, site: str) -> list[dict[str, Any]]:
        """Each window, by `moretta stats` in the toolbox."""
        done = self.toolbox("stats", site, "--step", "window", "--format", "json")
        found = json.loads(done.stdout)["periods"] if done.returncode == 0 else []
        return [one for one in found if one["rate"] is not None]

    def toolbox(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `moretta` as `kubectl exec deployment/moretta-toolbox` does."""
        _, env = self.command("toolbox")
        command = [str(Path(sys.executable).with_name("moretta")), *words]
        return finished(command, env)

    def helm_test(self) -> subprocess.CompletedProcess[str]:
        """Run the pod of `helm test` to its end."""
        return finished(*self.command("test"))


def finished(command: list[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, check=False, timeout=patient(60))


class TryOut(InstalledChart):
    """`helm install -f k8s/tryout-values.yaml --set image.registry=...`."""

    def __init__(self, folder: Path, job: Job) -> None:
        page, self.door, rtsp, mjpeg, mail = free_ports(5)
        places = {f"moretta-page:{page}": f"127.0.0.1:{page}", "localhost:8088": f"localhost:{self.door}"}
        places |= {"moretta-tryout:8554": f"127.0.0.1:{rtsp}", "moretta-tryout:8090": f"127.0.0.1:{mjpeg}"}
        places |= {"moretta-tryout": "127.0.0.1", '"port": 2525': f'"port": {mail}'}
        values = merged(yaml.safe_load(TRYOUT.read_text()), IMAGE | {"page": {"port": page}})
        super().__init__(folder, job, values, places, {})
        self.options = ["--rtsp", rtsp, "--mjpeg", mjpeg, "--mail", mail, "--door", self.door]

    def open(self) -> Program:
        """Start the try-out's own pod: cameras, mail server and door."""
        self.places["moretta-nats:8443"] = f"127.0.0.1:{self.nats.found['websocket']}"
        command, env = self.command("tryout")
        return Program([*command, *map(str, self.options)], environment=env, folder=Path("/"))


async def through_the_door(port: int) -> tuple[str, str]:
    """Return where the page says its numbers are, and what NATS says first there, to a browser of that page."""
    page = f"http://localhost:{port}"
    async with ClientSession() as browser:
        async with browser.get(f"{page}/config.json") as answer:
            server = (await answer.json())["server"]
        async with browser.ws_connect(f"{page}/{server}", origin=page) as numbers:
            return server, (await numbers.receive()).data.decode()


def assert_it_goes_from_nothing_to_a_number(cluster: TryOut) -> None:
    """Two simulated cameras, a window a minute, a mail that is printed, the page by one port; all end in order."""
    cluster.nats.start()
    running: dict[str, Program] = {}
    try:
        own = running["tryout"] = cluster.open()
        own.until(lambda: any("the page:" in line for line in own.printed), "its films are drawn", LIMIT_S)
        services = {name: cluster.start(name) for name in SERVICES}
        running |= services
        until_ready(services)
        server, hello = asyncio.run(through_the_door(cluster.door))
        assert (server, hello[:6]) == ("./nats", "INFO {")
        wait_until(lambda: mixed(cluster.numbers("market")), "both kinds in a window", 2 * LIMIT_S, every_s=2)
        own.until(lambda: any("Hand out masks at the gate." in line for line in own.printed), "a mail", 2 * LIMIT_S)
        assert any("mail to" in line for line in own.printed)
    finally:
        codes = {name: program.stop(limit_s=60) for name, program in reversed(running.items())}
        cluster.nats.stop()
    assert codes == dict.fromkeys((*SERVICES, "tryout"), 0)


def mixed(windows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those of ten people or more, of both kinds: the simulation draws, so all ten of one may wear a mask."""
    return [one for one in windows if one["persons"] >= 10 and 0.1 < one["rate"] < 0.95]


class FirstCamera(InstalledChart):
    """`mine.yaml` of docs/operations.md, "A first camera", whose Secret names this camera."""

    def __init__(self, folder: Path, job: Job, url: str) -> None:
        text = (ROOT / "docs/operations.md").read_text(encoding="utf-8").partition("### A first camera\n")[2]
        [written] = re.findall(
            r"^```yaml\n# mine\.yaml\n(.*?)^```$", text.partition("\n### ")[0], re.MULTILINE | re.DOTALL
        )
        secrets = {"moretta-cameras": {"hall-1.url": f"{url}\n"}}
        super().__init__(folder, job, merged(yaml.safe_load(written), IMAGE), {}, secrets)


def assert_it_counts(cluster: FirstCamera) -> None:
    """`helm test` finds all of it well, and the toolbox has a number after the first window."""
    cluster.nats.start()
    running: dict[str, Program] = {}
    try:
        running |= {name: cluster.start(name) for name in SERVICES}
        until_ready(running)
        test = cluster.helm_test()
        assert test.returncode == 0, test.stdout + test.stderr
        wait_until(lambda: cluster.numbers("forville"), "a number", 2 * LIMIT_S, every_s=2)
        shown = cluster.toolbox("stats", "forville")
        assert "%" in shown.stdout, shown.stdout + shown.stderr
    finally:
        codes = {name: program.stop(limit_s=60) for name, program in running.items()}
        cluster.nats.stop()
    assert codes == dict.fromkeys(SERVICES, 0)
