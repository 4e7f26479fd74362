"""Installs, shows and removes the unit of a box, by the systemd of this machine or of this user."""

import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from operate.box.data_folder import is_held, settings_of, usual_folder, xdg_folder
from operate.settings_file import require
from operate.systemd.unit import NAME, SYSTEM_UNITS, Manager, Unit, journal, orders
from services.kernel.settings import SettingsError

_COMMAND = "moretta service"
_INSTALL = f"{_COMMAND} install"
_BOOTED = Path("/run/systemd/system")
"""It exists where systemd started this machine (sd_booted(3))."""


class ServiceError(Exception):
    """The unit could not be installed, or does not run; the text says why and what to do."""


@dataclass(frozen=True)
class Host:
    """The machine, as far as units matter: whose systemd this user may order, and where the units of that lie."""

    manager: Manager
    units: Path

    @classmethod
    def of_this_user(cls) -> "Host":
        """Return the machine's systemd for root, and the user's own for everybody else, who needs a home for units."""
        if os.geteuid() == 0:
            return cls("system", SYSTEM_UNITS)
        if (home := xdg_folder("XDG_CONFIG_HOME", Path(".config"))) is None:
            raise SettingsError(_COMMAND, [("", "this user has no home for a unit; call it by sudo, with --as USER")])
        return cls("user", home / "systemd" / "user")

    @property
    def file(self) -> Path:
        """Return where the unit lies."""
        return self.units / NAME

    def order(self, *words: str) -> str:
        """Give systemd an order and return what it printed; ServiceError with its own words if it refuses."""
        run = self._call(*words)
        if run.returncode != 0:
            raise ServiceError(f"{orders(self.manager)} {' '.join(words)}: {run.stderr.strip() or run.stdout.strip()}")
        return run.stdout

    def property(self, name: str) -> str:
        """Return a property of the unit; empty if systemd does not know it."""
        return self._call("show", "--value", "--property", name, NAME).stdout.strip()

    def _call(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [*orders(self.manager).split(), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)


def unit_of(host: Host, settings: Path | None, data: Path | None, user: str | None) -> Unit:
    """Return the unit to install; SettingsError names what is missing or wrong.

    Without `settings` it runs those of the last `moretta up` in the folder. Under the machine's systemd `user` runs it:
    by default the user who called sudo.
    """
    owner = _owner(user or os.environ.get("SUDO_USER")) if host.manager == "system" else None
    if owner is None and user is not None:
        why = "only root installs a unit of the machine, which runs as another user; leave it out, or call this by sudo"
        raise SettingsError(_INSTALL, [("--as", why)])
    folder = data or (usual_folder() if owner is None else usual_folder(Path(owner.pw_dir)))
    if folder is None:
        raise SettingsError(_INSTALL, [("--data", "is needed: this user has no home to keep numbers in")])
    file = settings or settings_of(folder)
    if settings is None and not file.exists():
        why = (
            f"is needed: no `moretta up` has left settings in {folder}; try the camera with that first, "
            "or name its folder by --data, or a file"
        )
        raise SettingsError(_INSTALL, [("-c", why)])
    require(file)
    return Unit(_program(), file.absolute(), folder.absolute(), owner and owner.pw_name)


def _owner(name: str | None) -> pwd.struct_passwd:
    if name is None:
        why = "is needed: the user as whom it runs, who can read the settings, run this program and write to --data"
        raise SettingsError(_INSTALL, [("--as", why)])
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise SettingsError(_INSTALL, [("--as", f"there is no user {name!r} here")]) from None


def _program() -> str:
    """Return this command as it was called: the path may lead by a link to the version that is in use."""
    called = Path(sys.argv[0]).absolute()
    return str(called if called.name == "moretta" else Path(sys.executable).with_name("moretta"))


def is_booted() -> bool:
    """Return whether systemd runs this machine."""
    return _BOOTED.is_dir()


def install(host: Host, unit: Unit) -> list[str]:
    """Write the unit, start it now and at each boot, and wait until its box runs; return what was done, in lines."""
    _require_free(host, unit)
    host.units.mkdir(parents=True, exist_ok=True)
    host.file.write_text(unit.text, encoding="utf-8")
    host.order("daemon-reload")
    host.order("enable", NAME)
    try:
        host.order("restart", NAME)
    except ServiceError:
        why = f"the box does not run; see why: {journal(host.manager)}"
        raise ServiceError(f"{host.file} is written, and {why}") from None
    lines = [f"{host.file} written, and started; it starts again after a fault, and when this machine starts"]
    if host.manager == "user":
        lines = _own_lines(host)
    return [*lines, f"settings: {unit.settings}", f"numbers are kept in {unit.data}", f"log: {journal(host.manager)}"]


def _require_free(host: Host, unit: Unit) -> None:
    """Raise ServiceError if another box has the folder, or a unit of the machine is there beside the user's own."""
    if host.manager == "user" and (SYSTEM_UNITS / NAME).exists():
        why = "is one of the machine already; remove that first: sudo moretta service remove"
        raise ServiceError(f"{SYSTEM_UNITS / NAME} {why}")
    is_own = host.file.exists() and f" {unit.data_option}\n" in host.file.read_text()
    if is_held(unit.data) and not (is_own and host.property("MainPID") != "0"):
        raise ServiceError(f"{unit.data} is in use by another `moretta up`; stop that one")


def _own_lines(host: Host) -> list[str]:
    """Return when a user's own unit starts, after asking that user's systemd to run from boot on."""
    written = f"{host.file} written, and started; it starts again after a fault, and when"
    if _enable_linger():
        return [f"{written} this machine starts, as all of your services do now; not so: loginctl disable-linger"]
    return [f"{written} you log in", f"to start it with the machine: sudo loginctl enable-linger {_user_name()}"]


def _enable_linger() -> bool:
    """Have this user's systemd run from boot on; return whether it does."""
    try:
        run = subprocess.run(["loginctl", "enable-linger"], capture_output=True, check=False)
    except FileNotFoundError:  # a systemd without logind
        return False
    return run.returncode == 0


def _user_name() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def status(host: Host) -> tuple[list[str], bool]:
    """Return what there is to say of the unit, in lines, and whether its box runs."""
    if not host.file.exists():
        return [_absent(host)], False
    state, enabled = host.property("ActiveState"), host.property("UnitFileState")
    lines = [f"{host.file}: {enabled}, {state} since {host.property('ActiveEnterTimestamp') or 'never'}"]
    return [*lines, f"log: {journal(host.manager)}"], state == "active"


def _absent(host: Host) -> str:
    of_machine = SYSTEM_UNITS / NAME
    if host.manager == "user" and of_machine.exists():
        return f"{of_machine} is one of the machine: call this by sudo"
    return f"not installed: there is no {host.file}"


def remove(host: Host) -> list[str]:
    """Stop the box, for good, and remove its unit; return what was done. Numbers and settings stay where they are."""
    if not host.file.exists():
        raise ServiceError(_absent(host))
    kept = next((line for line in host.file.read_text().splitlines() if line.startswith("ExecStart=")), "")
    host.order("disable", "--now", NAME)
    host.file.unlink()
    host.order("daemon-reload")
    return [f"{host.file} removed; settings and numbers stay where this has them: {kept.removeprefix('ExecStart=')}"]
