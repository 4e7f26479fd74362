"""What all four services know of a site: defaults, names, and the rules that no single field shows."""

import re
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import msgspec
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proto.types import WHOLE_SITE
from services.kernel.settings import STAND_IN, Secret, convert
from services.sites.problems import problems
from services.sites.settings import (
    CameraSettings,
    OperationsSettings,
    RuleSettings,
    SiteSettings,
    TrackingSettings,
    ZoneSettings,
    local_zone,
)

IDS = st.sampled_from(["a", "b", "c", "d"])


def site(**changes) -> SiteSettings:
    """A site with two zones, a camera in each, and a rule on each zone and on the whole."""
    good = SiteSettings(
        id="cannes",
        zones=[ZoneSettings(id="fish", name="Fish hall"), ZoneSettings(id="fruit")],
        cameras=[
            CameraSettings(id="c1", zone="fish", url="rtsp://h/1"),
            CameraSettings(id="c2", zone="fruit", url="rtsp://h/2"),
            CameraSettings(id="c3", url="rtsp://h/3"),
        ],
        rules=[
            RuleSettings(id="r1", zone="fish", fire_below=0.7, clear_above=0.8),
            RuleSettings(id="r2", fire_below=0.7, clear_above=0.7),
        ],
    )
    return structs.replace(good, **changes)


def test_a_good_site_has_no_problems():
    """Rules on zones and on the whole site, cameras with and without a zone."""
    assert problems([site()]) == []
    assert problems([]) == []
    assert problems([site(), site(id="nice")]) == []


@pytest.mark.parametrize(
    ("changes", "path", "word"),
    [
        ({"timezone": "Europe/Atlantis"}, "timezone", "'Europe/Atlantis' is no IANA time zone, such as Europe/Paris"),
        ({"timezone": ""}, "timezone", "'' is no IANA time zone"),
        ({"timezone": "../../etc/passwd"}, "timezone", "is no IANA time zone"),
        ({"timezone": "localtime"}, "timezone", "'localtime' is no IANA time zone"),
        ({"timezone": "europe/paris"}, "timezone", "is no IANA time zone"),
        ({"zones": [ZoneSettings(id=z) for z in ("fish", "fruit", "fish")]}, "zones[2].id", "'fish' is used 2 times"),
        ({"zones": [ZoneSettings(id=z) for z in ("fish", "fruit", "_site")]}, "zones[2].id", "is the whole site"),
        (
            {"zones": [ZoneSettings(id="fruit")], "rules": []},
            "cameras[0].zone",
            "unknown zone 'fish'; known here: fruit",
        ),
        ({"zones": [], "cameras": []}, "rules[0].zone", "unknown zone 'fish'; known here: _site"),
        ({"zones": [], "rules": [], "cameras": [CameraSettings(id="c", url="x", zone="z")]}, "cameras[0].zone", "none"),
        ({"cameras": [CameraSettings(id="c", url="x")] * 3}, "cameras[2].id", "'c' is used 3 times; ids are unique"),
        ({"cameras": [CameraSettings(id="c", url="x", zone=WHOLE_SITE)]}, "cameras[0].zone", "unknown zone '_site'"),
        ({"rules": [RuleSettings(id="r", fire_below=0.7, clear_above=0.69)]}, "rules[0].clear_above", "0.69 is below"),
        ({"rules": [RuleSettings(id="r", fire_below=0.1, clear_above=0.2)] * 2}, "rules[1].id", "'r' is used 2 times"),
        (
            {"cameras": [CameraSettings(id="c", url="x", paced=False)]},
            "cameras[0].paced",
            "set close_on_end of the site",
        ),
        ({"window_s": 3600.0, "lateness_s": 61.0}, "lateness_s", "61 s is more than the stream of sightings can serve"),
        (
            {"cameras": [CameraSettings(id="c", url="x", fps=0.4)], "zones": [], "rules": []},
            "cameras[0].fps",
            "least 0.5",
        ),
        (
            {"tracking": TrackingSettings(max_gap_s=0.25), "cameras": [CameraSettings(id="c", url="x")], "rules": []},
            "cameras[0].fps",
            "5 a second is too few to count anybody: who is unseen for 0.25 s is gone",
        ),
        (
            {"lateness_s": 0.1, "cameras": [CameraSettings(id="c", url="x")], "rules": []},
            "cameras[0].fps",
            "at least 15, or make these longer",
        ),
        (
            {"operations": OperationsSettings(camera_down_windows=3)},
            "operations.camera_down_windows",
            "3 windows of 1200 s are more than the stream of sightings keeps; at most 2",
        ),
        (
            {
                "language": "fr",
                "rules": [RuleSettings(id="r", fire_below=0.1, clear_above=0.2, name="Few", action={"en": "Go"})],
            },
            "rules[0].action",
            "has no text in 'fr', the language of the site 'cannes'; add fr:",
        ),
        (
            {"window_s": 7200.0},
            "window_s",
            "7200 s is more than the stream of sightings can serve; at most 3655 s here",
        ),
    ],
)
def test_one_problem(changes: dict, path: str, word: str):
    """Its path, and what would be right; nothing else is complained of."""
    found = problems([site(id="other"), site(**changes)])
    assert [where for where, _ in found] == [f"sites[1].{path}"]
    assert word in found[0][1]


