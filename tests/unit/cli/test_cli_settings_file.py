"""Settings of a run: the user's file checked for all services, and cameras from the command line."""

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from authority import Authority

from operate.settings_file import QUICK_SITE, check, require, warnings_of, with_cameras
from proto.types import Profile
from services.ingest.settings import IngestFile
from services.kernel.settings import SettingsError, load
from services.sites.profiles import PROFILES

GOOD = "sites: [{id: cannes, cameras: [{id: gate, url: /dev/video0}]}]\n"


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    path = tmp_path / "user" / "moretta.yaml"
    path.parent.mkdir()
    path.write_text(GOOD)
    return path


@pytest.fixture(name="scratch")
def _scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def test_a_good_file(file: Path):
    """Nothing to say."""
    assert check(file) == []
    require(file)


def test_all_services_are_asked(file: Path):
    """Each service's mistakes in one go, each once although all four read the sites."""
    file.write_text(
        "sites: [{id: UP}]\ningest: {x: 1}\ninference: {threads: 0}\naggregate: {tick_s: 9}\nnotify: {y: 1}\nfoo: 1\n"
    )
    paths = [path for path, _ in check(file)]
    assert sorted(paths) == ["aggregate.tick_s", "foo", "inference.threads", "ingest.x", "notify.y", "sites[0].id"]
    with pytest.raises(SettingsError) as error:
        require(file)
    assert len(str(error.value).splitlines()) == 6


@pytest.mark.parametrize(
    "text",
    [
        "sites: {id: a, cameras: []}",
        "sites: [{id: a, cameras: {id: gate}}]",
        "sites: [{id: a, zones: {id: hall}, rules: {id: low}}]",
        "sites: no\nlog: []",
        "sites: [{id: UP, window_s: soon, profile: fr}]",
        "log: {level: loud, format: paper}",
        "nats: [url]",
    ],
)
def test_a_mistake_is_told_once(file: Path, text: str):
    """Whoever reads a place has words of its own for it: one of them does."""
    file.write_text(text + "\n")
    paths = [path for path, _ in check(file)]
    assert sorted(paths) == sorted({*paths})
    assert paths


@pytest.mark.parametrize(
    ("nats", "path", "why"),
    [
        ("url: tls://bus.example", "nats.ca_file", "is missing; TLS needs the file of the CA"),
        ("client_cert_file: c", "nats.ca_file", "is missing; TLS needs"),
        ("ca_file: system, client_key_file: k", "nats.client_cert_file", "is missing; a key is of no use"),
        ("ca_file: system, url: 'ws://h'", "nats.url", "ws:// is never encrypted"),
        ("ca_file: ''", "nats.ca_file", "must be a PEM file of certificate authorities, or system for this"),
    ],
)
def test_tls_that_is_asked_for_is_whole(file: Path, nats: str, path: str, why: str):
    """Whom to believe is said, never guessed; each mistake is told once, although all four services read it."""
    file.write_text(f"{GOOD}nats: {{{nats}}}\n")
    [(where, what)] = check(file)
    assert where == path
    assert what.startswith(why)


def test_files_of_certificates_are_looked_at(file: Path, tmp_path: Path):
    """All that any service names, by their places in the settings; with good ones there is nothing to say."""
    authority = Authority()
    for name, content in {"ca": authority.pem, "us": authority.issue("us"), "bad": b""}.items():
        (tmp_path / name).write_bytes(content)
    template = """
nats: {url: tls://bus.example, ca_file: CA, client_cert_file: US}
ingest: {web: {certificate: US, key: US}}
notify:
  smtp: {sender: a@b.org, ca_file: CA}
  sms: {kannel: {user: u, password: p}, ca_file: CA}
  receivers: [{id: r, webhooks: [{url: "https://h.example", ca_file: CA, client_cert_file: US}]}]
"""
    places = {
        "CA": ["nats.ca_file", "notify.smtp.ca_file", "notify.sms.ca_file", "notify.receivers[0].webhooks[0].ca_file"],
        "US": ["ingest.web.certificate", "nats.client_cert_file", "notify.receivers[0].webhooks[0].client_cert_file"],
    }
    for wrong in (None, "CA", "US"):
        text = template
        for name in ("CA", "US"):
            text = text.replace(name, str(tmp_path / ("bad" if name == wrong else name.lower())))
        file.write_text(GOOD + text)
        assert sorted(path for path, _ in check(file)) == sorted(places.get(wrong or "", []))
        assert all("it holds no PEM certificate" in why for _, why in check(file))


