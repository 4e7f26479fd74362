"""The rendered pods as processes: an installation as the example is one, and the try-out from nothing to a number."""

import json
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest
import yaml
from chart import RELEASE, Objects, merged, render
from chart_values import PAGE
from command_line import moretta
from free_ports import free_ports
from installed_chart import SERVICES, Job, TryOut, assert_it_goes_from_nothing_to_a_number, hide, until_ready
from kubernetes_api import KubernetesApi
from rendered_pods import RenderedPods
from typer.testing import CliRunner

from moretta.nats import app
from operate.identities import IdentityFolder, Release, ServerEntry
from operate.nats import in_cluster

FILES = {"hall-1.url": "rtsp://127.0.0.1:9/stream", "smtp-password": "0123456789abcdef", "salt": 32 * "s"}
"""What an operator puts into the Secrets that the example names."""


class Cluster(RenderedPods):
    """The example's installation, with a mail server, its page, and the round trip of `helm test`."""

    def __init__(self, folder: Path, *, open_page: bool = True) -> None:
        place = ServerEntry(listen="a:1", store="/s", url="nats://a:1", release=Release(name=RELEASE))
        self.made = IdentityFolder.make(folder / "made", place).folder
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


def in_process(monkeypatch: pytest.MonkeyPatch) -> Job:
    """The Job's command in this process, with what Kubernetes gives a pod."""

    def run(words: list[str], api: KubernetesApi) -> None:
        monkeypatch.setattr(in_cluster, "ACCOUNT", api.account)
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(api.port))
        done = CliRunner().invoke(app, words[2:])
        assert done.exit_code == 0, done.output

    return run


@pytest.mark.timeout(1_200)
def test_the_try_out_goes_from_nothing_to_a_number(tmp_path, monkeypatch):
    """Keys by the Job, two simulated cameras, a window a minute, a mail that is printed, the page by one port."""
    assert_it_goes_from_nothing_to_a_number(TryOut(tmp_path, in_process(monkeypatch)))
