"""Legal profiles: what may be configured, and what gets out."""

from collections import defaultdict
from itertools import product

import messages
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proto.codec import encode
from proto.public import WindowV1
from proto.subjects import WINDOWS
from services.aggregate.core.policy import problems, publishable, withhold
from services.sites.profiles import PROFILES
from services.sites.settings import CameraSettings, RuleSettings, SiteSettings, ZoneSettings

PROFILE = st.sampled_from(sorted(PROFILES))
COUNT = st.integers(0, 60)
FIGURES = ("masked", "unmasked", "incorrect", "unknown", "interval", "coverage", "cameras_ok", "cameras_expected",
           "late_total", "model", "model_sha256", "config_sha256")  # fmt: skip


def window(profile, masked=0, unmasked=0, unknown=0, zone="_site", coverage=1.0, **more):
    """Return a window as the core makes it, nothing withheld."""
    named = {"site": "market", "zone": zone, "profile": profile}
    usual = named | {"coverage": coverage, "gaps": ["frames-lost"], "late_total": 7}
    return messages.window(0, masked, (unmasked, 0, unknown), **usual | more)


def site(profile, window_s=1_200.0, rules=(), zones=()):
    """Return a site's settings."""
    return SiteSettings(
        id="market", profile=profile, window_s=window_s, zones=[ZoneSettings(id=z) for z in zones],
        rules=[RuleSettings(id=f"r{n}", fire_below=0.5, clear_above=0.6, min_persons=n) for n in rules],
        cameras=[CameraSettings(id="door", url="x.mp4")],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "paths"),
    [
        (site("fr-2021-269"), []),
        (site("fr-2021-269", 3_600), []),
        (site("fr-2021-269", 900), ["sites[0].window_s"]),
        (site("fr-2021-269", zones=["hall"]), ["sites[0].zones"]),
        (site("fr-2021-269", rules=[50]), ["sites[0].rules"]),
        (site("fr-2021-269", 600, [50], ["hall"]), ["sites[0].window_s", "sites[0].zones", "sites[0].rules"]),
        (site("stats-only", 300, zones=["hall"]), []),
        (site("stats-only", 240), ["sites[0].window_s"]),
        (site("stats-only", rules=[50]), ["sites[0].rules"]),
        (site("alerting", 300, [20], ["hall"]), []),
        (site("alerting", 240), ["sites[0].window_s"]),
        (site("alerting", rules=[20, 19]), ["sites[0].rules[1].min_persons"]),
        (site("lab", 1, [1], ["hall"]), []),
        (site("lab", 0.5), []),
        (site("lab", 1e-6), ["sites[0].window_s"]),
        (site("lab", 7_200), ["sites[0].window_s"]),
        (site("lab", 7), ["sites[0].window_s"]),
        (site("lab", 1e-10), ["sites[0].window_s"] * 2),
    ],
)
def test_settings_against_their_profile(settings, paths):
    """Each thing that a profile forbids is a problem with its path, and its allowed neighbour is none."""
    found = problems([settings])
    assert [path for path, _ in found] == paths
    assert all(why and "\n" not in why for _, why in found)


def test_problems_name_the_site():
    """The second site's problem says so."""
    assert [p for p, _ in problems([site("lab"), site("stats-only", 60)])] == ["sites[1].window_s"]


@given(COUNT, COUNT, COUNT, st.floats(0, 1), st.integers(0, 99))
def test_fr_publishes_two_figures_of_the_whole_site(masked, unmasked, unknown, coverage, late):
    """Under fr-2021-269 nothing but persons and rate has a value, whatever the window held."""
    shown = withhold(window("fr-2021-269", masked, unmasked, unknown, coverage=coverage, late_total=late))
    assert [getattr(shown, f) for f in FIGURES] == [None] * len(FIGURES)
    assert shown.gaps == []
    if coverage > 0 or masked + unmasked + unknown:
        assert (shown.persons, shown.suppressed) == (masked + unmasked + unknown, None)


