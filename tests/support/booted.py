"""A machine that systemd boots, and whose processes can all be killed: systemd as process 1 of own namespaces."""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Self

import psutil
from lacking import lacks
from patience import patient, wait_until

SYSTEMD = Path("/lib/systemd/systemd")
_ELSEWHERE = (  # what would change the machine that the test runs on, or is of no use here
    "systemd-udevd", "systemd-udev-trigger", "systemd-logind", "systemd-networkd", "systemd-resolved", "dbus",
    "systemd-timesyncd", "systemd-sysctl", "systemd-modules-load", "systemd-remount-fs", "systemd-tmpfiles-setup",
    "systemd-tmpfiles-setup-dev", "systemd-tmpfiles-setup-dev-early", "systemd-tmpfiles-clean", "systemd-random-seed",
)  # fmt: skip
_BOOT = """
set -e
mount --make-rprivate /
mount --bind "$1" /etc/systemd/system
mount -t tmpfs none /run
mount -t tmpfs none /etc/init.d
mkdir -p /run/systemd/system
shift
for unit in "$@"; do ln -s /dev/null /run/systemd/system/$unit.service; done
for unit in dbus.socket getty.target tmp.mount; do ln -s /dev/null /run/systemd/system/$unit; done
export container=test SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1
exec {systemd} --system --log-target=console --unit=multi-user.target
"""
_NAMESPACES = ("--mount", "--pid", "--uts", "--ipc")


class BootedMachine:
    """Its files are this machine's, but for units, which are in a folder of its own and stay over a power cut."""

    def __init__(self, folder: Path) -> None:
        if os.geteuid() or not SYSTEMD.exists() or shutil.which("unshare") is None:
            lacks("a systemd to boot, as root")
        self._units = folder / "units"
        self._units.mkdir()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.boot()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut_power()

    def boot(self) -> None:
        """Start it, and wait until all that starts at boot was started."""
        script = _BOOT.replace("{systemd}", str(SYSTEMD))
        command = ["unshare", *_NAMESPACES, "--fork", "--kill-child", "--mount-proc", "bash", "-c", script, "_"]
        self._process = subprocess.Popen(
            [*command, str(self._units), *_ELSEWHERE],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(self._is_up, "systemd has booted")

    def _is_up(self) -> bool:
        assert self._process is not None
        if not psutil.Process(self._process.pid).children():
            return False
        return self.run("systemctl", "is-system-running").stdout.strip() in {"running", "degraded"}

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run a command on it."""
        assert self._process is not None
        (systemd,) = psutil.Process(self._process.pid).children()
        command = ["nsenter", "--target", str(systemd.pid), *_NAMESPACES, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=patient(90), check=False)

    def cut_power(self) -> None:
        """Kill every process at once; what they wrote stays, also what a disk without power would not have yet."""
        if self._process is not None:
            for systemd in psutil.Process(self._process.pid).children():
                systemd.send_signal(signal.SIGKILL)
            self._process.wait(patient(20))
            self._process = None
