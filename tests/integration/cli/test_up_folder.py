"""`moretta up` with relative paths: as seen from the folder in which it is started, and told as absolute ones.

And its data folder: it remembers the films whose people it holds.
"""

from pathlib import Path

import pytest
import yaml
from clips import make_clip
from command_line import assert_mistakes, moretta
from up_process import UpProcess


@pytest.mark.timeout(240)
def test_relative_paths_are_those_of_the_folder_it_was_started_in(tmp_path: Path):
    """Settings, the file of an address beside them, and data; an operator elsewhere uses what it told.

    A film is not played a second time into the data.
    """
    cameras = [{"id": "gate-1", "url_file": "gate-1.url"}, {"id": "film", "url": "film.mp4"}]
    site = {"id": "cannes", "profile": "lab", "cameras": cameras}
    (tmp_path / "here").mkdir()
    (tmp_path / "here/site.yaml").write_text(yaml.safe_dump({"sites": [site]}))
    (tmp_path / "here/gate-1.url").write_text("rtsp://127.0.0.1:9/none")
    film = make_clip(tmp_path / "film.mp4", pictures=5)
    run = UpProcess(["-c", "here/site.yaml", "--data", "data"], folder=tmp_path).start()
    try:
        run.wait_for(lambda: bool(run.messages("cameras")), 90, "the camera's state")
        operator = tmp_path / "data/identities/operator.yaml"
        assert f"operators: moretta pause cannes [CAMERA] -c {operator}" in run.words
        paused = moretta("pause", "cannes", "-c", operator)
        assert (paused.returncode, paused.stdout.strip()) == (0, "cannes: every camera is paused")
    finally:
        assert run.stop() == 0
    # as the cameras' relative paths are those of the command's folder, the film is named whole here
    (tmp_path / "here/site.yaml").write_text(
        yaml.safe_dump({"sites": [site | {"cameras": [cameras[1] | {"url": str(film)}]}]})
    )
    again = moretta("up", "-c", tmp_path / "here/site.yaml", "--data", tmp_path / "data")
    assert_mistakes(again, f"{tmp_path}/here/site.yaml: sites[0].cameras[0].url: '{film}' was played on ")
