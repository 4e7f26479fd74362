"""Waits, repeats, times, silences, inhibition, caps: read as the specification. Each story is told twice, the second
time by a dispatcher that dies after every step, with half of its decisions stored.
"""

from dataclasses import replace
from datetime import date, time

import pytest
from dispatch_story import SECOND, Story, World, plan_of_routes, rate_notice, silence, system_notice

from services.notify.routing.plan import Hours, Route, Schedule

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
STAFF = Route("staff")
OFFICE = Hours(time(8), time(18), frozenset(range(5)))
NIGHT = Hours(time(22), time(6))


@pytest.fixture(name="story", params=[False, True], ids=["undisturbed", "crashing"])
def _story(request: pytest.FixtureRequest):
    """`story(route, ...)`: a new story, at whose end nothing may be left that nobody wanted."""
    begun = []

    def begin(*routes: Route, cap: int = 12) -> Story:
        begun.append(Story(*routes, cap=cap, crashing=request.param))
        return begun[-1]

    yield begin
    for story in begun:
        story.end()


def test_alerts_that_come_together_are_told_together(story):
    """group_wait: ten seconds after the first one."""
    s = story(STAFF)
    s.at("10:00").fires("A")
    s.at("10:00:07").fires("B", zone="gate")
    s.at("10:00:10").want("staff first +A +B")


def test_what_changes_is_told_at_most_every_five_minutes(story):
    """group_interval: new alerts and ends are gathered; after a long quiet a change waits only for others."""
    s = story(STAFF)
    s.at("10:00").fires("A")
    s.at("10:00:10").want("staff first +A")
    s.at("10:01").fires("B")
    s.at("10:03").fires("C")
    s.at("10:05").resolves("A")
    s.at("10:05:10").want("staff new-alerts +B +C -A")
    s.at("11:00").resolves("B")
    s.at("11:00:10").want("staff some-resolved C -B")
    s.at("11:01").resolves("C")
    s.at("11:05:10").want("staff all-resolved -C")
    s.between("11:06", "23:00").want()


def test_what_still_fires_is_repeated(story):
    """repeat_interval, counted from the last time that the group was told of."""
    s = story(STAFF)
    s.at("08:00").fires("A")
    s.at("08:00:10").want("staff first +A")
    s.at("12:00:10").want("staff repeat A")
    s.at("13:00").fires("B")
    s.at("13:00:10").want("staff new-alerts A +B")
    s.between("13:01", "17:00").want()
    s.at("17:00:10").want("staff repeat A B")


def test_what_ends_before_it_was_told_is_never_told(story):
    """An alert that fires and ends within group_wait, or within group_interval."""
    s = story(STAFF)
    s.at("10:00").fires("A")
    s.at("10:00:05").resolves("A")
    s.between("10:00", "11:00").want()
    s.at("11:00").fires("B")
    s.at("11:00:10").want("staff first +B")
    s.at("11:01").fires("C")
    s.at("11:02").resolves("C")
    s.between("11:01", "15:00").want()
    s.at("15:00:10").want("staff repeat B")


def test_an_incident_is_one_thread(story):
    """From a first alert to the end of the last one notifications are numbered, and know the first one."""
    s = story(STAFF)
    s.at("10:00").fires("A")
    s.at("10:10").fires("B")
    s.at("10:20").resolves("A", "B")
    s.at("11:00").fires("C")
    s.between("09:00", "12:00").want(
        "staff first +A", "staff new-alerts A +B", "staff all-resolved -A -B", "staff first +C"
    )
    assert [n.number for n in s.told] == [1, 2, 3, 1]
    assert [n.root == s.told[0].id for n in s.told] == [True, True, True, False]
    assert s.told[3].root == s.told[3].id


def test_ends_are_told_to_those_who_want_them(story):
    """send_resolved: false. The next alert is a first one again."""
    s = story(Route("staff", send_resolved=False, goes_on=True), Route("boss"))
    s.at("10:00").fires("A")
    s.at("10:00:10").want("boss first +A", "staff first +A")
    s.at("10:20").resolves("A")
    s.at("10:20:10").want("boss all-resolved -A")
    s.at("10:30").fires("B")
    s.at("10:30:10").want("boss first +B", "staff first +B")


