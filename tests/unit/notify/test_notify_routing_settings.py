"""Routes and times in the settings: what they become, and one clear sentence for each mistake."""

from datetime import date, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from dispatch_story import rate_notice, system_notice

from services.kernel.settings import SettingsError, load
from services.notify.directory import plan_of
from services.notify.routing.plan import Hours, Route, RoutingPlan, Schedule
from services.notify.settings import NotifyFile

RULE = {"id": "low", "zone": "hall", "fire_below": 0.7, "clear_above": 0.75}
SITES = [
    {
        "id": "forville",
        "timezone": "Europe/Paris",
        "profile": "alerting",
        "zones": [{"id": "hall"}, {"id": "gate"}],
        "cameras": [
            {"id": "hall-1", "zone": "hall", "url": "/dev/video0"},
            {
                "id": "both",
                "url": "/dev/video1",
                "zone": "gate",
                "zone_areas": [{"zone": "hall", "area": [[0, 0], [1, 0], [1, 1]]}],
            },
            {"id": "far", "url": "/dev/video2"},
        ],
        "rules": [RULE],
    },
    {"id": "station"},
]
STAFF = {"id": "staff", "email": ["anna@example.org"], "sites": ["forville"]}
OPS = {"id": "ops", "email": ["omar@example.org"], "audience": "operators", "max_per_hour": 3}
OFFICE = {"id": "office", "days": ["mon", "fri"], "start": "08:00", "end": "18:00"}
TO_OPS = {"receiver": "ops"}


@pytest.fixture(name="plan")
def _plan(tmp_path: Path):
    """`plan(routes=[...], times=[...])`: the plan of a file with these."""

    def plan(**notify: Any) -> RoutingPlan:
        file = tmp_path / "moretta.yaml"
        smtp = {"host": "mail.example.org", "sender": "moretta@example.org"}
        section = {"smtp": smtp, "receivers": [STAFF, OPS]} | notify
        file.write_text(yaml.safe_dump({"sites": SITES, "notify": section}))
        return plan_of(load(file, NotifyFile, {}))

    return plan


def receivers(plan: RoutingPlan, notice: Any) -> list[str]:
    """Return who is told of an alert."""
    return [route.receiver for route in plan.lead(notice)]


def test_without_routes_each_receiver_gets_what_it_is_for(plan):
    """Field staff the rates of its sites, operators what is about the system; nobody both."""
    default = plan()
    assert receivers(default, rate_notice("A", 1)) == ["staff"]
    assert receivers(default, rate_notice("A", 1, site="station")) == []
    assert receivers(default, system_notice("no-data", "hall", 1, since=1)) == ["ops"]
    again = plan(receivers=[STAFF, {**STAFF, "id": "head", "email": ["h@example.org"]}, OPS])
    assert receivers(again, rate_notice("A", 1)) == ["staff", "head"]
    assert (default.cap("staff"), default.cap("ops")) == (12, 3)


def test_a_route_is_what_is_written(plan):
    """With defaults as Alertmanager has them, but for the waits; the receiver's sites and audience hold."""
    times = [
        OFFICE,
        {"id": "xmas", "dates": [{"first": date(2026, 12, 24), "last": date(2026, 12, 26)}], "timezone": "UTC"},
    ]
    route = {
        "receiver": "staff", "zones": ["hall", "_site"], "rules": ["low"], "severities": ["critical"], "continue": True,
        "group_by": ["zone", "rule"], "group_wait_s": 0.5, "group_interval_s": 60, "repeat_interval_s": 60,
        "active_times": ["office"], "mute_times": ["xmas"], "send_resolved": False,
    }  # fmt: skip
    found = plan(routes=[route, TO_OPS], times=times).routes
    office = Hours(time(8), time(18), frozenset({0, 4}))
    xmas = Hours(dates=((date(2026, 12, 24), date(2026, 12, 26)),), zone=ZoneInfo("UTC"))
    assert found == (
        Route(
            "staff", "field", frozenset({"forville"}), frozenset({"hall", "_site"}), frozenset({"low"}),
            frozenset({"critical"}), goes_on=True, group_by=frozenset({"zone", "rule"}), wait=500_000_000,
            interval=60 * 10**9, repeat=60 * 10**9, send_resolved=False, schedule=Schedule((office,), (xmas,)),
        ),
        Route("ops", "operators"),
    )  # fmt: skip


def test_only_a_route_that_says_so_crosses_audiences(plan):
    """Rates to operators and missing data to field staff: by `audience` alone."""
    crossed = plan(
        routes=[
            {"receiver": "ops", "audience": "field", "continue": True},
            {"receiver": "staff", "audience": "operators", "rules": ["no-data"], "continue": True},
            {"receiver": "staff"},
            {"receiver": "ops"},
        ]
    )
    assert receivers(crossed, rate_notice("A", 1)) == ["ops", "staff"]
    assert receivers(crossed, system_notice("no-data", "hall", 1, since=1)) == ["staff", "ops"]
    assert receivers(crossed, system_notice("camera-down", "far", 1, since=1)) == ["ops"]


def test_a_camera_is_where_it_looks(plan):
    """A camera that is down belongs to its zones, one without to the whole site."""
    routes = [{"receiver": "ops", "zones": ["hall"]}, {"receiver": "head", "zones": ["_site"]}, {"receiver": "staff"}]
    head = {"id": "head", "email": ["h@example.org"], "audience": "operators"}
    zoned = plan(receivers=[STAFF, OPS, head], routes=routes)
    for camera, wanted in (("hall-1", "ops"), ("both", "ops"), ("far", "head")):
        assert receivers(zoned, system_notice("camera-down", camera, 1, since=1)) == [wanted]


