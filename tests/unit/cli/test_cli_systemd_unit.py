"""The unit of `moretta service`: operate.systemd.unit."""

import shlex
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lacking import lacks

from operate.systemd.unit import Unit, journal, orders

COMMAND = "/opt/moretta/bin/moretta"
DOCUMENTED = Path(__file__).parents[3] / "docs/operations.md"
PATHS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\n\r/\"'\\", exclude_categories=("C", "Z")), min_size=1
).filter(lambda name: name.strip("."))


def _read(unit: Unit) -> ConfigParser:
    parser = ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",), strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(unit.text)
    return parser


def test_the_machines_unit_waits_for_the_network_and_runs_as_a_user():
    """It is started with the machine; wrong settings, exit code 2, are not tried again."""
    unit = Unit(COMMAND, Path("/etc/moretta/site.yaml"), Path("/var/lib/moretta"), "ann")
    found = _read(unit)
    assert unit.manager == "system"
    assert found["Unit"]["After"].split() == ["network-online.target", "time-sync.target"]
    assert found["Service"]["User"] == "ann"
    assert found["Service"]["ExecStart"] == f"{COMMAND} up -c /etc/moretta/site.yaml --data /var/lib/moretta"
    assert (found["Service"]["Restart"], found["Service"]["RestartPreventExitStatus"]) == ("on-failure", "2")
    assert found["Install"]["WantedBy"] == "multi-user.target"
    assert f"```ini\n# /etc/systemd/system/moretta.service\n{_documented().text}```" in DOCUMENTED.read_text()


def _documented() -> Unit:
    return Unit(COMMAND, Path("/etc/moretta/site.yaml"), Path("/var/lib/moretta"), "moretta")


def test_systemd_makes_the_folder_that_a_user_may_not_make():
    """Below /var/lib alone, as there it belongs to root."""
    assert _read(_documented())["Service"]["StateDirectory"] == "moretta"
    elsewhere = Unit(COMMAND, Path("/etc/moretta/site.yaml"), Path("/home/ann/data"), "ann")
    blank = Unit(COMMAND, Path("/etc/moretta/site.yaml"), Path("/var/lib/my data"), "ann")
    assert _read(blank)["Service"]["StateDirectory"] == '"my data"'
    assert "StateDirectory" not in _read(elsewhere)["Service"]


def test_systemd_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without a word, as a unit of the machine and as one of a user; with a fault in it, it says so of both."""
    if shutil.which("systemd-analyze") is None:
        lacks("systemd-analyze is not here")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # a user's has one, or it ends before it has read the unit
    file = tmp_path / "moretta.service"
    for who, user in (("--system", "root"), ("--user", None)):
        text = Unit("/bin/true", Path("/etc/site.yaml"), Path("/var/lib/moretta"), user).text
        for written, is_right in ((text, True), (text.replace("KillMode=mixed", "KillMode=some"), False)):
            file.write_text(written)
            done = subprocess.run(["systemd-analyze", who, "verify", file], capture_output=True, text=True, check=False)
            assert ("moretta" not in done.stdout + done.stderr) == is_right, (who, done.stdout + done.stderr)


def test_a_users_unit_asks_for_nothing_that_a_user_has_not():
    """No other user, no limit above the user's own, no target that only the machine has."""
    unit = Unit(COMMAND, Path("/home/ann/site.yaml"), Path("/home/ann/data"))
    found = _read(unit)
    assert unit.manager == "user"
    assert not {"User", "LimitMEMLOCK"} & set(found["Service"])
    assert list(found["Unit"]) == ["Description", "RequiresMountsFor"]
    assert found["Install"]["WantedBy"] == "default.target"


@given(PATHS, PATHS)
def test_paths_are_as_they_are(settings, data):
    """Blanks, `%` and `$` are no specifiers and variables of systemd's."""
    unit = Unit(COMMAND, Path("/") / f"a {settings}", Path("/") / data)
    words = shlex.split(_read(unit)["Service"]["ExecStart"].replace("%%", "%").replace("$$", "$"))
    disks = shlex.split(_read(unit)["Unit"]["RequiresMountsFor"].replace("%%", "%"))
    assert disks == [f"/a {settings}", f"/{data}"]
    assert words == [COMMAND, "up", "-c", f"/a {settings}", "--data", f"/{data}"]


def test_how_systemd_is_spoken_to():
    """That of the machine, and that of a user."""
    assert (orders("system"), orders("user")) == ("systemctl", "systemctl --user")
    assert journal("user") == "journalctl --user -u moretta -o cat"