def test_an_end_that_nobody_wants_to_hear_of_leaves_no_wait(story):
    """What came meanwhile is a first one now, and waits for no interval after one that is over."""
    s = story(Route("staff", send_resolved=False))
    s.at("10:00").fires("A")
    s.at("10:00:10").want("staff first +A")
    s.at("10:01").fires("B")
    s.at("10:02").resolves("A")
    s.at("10:02").want("staff first +B")


def test_the_first_route_that_matches_holds(story):
    """By zone, rule, severity; `continue` asks on; one receiver is told of an alert once."""
    s = story(
        Route("boss", severities=frozenset({"critical"}), goes_on=True),
        Route("gate", zones=frozenset({"gate"})),
        Route("staff", rules=frozenset({"low"}), goes_on=True),
        Route("staff"),
    )
    s.at("10:00").fires("A", severity="critical", zone="gate")
    s.at("10:00:10").want("boss first +A", "gate first +A")
    s.at("11:00").fires("B", rule="low")
    s.at("11:00:10").want("staff first +B")
    s.at("12:00").fires("C", rule="other")
    s.at("12:00:10").want("staff first +C")


def test_what_is_about_the_system_goes_to_operators(story):
    """And field staff is told of rates; a camera that is down belongs to the zones that it looks at."""
    ops = Route("ops", "operators")
    s = story(Route("hall-ops", "operators", zones=frozenset({"hall"}), goes_on=True), ops, STAFF)
    s.at("10:00").down("hall-1")
    s.at("10:00:10").want("hall-ops first +camera-down:hall-1", "ops first +camera-down:hall-1")
    s.at("10:01").down("gate-1").fires("A")
    s.at("10:01:10").want("staff first +A")
    s.at("10:05:10").want("ops new-alerts camera-down:hall-1 +camera-down:gate-1")


def test_groups_by_zone_and_by_rule(story):
    """Each group has its own waits."""
    s = story(Route("staff", group_by=frozenset({"zone"}), goes_on=True), Route("boss", group_by=frozenset({"rule"})))
    s.at("10:00").fires("A", zone="hall", rule="low")
    s.at("10:00:05").fires("B", zone="gate", rule="low").fires("C", zone="gate", rule="lower")
    s.at("10:00:10").want("boss first +A +B", "staff first +A")
    s.at("10:00:15").want("boss first +C", "staff first +B +C")


def test_outside_office_hours_nothing_is_told(story):
    """What fires in the evening is told at eight, what ended meanwhile is not, and the end of what was known is."""
    s = story(Route("staff", schedule=Schedule(active=(OFFICE,))))
    s.at("17:00").fires("A")
    s.at("17:00:10").want("staff first +A")
    s.at("18:00").fires("B", "C")
    s.at("18:05").resolves("A")
    s.at("18:00:10").want("staff withheld: muted B C")
    s.at("18:05:10").want("staff withheld: muted -A")
    s.at("20:00").resolves("B")
    s.on("2026-11-25").at("08:00").want("staff new-alerts +C -A")


def test_a_repeat_waits_for_office_hours_too(story):
    """Over a weekend, too: 27 November 2026 is a Friday."""
    s = story(Route("staff", schedule=Schedule(active=(OFFICE,))))
    s.on("2026-11-27").at("17:00").fires("A")
    s.at("17:00:10").want("staff first +A")
    s.at("21:00:10").want("staff withheld: muted A")
    s.on("2026-11-30").at("08:00").want("staff repeat A")


def test_mute_times_win_over_active_times(story):
    """A holiday within office hours, and a night over midnight in another zone than the site's."""
    holiday = Hours(dates=((date(2026, 12, 24), date(2026, 12, 25)),))
    s = story(Route("staff", schedule=Schedule((OFFICE,), (holiday,))), Route("boss", schedule=Schedule((), (NIGHT,))))
    s.on("2026-12-24").at("10:00").fires("A")
    s.at("10:00:10").want("staff withheld: muted A")
    s.on("2026-12-28").at("08:00").want("staff first +A")


