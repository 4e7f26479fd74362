"""The rendered pods, run as processes: each with its own command, variables and files, on the rendered NATS."""

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml
from chart import RELEASE, container, environment, merged, ours, render
from chart_values import PAGE
from nats_cluster import ports
from patience import wait_until
from program import Program
from rendered_nats import NAME, RenderedNats
from secrecy import keep

from operate.identities import Kept, Release, Server

HOME = "/etc/moretta"
FILES = {"hall-1.url": "rtsp://127.0.0.1:9/stream", "smtp-password": "0123456789abcdef", "salt": 32 * "s"}
"""What an operator puts into the Secrets that the example names."""
SERVER = {"smtp": {"host": "127.0.0.1", "port": 9}}
"""A mail server that is this machine's, where nobody listens."""


class Cluster:
    """What Kubernetes would make of the manifest below a folder, on one machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        made = Kept.make(
            folder / "made", Server(listen="a:1", store="/s", url="nats://a:1", release=Release(name=RELEASE))
        )
        values = yaml.safe_load((made.folder / "values.yaml").read_text())
        policy = {"networkPolicy": {"enabled": False}}
        trip = {"tests": {"roundTrip": {"enabled": True}}}
        self.camera, self.page = ports(2)
        page = merged(PAGE, {"page": {"port": self.page}} | policy)
        self.objects = render(merged(values, page | trip | {"settings": {"notify": SERVER}}))
        written = yaml.safe_load_all((made.folder / "secrets.yaml").read_text())
        self.secrets = {one["metadata"]["name"]: one["stringData"] for one in written}
        for seeds in self.secrets.values():
            for name, text in seeds.items():
                if name.endswith((".nk", ".key")):
                    keep(text.strip())
        self.secrets |= dict.fromkeys(("moretta-cameras", "moretta-mail"), FILES)
        self.nats = RenderedNats(folder / "server", self.objects[f"ConfigMap/{NAME}"]["data"]["nats.conf"])

    def mount(self, component: str) -> Path:
        """Put a pod's volumes below a folder of its own, and nothing else; returns what stands for /etc/moretta."""
        pod, root = ours(self.objects)[component], self.folder / component
        for volume in pod["spec"]["volumes"]:
            place = root / volume["name"]
            place.mkdir(parents=True)
            content = self.secrets.get(volume.get("secret", {}).get("secretName"), {})
            if "configMap" in volume:
                content = self.objects[f"ConfigMap/{volume['configMap']['name']}"]["data"]
            for name, text in content.items():
                (place / name).write_text(self.here(text, root))
        return root

    def here(self, text: str, root: Path) -> str:
        """Return a text with this machine's places in it: folders, programs, and the simulated camera's Service."""
        text = text.replace(HOME, str(root)).replace("/opt/moretta/bin", str(Path(sys.executable).parent))
        return re.sub(r"moretta-camera:8090|0\.0\.0\.0:8090", f"127.0.0.1:{self.camera}", text)

    def command(self, component: str) -> tuple[list[str], dict[str, str]]:
        """Return a pod's command and its variables, with this machine's places in them."""
        pod, root = ours(self.objects)[component], self.mount(component)
        env = {name: self.here(value, root) for name, value in environment(pod).items()}
        env |= {"MORETTA_NATS__URL": self.nats.url, "TMPDIR": str(root / "tmp"), "PATH": "/usr/bin:/bin"}
        if "MORETTA_PROBES__PORT" in env:
            env |= {"MORETTA_PROBES__PORT": "0", "MORETTA_PROBES__HOST": "127.0.0.1"}
        return [self.here(word, root) for word in container(pod)["command"]], env

    def helm_test(self, component: str) -> dict[str, str]:
        """Run a pod of `helm test` to its end; returns the state of each thing that it looked at."""
        command, env = self.command(component)
        done = subprocess.run([*command, "--json"], env=env, cwd="/", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return {one["check"]: one["state"] for one in json.loads(done.stdout)["checks"]}

    def start(self, component: str) -> Program:
        """Start a pod's process, with no variable but its own."""
        command, env = self.command(component)
        return Program(command, environment=env, folder=Path("/"))


LIMIT_S = 90


@pytest.mark.timeout(600)
def test_the_pods_run(tmp_path):
    """All become ready in any order, and end in time. `helm test` finds them well as an operator; then its film
    goes the whole way: ingest takes it, its people are a number, and nothing is found on the bus. The page is there."""
    cluster = Cluster(tmp_path)
    cluster.nats.start()
    running = {}
    try:
        running = {name: cluster.start(name) for name in ("notify", "ingest", "inference", "aggregate")}
        for name, service in running.items():
            wait_until(lambda service=service: service.running or service.is_over, f"{name} runs", LIMIT_S)
            wait_until(
                lambda service=service: service.get("/readyz")[0] == 200,
                lambda service=service: (service.get("/readyz"), service.lines[-5:]),
                LIMIT_S,
            )
        with urllib.request.urlopen(f"http://127.0.0.1:{cluster.page}/config.json", timeout=20) as answer:
            told = json.load(answer)
        assert (told["server"], told["key"]) == (PAGE["page"]["websocket"], False)
        found = cluster.helm_test("test")
        assert {found[one] for one in ("NATS", "rights of operator", "aggregate", "clock")} == {"ok"}, found
        found = cluster.helm_test("camera")
        assert {found[one] for one in ("camera selftest/film", "window", "pictures on the bus")} == {"ok"}, found
    finally:
        codes = {name: service.stop(limit_s=60) for name, service in running.items()}
        cluster.nats.stop()
    assert codes == dict.fromkeys(running, 0)