def test_a_recorded_file_may_have_long_windows():
    """What closes when its cameras end needs no stream for so long, and no pace."""
    unpaced = CameraSettings(id="c", url="x", paced=False)
    assert problems([site(window_s=86_400.0, close_on_end=True, cameras=[unpaced])]) == []


def test_sites_with_the_same_id():
    """The last one is named."""
    assert problems([site(), site(id="nice"), site()]) == [("sites[2].id", "'cannes' is used 2 times; ids are unique")]


@examples(50)
@given(
    st.lists(
        st.builds(
            SiteSettings,
            id=IDS,
            timezone=st.sampled_from(["UTC", "Mars"]),
            zones=st.lists(st.builds(ZoneSettings, id=IDS | st.just(WHOLE_SITE)), max_size=3),
            cameras=st.lists(st.builds(CameraSettings, id=IDS, url=st.just("x"), zone=st.none() | IDS), max_size=3),
            rules=st.lists(
                st.builds(
                    RuleSettings, id=IDS, zone=IDS, fire_below=st.sampled_from([0.2, 0.5]), clear_above=st.just(0.4)
                ),
                max_size=3,
            ),
        ),
        max_size=3,
    )
)
def test_every_problem_has_a_place(sites: list[SiteSettings]):
    """Each path leads to a value, is told once, and in one line; what has no problem has unique ids and known zones."""
    found = problems(sites)
    assert len(found) == len(set(found))
    for path, why in found:
        value: object = {"sites": sites}
        for key, index in re.findall(r"(\w+)|\[(\d+)\]", path):
            value = value[int(index)] if index else value[key] if isinstance(value, dict) else getattr(value, key)
        assert why == why.strip() != ""
        assert "\n" not in why
    if not found:
        for one in sites:
            zones = [zone.id for zone in one.zones]
            assert len(set(zones)) == len(zones)
            assert {c.zone for c in one.cameras} <= {*zones, None}


def test_names_for_people():
    """A zone's name or id; the site's for the whole; an unknown zone is called by the site's."""
    named = site(name="Marché Forville")
    assert [named.zone_name(z) for z in ("fish", "fruit", WHOLE_SITE)] == ["Fish hall", "fruit", "Marché Forville"]
    assert site().zone_name(WHOLE_SITE) == "cannes"


def test_local_zone():
    """For where people read a time."""
    assert local_zone(site(timezone="Europe/Paris")) == ZoneInfo("Europe/Paris")
    assert local_zone(site()) == ZoneInfo("UTC")


def test_the_defaults_are_the_careful_ones():
    """Without a word a site publishes statistics only, in windows of 20 minutes, and fires no alert."""
    default = SiteSettings(id="a")
    assert (default.profile, default.window_s, default.rules) == ("stats-only", 1_200.0, [])
    assert default.tracking == TrackingSettings(min_hits=3, max_gap_s=3.0)
    camera = CameraSettings(id="c", url="x")
    assert (camera.fps, camera.long_side, camera.paced, camera.loop) == (5.0, 640, True, False)
    assert RuleSettings(id="r", fire_below=0.5, clear_above=0.6).min_persons == 20


@pytest.mark.parametrize("kind", [SiteSettings, CameraSettings, ZoneSettings, RuleSettings, TrackingSettings])
def test_unknown_keys_are_errors(kind: type):
    """Human input is always strict."""
    given = {"id": "a", "url": "x", "fire_below": 0, "clear_above": 0}
    known = {key: value for key, value in given.items() if key in kind.__struct_fields__}
    assert msgspec.convert(known, kind) is not None
    with pytest.raises(msgspec.ValidationError, match="unknown field `typo`"):
        msgspec.convert({**known, "typo": 1}, kind)


@pytest.mark.parametrize(
    ("privacy", "told"),
    [
        ({"areas": [[[0, 0], [1, 0], [1, 1]]]}, "drawn_for"),
        ({"drawn_for": [1920, 1080], "areas": []}, r"privacy\.areas"),
        ({"drawn_for": [1920, 1080], "areas": [[[0, 0], [1, 0]]]}, r"privacy\.areas\[0\]"),
        ({"drawn_for": [1920, 1080], "areas": [[[0, 0], [1920, 0], [1, 1]]]}, r"privacy\.areas\[0\]"),
        ({"drawn_for": [1920], "areas": [[[0, 0], [1, 0], [1, 1]]]}, r"privacy\.drawn_for"),
    ],
)
def test_privacy_areas_that_hide_nothing_are_refused(privacy, told):
    """Without a size, without an area, with a line for an area or with pixels for shares a camera would show it all."""
    camera = {"id": "c1", "url": "rtsp://h/1", "privacy": privacy}
    with pytest.raises(msgspec.ValidationError, match=told):
        msgspec.convert(camera, CameraSettings)