def test_when_clocks_go_forward_what_begins_in_the_lost_hour_begins_after_it(story):
    """29 March 2026: 02:00 becomes 03:00. From 02:30 on means from 03:00 on; until 02:30 means until 03:00."""
    early = Hours(time(2, 30), time(4))
    s = story(Route("in", schedule=Schedule((early,)), goes_on=True), Route("out", schedule=Schedule((), (early,))))
    s.on("2026-03-29").at("01:50").fires("A")
    s.at("01:50:10").want("in withheld: muted A", "out first +A")
    s.at("03:00").want("in first +A")
    s.at("03:10").fires("B")
    s.at("03:10:10").want("out withheld: muted B", "in new-alerts A +B")
    s.at("04:00").want("out new-alerts A +B")


def test_when_clocks_go_back_the_repeated_hour_counts_twice(story):
    """25 October 2026: 03:00 becomes 02:00. From 02:15 to 02:45 comes twice."""
    half = Hours(time(2, 15), time(2, 45))
    s = story(Route("staff", schedule=Schedule((half,)), interval=SECOND))
    s.on("2026-10-25").at("02:14").fires("A")
    s.at("02:14:10").want("staff withheld: muted A")
    s.at("02:15").want("staff first +A")
    s.at("02:50").fires("B")
    s.at("02:50:10").want("staff withheld: muted B")
    s.at("02:15", again=True).want("staff new-alerts A +B")
    s.at("02:50", again=True).fires("C")
    s.at("02:50:10", again=True).want("staff withheld: muted C")
    s.at("06:15").want("staff withheld: muted A B")
    s.on("2026-10-26").at("02:15").want("staff new-alerts A B +C")


def test_an_office_day_has_its_wall_times_on_both_sides_of_a_change(story):
    """Muted until eight by the clock on the wall, whether that is 06:00 or 07:00 UTC."""
    always = Hours(time(8), time(18))
    for day, offset in (("2026-03-28", 1), ("2026-03-29", 2), ("2026-10-25", 1)):
        s = story(Route("staff", schedule=Schedule((always,))))
        s.on(day).at("07:00").fires("A")
        s.at("07:00:10").want("staff withheld: muted A")
        s.at("08:00").want("staff first +A")
        assert s.told[0].at // HOUR % 24 == 8 - offset


def test_a_silence_holds_back_what_it_is_about(story):
    """And is told once; at its end what still fires is told, and what ended is not."""
    s = story(STAFF)
    s.at("09:00").silences("works", until=s.at("12:00"), zones=["hall"])
    s.at("10:00").fires("A", "B", zone="hall").fires("C", zone="gate")
    s.at("10:00:10").want("staff withheld: silenced A B", "staff first +C")
    s.at("11:00").resolves("A", zone="hall")
    s.at("12:00").want("staff new-alerts C +B")


def test_a_silence_can_be_taken_back_and_can_begin_later(story):
    """And be longer than it was."""
    s = story(STAFF)
    s.at("10:00").silences("works", since=s.at("11:00"), until=s.at("12:00"))
    s.at("10:00").fires("A")
    s.at("10:00:10").want("staff first +A")
    s.at("11:30").fires("B")
    s.at("11:30:10").want("staff withheld: silenced B")
    s.at("11:50").silences("works", since=s.at("11:00"), until=s.at("13:00"))
    s.between("11:51", "12:30").want()
    s.at("12:30").unsilences("works").want("staff new-alerts A +B")


def test_the_end_of_what_was_told_before_a_silence_is_told_after_it(story):
    """Nobody is left with an alert that seems to fire for ever."""
    s = story(STAFF)
    s.at("10:00").fires("A", "B")
    s.at("10:00:10").want("staff first +A +B")
    s.at("10:01").silences("works", until=s.at("16:00"), rules=["low"], receivers=["staff"], sites=["forville"])
    s.at("11:00").resolves("A")
    s.at("11:00:10").want("staff withheld: silenced -A")
    s.at("14:00:10").want("staff withheld: silenced B")
    s.at("16:00").want("staff some-resolved B -A")


