"""Films that a data folder has begun before: operate.box.films."""

from pathlib import Path

import clips
import pytest
from msgspec import structs

from operate.box.films import FILE, begun_before, write_end
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


def test_a_film_that_was_begun_before_is_told(film: Path, data: Path):
    """With its camera, when it was first begun by the site's clock, and how it is counted once."""
    sites = [site("rtsp://10.0.0.5/s", f"file://{film}")]
    assert begun_before(data, sites, AT) == []
    for later in (10**12, 10**13):
        [line] = begun_before(data, sites, AT + later)
        assert line.startswith(
            f"market, camera c1: {film} was begun on 2026-11-29 at 13:00 (+0100) with the same --data,"
        )
        assert line.endswith("; with another --data folder, or by `moretta count`, they are counted once")


def test_of_what_counts_nobody_twice_nothing_is_said(film: Path, data: Path):
    """Another folder, another site, another film under the same name, one in a loop; a film that is not there."""
    begun_before(data, [site(str(film))], AT)
    for fine in (site(str(film), name="station"), site(str(film), loop=True), site(str(film.parent / "none.mp4"))):
        assert begun_before(data, [fine], AT) == []
    assert begun_before(film.parent, [site(str(film))], AT) == []
    film.write_bytes(b"another film")
    assert begun_before(data, [site(str(film))], AT) == []


def test_a_window_that_films_may_have_closed_is_told(film: Path, data: Path):
    """Whatever film is played in it then: until it is over nobody counts, and a window later everybody does."""
    closing, minute = structs.replace(site(str(film)), close_on_end=True), 60 * 10**9
    (other := film.with_name("noon.mp4")).write_bytes(b"noon")
    noon = structs.replace(site(str(other)), close_on_end=True)
    assert begun_before(data, [closing], AT + 2 * minute) == []
    [line] = begun_before(data, [noon], AT + 10 * minute)
    assert line.startswith("market: films were played in the window that lasts until 13:20:00 (+0100); if they came to")
    [_, again] = begun_before(data, [noon], AT + 19 * minute)
    assert again == line
    assert len(begun_before(data, [closing, noon], AT + 20 * minute)) == 2
    write_end(data, [closing], AT + 41 * minute)
    assert len(begun_before(data, [noon], AT + 59 * minute)) == 2, "a film of three quarters of an hour"
    assert len(begun_before(data, [noon], AT + 60 * minute)) == 1
    assert len(begun_before(data, [site(str(other))], AT + 61 * minute)) == 1, "windows that wait for the clock"


def test_a_film_that_is_read_ahead_closes_windows_to_come(data: Path, tmp_path: Path):
    """As far ahead as it is long: half an hour of it, begun at noon, is counted in windows until 12:40 UTC."""
    minute = 60 * 10**9
    film = clips.make_clip(tmp_path / "long.mkv", fps=1, pictures=1_800, width=64, height=36)
    camera = CameraSettings(id="c0", url=str(film), paced=False)
    ahead = SiteSettings(id="market", timezone="Europe/Paris", cameras=[camera], close_on_end=True)
    assert begun_before(data, [ahead], AT) == []
    (other := tmp_path / "noon.mp4").write_bytes(b"noon")
    noon = structs.replace(site(str(other)), close_on_end=True)
    for later in (1, 25, 39):
        line = begun_before(data, [noon], AT + later * minute)[-1]
        assert line.startswith("market: films were played in the window that lasts until 13:40:00 (+0100)"), later


def test_live_cameras_leave_no_file(data: Path):
    """Only films are written down."""
    assert begun_before(data, [site("rtsp://10.0.0.5/s", "/dev/video0", "whip://")], AT) == []
    assert list(data.iterdir()) == []


@pytest.mark.parametrize("name", ["x" * 300, "there\x00"])
def test_a_path_that_cannot_be_is_left_to_ingest(data: Path, name: str):
    """Which tells of it; the box starts."""
    assert begun_before(data, [site(f"/{name}.mp4")], AT) == []


def test_a_list_that_cannot_be_read_or_written_stops_nobody(film: Path, data: Path):
    """A power cut may have cut it short. It is written anew; where that fails too, the next start says nothing."""
    (data / FILE).write_text("[{]")
    assert begun_before(data, [site(str(film))], AT) == []
    assert len(begun_before(data, [site(str(film))], AT)) == 1
    assert begun_before(data / "nowhere", [site(str(film))], AT) == []
