"""Three real nats-servers that form a cluster."""

import contextlib
import socket
from pathlib import Path

from nats_process import NatsProcess


class NatsCluster:
    """Three servers, each of which knows the others."""

    def __init__(self, folder: Path) -> None:
        found = ports(3)
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
        for server in self.servers:
            server.start()
        return self

    def kill(self) -> None:
        """SIGKILL for all of them."""
        for server in self.servers:
            server.kill()

    def stop(self) -> None:
        for server in self.servers:
            server.stop()


def ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