def test_a_silence_for_others_changes_nothing(story):
    """By site, zone, rule and receiver."""
    s = story(STAFF)
    for place, match in enumerate([{"sites": ["x"]}, {"zones": ["x"]}, {"rules": ["x"]}, {"receivers": ["x"]}]):
        s.at("09:00").silences(str(place), until=s.at("12:00"), **match)
    s.at("10:00").fires("A")
    s.at("10:00:10").want("staff first +A")


def test_where_nothing_is_observed_nobody_is_told_of_rates(story):
    """A zone without data; when it has some again, what changed with it is told in one."""
    s = story(STAFF)
    s.at("10:00").fires("A", zone="hall")
    s.at("10:00:10").want("staff first +A")
    s.at("10:30").no_data("hall")
    s.at("14:00:10").want("staff withheld: inhibited A")
    s.at("14:05").fires("B", zone="gate")
    s.at("14:05:10").want("staff new-alerts +B")
    s.at("15:00").data_again("hall")
    s.at("15:00:01").resolves("A", zone="hall")
    s.at("15:00:11").want("staff some-resolved B -A")


def test_a_site_offline_is_silent(story):
    """No data of the whole site since its pictures are missing; too few people is no reason to hold back a zone."""
    s = story(STAFF)
    s.at("10:00").no_data("_site", reason=None).fires("A", zone="hall")
    s.at("10:00:10").want("staff first +A")
    s.at("10:10").data_again("_site")
    s.at("11:00").no_data("_site").fires("B", zone="gate")
    s.at("11:00:10").want("staff withheld: inhibited B")
    s.at("12:00").data_again("_site")
    s.at("12:00:10").want("staff new-alerts A +B")


def test_a_zone_whose_cameras_are_all_down_is_silent(story):
    """One camera that looks is enough; all of the site down is the site offline. Operators are told all along."""
    s = story(STAFF, Route("ops", "operators", interval=12 * HOUR))
    s.at("10:00").down("hall-1").fires("A", zone="hall")
    s.at("10:00:10").want("ops first +camera-down:hall-1", "staff first +A")
    s.at("10:10").down("hall-2").fires("B", zone="hall").fires("C", zone="gate").fires("D", zone="_site")
    s.at("10:10:10").want("staff withheld: inhibited B", "staff new-alerts +C +D")
    s.at("10:20").down("gate-1").fires("E", zone="_site")
    s.at("10:20:10").want("staff withheld: inhibited E")
    s.at("10:30").up("gate-1")
    s.at("10:30:10").want("staff new-alerts C D +E")
    s.at("10:40").up("hall-2")
    s.at("10:40:10").want("staff new-alerts A C D E +B")


def test_beyond_the_cap_one_digest_tells_all(story):
    """Two an hour: the rest is told at the end of the hour, also what ended meanwhile."""
    s = story(Route("staff", group_by=frozenset({"rule"})), cap=2)
    s.at("10:00").fires("A", rule="a").fires("B", rule="b", severity="critical").fires("C", rule="c", severity="info")
    s.at("10:00:10").want("staff first +B", "staff first +A", "staff withheld: capped C")
    s.at("10:10").fires("D", rule="d")
    s.at("10:10:10").want("staff withheld: capped D")
    s.at("10:20").fires("E", rule="d")
    s.at("10:20:10").want("staff withheld: capped E")
    s.at("10:30").resolves("D", rule="d")
    s.at("10:30:10").want("staff withheld: capped -D")
    s.at("10:40").resolves("A", rule="a")
    s.at("10:40:10").want("staff withheld: capped -A")
    s.at("11:00").want("staff digest +C +E -A -D")
    s.at("11:10").resolves("C", rule="c")
    s.at("11:10:10").want("staff all-resolved -C")
    digest, last = s.told[-2:]
    assert (last.root, last.number) == (digest.root, digest.number + 1)
    assert digest.root == next(n.id for n in s.told if n.firing[0].rule == "a")