def test_what_a_profile_forbids(file: Path):
    """A legal profile's rules are checked before anything runs."""
    file.write_text("sites: [{id: a, profile: stats-only, rules: [{id: r, fire_below: 0.5, clear_above: 0.6}]}]")
    assert any(path.startswith("sites[0]") for path, _ in check(file))


def test_told_under_the_users_name(file: Path):
    """A file that was made for a run is told by what the user wrote."""
    file.write_text("foo: 1")
    with pytest.raises(SettingsError, match=r"^--camera: foo: unknown section"):
        require(file, "--camera")


def test_the_users_own_file_is_used_as_it_is(file: Path, scratch: Path):
    """Without cameras on the command line nothing is made."""
    assert with_cameras(file, [], scratch) == file
    assert list(scratch.iterdir()) == []


def test_cameras_alone_make_a_site_for_trials(scratch: Path):
    """`--camera` without a file: the quick site."""
    made = with_cameras(None, ["gate=rtsp://10.0.0.5/s?channel=1", "door=/dev/none"], scratch)
    site = load(made, IngestFile, {}).sites[0]
    assert (site.id, site.profile, site.window_s) == (QUICK_SITE["id"], "lab", 60.0)
    assert [(c.id, c.url) for c in site.cameras] == [
        ("gate", "rtsp://10.0.0.5/s?channel=1"),
        ("door", "/dev/none"),
    ]
    require(made)
    assert "cameras" not in QUICK_SITE


def test_cameras_alone_with_a_page_for_other_machines(scratch: Path):
    """The page's host is the one that was asked for."""
    made = with_cameras(None, ["gate=rtsp://10.0.0.5/s"], scratch, page_host="0.0.0.0")
    assert yaml.safe_load(made.read_text())["aggregate"] == {"page": {"host": "0.0.0.0", "port": 0}}
    assert check(made) == []


@pytest.mark.parametrize(
    ("named", "link", "zone"),
    [
        (None, "/usr/share/zoneinfo/Europe/Paris", "Europe/Paris"),
        (":Asia/Tokyo", "/usr/share/zoneinfo/Europe/Paris", "Asia/Tokyo"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "/usr/share/zoneinfo/Europe/Paris", "Europe/Paris"),
        ("", "/usr/share/zoneinfo/Etc/UTC", "UTC"),
        (None, "/etc/localtime", "UTC"),
    ],
)
def test_cameras_alone_are_counted_by_this_machines_clock(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, named: str | None, link: str, zone: str
):
    """A day begins when people there say so; UTC where the machine's clock has no name."""
    monkeypatch.setattr("operate.settings_file.os.path.realpath", lambda _path: link)
    monkeypatch.delenv("TZ", raising=False)
    if named is not None:
        monkeypatch.setenv("TZ", named)
    made = with_cameras(None, ["gate=rtsp://10.0.0.5/s"], scratch)
    assert yaml.safe_load(made.read_text())["sites"][0]["timezone"] == zone
    assert check(made) == []


@pytest.mark.parametrize("profile", PROFILES)
def test_cameras_alone_under_another_profile(scratch: Path, profile: Profile):
    """The site has it, with windows as short as it lets them be: services take it."""
    made = with_cameras(None, ["gate=rtsp://10.0.0.5/s"], scratch, profile)
    assert check(made) == []
    (site,) = load(made, IngestFile).sites
    assert (site.profile, site.window_s) == (profile, max(60, PROFILES[profile].min_window_s))


def test_cameras_are_added_to_the_files_first_site(file: Path, scratch: Path):
    """After its own, and the file itself is not touched."""
    file.write_text("sites: [{id: a, cameras: [{id: x, url: y}]}, {id: b}]\nlog: {level: debug}\n")
    made = load(with_cameras(file, ["gate=u"], scratch), IngestFile, {})
    assert [[c.id for c in site.cameras] for site in made.sites] == [["x", "gate"], []]
    assert made.log.level == "debug"
    assert "gate" not in file.read_text()


