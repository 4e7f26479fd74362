"""`moretta up` with relative paths: as seen from the folder in which it is started, and told as absolute ones."""

import json
from pathlib import Path

import pytest
import yaml
from command_line import moretta
from small_disk import fill, small_disk
from up_process import UpProcess


@pytest.mark.timeout(240)
def test_relative_paths_are_those_of_the_folder_it_was_started_in(tmp_path: Path):
    """Settings, the file of an address beside them, and data; an operator elsewhere uses what it told.

    A second start goes on with the cameras.
    """
    site = {"id": "cannes", "profile": "lab", "cameras": [{"id": "gate-1", "url_file": "gate-1.url"}]}
    (tmp_path / "here").mkdir()
    (tmp_path / "here/site.yaml").write_text(yaml.safe_dump({"sites": [site]}))
    (tmp_path / "here/gate-1.url").write_text("rtsp://127.0.0.1:9/none")
    run = UpProcess(["-c", "here/site.yaml", "--data", "data"], folder=tmp_path).start()
    try:
        run.wait_for(lambda: bool(run.messages("cameras")), 90, "the camera's state")
        operator = tmp_path / "data/identities/operator.yaml"
        assert f"operators: moretta pause cannes [CAMERA] -c {operator}" in run.words
        context = json.loads(operator.with_suffix(".json").read_text())
        assert context["nkey"] == str(operator.with_suffix(".nk")), "for `nats --context`"
        assert context["url"] == yaml.safe_load(operator.read_text())["nats"]["url"]
        paused = moretta("pause", "cannes", "-c", operator)
        assert (paused.returncode, paused.stdout.strip()) == (0, "cannes: every camera is paused")
    finally:
        assert run.stop() == 0
    run = UpProcess(["-c", "here/site.yaml", "--data", "data"], folder=tmp_path).start()
    try:
        run.wait_for(lambda: bool(run.messages("cameras")), 90, "and the cameras go on")
    finally:
        assert run.stop() == 0


def test_a_full_disk_is_named_at_the_start(tmp_path: Path):
    """Which file could not be written, on one line."""
    (tmp_path / "site.yaml").write_text(yaml.safe_dump({"sites": [{"id": "s", "profile": "lab", "cameras": []}]}))
    with small_disk(tmp_path / "small", "1m") as disk:
        fill(disk)
        run = moretta("up", "-c", tmp_path / "site.yaml", "--data", disk / "data")
    assert run.returncode == 2
    where, _, why = run.stderr.strip().partition(": ")
    assert (Path(where).parent, why) == (disk / "data/identities", "No space left on device")
