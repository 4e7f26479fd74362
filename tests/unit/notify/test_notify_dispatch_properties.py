"""What holds of the dispatcher whatever happens: nothing twice, nothing lost, and a crash changes nothing."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from datetime import time
from functools import partial
from random import Random
from typing import Any

import pytest
from dispatch_story import SECOND, World, name_of, plan_of_routes, rate_notice, silence, system_notice
from examples import examples
from hypothesis import example, given
from hypothesis import strategies as st

from proto.subjects import ALERTS, NOTIFICATIONS, OPERATIONS, SILENCES, Subject
from services.bus import Stored
from services.notify.dispatch.dispatcher import Dispatcher, Input
from services.notify.dispatch.replay import KnownAlerts, whole
from services.notify.dispatch.restoring import read_past
from services.notify.notification import Decision, Notice, Notification, record_of
from services.notify.routing.plan import Hours, Route, RoutingPlan, Schedule

MINUTE, HOUR = 60 * SECOND, 3_600 * SECOND
BEGIN = 1_795_500_000 * SECOND  # 2026-11-24 07:00 in Cannes
LUNCH = Schedule((), (Hours(time(9), time(10)),))
ROUTES = (
    Route("staff"),
    Route("staff", group_by=frozenset({"zone"}), interval=10 * MINUTE, repeat=HOUR, schedule=LUNCH),
    Route("staff", group_by=frozenset({"rule", "zone"}), wait=0, goes_on=True),
    Route("staff", zones=frozenset({"hall"}), schedule=LUNCH, goes_on=True),
    Route("boss", severities=frozenset({"critical"}), goes_on=True),
    Route("boss", send_resolved=False, group_by=frozenset({"rule"})),
    Route("ops", "operators", repeat=2 * HOUR, goes_on=True),
)
plans = st.builds(
    lambda routes, cap: plan_of_routes(*routes, cap=cap),
    st.lists(st.sampled_from(ROUTES), min_size=1, max_size=4, unique_by=id),
    st.sampled_from([1, 2, 12]),
)
moments = st.builds(lambda m, s: BEGIN + m * MINUTE + 5 * s * SECOND, st.integers(0, 240), st.integers(0, 3))
lengths = st.integers(1, 180).map(lambda minutes: minutes * MINUTE)


@dataclass
class History:
    """Inputs by their moment."""

    plan: RoutingPlan
    inputs: dict[int, list[Input]] = field(default_factory=lambda: defaultdict(list))
    endless: list[Notice] = field(default_factory=list)
    """Alerts that nothing ends."""

    @property
    def notices(self) -> list[Notice]:
        """All alerts' states."""
        return [one for inputs in self.inputs.values() for one in inputs if isinstance(one, Notice)]


@st.composite
def histories(draw: st.DrawFn, changes: bool = False) -> History:
    """A few hours with alerts, silences and cameras down, all of which end but some alerts."""
    history = History(draw(plans))
    for place in range(draw(st.integers(1, 7))):
        begin, length = draw(moments), draw(st.none() | lengths)
        what: dict[str, Any] = {
            "zone": draw(st.sampled_from(["hall", "gate", "_site"])),
            "rule": draw(st.sampled_from(["a", "b"])),
            "severity": draw(st.sampled_from(["warning", "critical"])),
        }
        history.inputs[begin].append(first := rate_notice(f"A{place}", begin, **what))
        if length is None:
            history.endless.append(first)
        else:
            what["severity"] = draw(st.sampled_from(["warning", "critical"]))  # settings may have changed
            history.inputs[begin + length].append(
                rate_notice(f"A{place}", begin + length, over=True, since=begin, **what)
            )
    for name in draw(
        st.lists(st.sampled_from(["hall-1", "hall-2", "gate-1", "hall", "_site"]), unique=True, max_size=4)
    ):
        begin, length = draw(moments), draw(lengths)
        kind, reason = "camera-down" if "-" in name else "no-data", draw(st.sampled_from(["camera-down", None]))
        history.inputs[begin].append(system_notice(kind, name, begin, since=begin, reason=reason))
        history.inputs[begin + length].append(system_notice(kind, name, begin + length, since=begin, over=True))
    for place in range(draw(st.integers(0, 2))):
        begin, length, matched = draw(moments), draw(lengths), draw(st.sampled_from([{}, {"zones": ["hall"]}]))
        told = begin - draw(st.sampled_from([0, 0, 20 * MINUTE]))
        history.inputs[told].append(silence(f"S{place}", begin, begin + length, **matched))
    if changes and draw(st.booleans()):
        history.inputs[draw(moments)].append(draw(plans))
    return history


