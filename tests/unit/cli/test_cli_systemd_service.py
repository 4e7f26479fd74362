"""`moretta service` without a systemd that could take its orders: what it asks for, and what it prints."""

import getpass
from pathlib import Path

import pytest
import yaml
from in_process import invoke

from operate.box.data_folder import held
from operate.systemd import service
from operate.systemd.service import Host, ServiceError, unit_of
from operate.systemd.unit import Unit
from services.kernel.settings import SettingsError

ME = getpass.getuser()


@pytest.fixture(name="settings")
def _settings(tmp_path: Path) -> Path:
    file = tmp_path / "site.yaml"
    file.write_text(yaml.safe_dump({"sites": [{"id": "s", "profile": "lab", "cameras": []}]}))
    return file


@pytest.fixture(name="machine")
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.delenv("SUDO_USER", raising=False)
    return Host("system", tmp_path)


def test_the_units_user_is_who_called_sudo(machine: Host, settings: Path, monkeypatch: pytest.MonkeyPatch):
    """And its numbers are in that user's data folder; another user may be named, and has to be there."""
    with pytest.raises(SettingsError, match="moretta service install: --as: is needed: the user as whom it runs"):
        unit_of(machine, settings, None, None)
    monkeypatch.setenv("SUDO_USER", ME)
    found = unit_of(machine, settings, None, None)
    assert (found.user, found.settings, found.data) == (ME, settings, Path.home() / ".local/share/moretta")
    with pytest.raises(SettingsError, match="--as: there is no user 'nobody-here' here"):
        unit_of(machine, settings, None, "nobody-here")


def test_a_user_installs_for_nobody_else(settings: Path, tmp_path: Path):
    """A unit of one's own runs as oneself."""
    own = Host("user", tmp_path)
    with pytest.raises(SettingsError, match="--as: only root installs a unit of the machine"):
        unit_of(own, settings, None, ME)
    assert unit_of(own, settings, tmp_path / "data", None).user is None


def test_it_runs_what_the_last_up_ran_with(settings: Path, tmp_path: Path):
    """Which left its settings in the folder; without it a file has to be named, and one that services can use."""
    own, data = Host("user", tmp_path), tmp_path / "data"
    with pytest.raises(SettingsError, match=f"-c: is needed: no `moretta up` has left settings in {data}; try the"):
        unit_of(own, None, data, None)
    (data / "settings").mkdir(parents=True)
    (data / "settings/last-up.yaml").symlink_to(settings)
    assert unit_of(own, None, data, None).settings == settings
    settings.write_text("sites: nothing")
    with pytest.raises(SettingsError, match=r"site\.yaml: sites: must be a list"):
        unit_of(own, None, data, None)


def test_where_no_systemd_runs_the_unit_is_printed(settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """So that it can be taken elsewhere; nothing is written, and the exit code says so."""
    monkeypatch.setattr(service, "_BOOTED", tmp_path / "none")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("SUDO_USER", ME)
    ran = invoke("service", "install", "-c", str(settings), "--data", str(tmp_path / "data"))
    assert ran.exit_code == 1
    assert "[Service]\n" in ran.stdout
    assert f" up -c {settings} --data {tmp_path}/data\n" in ran.stdout
    assert ran.stderr.startswith("no systemd runs here, so nothing was written; this unit belongs in /")
    assert not (tmp_path / "config").exists()


def test_a_users_units_lie_in_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Root's in that of the machine; a user without a home is told what to do."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(service.os, "geteuid", lambda: 1000)
    assert Host.of_this_user() == Host("user", tmp_path / "systemd/user")
    monkeypatch.setattr(service, "xdg_folder", lambda *_: None)
    with pytest.raises(SettingsError, match="moretta service: this user has no home for a unit; call it by sudo"):
        Host.of_this_user()
    monkeypatch.setattr(service.os, "geteuid", lambda: 0)
    assert Host.of_this_user().file == Path("/etc/systemd/system/moretta.service")


def test_a_unit_of_the_machine_is_named_to_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Who installed it by sudo and asks without: two boxes would want the same numbers."""
    (tmp_path / "moretta.service").touch()
    monkeypatch.setattr(service, "SYSTEM_UNITS", tmp_path)
    host = Host("user", tmp_path / "own")
    assert service.status(host) == ([f"{tmp_path}/moretta.service is one of the machine: call this by sudo"], False)
    with pytest.raises(ServiceError, match="is one of the machine: call this by sudo"):
        service.remove(host)
    with pytest.raises(ServiceError, match="is one of the machine already; remove that first: sudo moretta service"):
        service.install(host, Unit("/bin/true", tmp_path / "site.yaml", tmp_path / "data"))


def test_a_folder_that_another_box_has_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """And the unit that is there stays as it is, and goes on. Its own folder it may keep."""
    monkeypatch.setattr(service, "SYSTEM_UNITS", tmp_path / "none")
    orders = tmp_path / "orders"
    systemctl = f'#!/bin/sh\necho "$*" >> {orders}\ncase "$*" in *MainPID*) echo 5;; esac\n'
    for name, text in (("systemctl", systemctl), ("loginctl", "#!/bin/sh\nexit 1\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    host, old = Host("user", tmp_path / "units"), Unit("/bin/true", tmp_path / "site.yaml", tmp_path / "data")
    lines = service.install(host, old)
    assert [line.partition(" ")[0] for line in lines[1:]] == ["to", "settings:", "numbers", "log:"]
    with held(tmp_path / "other"), pytest.raises(ServiceError, match="other is in use by another `moretta up`; stop"):
        service.install(host, Unit("/bin/true", tmp_path / "site.yaml", tmp_path / "other"))
    assert host.file.read_text() == old.text
    again = ["--user daemon-reload", "--user enable moretta.service", "--user restart moretta.service"]
    assert orders.read_text().splitlines() == again
    with held(old.data):
        service.install(host, Unit("/bin/false", tmp_path / "new.yaml", old.data))
    assert orders.read_text().splitlines()[-3:] == again
    assert "ExecStart=/bin/false" in host.file.read_text()


def test_what_is_not_installed_is_neither_shown_nor_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A line that says where it would be."""
    monkeypatch.setattr(Host, "of_this_user", lambda: Host("user", tmp_path))
    shown, removed = invoke("service", "status"), invoke("service", "remove")
    assert (shown.exit_code, shown.stdout) == (1, f"not installed: there is no {tmp_path}/moretta.service\n")
    assert (removed.exit_code, removed.stderr) == (1, f"not installed: there is no {tmp_path}/moretta.service\n")
