"""NATS servers of the chart: its rendered configuration, with a test's folders and ports in the place of a pod's."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chart import render
from free_ports import free_ports
from nats_process import NatsProcess

NAME = "moretta-nats"
_MONITOR = re.compile(r"Starting http monitor on 127\.0\.0\.1:(\d+)")
_LEAVES = re.compile(r"Listening for leafnode connections on [^:]+:(\d+)")
_WEBSOCKET = re.compile(r"Listening for websocket clients on wss?://127\.0\.0\.1:(\d+)")
_PORTS = {8222: "monitor", 7422: "leaves", 8443: "websocket"}


def conf(nats: Mapping[str, Any] | None = None, *, version: str = "4.1", **others: Any) -> str:
    """Return nats.conf as the chart renders it with these values of `nats` over the example's."""
    text: str = render({"nats": dict(nats or {}), **others}, version=version)[f"ConfigMap/{NAME}"]["data"]["nats.conf"]
    return text


def parsed(text: str) -> dict[str, Any]:
    """Return a configuration that is JSON but for what comes from outside; a leaf's seed is its user name."""
    whole = text.replace("$POD_NAME", '"pod"').replace("include ../nats-leaf/leaf.conf;", '"nkey": "leaf",')
    found: dict[str, Any] = json.loads(whole)
    return found


class RenderedNats(NatsProcess):
    """A server whose pod's folders are below `folder`: `nats-tls` beside `nats`, as in the pod below /etc."""

    def __init__(
        self, folder: Path, text: str, *, pod: str = f"{NAME}-0", peers: Mapping[str, int] | None = None
    ) -> None:
        self.root, self.text, self.peers = folder, text, dict(peers or {})
        self.found = dict.fromkeys(_PORTS.values(), -1)
        self.pod = pod
        (folder / "nats").mkdir(parents=True, exist_ok=True)
        super().__init__(folder / "nats", whole=self.written, environment={"POD_NAME": pod})

    def written(self, port: int, _store: str = "") -> str:
        """Return the text with this test's places in it; port -1 is for a first start, and for its reload."""
        text = self.text.replace('"/etc/', f'"{self.root}/').replace('"/data"', f'"{self.root}/data"')
        text = text.replace("/var/run/nats/", f"{self.root}/")
        text = text.replace('"0.0.0.0:4222"', f'"127.0.0.1:{port}"')
        for inside, name in _PORTS.items():
            host = "127.0.0.1" if name == "monitor" else "0.0.0.0"
            text = text.replace(f'"{host}:{inside}"', f'"127.0.0.1:{self.found[name] if port > 0 else -1}"')
        text = text.replace('"0.0.0.0:6222"', f'"127.0.0.1:{self.peers.get(self.pod, -1)}"')
        for pod, routes in self.peers.items():
            text = text.replace(f"{pod}.{NAME}-headless:6222", f"localhost:{routes}")
        return text

    def start(self) -> "RenderedNats":
        super().start()
        for name, pattern in (("monitor", _MONITOR), ("leaves", _LEAVES), ("websocket", _WEBSOCKET)):
            ports = [found[1] for line in self.output if (found := pattern.search(line))]
            self.found[name] = int(ports[-1]) if ports else -1
        return self

    def healthy(self, path: str) -> bool:
        """What a probe of the kubelet says."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.found['monitor']}{path}", timeout=5) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except OSError:
            return False


class RenderedCluster:
    """The three pods of one rendered configuration."""

    def __init__(self, folder: Path, text: str) -> None:
        pods = [f"{NAME}-cluster-{index}" for index in range(3)]
        peers = dict(zip(pods, free_ports(3), strict=True))
        self.servers = [RenderedNats(folder / pod, text, pod=pod, peers=peers) for pod in pods]

    @property
    def url(self) -> str:
        """Where all of them are."""
        return ",".join(f"tls://localhost:{server.port}" for server in self.servers)

    def start(self) -> None:
        for server in self.servers:
            server.start()

    def stop(self) -> None:
        for server in self.servers:
            server.stop()