def test_fr_s_percentage_does_not_tell_how_many_were_judged():
    """A percentage is a whole one: from 23/37 anyone could tell that 37 of 40 people were judged, and 23 masked."""
    one, other = (withhold(window("fr-2021-269", *people)) for people in [(33, 17, 10), (39, 20, 1)])
    assert (one.persons, one.rate) == (60, 0.66)
    assert encode(WINDOWS, one) == encode(WINDOWS, other)
    assert withhold(window("fr-2021-269", 23, 14, 3)).rate == 0.62


@given(COUNT, COUNT)
def test_fr_publishes_no_zone(masked, unmasked):
    """A zone's window is blank under fr-2021-269 and is not among what may be published."""
    zone = window("fr-2021-269", masked, unmasked, zone="hall")
    blank = withhold(zone)
    assert (blank.persons, blank.rate, blank.suppressed) == (None, None, "not-under-this-profile")
    assert [w.zone for w in publishable([zone, window("fr-2021-269", masked, unmasked)])] == ["_site"]


@given(COUNT, COUNT, COUNT)
def test_stats_only_suppresses_small_counts(masked, unmasked, unknown):
    """Fewer than ten people: no figure about people, and the reason; ten or more: all of them."""
    shown = withhold(window("stats-only", masked, unmasked, unknown))
    people = (shown.persons, shown.masked, shown.unmasked, shown.incorrect, shown.unknown)
    if masked + unmasked + unknown < 10:
        assert people == (None,) * 5
        assert (shown.rate, shown.interval, shown.suppressed) == (None, None, "small-count")
    else:
        assert people == (masked + unmasked + unknown, masked, unmasked, 0, unknown)
        assert shown.suppressed is None


@given(COUNT)
def test_late_sightings_do_not_tell_of_a_small_count(late):
    """Under suppression nothing says that somebody was there, late sightings included."""
    few, nobody = (withhold(window("stats-only", n, late_total=late)) for n in (9, 0))
    assert encode(WINDOWS, few) == encode(WINDOWS, nobody)


@given(
    st.dictionaries(st.sampled_from(["hall", "lift", "nave", "quay"]), st.integers(0, 25)),
    st.none() | st.integers(0, 12),
    st.sampled_from([0, 10]),
)
def test_the_rest_does_not_tell_of_a_small_zone(zones, outside, own):
    """Whole site minus published zones is at least ten people, unless nothing is hidden in it at all.

    `outside` are those of cameras without a zone, None where there is no such camera.
    """
    profile = "alerting" if own else "stats-only"
    windows = [window(profile, n, zone=z) for z, n in sorted(zones.items())]
    whole = sum(zones.values()) + (outside or 0)
    *shown, total = publishable([*windows, window(profile, whole)], own, rest=outside is not None)
    assert [w.zone for w in shown] == sorted(zones)
    hidden = [w.zone for w in shown if w.persons is None]
    if total.persons is None:
        assert hidden == sorted(zones)
        return
    rest = total.persons - sum(w.persons or 0 for w in shown)
    assert rest >= 10 or (rest == 0 and not hidden and outside is None)


@given(st.integers(1, 9), st.integers(10, 60), st.integers(70, 90))
def test_an_empty_zone_is_told_like_a_small_one(few, first, second):
    """Of as many people in all, what is shown says nothing of whether somebody was in a suppressed zone."""
    told = []
    for hall in (0, few):
        counts = {"hall": hall, "lift": first + few - hall, "nave": second}
        windows = [window("stats-only", n, zone=z) for z, n in counts.items()]
        shown = publishable([*windows, window("stats-only", sum(counts.values()))])
        told.append(shown)
    assert told[0] == told[1]


def worlds(zones, most):
    """Every way in which at most so many people can be in so many zones."""
    return [counts for counts in product(range(most + 1), repeat=zones) if sum(counts) <= most]


@pytest.mark.parametrize(
    ("small", "zones", "most"), [(2, 3, 9), (3, 2, 12), (3, 4, 12), (4, 3, 14), (4, 4, 15), (10, 2, 40)]
)
def test_no_small_zone_can_be_worked_out(small, zones, most):
    """Whoever knows all that is published of a window, the limit and how zones are chosen, and that no camera is
    outside the zones, still has at least two numbers for every small zone, or knows only that nobody was there."""
    names, possible = "abcdefgh"[:zones], defaultdict(list)
    for counts in worlds(zones, most):
        windows = [window("alerting", n, zone=name) for name, n in zip(names, counts, strict=True)]
        shown = publishable([*windows, window("alerting", sum(counts))], small)
        possible[tuple(w.persons for w in shown)].append(counts)
    for told, truths in possible.items():
        for place in range(zones):
            numbers = {counts[place] for counts in truths}
            assert len(numbers) > 1 or numbers == {0} or min(numbers) >= small, (told, truths)
            assert told[place] is None or told[place] >= small


