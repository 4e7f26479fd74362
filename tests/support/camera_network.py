"""A network of cameras of its own: a network namespace, so that no question leaves this machine."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from command_line import PLAIN
from lacking import lacks
from patience import patient

ADDRESS, OTHER = "10.98.0.2", "10.98.0.3"
ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "build/ipycam"
_CAMERA = Path(__file__).with_name("virtual_camera.py")
_EMPTY = "ip link set lo up"
_MADE = (
    f"{_EMPTY} && ip link add cameras type veth peer name others && ip addr add {ADDRESS}/24 dev cameras"
    f" && ip addr add {OTHER}/24 dev cameras && ip link set cameras up && ip link set others up"
)


def require_camera() -> None:
    """Skip by name without the virtual camera; fail if MORETTA_REQUIRE_ALL=1."""
    if not PACKAGES.exists():
        lacks("a virtual camera with ONVIF is needed: `make virtual-camera`")


class Network:
    """`inside` is a command that runs another one in the network."""

    def __init__(self, holder: "subprocess.Popen[str]") -> None:
        self.inside = ["nsenter", "--target", str(holder.pid), "--net"]

    def moretta(self, *arguments: object) -> "subprocess.CompletedProcess[str]":
        """Run the command there."""
        command = [*self.inside, sys.executable, "-P", "-W", "error", "-m", "moretta", *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, env=os.environ | PLAIN, timeout=patient(60), check=False
        )

    @contextlib.contextmanager
    def running(self, script: Path, *arguments: object, path: Path | None = None) -> Iterator[None]:
        """Run a script there that prints "ready"."""
        env = os.environ | ({"PYTHONPATH": str(path)} if path else {})
        with subprocess.Popen(
            [*self.inside, sys.executable, script, *map(str, arguments)], stdout=subprocess.PIPE, text=True, env=env
        ) as process:
            try:
                assert process.stdout
                assert process.stdout.readline() == "ready\n"
                yield
            finally:
                process.kill()

    def camera(self, port: int = 80, *login: str, rtsp_port: int = 554) -> "contextlib.AbstractContextManager[None]":
        """A virtual camera at ADDRESS."""
        require_camera()
        return self.running(_CAMERA, ADDRESS, port, rtsp_port, *login, path=PACKAGES)


@contextlib.contextmanager
def network(*, addresses: bool = True) -> Iterator[Network]:
    """A network whose only machine has ADDRESS and OTHER, or none. Skipped by name without the right."""
    command = ["unshare", "--net", "sh", "-c", f"{_MADE if addresses else _EMPTY} && echo ready && exec cat"]
    if os.geteuid() != 0:
        lacks("network namespace: needs root on Linux, iproute2")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        try:
            if holder.stdout.readline() != "ready\n":
                lacks("network namespace: needs root on Linux, iproute2")
            yield Network(holder)
        finally:
            holder.communicate(timeout=patient(10))