def play(
    history: History, world: World | None = None, shuffled: Random | None = None, hours: int = 40
) -> list[Decision]:
    """Return what comes of a history and of some quiet hours after it."""
    world, outputs = world or World(history.plan), []
    for at in sorted(history.inputs):
        inputs = list(history.inputs[at])
        if shuffled is not None:
            shuffled.shuffle(inputs)
        outputs += world.run(at)
        outputs += world.step(at, *inputs)
    return outputs + world.run(BEGIN + hours * HOUR)


def told(outputs: list[Decision]) -> list[Notification]:
    """Return what was told."""
    return [output for output in outputs if isinstance(output, Notification)]


def check_told(history: History, outputs: list[Notification]) -> None:
    """Each alert that goes on is told once as new to each of its receivers; the end of each that was told, once too."""
    new = Counter((n.group.receiver, alert) for n in outputs for alert in n.new)
    over = Counter((n.group.receiver, alert.alert) for n in outputs for alert in n.resolved)
    assert max([*new.values(), *over.values()], default=1) == 1
    ended = {notice.alert for notice in history.notices if not notice.firing}
    for notice in (notice for notice in history.notices if notice.firing):
        for route in history.plan.lead(notice):
            key = (route.receiver, notice.alert)
            assert new[key] == 1 or notice.alert in ended
            if notice.alert in ended and new[key] and route.send_resolved:
                assert over[key] == 1
            if over[key] and not new[key]:  # held back by the cap, until it was over
                ends = [n for n in outputs if notice.alert in {one.alert for one in n.resolved}]
                assert {n.reason for n in ends if n.group.receiver == route.receiver} == {"digest"}


@given(histories())
def test_nothing_is_told_twice_and_nothing_is_lost(history: History):
    """While it runs all along."""
    check_told(history, told(play(history)))


@given(histories(), st.randoms(use_true_random=False))
def test_nothing_is_told_twice_and_nothing_is_lost_while_nobody_is_there(history: History, chance: Random):
    """The dispatcher is away for some time, in which things happen; whoever takes over knows of them."""
    world, outputs, away = World(history.plan), list[Decision](), False
    for at in sorted(history.inputs):
        was_away, away = away, chance.random() < 0.5
        if away:
            world.store(*history.inputs[at])
            continue
        if was_away:
            world.restart(at)
        outputs += world.run(at)
        outputs += world.step(at, *history.inputs[at])
    world.restart(BEGIN + 9 * HOUR)
    check_told(history, told(outputs + world.run(BEGIN + 40 * HOUR)))


