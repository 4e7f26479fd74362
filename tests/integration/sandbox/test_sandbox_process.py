"""ingest and inference in their sandbox, what they can no longer do, and what they still can."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import clips
import pytest
import yaml
from patience import until
from site_process import Site

from services.sandbox import landlock
from services.sandbox.measures import MEASURES

SCRIPT = Path(__file__).parents[2] / "support" / "confined_service.py"
OF_LANDLOCK = {
    *("create empty", "overwrite", "truncate", "remove", "rename", "link", "name as data", "folder", "pipe", "socket"),
    *("program", "read outside", "another's memory"),
}
"""What nothing else forbids."""
HAS_LANDLOCK = sys.platform == "linux" and landlock.version() > 0


@pytest.fixture(name="clip")
def _clip(tmp_path):
    """A recording outside the folder of the settings."""
    (tmp_path / "recordings").mkdir()
    return clips.make_clip(tmp_path / "recordings" / "clip.mp4", pictures=50)


@pytest.fixture(name="site")
def _site(tmp_path):
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site", cold=True)
    site.server.start()
    yield site
    site.close()


def write(site, *recordings, profile="stats-only", **ingest):
    cameras = [{"id": f"cam{i}", "url": str(path), "loop": True, "long_side": 160} for i, path in enumerate(recordings)]
    site.write(
        {
            "sites": [{"id": "cannes", "profile": profile, "cameras": cameras}],
            "log": {"format": "json"},
            "ingest": ingest,
        }
    )


def states(service):
    """The state of each measure, as the metric has it."""
    return {
        measure: {state for state in ("applied", "absent", "refused") if is_in(service, measure, state)}
        for measure in MEASURES
    }


def is_in(service, measure, state):
    return service.metric("moretta_sandbox_state", measure=measure, state=state) == 1


@pytest.mark.parametrize("name", ["ingest", "inference"])
async def test_a_started_service_writes_nothing_anywhere(site, clip, tmp_path, name):
    """An enemy inside, in old and new threads, can write no file, shared memory, memory file, name or child's file.

    The service runs as it should meanwhile, and says which measures are in force.
    """
    write(site, clip)
    (site.folder / "victim").write_bytes(b"untouched")
    (tmp_path / "outside").write_bytes(b"secret")
    before = sorted(site.folder.iterdir())
    places = {"PLACE": str(site.folder), "OUTSIDE": str(tmp_path / "outside")}
    service = site.start(name, script=SCRIPT, ENEMY="attack", **places)
    await until(lambda: service.said("attacked") and service.running, "the attack and the start", limit_s=40)
    told = service.said("attacked")[0]
    for where in ("loop", "thread"):
        done = {attempt for attempt, what in json.loads(told[where]).items() if what == "done"}
        assert done <= (set() if HAS_LANDLOCK else OF_LANDLOCK), where
    assert sorted(site.folder.iterdir()) == before
    assert (site.folder / "victim").read_bytes() == b"untouched"
    assert told["dumpable"] == 0
    process = Path(f"/proc/{service.pid}")
    tasks = [(task / "status").read_text() for task in (process / "task").iterdir()]
    assert len(tasks) > 1
    assert all("NoNewPrivs:\t1" in task for task in tasks)
    limits = {line[:26].strip(): line[26:].split()[:2] for line in (process / "limits").read_text().splitlines()}
    assert limits["Max core file size"] == limits["Max file size"] == ["0", "0"]
    found = states(service)
    assert found.pop("memory-lock") in ({"applied"}, {"refused"})
    assert found.pop("landlock") == {"applied" if HAS_LANDLOCK else "absent"}
    assert set(map(tuple, found.values())) == {("applied",)}
    assert service.get("/readyz")[0] == 200
    assert service.stop() == 0


def test_the_enemy_could_do_all_of_it_elsewhere(tmp_path):
    """Outside the sandbox every attempt succeeds, unless this user may not look into another process."""
    for name in ("victim", "settings.yaml", "outside"):
        (tmp_path / name).write_bytes(b"untouched")
    places = {"ENEMY": "free", "PLACE": str(tmp_path), "OUTSIDE": str(tmp_path / "outside")}
    run = subprocess.run([sys.executable, "-P", str(SCRIPT)], env=os.environ | places, capture_output=True, check=True)
    done = json.loads(run.stdout)
    assert {name for name, what in done.items() if what != "done"} <= {"another's memory"}
    assert done.keys() >= OF_LANDLOCK


async def test_recordings_that_are_named_play_and_others_are_told(site, clip, tmp_path):
    """Beside the first recording a new one plays; one elsewhere leaves the old settings in force, and says why."""
    (tmp_path / "certificates").mkdir()
    web = {"host": "127.0.0.1", "port": 0, "certificate_dir": str(tmp_path / "certificates")}
    write(site, clip, web=web)
    service = site.start("ingest")
    await until(lambda: service.said("camera live") and service.said("camera page"), "a picture", limit_s=40)
    assert len(list((tmp_path / "certificates").iterdir())) == 2, "the last files that it wrote"
    beside, elsewhere = clip.with_name("other.mp4"), tmp_path / "elsewhere" / "clip.mp4"
    elsewhere.parent.mkdir()
    for copy in (beside, elsewhere):
        shutil.copy(clip, copy)
    write(site, clip, beside, web=web)
    await until(lambda: "cam1" in [line["camera"] for line in service.said("camera live")], "the new one")
    write(site, clip, beside, elsewhere, web=web)
    service.signal(signal.SIGHUP)
    if not HAS_LANDLOCK:
        await until(lambda: "cam2" in [line["camera"] for line in service.said("camera live")])
        return
    await until(lambda: service.get("/readyz")[0] == 503, "not ready")
    said = service.get("/readyz")[1]
    assert f"settings: sites[0].cameras[2].url: {elsewhere} is outside the folders that the sandbox lets ingest" in said
    assert "restart it" in said
    write(site, clip, web=web)
    await until(lambda: service.get("/readyz")[0] == 200, "ready again")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("name", ["ingest", "inference"])
def test_a_log_that_is_a_file_is_refused(tmp_path, name, stream):
    """Exit code 2 and one line that says to log to a pipe, whatever the profile: its log would be lost in silence."""
    file, log = tmp_path / "settings.yaml", tmp_path / "service.log"
    file.write_text(yaml.safe_dump({"sites": [{"id": "cannes", "profile": "lab"}]}))
    with log.open("wb") as target:
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE} | {stream: target}
        command = [sys.executable, "-P", "-m", f"services.{name}", "-c", str(file)]
        run = subprocess.run(command, **streams, timeout=60, check=False)
    said = log.read_bytes() + (run.stderr or b"")
    assert run.returncode == 2
    assert said.count(b"\n") == 1
    assert b"log to a pipe" in said


@pytest.mark.parametrize("enemy", ["thread", "elsewhere"])
async def test_less_than_the_profile_demands_is_no_start(site, clip, enemy):
    """A measure that is refused, and a system that has none: exit code 2 and what to do. `lab` runs, and tells it.

    It does not take another profile then without being started anew.
    """
    write(site, clip)
    refused = site.start("ingest", script=SCRIPT, ENEMY=enemy)
    assert refused.ended() == 2
    said = refused.said("cannot start")[0]["error"]
    assert "profile stats-only demands" in said
    assert ("landlock" if enemy == "thread" else "needs Linux") in said
    write(site, clip, profile="lab")
    service = site.start("ingest", script=SCRIPT, ENEMY=enemy)
    await until(lambda: service.running and service.said("camera live"), "lab runs", limit_s=40)
    assert service.said("sandbox incomplete")
    assert states(service)["landlock"] == {"refused" if enemy == "thread" else "absent"}
    write(site, clip)
    await until(lambda: service.get("/readyz")[0] == 503, "not ready")
    assert "profile stats-only demands" in service.get("/readyz")[1]
