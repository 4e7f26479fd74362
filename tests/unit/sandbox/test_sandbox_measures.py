"""What of the sandbox a legal profile demands: services.sandbox.measures; and which paths it lets through."""

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.types import Profile
from services.sandbox import landlock
from services.sandbox.measures import MEASURES, STATES, MeasureState, demanded, not_in_force, shortfalls
from services.sites.settings import CameraSettings, SiteSettings

PROFILES = get_args(Profile)
IN_FORCE = {measure: MeasureState("applied") for measure in MEASURES}
findings = st.fixed_dictionaries({measure: st.sampled_from(STATES).map(MeasureState) for measure in MEASURES})
profiles = st.lists(st.sampled_from(PROFILES), max_size=4)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("state", ["absent", "refused"])
def test_what_each_profile_demands(profile, measure, state):
    """lab: no core file and nobody who looks in. The others: all but locked memory, some only if it is there."""
    lacking = shortfalls(IN_FORCE | {measure: MeasureState(state, "so it is")}, [profile])
    if profile == "lab":
        expected = state == "refused" and measure in {"core", "dumpable"}
    else:
        may_be_absent = state == "absent" and measure in {"landlock", "freed-memory"}
        expected = measure != "memory-lock" and not may_be_absent
    assert bool(lacking) == expected
    assert all(measure in line and f"profile {profile} demands" in line and "; " in line for line in lacking)


@given(findings, profiles, profiles)
def test_more_sites_demand_no_less(found, some, more):
    """A site that is added takes no demand away, what is in force is never lacking, and what is not is told."""
    assert demanded(some) <= demanded(some + more)
    assert len(shortfalls(found, some)) <= len(shortfalls(found, [*some, *more, "alerting"]))
    assert shortfalls(IN_FORCE, some) == []
    assert not_in_force(found).keys() == {measure for measure in MEASURES if found[measure].state != "applied"}


def test_a_system_without_any_is_one_sentence():
    """Elsewhere than on Linux all is absent, and one sentence says so."""
    absent = dict.fromkeys(MEASURES, MeasureState("absent", "this is darwin, not Linux"))
    [said] = shortfalls(absent, ["lab", "stats-only", "alerting"])
    assert said.startswith("the sandbox needs Linux: core, dumpable, ")
    assert "profile alerting, stats-only demands" in said
    assert shortfalls(absent, ["lab"]) == []


def test_paths_that_settings_name():
    """Secrets' files, certificates, folders and the model, with their place; not what a service leaves unread."""
    raw = {
        "nats": {"password_file": "n.txt", "url": "nats://h:1"},
        "sites": [
            {"cameras": [{"url": "film.mp4", "token_file": "t.txt", "ca_file": "ca.pem"}, {"url_file": "u.txt"}]}
        ],
        "ingest": {"web": {"certificate": "c.pem", "key": "k.pem", "certificate_dir": "certs", "port": 1}},
        "inference": {"model": "m"},
    }
    assert dict(landlock.named_in(raw)) == {
        "nats.password_file": "n.txt",
        "sites[0].cameras[0].token_file": "t.txt",
        "sites[0].cameras[0].ca_file": "ca.pem",
        "sites[0].cameras[1].url_file": "u.txt",
        "ingest.web.certificate": "c.pem",
        "ingest.web.key": "k.pem",
        "ingest.web.certificate_dir": "certs",
        "inference.model": "m",
    }
    unread = dict(landlock.named_in(raw, frozenset({"url", "token"})))
    assert [where for where in unread if where.startswith("sites")] == ["sites[0].cameras[0].ca_file"]


def site(*urls, **more):
    return SiteSettings(id="a", cameras=[CameraSettings(id=f"c{i}", url=url, **more) for i, url in enumerate(urls)])


def test_cameras_that_are_files_or_devices():
    """Streams need no file; a device, or a graphics card, needs the devices."""
    some = [site("rtsp://h/1", "/a/b.mp4", "file:///c.mp4", "whip://", "/dev/video0")]
    assert [value for _, value in landlock.sources_in(some)] == ["/a/b.mp4", "/c.mp4", "/dev/video0"]
    assert landlock.wants_devices(some)
    assert not landlock.wants_devices([site("rtsp://h/1", "b.mp4")])
    assert landlock.wants_devices([site("b.mp4", decoder="cuda")])


def test_folders_of_files_that_are_replaced(tmp_path):
    """A secret is a link that Kubernetes swaps: its folder and the one it leads to are let through."""
    (tmp_path / "..now").mkdir()
    (tmp_path / "..now" / "password").touch()
    (tmp_path / "mounted").mkdir()
    link = tmp_path / "mounted" / "password"
    link.symlink_to(tmp_path / "..now" / "password")
    assert set(landlock.folders([link])) == {tmp_path / "mounted", tmp_path / "..now"}
    assert landlock.folders([tmp_path]) == [tmp_path]
    assert landlock.folders([Path("/film.mp4")]) == [Path("/film.mp4")], "never the root"


def test_rights_are_for_reading(tmp_path):
    """Nothing may be written but /dev/null; with devices what is below /dev, where none can be created."""
    rights = landlock.allowed([tmp_path / "x"], devices=False)
    assert {path for path, right in rights.items() if right & ~landlock.READ} == {Path("/dev/null")}
    assert tmp_path in rights
    assert Path("/") not in rights
    with_devices = landlock.allowed([], devices=True)
    assert with_devices[Path("/dev")] & landlock.WRITE_FILE
    assert with_devices[Path("/dev")] < 1 << 16
    assert not with_devices[Path("/dev")] & landlock.rights_of(1) & ~(landlock.READ | landlock.WRITE_FILE)
    assert landlock.is_below(tmp_path / "x" / "y", [tmp_path])
    assert not landlock.is_below(tmp_path / ".." / "y", [tmp_path])


def test_each_version_of_landlock_has_its_rights():
    """13 rights at first; moving, truncating and device calls came later. A kernel is asked for none that it lacks."""
    assert [landlock.rights_of(abi).bit_count() for abi in range(1, 8)] == [13, 14, 15, 15, 16, 16, 16]
