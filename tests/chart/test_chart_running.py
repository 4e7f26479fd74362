"""The rendered pods as processes: an installation as the example is one, and the try-out from nothing to a number."""

import asyncio
import json
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml
from aiohttp import ClientSession
from chart import NAMESPACE, RELEASE, ROOT, Objects, container, helm, merged, objects_of, render
from chart_values import PAGE
from command_line import moretta
from free_ports import free_ports
from kubernetes_api import KubernetesApi
from patience import patient, wait_until
from program import Program
from rendered_pods import RenderedPods
from secrecy import keep
from typer.testing import CliRunner

from operate.cli.nats import app
from operate.identities import Kept, Release, Server
from operate.nats import in_cluster

FILES = {"hall-1.url": "rtsp://127.0.0.1:9/stream", "smtp-password": "0123456789abcdef", "salt": 32 * "s"}
"""What an operator puts into the Secrets that the example names."""
SERVICES = ("notify", "ingest", "inference", "aggregate")
TRYOUT = ROOT / "k8s/tryout-values.yaml"


class Cluster(RenderedPods):
    """The example's installation, with a mail server, its page, and the round trip of `helm test`."""

    def __init__(self, folder: Path, *, open_page: bool = True) -> None:
        place = Server(listen="a:1", store="/s", url="nats://a:1", release=Release(name=RELEASE))
        self.made = Kept.make(folder / "made", place).folder
        policy = {"networkPolicy": {"enabled": False}}
        trip = {"tests": {"roundTrip": {"enabled": True}}}
        camera, self.page = free_ports(2)
        page = merged(PAGE, {"page": {"port": self.page, "open": open_page}} | policy)
        self.mail = socket.create_server(("127.0.0.1", 0))
        smtp = {"smtp": {"host": "127.0.0.1", "port": self.mail.getsockname()[1]}}
        self.mine = page | trip | {"settings": {"notify": smtp}}
        places = dict.fromkeys(("moretta-camera:8090", "0.0.0.0:8090"), f"127.0.0.1:{camera}")
        super().__init__(folder, self.rendered(), self.applied(), places)

    def rendered(self) -> Objects:
        """Return the chart's objects, with the folder's values as they are now."""
        return render(merged(yaml.safe_load((self.made / "values.yaml").read_text()), self.mine))

    def applied(self) -> dict[str, dict[str, str]]:
        """Return the Secrets after `kubectl apply -f secrets.yaml`."""
        written = yaml.safe_load_all((self.made / "secrets.yaml").read_text())
        secrets = {one["metadata"]["name"]: one["stringData"] for one in written}
        hide(secrets)
        return secrets | dict.fromkeys(("moretta-cameras", "moretta-mail"), FILES)

    def helm_upgrade(self) -> None:
        """What `helm upgrade` does with the folder's new values."""
        self.objects = self.rendered()
        self.reload()

    def keys(self, what: str) -> None:
        """`moretta nats rotate DIR all`, or `retire`."""
        done = moretta("nats", what, self.made, "all")
        assert done.returncode == 0, done.stderr

    def helm_test(self, component: str) -> dict[str, str]:
        """Run a pod of `helm test` to its end; returns the state of each thing that it looked at."""
        command, env = self.command(component)
        done = subprocess.run([*command, "--json"], env=env, cwd="/", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return {one["check"]: one["state"] for one in json.loads(done.stdout)["checks"]}


def hide(secrets):
    """Let no seed be printed by a test that fails."""
    for files in secrets.values():
        for name, text in files.items():
            if name.endswith((".nk", ".key")):
                keep(text.strip())


def until_ready(running: dict[str, Program]) -> None:
    """Wait until each service runs, and is ready."""
    for name, service in running.items():
        wait_until(lambda service=service: service.running or service.is_over, f"{name} runs", LIMIT_S)
        wait_until(
            lambda service=service: service.get("/readyz")[0] == 200,
            lambda service=service: (service.get("/readyz"), service.lines[-5:]),
            LIMIT_S,
        )


LIMIT_S = 90


@pytest.mark.timeout(600)
def test_the_pods_run(tmp_path):
    """All become ready in any order, and end in time. `helm test` finds them well as an operator; then its film
    goes the whole way: ingest takes it, its people are a number, and nothing is found on the bus. The page is there."""
    cluster = Cluster(tmp_path)
    cluster.nats.start()
    running = {}
    try:
        running = {name: cluster.start(name) for name in SERVICES}
        until_ready(running)
        with urllib.request.urlopen(f"http://127.0.0.1:{cluster.page}/config.json", timeout=20) as answer:
            told = json.load(answer)
        assert (told["server"], told["key"]) == (PAGE["page"]["websocket"], False)
        found = cluster.helm_test("test")
        assert {found[one] for one in ("NATS", "rights of operator", "aggregate", "clock", "SMTP")} == {"ok"}, found
        found = cluster.helm_test("camera")
        assert {found[one] for one in ("camera selftest/film", "window", "pictures on the bus")} == {"ok"}, found
    finally:
        codes = {name: service.stop(limit_s=60) for name, service in running.items()}
        cluster.nats.stop()
        cluster.mail.close()
    assert codes == dict.fromkeys(running, 0)


@pytest.mark.timeout(600)
def test_all_keys_are_renewed_while_everything_runs(tmp_path):
    """In the order of docs/how-to/secret-rotated.md: no pod is ever out of service, and the old keys are over."""
    cluster = Cluster(tmp_path, open_page=False)  # whose key would be in force by a new start of NATS alone
    cluster.nats.start()
    running = {}
    try:
        running = {name: cluster.start(name) for name in SERVICES}
        until_ready(running)
        cluster.keys("rotate")
        cluster.helm_upgrade()
        assert {one.get("/readyz")[0] for one in running.values()} == {200}
        cluster.secrets = cluster.applied()
        for name, old in list(running.items()):  # a rolling restart: the new pod is ready before the old one goes
            own = {"MORETTA_AGGREGATE__PAGE__PORT": "0"} if name == "aggregate" else {}  # both are on one machine here
            running[name] = cluster.start(name, **own)
            until_ready({name: running[name]})
            assert old.get("/readyz")[0] == 200
            assert old.stop(limit_s=60) == 0
        cluster.keys("retire")
        cluster.helm_upgrade()
        until_ready(running)
        assert cluster.helm_test("test")["NATS"] == "ok"
        assert sum("Server is ready" in line for line in cluster.nats.output) == 1, "NATS was never started anew"
    finally:
        codes = {name: service.stop(limit_s=60) for name, service in running.items()}
        cluster.nats.stop()
        cluster.mail.close()
    assert codes == dict.fromkeys(running, 0)


class TryOut(RenderedPods):
    """`helm install -f k8s/tryout-values.yaml --set image.registry=...`, from the Job before it on."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        page, self.door, rtsp, mjpeg, self.mail = free_ports(5)
        values = merged(
            yaml.safe_load(TRYOUT.read_text()),
            {"image": {"registry": "registry.example.org"}, "page": {"port": page}},
        )
        done = helm("template", RELEASE, str(ROOT / "k8s/moretta"), "--namespace", NAMESPACE, values=values)
        assert done.returncode == 0, done.stderr
        objects = objects_of(done.stdout)
        secrets = made(folder, objects, monkeypatch)
        hide(secrets)
        here = f"127.0.0.1:{page}"
        places = {"moretta-page:" + str(page): here, "localhost:8088": f"localhost:{self.door}"}
        places |= {"moretta-tryout:8554": f"127.0.0.1:{rtsp}", "moretta-tryout:8090": f"127.0.0.1:{mjpeg}"}
        places |= {"moretta-tryout": "127.0.0.1", '"port": 2525': f'"port": {self.mail}'}
        super().__init__(folder, objects, secrets, places)
        self.options = ["--rtsp", rtsp, "--mjpeg", mjpeg, "--mail", self.mail, "--door", self.door]
        keys = self.nats.root / "nats-keys"
        keys.mkdir(parents=True)
        for name, text in secrets[f"{RELEASE}-nats-keys"].items():
            (keys / name).write_text(text)

    def open(self) -> Program:
        """Start the try-out's own pod: cameras, mail server and door."""
        self.places["moretta-nats:8443"] = f"127.0.0.1:{self.nats.found['websocket']}"
        command, env = self.command("tryout")
        _, self.toolbox = self.command("toolbox")
        return Program([*command, *map(str, self.options)], environment=env, folder=Path("/"))

    def numbers(self) -> list[tuple[float, int]]:
        """Rate and people of each window of ten people or more, by `moretta stats` as `kubectl exec` runs it."""
        command = [str(Path(sys.executable).with_name("moretta")), "stats", "market", "--step", "window"]
        done = subprocess.run(
            [*command, "--format", "json"],
            env=self.toolbox, cwd="/", capture_output=True, text=True, check=False, timeout=patient(60),
        )  # fmt: skip
        found = json.loads(done.stdout)["periods"] if done.returncode == 0 else []
        return [(one["rate"], one["persons"]) for one in found if one["rate"] is not None and one["persons"] >= 10]


def made(folder, objects, monkeypatch):
    """Run the Job that makes keys, with its Role's rights; returns the Secrets' files."""
    rules = objects["Role/moretta-identities"]["rules"]
    words = container(objects["Job/moretta-identities"]["spec"]["template"])["command"]
    with KubernetesApi(folder, NAMESPACE, rules) as api:
        monkeypatch.setattr(in_cluster, "ACCOUNT", api.account)
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(api.port))
        done = CliRunner().invoke(app, words[2:])
        assert done.exit_code == 0, done.output
        return api.files()