@given(histories())
def test_nothing_is_told_without_a_change_or_a_repeat(history: History):
    """And reasons and numbers are right, ids unique, caps kept, and what is over doesn't fire."""
    outputs = told(play(history))
    repeats = {(route.receiver, route.key): route.repeat for route in reversed(history.plan.routes)}
    threads: dict[str, list[Notification]] = defaultdict(list)
    over: set[tuple[str, str]] = set()
    for n in outputs:
        before = [
            m for m in outputs if m.group.receiver == n.group.receiver and m.at < n.at and set(m.firing) & set(n.firing)
        ]
        assert n.notices
        if not n.new and not n.resolved and n.reason != "digest":
            assert n.reason == "repeat"
            assert n.at - max(m.at for m in before) >= repeats[n.group.receiver, n.group.route]
        assert (n.reason == "first") <= (n.number == 1 and n.root == n.id and len(n.new) == len(n.firing) > 0)
        assert (n.reason == "all-resolved") <= (not n.firing)
        assert not over & {(n.group.receiver, notice.alert) for notice in n.notices}
        over |= {(n.group.receiver, notice.alert) for notice in n.resolved}
        threads[n.root].append(n)
    assert len({n.id for n in outputs}) == len(outputs)
    assert all(thread[0].id == thread[0].root for thread in threads.values())
    hours = Counter((n.group.receiver, n.group.site, n.at // HOUR) for n in outputs)
    assert all(count <= history.plan.cap(receiver) for (receiver, *_), count in hours.items())


@given(histories(), st.randoms(use_true_random=False))
@examples(100)
def test_a_crash_changes_nothing(history: History, chance: Random):
    """Dying after any steps, with half of the last decisions stored."""
    dying = World(history.plan, lambda: chance.random() < 0.5)
    assert [record_of(o) for o in play(history, dying)] == [record_of(o) for o in play(history)]


@given(histories(), st.randoms(use_true_random=False))
@examples(100)
def test_what_is_sent_again_after_a_crash_is_the_same_to_the_word(history: History, chance: Random):
    """Each decision, made whole from its record and the stored alerts, is the notification that was sent before.

    So a second copy says the same of what is new and what goes on, in a mail as in an SMS, and in the ledger's records.
    """
    world = World(history.plan, lambda: chance.random() < 0.2)
    sent = {output.id: output for output in told(play(history, world))}
    notices = {(one.alert, one.state): one for one in world.notices}
    fold = KnownAlerts()
    again = [whole(record, fold.news(record), notices, history.plan) for record in world.records]
    assert {one.id: one for one in again if one is not None} == sent


class Streams:
    """The streams of a world as `read_past` asks them, of which each answers for one site."""

    def __init__(self, world: World) -> None:
        rows = {True: ALERTS, False: OPERATIONS}
        self.streams = self
        self._stored = [(n.stored, rows[n.audience == "field"], n.message) for n in world.notices]
        self._stored += [(record.at, NOTIFICATIONS, record) for record in world.records]
        self._stored += [(1, SILENCES, one) for one in world.silences.values()]
        self._stored.sort(key=lambda one: one[0])

    async def created(self, _: str) -> tuple[int, int]:
        return 1, len(self._stored)

    async def latest(self, row: Subject, **_: str) -> list[Stored]:
        # In a history several alerts of a rule and zone fire at once, of which aggregate has but one.
        last = {(one.subject, getattr(one.message, "alert", None)): one for one in self._of(row)}
        return sorted(last.values(), key=lambda one: one.sequence)

    async def read(self, row: Subject, *, since: int = 0, **_: str) -> AsyncIterator[Stored]:
        for one in self._of(row):
            if one.time >= since:
                yield one

    def _of(self, row: Subject) -> Iterator[Stored]:
        for sequence, (at, kept, message) in enumerate(self._stored, 1):
            if kept is row:
                yield Stored(row, row.of(message), message, sequence, at, 1)


def history_of(route: Route, *notices: Notice, cap: int = 12) -> History:
    """A history of these states of alerts."""
    history = History(plan_of_routes(route, ROUTES[6], cap=cap))
    for one in notices:
        history.inputs[one.stored].append(one)
    return history


def minute(number: int) -> int:
    """Return a moment by the minutes since the beginning."""
    return BEGIN + number * MINUTE


AT_THE_CAP = history_of(
    ROUTES[2],
    rate_notice("A", minute(55), rule="a"),
    rate_notice("A", minute(60), rule="a", over=True),
    rate_notice("B", minute(105), rule="b"),
    rate_notice("C", minute(110), rule="c"),
    cap=1,
)
"""The hour's one message was an end, long ago; since then B waits for the digest. C begins while nobody is there."""
LAST_TOLD_OF_ANOTHER = history_of(
    ROUTES[5],
    rate_notice("A", minute(0), zone="gate"),
    system_notice("camera-down", "gate-1", minute(30), since=minute(30)),
    rate_notice("B", minute(40)),
    rate_notice("B", minute(41), over=True),
    system_notice("camera-down", "gate-1", minute(42), since=minute(30), over=True),
    rate_notice("C", minute(80), rule="c"),
    rate_notice("C", minute(90), rule="c", over=True),
)
"""A fires, and the last word of its group was of B alone, since A was inhibited; nobody is told that B is over."""


@given(histories(), st.integers(0, 30), st.randoms(use_true_random=False))
@example(AT_THE_CAP, 0, Random(0))  # which has it that the last alert is stored and not seen
@example(LAST_TOLD_OF_ANOTHER, 0, Random(53))  # all are seen
@examples(100)
def test_who_reads_back_what_may_matter_tells_what_who_reads_everything_tells(
    history: History, hours: int, chance: Random
):
    """Days later, most of the streams unread: nothing is told again, nothing forgotten, and what is over doesn't fire.

    Somebody is away for some of the time, so ends are untold. All that is surely read is 35 minutes before the last
    record, since all is repeated often, and this hour, which caps count; the runner asks for two days.
    """
    plan = replace(history.plan, routes=tuple(replace(one, repeat=20 * MINUTE) for one in history.plan.routes))
    world = World(plan)
    for at in sorted(history.inputs):
        world.run(at)
        (world.store if chance.random() < 0.3 else partial(world.step, at))(*history.inputs[at])
    now = max([*history.inputs, BEGIN]) + hours * HOUR
    if chance.random() < 0.5:
        world.restart(now - hours * HOUR)
        world.run(now - chance.randint(0, hours) * HOUR)
    past = asyncio.run(read_past(Streams(world), "forville", plan, 1.0, oldest=now - now % HOUR))
    short, long = Dispatcher(plan), Dispatcher(plan)
    short.restore(past.notices, past.records, past.silences, now)
    long.restore(world.notices, world.records, world.silences.values(), now)
    assert _words(short, now) == _words(long, now)
    assert past.known_of <= {record.notification for record in world.records}


def _words(dispatcher: Dispatcher, now: int) -> list[tuple[object, ...]]:
    """What is told from now on for a day: to whom, why, and of what. Numbers in a thread may begin anew."""
    outputs, until = dispatcher.step(now), now + 24 * HOUR
    while (at := dispatcher.next_deadline()) is not None and at <= until:
        outputs += dispatcher.step(at)
    names = lambda notices: sorted(one.alert for one in notices)  # noqa: E731
    parts = lambda n: (names(n.firing), names(n.resolved), sorted(n.new))  # noqa: E731
    return [(n.group.receiver, n.reason, n.at, *parts(n)) for n in told(outputs)]


@given(histories(changes=True), st.randoms(use_true_random=False))
def test_after_new_settings_and_crashes_nothing_is_told_twice(history: History, chance: Random):
    """Nobody stores the settings, so waits may differ; what receivers know doesn't."""
    outputs = told(play(history, World(history.plan, lambda: chance.random() < 0.5)))
    new = Counter((n.group.receiver, alert) for n in outputs for alert in n.new)
    over = Counter((n.group.receiver, alert.alert) for n in outputs for alert in n.resolved)
    assert max([*new.values(), *over.values()], default=1) == 1
    assert len({n.id for n in outputs}) == len(outputs)


@given(histories(changes=True), st.randoms(use_true_random=False))
def test_the_order_of_what_comes_together_does_not_matter(history: History, chance: Random):
    """Messages of several streams have no order among each other."""
    assert play(history, shuffled=chance) == play(history)


@given(histories(changes=True))
def test_what_was_told_for_good_is_forgotten(history: History):
    """Memory holds what fires, and what somebody has still to be told of."""
    world = World(history.plan)
    play(history, world)
    endless = {notice.alert for notice in history.endless}
    log = world.dispatcher._log
    assert set(log.alerts) == endless
    assert {alert for group in world.dispatcher._groups.values() for alert in group.members} <= endless
    assert set(log._threads) <= set(world.dispatcher._groups)


@pytest.mark.timeout(30)  # about a second where it was written
def test_thousands_of_alerts_in_one_step_are_no_trouble():
    """One group, or thousands: linear work, and a receiver gets its cap of messages and one digest."""
    for route, most in ((Route("staff"), 1), (Route("staff", group_by=frozenset({"zone"})), 13)):
        notices = [rate_notice(f"A{place}", BEGIN, zone=f"z{place}") for place in range(2_000)]
        world = World(plan_of_routes(route))
        outputs = [*world.step(BEGIN, *notices), *world.run(BEGIN + 2 * HOUR)]
        assert len(told(outputs)) == most
        assert {alert for n in told(outputs) for alert in n.new} == {name_of(f"A{place}") for place in range(2_000)}
        restored = Dispatcher(world.plan)
        restored.restore(notices, world.records, (), BEGIN + 2 * HOUR)
        assert restored.step(BEGIN + 2 * HOUR) == []


events = st.tuples(
    st.sampled_from([1, 20, 120, 600]),  # seconds that pass before it
    st.sampled_from([0, 0, 0, 2, 600, 7_200, 93_600]),  # by which the clock is put back then
    st.booleans(),  # whether an alert ends, if one fires; else one begins
    st.booleans(),  # whether the dispatcher is restarted before
)


@examples(100)
@given(grouped=st.sampled_from(["site", "zone", "rule"]), cap=st.sampled_from([1, 3, 12]), story=st.lists(events))
def test_whatever_clocks_do_everyone_knows_what_fires_two_hours_later(grouped, cap, story):
    """The server's and ours, which are put back together; a cap of one takes an hour for a digest."""
    world, now, firing = World(plan_of_routes(Route("staff", group_by=frozenset({grouped})), cap=cap)), BEGIN, {}
    outputs: list[Decision] = []
    for number, (wait, back, ends, restarts) in enumerate(story):
        outputs += world.run(now + wait * SECOND)
        now += (wait - back) * SECOND
        if restarts:
            world.restart(now)
        over = bool(ends and firing)
        name, since = firing.popitem() if over else (f"A{number}", now)
        place = {"zone": f"z{len(firing) % 2}", "rule": f"r{len(firing)}"}
        notice = replace(rate_notice(name, now, over=over, since=since, **place), order=(1, number))
        outputs += world.step(now, notice)
        if not over:
            firing[name] = since
    outputs += world.run(now + 2 * HOUR)
    known: set[str] = set()
    for told in outputs:
        if isinstance(told, Notification):
            known = (known | {one.alert for one in told.firing}) - {one.alert for one in told.resolved}
    assert known == {name_of(name) for name in firing}