def test_under_a_cap_the_severest_are_told_first(story):
    """Whatever came first; of equals what came first."""
    s = story(Route("staff", group_by=frozenset({"rule"})), cap=2)
    s.at("10:00").fires("A", rule="a", severity="info").fires("B", rule="b").fires("C", rule="c", severity="critical")
    s.at("10:00:10").want("staff first +C", "staff first +B", "staff withheld: capped A")
    s.at("11:00").want("staff digest +A")


def test_under_a_cap_a_warning_goes_before_older_news(story):
    """One message an hour, and both may be told from the same moment on."""
    s = story(Route("staff", schedule=Schedule((), (Hours(time(10), time(11)),)), group_by=frozenset({"rule"})), cap=1)
    s.at("10:00").fires("A", rule="a", severity="info")
    s.at("10:01").fires("B", rule="b")
    s.between("10:00", "10:02").want("staff withheld: muted A", "staff withheld: muted B")
    s.at("11:00").want("staff first +B", "staff withheld: capped A")
    s.at("12:00").want("staff digest +A")


def test_a_digest_waits_for_office_hours_and_a_cap_counts_by_the_hour(story):
    """What was held back by the cap isn't lost, though it ended before anybody might be told."""
    s = story(Route("staff", schedule=Schedule((), (Hours(time(11), time(12)),)), group_by=frozenset({"rule"})), cap=1)
    s.at("10:50").fires("A", rule="a")
    s.at("10:51").fires("B", rule="b")
    s.between("10:50", "10:52").want("staff first +A", "staff withheld: capped B")
    s.at("11:00").want("staff withheld: muted B")
    s.at("11:30").resolves("B", rule="b")
    s.at("11:30:10").want("staff withheld: muted -B")
    s.at("12:00").want("staff digest -B")


def test_no_digest_waits_for_ever_behind_another_one(story):
    """One message an hour to who hears of both: alerts for field staff each hour leave room for a camera's."""
    s = story(Route("staff", group_by=frozenset({"rule"}), goes_on=True), Route("staff", "operators"), cap=1)
    s.at("10:50").fires("A", rule="a")
    s.at("10:51").fires("B", rule="b").down("gate-1")
    s.between("10:50", "10:52").want(
        "staff first +A", "staff withheld: capped B", "staff withheld: capped camera-down:gate-1"
    )
    s.at("11:00").want("staff digest +B")
    s.at("11:10").fires("C", rule="c")
    s.at("11:10:10").want("staff withheld: capped C")
    s.at("12:00").want("staff digest +camera-down:gate-1")
    s.at("13:00").want("staff digest +C")


def test_two_sites_and_two_receivers_have_their_own_caps(story):
    """One loud market doesn't silence another."""
    s = story(Route("staff", goes_on=True), Route("boss"), cap=1)
    s.at("10:00").fires("A").fires("B", site="station")
    s.at("10:00:10").want("boss first +A", "boss first +B", "staff first +A", "staff first +B")


def test_new_settings_tell_nothing_twice(story):
    """Who knew, knows; who is new is told; a receiver without a route is told nothing more."""
    s = story(STAFF)
    s.at("10:00").fires("A", zone="hall").fires("B", zone="gate")
    s.at("10:00:10").want("staff first +A +B")
    s.at("11:00").reconfigures(Route("staff", group_by=frozenset({"zone"}), goes_on=True), Route("boss"))
    s.at("11:00").want("boss first +A +B")
    s.at("11:10").resolves("A", zone="hall")
    s.at("11:10:10").want("boss some-resolved B -A", "staff all-resolved -A")
    assert [n.number for n in s.told if n.group.receiver == "staff"] == [1, 2]
    s.at("12:00").reconfigures(Route("boss"))
    s.at("12:10").resolves("B", zone="gate")
    s.at("12:10:10").want("boss all-resolved -B")


