"""Films that a data folder counts already: operate.box.films."""

from pathlib import Path

import pytest

from operate.box.films import FILE, remember, require_new
from services.kernel.settings import SettingsError
from services.sites.settings import CameraSettings, SiteSettings

AT = 1_795_953_600_000_000_000
"""2026-11-29 12:00 UTC."""


@pytest.fixture(name="film")
def _film(tmp_path: Path) -> Path:
    (path := tmp_path / "film.mp4").write_bytes(b"film")
    return path


@pytest.fixture(name="data")
def _data(tmp_path: Path) -> Path:
    (path := tmp_path / "data").mkdir()
    return path


def site(*urls: str, name: str = "market", loop: bool = False) -> SiteSettings:
    cameras = [CameraSettings(id=f"c{number}", url=url, loop=loop) for number, url in enumerate(urls)]
    return SiteSettings(id=name, timezone="Europe/Paris", cameras=cameras)


def test_a_film_is_not_counted_twice_into_one_folder(film: Path, data: Path):
    """The error names the camera, the film, when it was played by the site's clock, the folder and what to do."""
    sites = [site("rtsp://10.0.0.5/s", f"file://{film}")]
    require_new(data, sites, "site.yaml")
    remember(data, sites, AT)
    remember(data, sites, AT + 10**12)  # at a later start, which was told to count again
    with pytest.raises(SettingsError) as error:
        require_new(data, sites, "site.yaml")
    assert str(error.value) == (
        f"site.yaml: sites[0].cameras[1].url: '{film}' was played on 2026-11-29 at 13:00 (+0100), and '{data}' holds"
        " its people: another start would count them a second time. Name another --data folder, or take `moretta count`"
        " for this film's figures alone; --again counts them once more"
    )


def test_what_counts_nobody_twice_is_played(film: Path, data: Path):
    """Another folder, another site, another film under the same name, one in a loop; a film that is not there."""
    remember(data, [site(str(film))], AT)
    for fine in (site(str(film), name="station"), site(str(film), loop=True), site(str(film.parent / "none.mp4"))):
        require_new(data, [fine], "site.yaml")
    require_new(film.parent, [site(str(film))], "site.yaml")
    film.write_bytes(b"another film")
    require_new(data, [site(str(film))], "site.yaml")


def test_live_cameras_leave_no_file(data: Path):
    """Only films are remembered."""
    remember(data, [site("rtsp://10.0.0.5/s", "/dev/video0", "whip://")], AT)
    assert list(data.iterdir()) == []


def test_a_file_that_cannot_be_read_is_named(film: Path, data: Path):
    """One line, with what to do."""
    (data / FILE).write_text("[{]")
    with pytest.raises(SettingsError, match=r"films\.json: cannot be read: JSON is malformed.*; remove it if no film"):
        require_new(data, [site(str(film))], "site.yaml")
