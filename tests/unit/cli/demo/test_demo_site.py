"""The demo's settings file."""

import stat

import pytest
from clips import make_clip

from operate.simulation.demo import site
from services.aggregate.settings import AggregateFile
from services.ingest.settings import IngestFile
from services.kernel.settings import SettingsError, load
from services.notify.settings import NotifyFile


@pytest.fixture(name="film")
def _film(tmp_path):
    file = tmp_path / "film.mp4"
    file.write_bytes(b"")
    return file


def written(settings, folder, schema):
    return load(site.write(settings, folder), schema)


def test_simulated_cameras_are_paced_files_that_end(film, tmp_path):
    """Simulated cameras play once at their own speed, and the windows close when they have ended."""
    ingest = written(site.simulated({"gate-in": film, "hall": film}, 2525), tmp_path, IngestFile)
    (place,) = ingest.sites
    assert [(c.id, c.zone, c.paced, c.loop) for c in place.cameras] == [
        ("gate-in", "gate", True, False),
        ("hall", "hall", True, False),
    ]
    assert place.close_on_end
    assert (place.profile, place.window_s, place.lateness_s) == ("lab", 10.0, 3.0)


def test_for_subscribers_the_films_go_round(film, tmp_path):
    """Windows come for as long as it runs, and nobody gets a mail."""
    settings = site.looped({"gate-in": film, "hall": film})
    (place,) = written(settings, tmp_path, IngestFile).sites
    assert [(c.id, c.zone, c.loop) for c in place.cameras] == [("gate-in", "gate", True), ("hall", "hall", True)]
    assert not place.close_on_end
    assert (place.profile, place.window_s) == ("lab", 10.0)
    notify = written(settings, tmp_path, NotifyFile).notify
    assert (notify.receivers, notify.routes, notify.smtp) == ([], [], None)


def test_mails_go_to_the_sink(film, tmp_path):
    """The only mail server is the one of the demo, on the loopback address; nobody real is written to."""
    notify = written(site.simulated({"hall": film}, 2525), tmp_path, NotifyFile).notify
    assert (notify.smtp.host, notify.smtp.port, notify.smtp.security) == ("127.0.0.1", 2525, "none")
    addresses = [address for receiver in notify.receivers for address in receiver.email]
    assert addresses
    assert all(address.endswith(".example") for address in [*addresses, notify.smtp.sender])  # RFC 2606


def test_rule_fires_below_and_clears_above(film, tmp_path):
    """One rule for the whole site, decided by a single window."""
    aggregate = written(site.simulated({"hall": film}, 2525), tmp_path, AggregateFile)
    (rule,) = aggregate.sites[0].rules
    assert (rule.zone, rule.fire_below, rule.clear_above, rule.for_windows, rule.min_persons) == (
        "_site",
        0.6,
        0.7,
        1,
        5,
    )


def test_settings_file_is_its_owners_alone(film, tmp_path):
    """A camera's address may hold a password: nobody else may read the file."""
    file = site.write(site.simulated({"hall": film}, 2525), tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_real_file_is_looped(film, tmp_path, monkeypatch):
    """A file given as camera plays for ever, and is found whatever the services' folder is."""
    make_clip(film, pictures=2)
    monkeypatch.chdir(tmp_path)
    ingest = written(site.real("film.mp4", 2525), tmp_path, IngestFile)
    (camera,) = ingest.sites[0].cameras
    assert (camera.url, camera.loop) == (str(film), True)
    assert not ingest.sites[0].close_on_end


def test_a_url_is_taken_as_it_is(tmp_path):
    """A network camera needs no file here."""
    ingest = written(site.real("rtsp://user:pw@camera.example:554/stream", 2525), tmp_path, IngestFile)
    assert ingest.sites[0].cameras[0].url == "rtsp://user:pw@camera.example:554/stream"


@pytest.mark.parametrize(
    ("camera", "words"),
    [
        ("missing.mp4", "missing.mp4: no such file or device"),
        ("/dev/video99", "/dev/video99: no such file or device"),
        ("ftp://host/film.mp4", "scheme 'ftp' is not supported"),
        ("rtsp:///stream", "names no host"),
        ("", "no such file or device"),
        (__file__, f"{__file__}: is not a video that FFmpeg can read, or is damaged"),
        ("/", "no such file or device"),
    ],
)
def test_wrong_cameras_are_refused_in_one_line(camera, words):
    """A user's mistake is one line that names the option and what is wrong."""
    with pytest.raises(SettingsError) as error:
        site.real(camera, 2525)
    text = str(error.value)
    assert text.startswith("--camera: ")
    assert words in text
    assert "\n" not in text


def test_a_wrong_camera_shows_no_password():
    """The message about a camera's address keeps its password."""
    with pytest.raises(SettingsError) as error:
        site.real("ftp://user:secret@host/film.mp4", 2525)
    assert "secret" not in str(error.value)