def test_privacy_areas_are_read():
    """Polygons in shares of the picture, and the size that they were drawn on."""
    privacy = {"drawn_for": [1920, 1080], "areas": [[[0, 0], [0.3, 0], [0.3, 0.4]]]}
    camera = msgspec.convert({"id": "c1", "url": "rtsp://h/1", "privacy": privacy}, CameraSettings)
    assert camera.privacy.drawn_for == (1920, 1080)
    assert camera.privacy.areas[0][1] == (0.3, 0.0)


def with_camera(**fields):
    """What is wrong with a site that has one camera with these fields."""
    camera = convert({"id": "c1", "url": "rtsp://h/1", **fields}, CameraSettings)
    return problems([SiteSettings(id="cannes", cameras=[camera])])


@pytest.mark.parametrize("area", [[[0, 0], [0.3, 0], [0.2, 0]], [[0.1, 0.1]] * 4, [[0, 0], [0.5, 0.5], [1, 1]]])
def test_an_area_that_hides_nothing_is_told(area):
    """Points on one line, or in one point, are no area."""
    ((path, why),) = with_camera(privacy={"drawn_for": [640, 360], "areas": [[[0, 0], [1, 0], [1, 1]], area]})
    assert path == "sites[0].cameras[0].privacy.areas[1]"
    assert "hides nothing" in why


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"password": "p"}, "is missing; say whose password it is"),
        ({"user": "u", "url": "whip://", "token": 16 * "t"}, "is given, and only a camera of rtsp://"),
        ({"user": "u", "url": "rtsp://u:p@h/1"}, "is given, and url names a user, too"),
        ({"user": "u", "url": "http://u:p#@h/1"}, "is given, and url names a user, too"),
        ({"user": "cam", "url": "rtsp://h/1", "password": 20 * "é" + "1234"}, "and password are 128 characters"),
    ],
)
def test_logins_that_are_none_are_told(fields, why):
    """A password of nobody, a login where none is asked for, and two."""
    ((path, told),) = with_camera(**fields)
    assert path == "sites[0].cameras[0].user"
    assert told.startswith(why)


@pytest.mark.parametrize("url", ["10.20.1.11/Streaming/Channels/102", "rtsp:/10.20.1.11/1", "film.mp4"])
def test_a_login_beside_a_url_without_a_scheme_is_told_of_the_url(url):
    """The login is right, and would be needed."""
    ((path, told),) = with_camera(user="u", password="p", url=url)
    assert path == "sites[0].cameras[0].url"
    assert told.startswith("does not begin with rtsp:// or another of these, though user is given")


def test_a_login_may_be_of_a_camera_whose_address_only_ingest_reads():
    """The other services have a stand-in for the address and for the password."""
    assert with_camera(user="u", password=STAND_IN, url=STAND_IN) == []
    assert with_camera(user="u") == []
    assert with_camera(user="u", password="p", url="RTSPS://h/1") == []


@given(st.text(min_size=1), st.none() | st.text())
@examples(200)
def test_user_and_password_arrive_as_they_are_written(user, password):
    """In any characters: the URL that a camera is asked by can be taken apart again."""
    secret = None if password is None else Secret(password)
    camera = CameraSettings(id="c1", url="rtsp://h:554/1?a=b", user=user, password=secret)
    parts = urlsplit(camera.login_url)
    assert (parts.hostname, parts.port, parts.path, parts.query) == ("h", 554, "/1", "a=b")
    assert unquote(parts.username or "") == user
    assert password is None or unquote(parts.password or "") == password
    assert CameraSettings(id="c1", url="film.mp4").login_url == "film.mp4"


def test_hours_that_are_all_or_nothing_are_told():
    """The same start and end would pause a camera for ever."""
    ((path, why),) = with_camera(rests=[{"start": "20:00", "end": "20:00"}])
    assert path == "sites[0].cameras[0].rests[0].end"
    assert "20:00 to 20:00" in why
    assert with_camera(rests=[{"start": "20:00", "end": "07:00"}]) == []


def test_parts_of_a_picture_that_are_no_zone_are_told():
    """A zone that the site lacks, points on one line, and a line of no length, each by its path."""
    square, flat = [[0, 0], [1, 0], [1, 1]], [[0, 0], [0.5, 0.5], [1, 1]]
    areas = [{"zone": "attic", "area": square}, {"zone": "attic", "area": flat}]
    line = {"start": [0.5, 0], "end": [0.5, 0]}
    found = dict(with_camera(zone_areas=areas, line=line, ignore=[square, flat]))
    where = "sites[0].cameras[0]"
    assert set(found) == {
        f"{where}.zone_areas[0].zone",
        f"{where}.zone_areas[1].zone",
        f"{where}.zone_areas[1].area",
        f"{where}.line.end",
        f"{where}.ignore[1]",
    }
    assert "points are on one line" in found[f"{where}.ignore[1]"]