def test_the_made_file_is_private(scratch: Path):
    """A camera's URL may hold a password."""
    made = with_cameras(None, ["gate=rtsp://u:p@h"], scratch)
    assert stat.S_IMODE(made.stat().st_mode) == 0o600


def test_a_recorded_file_is_found_from_anywhere(scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The services run elsewhere: a path becomes absolute."""
    (tmp_path / "film.mp4").touch()
    monkeypatch.chdir(tmp_path)
    made = yaml.safe_load(with_cameras(None, ["gate=film.mp4"], scratch).read_text())
    assert made["sites"][0]["cameras"] == [{"id": "gate", "url": str(tmp_path / "film.mp4")}]


def test_secrets_files_are_found_from_the_made_file(file: Path, scratch: Path):
    """Relative to the user's own file, as without `--camera`; other keys that end so stay as they are."""
    (file.parent / "salt").write_text("x" * 32)
    (file.parent / "url").write_text("rtsp://h")
    file.write_text(
        "sites: [{id: a, cameras: [{id: c, url_file: url}]}]\n"
        "notify: {salt_file: salt, smtp: {sender: a@b.org, ca_file: system}}\n"
    )
    made = yaml.safe_load(with_cameras(file, ["gate=u"], scratch).read_text())
    assert made["notify"]["salt_file"] == str(file.parent / "salt")
    assert made["notify"]["smtp"]["ca_file"] == "system"
    assert made["sites"][0]["cameras"][0]["url_file"] == str(file.parent / "url")
    require(scratch / "settings.yaml")


@pytest.mark.parametrize("text", ["gate", "=url", "gate=", "", "rtsp://u:hunter2@h", "/film.mp4"])
def test_what_is_no_camera(scratch: Path, text: str):
    """One line with an example, and no password."""
    with pytest.raises(SettingsError) as error:
        with_cameras(None, [text], scratch)
    assert str(error.value).startswith("--camera: '")
    assert str(error.value).endswith("is not NAME=URL, as in gate=rtsp://10.0.0.5/stream")
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("name", ["UP", "a b", "a.b", "-a", "a" * 33, "rtsp://u:hunter2@h/?x"])
def test_what_is_no_cameras_name(scratch: Path, name: str):
    """A name becomes a part of a subject."""
    with pytest.raises(
        SettingsError, match=r"^--camera: NAME: must be 1-32 of a-z, 0-9 and inner hyphens, got '"
    ) as error:
        with_cameras(None, [f"{name}=url"], scratch)
    assert "hunter2" not in str(error.value)


def test_the_same_camera_twice(scratch: Path):
    """Is found by the check of the made file."""
    made = with_cameras(None, ["gate=a", "gate=b"], scratch)
    with pytest.raises(SettingsError, match=r"^--camera: sites\[0\]\.cameras\[1\]\.id: 'gate' is used 2 times"):
        require(made, "--camera")


@pytest.mark.parametrize("text", ["", "log: {}\n", "sites: []\n"])
def test_no_site_to_add_to(file: Path, scratch: Path, text: str):
    """Sites may have come from the environment: cameras cannot be added there."""
    file.write_text(text or "{}")
    with pytest.raises(SettingsError, match="sites: is not in the file; --camera adds to the first one there"):
        with_cameras(file, ["gate=url"], scratch)


def test_addresses_that_no_camera_can_have(file: Path):
    """A mistake of the file, each by its path, and without a password; what a camera could have is none."""
    wrong = ["ftp://u:hunter2@host/clip.mp4", "rtsp://", "rtsp://10.0.0.5:99999/x"]
    right = ["rtsp://10.0.0.5/x", "https://host/live.m3u8", "/dev/video9", "film.mp4"]
    file.write_text(yaml.safe_dump({"sites": [site(wrong + right)]}))
    assert [path for path, _ in check(file)] == [f"sites[0].cameras[{index}].url" for index in range(3)]
    with pytest.raises(SettingsError, match="scheme 'ftp' is not supported; use a file path, rtsp://") as error:
        require(file)
    assert "hunter2" not in str(error.value)


NO_URL = "and no URL such as rtsp://10.0.0.5/stream"


def test_a_rule_that_sees_nobody_is_a_doubt(file: Path):
    """A zone without a camera can be meant for later; one that a part of a picture has is seen."""
    seen = site(["rtsp://h/x", "rtsp://h/y"])
    seen["cameras"][0]["zone"] = "hall"
    seen["cameras"][1]["zone_areas"] = [{"zone": "quay", "area": [[0, 0], [1, 0], [1, 1]]}]
    zones = ["hall", "quay", "roof"]
    rules = [{"id": zone.strip("_"), "zone": zone, "fire_below": 0.7, "clear_above": 0.8} for zone in [*zones, "_site"]]
    file.write_text(
        yaml.safe_dump(
            {"sites": [seen | {"profile": "lab", "zones": [{"id": zone} for zone in zones], "rules": rules}]}
        )
    )
    assert check(file) == []
    assert warnings_of(file) == [("sites[0].rules[2].zone", "no camera sees the zone 'roof': the rule can never fire")]


@pytest.mark.parametrize(("profile", "warned"), [("alerting", [0]), ("lab", [])])
def test_a_rule_that_fires_after_one_window_is_a_doubt(file: Path, profile: str, warned: list[int]):
    """Two windows are the default, and the answer; a trial may be hasty."""
    bounds = {"fire_below": 0.7, "clear_above": 0.75}
    rules = [{"id": "hasty", "for_windows": 1, **bounds}, {"id": "low", **bounds}]
    file.write_text(yaml.safe_dump({"sites": [site(["rtsp://h/x"]) | {"profile": profile, "rules": rules}]}))
    assert check(file) == []
    found = warnings_of(file)
    assert [path for path, _ in found] == [f"sites[0].rules[{index}].for_windows" for index in warned]
    assert all("leave it out for 2 windows in a row" in why for _, why in found)


def test_a_login_in_the_settings_is_a_doubt(file: Path):
    """It is told where it should be; one in a file of its own is fine, and so is a user alone."""
    cameras: list[dict[str, str]] = [
        {"id": "open", "url": "rtsp://u:hunter2@h/x"},
        {"id": "hidden", "url_file": "hidden.url"},
        {"id": "named", "url": "rtsp://h/x", "user": "u", "password_file": "word"},
    ]
    (file.parent / "hidden.url").write_text("rtsp://u:hunter2@h/x")
    (file.parent / "word").write_text("hun#@ter2")
    file.write_text(yaml.safe_dump({"sites": [{"id": "market", "profile": "lab", "cameras": cameras}]}))
    assert check(file) == []
    [(path, why)] = warnings_of(file)
    assert path == "sites[0].cameras[0].url"
    assert "give `user`, and `password_file`" in why
    assert "hunter2" not in why


def test_a_source_that_is_not_here_is_a_doubt(file: Path, monkeypatch: pytest.MonkeyPatch):
    """Named with the folder in which it was looked for: it may be on another machine, so it is no mistake."""
    monkeypatch.chdir(file.parent)
    (file.parent / "there.mp4").touch()
    file.write_text(
        yaml.safe_dump({"sites": [site(["there.mp4", "gone.mp4", "rtsp://h/x", "10.0.0.5", "/dev/video987"])]})
    )
    assert check(file) == []
    (gone, why), (typo, url), (device, here) = warnings_of(file)
    assert (gone, typo, device) == tuple(f"sites[0].cameras[{index}].url" for index in (1, 3, 4))
    assert why == f"'gone.mp4' is no file or device in {file.parent}, {NO_URL}; without it the camera has no picture"
    assert f"{NO_URL};" in url
    assert here.startswith("'/dev/video987' is no file or device here;")


def site(urls: list[str]) -> dict[str, Any]:
    """A site with a camera for each address."""
    return {"id": "cannes", "cameras": [{"id": f"c{index}", "url": url} for index, url in enumerate(urls)]}