TO_STAFF = {"receiver": "staff"}
HALL = {**TO_STAFF, "zones": ["hall"]}


@pytest.mark.parametrize(
    ("routes", "times", "path", "sentence"),
    [
        ([TO_OPS, TO_STAFF, {"receiver": "staf"}], [], "routes[2].receiver", "'staf'; known here: ops, staff"),
        ([TO_OPS], [], "receivers[0].id", "no route leads to 'staff'; add one to notify.routes"),
        ([{**TO_OPS, "sites": ["x"]}, TO_STAFF], [], "routes[0].sites[0]", "unknown site 'x'; known here: forv"),
        ([TO_OPS, {**TO_STAFF, "sites": ["station"]}], [], "routes[1].sites[0]", "other sites: forville"),
        ([TO_OPS, {**HALL, "zones": ["x"]}], [], "routes[1].zones[0]", "known here: _site, gate, hall"),
        ([{**TO_OPS, "sites": ["station"], "zones": ["hall"]}, TO_STAFF], [], "routes[0].zones[0]", "here: _site"),
        ([TO_OPS, {**TO_STAFF, "rules": ["x"]}], [], "routes[1].rules[0]", "known here: camera-down, low, no-data"),
        ([TO_OPS, {**TO_STAFF, "rules": ["no-data"]}], [], "routes[1].rules[0]", "say audience: operators"),
        ([{**TO_OPS, "rules": ["low"]}, TO_STAFF], [], "routes[0].rules[0]", "say audience: field"),
        ([TO_OPS, {**TO_STAFF, "mute_times": ["x"]}], [], "routes[1].mute_times[0]", "unknown time 'x'"),
        ([TO_OPS, {**TO_STAFF, "active_times": ["x"]}], [OFFICE], "routes[1].active_times[0]", "known here: office"),
        ([{**TO_OPS, "repeat_interval_s": 299}, TO_STAFF], [], "routes[0].repeat_interval_s", "it may not be less"),
        ([TO_OPS, TO_STAFF, HALL], [], "routes[2]",
         "routes[1] ('staff') hides it: it matches all that routes[2] does, and comes first; move routes[2] up"),
        ([{**TO_STAFF, "continue": True}, HALL, TO_OPS], [], "routes[1]", "move routes[1] up, before routes[0]"),
        ([TO_OPS, {**TO_OPS, "rules": ["no-data"], "receiver": "staff", "audience": "operators"}], [], "routes[1]",
         "before routes[0], or say continue: true in routes[0]"),
        ([{**TO_OPS, "sites": ["forville"]}, {**TO_STAFF, "audience": "operators"}, TO_STAFF], [], "routes[1]",
         "routes[0] ('ops') hides it: both match the same; say continue: true in routes[0]"),
        ([TO_OPS, TO_STAFF, TO_STAFF], [], "routes[2]", "both match the same; leave one of them out"),
        ([TO_OPS, {**TO_STAFF, "group_by": []}], [], "routes[1].group_by", "an empty list"),
        ([TO_OPS, {**TO_STAFF, "goes_on": True}], [], "routes[1].goes_on", "unknown"),
        ([], [OFFICE, OFFICE], "times[1].id", "'office' is used 2 times; ids are unique"),
        ([], [{**OFFICE, "end": "08:00"}], "times[0].end", "08:00 to 08:00 is no time, or all of it"),
        ([], [{**OFFICE, "end": "24:00"}], "times[0].end", "07:30"),
        ([], [{**OFFICE, "end": 1080}], "times[0].end", 'a time in quotes such as "07:30", got 1080'),  # 18:00 in YAML
        ([], [{**OFFICE, "days": []}], "times[0].days", "an empty list"),
        ([], [{**OFFICE, "timezone": "CET+1"}], "times[0].timezone", "'CET+1' is no IANA time zone"),
        ([], [{"id": "x", "dates": [{"first": date(2026, 2, 2), "last": date(2026, 2, 1)}]}], "times[0].dates[0].last",
         "2026-02-01 is before 2026-02-02"),
        ([], [{**OFFICE, "dates": [{"first": date(2026, 11, 24)}]}], "times[0].dates[0]", "it never comes"),
    ],
)  # fmt: skip
def test_each_mistake_is_named_by_its_path(plan, routes: Any, times: Any, path: str, sentence: str):
    """One line a mistake: where it is and what would be right; and nothing else is wrong with these."""
    with pytest.raises(SettingsError) as caught:
        plan(routes=routes, times=times)
    found = dict(caught.value.problems)
    assert sentence in found.get(f"notify.{path}", ""), found
    assert len(found) == 1, found


def test_who_gets_different_things_is_told_nothing_twice(plan):
    """One address may be field staff and operator; with routes nobody can say whether it would be told twice."""
    both = {**OPS, "email": ["anna@example.org"]}
    assert plan(receivers=[STAFF, both])
    twice = {**STAFF, "id": "again"}
    with pytest.raises(SettingsError, match="each mail twice"):
        plan(receivers=[STAFF, twice])
    assert plan(receivers=[STAFF, twice], routes=[HALL, {"receiver": "again"}])


def test_the_example_in_the_documents_is_right(plan):
    """It is read as it is printed."""
    text = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    shown = next(part for part in text.split("```")[1::2] if part.startswith("yaml\nnotify:"))
    found = plan(**yaml.safe_load(shown.removeprefix("yaml\n"))["notify"])
    assert [route.receiver for route in found.routes] == ["head", "field-staff", "field-staff", "operators"]
    assert receivers(found, rate_notice("A", 1, zone="gate", severity="critical")) == ["head", "field-staff"]
