"""The systemd unit of a box: its text, and where it belongs. Pure."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

NAME = "moretta.service"
SYSTEM_UNITS = Path("/etc/systemd/system")
"""Where an administrator's units lie (systemd.unit(5))."""
_STATE = Path("/var/lib")
Manager = Literal["system", "user"]
"""Which systemd starts it: that of the machine, or that of a user, who may have to log in first (systemd(1))."""


@dataclass(frozen=True)
class Unit:
    """What the unit runs, and as whom. All paths are absolute."""

    command: str
    """The program `moretta`."""
    settings: Path
    data: Path
    user: str | None = None
    """Who runs it under the system's systemd; None: it is that user's own."""

    @property
    def manager(self) -> Manager:
        """Return whose systemd starts it."""
        return "user" if self.user is None else "system"

    @property
    def text(self) -> str:
        """Return the unit file (systemd.service(5))."""
        return "\n".join((*self._unit(), "", *self._service(), "", *self._install(), ""))

    @property
    def data_option(self) -> str:
        """Return the end of its command line, which says where the box keeps its numbers."""
        return f"--data {_argument(str(self.data))}"

    def _unit(self) -> list[str]:
        ordered = ["After=network-online.target time-sync.target", "Wants=network-online.target"]
        disks = f"RequiresMountsFor={_quoted(str(self.settings))} {_quoted(str(self.data))}"
        return ["[Unit]", "Description=Moretta", *(ordered if self.user else []), disks]

    def _service(self) -> list[str]:
        as_whom = [f"User={self.user}", *self._state(), "LimitMEMLOCK=infinity"] if self.user else []
        run = " ".join(_argument(word) for word in (self.command, "up", "-c", str(self.settings)))
        return [
            "[Service]",
            *as_whom,
            "# it is started once readers can come in",
            "Type=notify",
            "TimeoutStartSec=120",
            f"ExecStart={run} {self.data_option}",
            "ExecReload=/bin/kill -HUP $MAINPID",
            "# else each public message and a status a second go to the journal; logs come by standard error",
            "StandardOutput=null",
            "Restart=on-failure",
            "RestartSec=5",
            "# wrong settings: another start would not help",
            "RestartPreventExitStatus=2",
            "KillMode=mixed",
            "TimeoutStopSec=75",
            "NoNewPrivileges=true",
        ]

    def _state(self) -> list[str]:
        """Have systemd make the data folder where only root may: it belongs to the user then."""
        return [f"StateDirectory={_quoted(self.data.name)}"] if self.data.parent == _STATE else []

    def _install(self) -> list[str]:
        return ["[Install]", f"WantedBy={'multi-user' if self.user else 'default'}.target"]


def orders(manager: Manager) -> str:
    """Return the start of a command line that speaks to this systemd."""
    return "systemctl" if manager == "system" else "systemctl --user"


def journal(manager: Manager) -> str:
    """Return the command that shows the box's log."""
    return "journalctl -u moretta -o cat" if manager == "system" else "journalctl --user -u moretta -o cat"


def _argument(word: str) -> str:
    """Return a word of a command line, in which systemd has `$` for variables."""
    return _quoted(word).replace("$", "$$")


def _quoted(word: str) -> str:
    """Return a word as systemd reads it, which has `%` for itself."""
    plain = word.replace("\\", "\\\\").replace("%", "%%")
    return plain if shlex.quote(word) == word else '"' + plain.replace('"', '\\"') + '"'
