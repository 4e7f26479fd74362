"""What `moretta up` counted stays in the user's data folder, where commands find it without -c."""

import csv
import io
import json
import subprocess
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml
from command_line import assert_mistakes, moretta
from patience import wait_until
from up_process import UpProcess

CAMERA = ["--camera", "gate=rtsp://ann:secret-7@127.0.0.1:9/none"]


def _published(home: Path) -> list[str]:
    """When the published windows of the site begin, by `moretta stats`, once aggregate answers."""
    asked = ("stats", "site", "--step", "window", "--format", "csv")

    def answered() -> CompletedProcess[str] | None:
        run = moretta(*asked, XDG_DATA_HOME=str(home))
        return run if run.returncode == 0 else None

    run = wait_until(answered, "an answer of aggregate")
    return [row["start"] for row in csv.DictReader(io.StringIO(run.stdout)) if row["windows_published"] == "1"]


@pytest.mark.timeout(400)
def test_without_a_folder_numbers_are_in_the_users(tmp_path: Path):
    """Where, and how to delete them, is among the first lines; doctor, stats and pause find the box; the next run goes
    on with its windows; a second one at the same time is refused; and the command that it printed deletes all."""
    folder = tmp_path / "moretta"
    kept = f"numbers and settings are kept in {folder}; to delete both, once this has ended: rm -r {folder}"
    assert_mistakes(
        moretta("stats", "site", XDG_DATA_HOME=str(tmp_path)),
        f"moretta stats: -c: is needed: no `moretta up` keeps numbers in this user's data folder ({folder}); name ",
    )
    run = UpProcess(CAMERA, XDG_DATA_HOME=str(tmp_path)).start()
    try:
        run.wait_for(lambda: bool(run.windows()), 150, "the first window")
        assert kept in run.words[:4]
        assert_mistakes(
            moretta("up", *CAMERA, XDG_DATA_HOME=str(tmp_path)),
            f"moretta up: --data: '{folder}' is in use by another `moretta up`; stop that one, or name another folder",
        )
        checks = json.loads(moretta("doctor", "--json", XDG_DATA_HOME=str(tmp_path)).stdout)["checks"]
        good = {one["check"] for one in checks if one["state"] == "ok"}
        assert {"settings of ingest", "NATS"} <= good, checks
        paused = moretta("pause", "site", XDG_DATA_HOME=str(tmp_path))
        assert (paused.returncode, paused.stdout.strip()) == (0, "site: every camera is paused")
        before = _published(tmp_path)
    finally:
        assert run.stop() == 0
    assert before
    settings = folder / "settings/last-up.yaml"
    assert (settings.stat().st_mode & 0o777, "secret-7" in settings.read_text()) == (0o600, True)
    run = UpProcess(CAMERA, XDG_DATA_HOME=str(tmp_path)).start()
    try:
        run.wait_for(lambda: any("NATS_URL=" in line for line in run.words), 90, "where readers come in")
        assert set(before) <= set(_published(tmp_path))
    finally:
        assert run.stop() == 0
    subprocess.run(kept.partition("once this has ended: ")[2], shell=True, check=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(240)
def test_what_is_to_be_forgotten_is(tmp_path: Path):
    """With --temporary nothing is written in the user's folder, while it runs and afterwards."""
    file = tmp_path / "site.yaml"
    file.write_text(yaml.safe_dump({"sites": [{"id": "s", "profile": "lab", "cameras": []}]}))
    run = UpProcess(["-c", str(file), "--temporary"], XDG_DATA_HOME=str(tmp_path)).start()
    try:
        run.wait_for(lambda: any("NATS_URL=" in line for line in run.words), 90, "where readers come in")
        assert "numbers are forgotten when this ends" in run.words[:4]
    finally:
        assert run.stop() == 0
    assert list(tmp_path.iterdir()) == [file]
    both = moretta("up", "-c", file, "--temporary", "--data", tmp_path / "data")
    assert_mistakes(both, "moretta up: --temporary: keeps nothing, so goes without --data")
