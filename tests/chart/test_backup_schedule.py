"""A backup each night, as docs/operations.md has it: systemd takes the units, and Kubernetes the manifests."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from chart import ROOT
from chart_checks import VERSIONS, validated
from lacking import lacks
from shell_lines import complaint, lines_of

TEXT = (ROOT / "docs/operations.md").read_text("utf-8")
SECTION = TEXT.split("\n### A backup each night\n")[1].split("\n### ")[0]
UNITS = dict(re.findall(r"```ini\n# /etc/systemd/system/(\S+)\n(.*?)```", SECTION, re.DOTALL))
(MANIFEST,) = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)


def backup_of(words: list[str]) -> dict[str, str]:
    """The options of a command line of `moretta backup` that it takes."""
    at = next(index for index, word in enumerate(words) if word.endswith("/moretta"))
    assert complaint(["moretta", *words[at + 1 :]]) == ""
    assert words[at + 1] == "backup"
    return dict(zip(words[at + 2 :: 2], words[at + 3 :: 2], strict=True))


def test_the_units_run_a_backup_of_what_the_box_has():
    """With options that the command has, and the settings that `up` writes."""
    assert set(UNITS) == {"moretta-backup.service", "moretta-backup.timer"}
    (line,) = re.findall(r"^ExecStart=(.*)$", UNITS["moretta-backup.service"], re.MULTILINE)
    shell, option, script = shlex.split(line)
    assert (shell, option) == ("/bin/sh", "-c")
    given = backup_of(shlex.split(script))
    assert given["-c"] == "/var/lib/moretta/identities/backup.yaml", "where `up` of moretta.service writes it"
    assert (
        f"ExecStart=/opt/moretta/bin/moretta up -c /etc/moretta/site.yaml --data {given['-c'].split('/ident')[0]}"
        in TEXT
    )


def test_systemd_takes_both_units(tmp_path: Path):
    """Without a word; the time is one."""
    if shutil.which("systemd-analyze") is None:
        lacks("systemd-analyze is not here")
    for name, text in UNITS.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "moretta.service").write_text("[Service]\nExecStart=/bin/true\n")
    files = [str(tmp_path / name) for name in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False)
    said = [one for one in (done.stdout + done.stderr).splitlines() if str(tmp_path) in one or "moretta-" in one]
    assert (done.returncode, said) == (0, [])
    (when,) = re.findall(r"^OnCalendar=(.*)$", UNITS["moretta-backup.timer"], re.MULTILINE)
    assert subprocess.run(["systemd-analyze", "calendar", when], capture_output=True, check=False).returncode == 0


def test_the_shell_makes_a_new_name_for_each_night(tmp_path: Path):
    """As systemd hands it on: with % for each two of them."""
    (line,) = re.findall(r"^ExecStart=(.*)$", UNITS["moretta-backup.service"], re.MULTILINE)
    script = shlex.split(line)[2].replace("%%", "%").replace("exec /opt/moretta/bin/moretta", "printf '%s\\n'")
    told = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert re.fullmatch(r"/var/backups/moretta/20\d\d-\d\d-\d\dT\d{6}Z", told[2]), told


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_the_job(tmp_path: Path, version: str):
    """Each object is valid for the oldest and the newest that the chart is for."""
    (file := tmp_path / "backup.yaml").write_text(MANIFEST)
    assert validated(file, version) == (2, set(), "")


def test_the_job_runs_the_command_with_what_is_mounted():
    """Its options are options, its files are below what is mounted, and its settings are settings."""
    settings, job = yaml.safe_load_all(MANIFEST)
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    given = backup_of(container["command"])
    mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
    assert set(mounts.values()) == {one["name"] for one in pod["volumes"]}
    nats = yaml.safe_load(settings["data"]["backup.yaml"])["nats"]
    assert all(any(path.startswith(f"{mount}/") for mount in mounts) for path in (*given.values(), nats["seed_file"]))
    assert nats["user"] == "backup"
    lines = list(lines_of(SECTION))
    assert lines
    assert [told for one in lines if (told := complaint(one))] == []
