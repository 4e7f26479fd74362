"""Three real nats-servers that form a cluster."""

import contextlib
from pathlib import Path

from free_ports import free_ports
from nats_process import NatsProcess


class NatsCluster:
    """Three servers, each of which knows the others."""

    def __init__(self, folder: Path) -> None:
        found = free_ports(3)
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in found)
        self.servers: list[NatsProcess] = []
        for index, port in enumerate(found):
            own = folder / f"n{index}"
            own.mkdir()
            route = f'cluster {{ name: site, listen: "127.0.0.1:{port}", routes: [{routes}], no_advertise: true }}'
            self.servers.append(NatsProcess(own, config=f"server_name: n{index}\n{route}"))

    @property
    def url(self) -> str:
        return ",".join(server.url for server in self.servers)

    def start(self) -> "NatsCluster":
        """Start all of them, or none: a server that goes on would hold up the end of the tests."""
        with contextlib.ExitStack() as started:
            for server in self.servers:
                server.start()
                started.callback(server.kill)
            started.pop_all()
        return self

    def kill(self) -> None:
        """SIGKILL for all of them."""
        for server in self.servers:
            server.kill()

    def stop(self) -> None:
        for server in self.servers:
            server.stop()