async def through_the_door(port: int) -> tuple[str, str]:
    """Return where the page says its numbers are, and what NATS says first there, to a browser of that page."""
    page = f"http://localhost:{port}"
    async with ClientSession() as browser:
        async with browser.get(f"{page}/config.json") as answer:
            server = (await answer.json())["server"]
        async with browser.ws_connect(f"{page}/{server}", origin=page) as numbers:
            return server, (await numbers.receive()).data.decode()


@pytest.mark.timeout(1_200)
def test_the_try_out_goes_from_nothing_to_a_number(tmp_path, monkeypatch):
    """Keys by the Job, two simulated cameras, a window a minute, a mail that is printed, the page by one port."""
    cluster = TryOut(tmp_path, monkeypatch)
    cluster.nats.start()
    running, own = {}, None
    try:
        own = cluster.open()
        wait_until(lambda: any("the page:" in line for line in own.printed), lambda: own.words, LIMIT_S)
        running = {name: cluster.start(name) for name in SERVICES}
        until_ready(running)
        server, hello = asyncio.run(through_the_door(cluster.door))
        assert (server, hello[:6]) == ("./nats", "INFO {")
        rate, _ = wait_until(cluster.numbers, "a number", 2 * LIMIT_S, every_s=2)[0]
        assert 0.1 < rate < 0.95
        wait_until(lambda: any("mail to" in line for line in own.printed), lambda: own.printed, LIMIT_S)
        assert any("Hand out masks at the gate." in line for line in own.printed)
    finally:
        codes = {name: service.stop(limit_s=60) for name, service in running.items()}
        codes |= {"tryout": own.stop(limit_s=60)} if own else {}
        cluster.nats.stop()
    assert codes == dict.fromkeys((*running, "tryout"), 0)