def test_an_alert_that_no_route_led_anywhere_is_told_when_one_does(story):
    """And a change of waits alone changes nothing else."""
    s = story(Route("staff", zones=frozenset({"gate"})))
    s.at("10:00").fires("A", zone="hall")
    s.between("10:00", "11:00").want()
    s.at("11:00").reconfigures(Route("staff", repeat=HOUR)).want("staff first +A")
    s.at("12:00").want("staff repeat A")
    s.at("12:30").reconfigures(Route("staff", repeat=2 * HOUR))
    s.at("14:00").want("staff repeat A")


def test_an_end_takes_the_way_of_its_beginning(story):
    """Severity, profile and bounds, too, whatever the rule says by then: labels and mails stay the same."""
    s = story(Route("boss", severities=frozenset({"critical"})), STAFF)
    s.at("10:00").fires("A", severity="critical")
    s.at("10:00:10").want("boss first +A")
    s.at("11:00").resolves("A", severity="warning", profile="lab", fire_below=0.4, clear_above=0.5)
    s.at("11:00:10").want("boss all-resolved -A")
    [ended] = s.told[-1].resolved
    assert (ended.severity, ended.message.severity, ended.message.profile) == ("critical", "critical", "alerting")
    assert (ended.message.fire_below, ended.message.clear_above) == (0.7, 0.75)


def test_an_old_message_that_comes_again_is_no_news(story):
    """A redelivered firing after the end was told."""
    s = story(STAFF)
    s.at("10:00").fires("A")
    s.at("10:20").resolves("A")
    s.between("10:00", "10:30").want("staff first +A", "staff all-resolved -A")
    s.do(s.at("10:30").instant, s.world.notices[0])
    s.between("10:30", "11:30").want()


@pytest.mark.parametrize("restarts", [False, True])
def test_an_end_counts_though_the_server_s_clock_was_put_back(restarts):
    """Its place in the stream says that it came later."""
    world, ten = World(plan_of_routes(STAFF)), 1_795_510_800 * SECOND
    world.step(ten, replace(rate_notice("A", ten), order=(1, 1)))
    world.step(ten + 10 * SECOND)
    end = replace(rate_notice("A", ten - HOUR, over=True, since=ten), order=(1, 2))
    if restarts:
        world.store(end)
        world.restart(ten + MINUTE)
    else:
        world.step(ten + MINUTE, end)
    assert [told.reason for told in world.run(ten + 24 * HOUR)] == ["all-resolved"]


@pytest.mark.parametrize("restarts", [False, True])
def test_nothing_waits_for_a_clock_that_was_put_back(restarts):
    """Two hours: after an alert was told, while another is inhibited and a third waits; a silence isn't over again."""
    wrong = 1_795_510_800 * SECOND
    right = wrong - 2 * HOUR
    ends = [system_notice("no-data", "gate", wrong + n, since=right, over=bool(n)) for n in range(2)]
    fires = [rate_notice("A", wrong - MINUTE, zone="shop"), *(rate_notice(z, wrong, zone=z) for z in ("gate", "hall"))]
    over = rate_notice("A", right, over=True, since=wrong - MINUTE, zone="shop")
    first, *rest, over = (replace(one, order=(1, n)) for n, one in enumerate([*fires, *ends, over]))
    world = World(plan_of_routes(Route("staff", group_by=frozenset({"zone"}))))
    world.step(wrong - MINUTE, first, silence("x", right, right + 30 * MINUTE, zones=["hall"]))
    assert [told.reason for told in world.step(wrong, *rest)] == ["first"]
    if restarts:
        world.store(over)
        world.restart(right)
    else:
        world.step(right, over)
    told = [(output.reason, output.group.zone, (output.at - right) // SECOND) for output in world.run(right + HOUR)]
    assert told == [
        ("silenced", "hall", 10), ("first", "gate", 10), ("all-resolved", "shop", 300), ("first", "hall", 1800),
    ]  # fmt: skip
