"""The rendered pods, run as processes: each with its own command, variables and files, on the rendered NATS."""

import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from chart import Objects, container, environment, ours
from patience import wait_until
from program import Program
from rendered_nats import NAME, RenderedNats

HOME = "/etc/moretta"


class RenderedPods:
    """What Kubernetes would make of these objects and Secrets below a folder, on one machine.

    `places` are texts of the manifest that stand for a place in the cluster, and what stands for them here.
    """

    def __init__(
        self, folder: Path, objects: Objects, secrets: Mapping[str, Mapping[str, str]], places: Mapping[str, str]
    ) -> None:
        self.folder, self.objects, self.secrets, self.places = folder, objects, secrets, dict(places)
        self.nats = RenderedNats(folder / "server", self._conf())

    def _conf(self) -> str:
        return self.here(self.objects[f"ConfigMap/{NAME}"]["data"]["nats.conf"], self.folder)

    def reload(self) -> None:
        """Have NATS read what the objects say now, twice, as the reloader beside it has it."""
        self.nats.text = self._conf()
        (self.nats.folder / "nats.conf").write_text(self.nats.written(-1))
        for _ in range(2):
            said = len(self.nats.output)
            self.nats.signal(signal.SIGHUP)
            wait_until(
                lambda said=said: any("Reloaded server configuration" in one for one in self.nats.output[said:]),
                "NATS has read its configuration",
            )

    def mount(self, component: str) -> Path:
        """Put a pod's volumes below a folder of its own, as they are now; returns what stands for /etc/moretta."""
        pod, root = ours(self.objects)[component], self.folder / component
        for volume in pod["spec"]["volumes"]:
            place = root / volume["name"]
            place.mkdir(parents=True, exist_ok=True)
            content = self.secrets.get(volume.get("secret", {}).get("secretName"), {})
            if "configMap" in volume:
                content = self.objects[f"ConfigMap/{volume['configMap']['name']}"]["data"]
            for name, text in content.items():
                (place / name).write_text(self.here(text, root))
        return root

    def here(self, text: str, root: Path) -> str:
        """Return a text with this machine's places in it."""
        text = text.replace(HOME, str(root)).replace("/opt/moretta/bin", str(Path(sys.executable).parent))
        for there, here in self.places.items():
            text = text.replace(there, here)
        return text

    def command(self, component: str) -> tuple[list[str], dict[str, str]]:
        """Return a pod's command and its variables, with this machine's places in them."""
        pod, root = ours(self.objects)[component], self.mount(component)
        env = {name: self.here(value, root) for name, value in environment(pod).items()}
        env |= {"MORETTA_NATS__URL": self.nats.url, "TMPDIR": str(root / "tmp"), "PATH": "/usr/bin:/bin"}
        if "MORETTA_PROBES__PORT" in env:
            env |= {"MORETTA_PROBES__PORT": "0", "MORETTA_PROBES__HOST": "127.0.0.1"}
        return [self.here(word, root) for word in container(pod)["command"]], env

    def start(self, component: str, **others: str) -> Program:
        """Start a pod's process, with no variable but its own and these."""
        command, env = self.command(component)
        return Program(command, environment=env | others, folder=Path("/"))