def test_a_lone_small_zone_takes_the_smallest_other_with_it():
    """With one small zone the smallest other one is suppressed too, and no more than that."""
    windows = [window("stats-only", n, zone=z) for z, n in [("hall", 4), ("lift", 30), ("nave", 12)]]
    shown = publishable([*windows, window("stats-only", 46)])
    assert [(w.zone, w.persons) for w in shown] == [("hall", None), ("lift", 30), ("nave", None), ("_site", 46)]


@given(PROFILE, st.integers(0, 40), COUNT, COUNT)
def test_a_site_may_suppress_more_than_its_profile(profile, least, masked, unmasked):
    """The larger of both holds, and then nothing says that somebody was there."""
    shown = withhold(window(profile, masked, unmasked), least)
    small = max(PROFILES[profile].small, least)
    assert (shown.persons is None) == (masked + unmasked < small)
    assert small == 0 or shown.late_total is None


def test_a_site_may_not_suppress_less_than_its_profile():
    """Fewer than ten under stats-only is a problem with its path; more is none."""
    few, many = (structs.replace(site("stats-only"), suppress_below=least) for least in (9, 20))
    assert [path for path, _ in problems([few])] == ["sites[0].suppress_below"]
    assert problems([many, structs.replace(site("alerting"), suppress_below=5)]) == []


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_an_outage_is_no_empty_room(profile):
    """Where nothing was observed and nobody counted, no figure about people is published, with the reason."""
    shown = withhold(window(profile, coverage=0.0))
    assert (shown.persons, shown.rate, shown.suppressed) == (None, None, "nothing-observed")


@given(st.integers(0, 9))
def test_an_outage_does_not_tell_whether_somebody_was_there(few):
    """People who were counted before the bus lost all that was observed: few of them are no other bytes than nobody."""
    lost, nobody = (withhold(window("stats-only", n, coverage=0.0)) for n in (few, 0))
    assert encode(WINDOWS, lost) == encode(WINDOWS, nobody)
    assert lost.suppressed == "nothing-observed"


@given(PROFILE, COUNT, COUNT)
def test_nobody_judged_has_no_rate(profile, unknown, coverage):
    """In every profile rate and interval are None when nobody was judged, even if a window brings some."""
    wrong = window(profile, 0, 0, unknown, coverage=coverage / 60)
    shown = withhold(WindowV1(**{**{f: getattr(wrong, f) for f in wrong.__struct_fields__}, "rate": 0.0,
                                 "interval": (0.0, 1.0)}))  # fmt: skip
    assert (shown.rate, shown.interval) == (None, None)


@given(PROFILE, COUNT, COUNT, COUNT, st.sampled_from(["_site", "hall"]))
def test_withholding_twice_changes_nothing(profile, masked, unmasked, unknown, zone):
    """What a profile lets through once it lets through again, and it is valid by the contract."""
    once = withhold(window(profile, masked, unmasked, unknown, zone))
    assert withhold(once) == once
    assert encode(WINDOWS, once)


@pytest.mark.parametrize("profile", ["alerting", "lab"])
def test_the_open_profiles_withhold_nothing(profile):
    """Alerting and lab publish the window as it is."""
    assert withhold(window(profile, 1, 2, 3)) == window(profile, 1, 2, 3)


def test_without_a_limit_no_zone_is_withheld():
    """Also where a camera outside the zones saw nobody, so that the zones are all of the whole site."""
    windows = [window("lab", n, zone=zone) for zone, n in (("hall", 3), ("lift", 5), ("_site", 8))]
    assert publishable(windows, rest=True) == windows


def test_start_up_says_what_the_decree_is_worth():
    """The notice of fr-2021-269 says that the decree lapsed."""
    assert "lapsed" in PROFILES["fr-2021-269"].notice
