"""Questions to a real aggregate on a real server: answered from what is stored in WINDOWS, and from nothing else."""

import contextlib
import threading
import time

import pytest
from msgspec import structs
from on_bus import connected
from patience import patient, until
from windows import HOUR, MINUTE, SECOND, decree, hidden, window

from proto.permissions import info_subject
from proto.stats import StatsRequestV1
from proto.subjects import STATS, STATS_SERVICE, WINDOWS
from services.aggregate import stats as module
from services.aggregate.stats import Stats
from services.bus import NoWorkers, Refusal, Unavailable
from services.kernel.settings import convert
from services.sites.settings import SiteSettings
from services.statistics.roll_ups import RollUp

DAY = 1_761_429_600_000_000_000
"""2025-10-26T00:00+02:00 in Paris: a day of 25 hours."""
NOW = DAY + 30 * HOUR


def site(**changes):
    values = {"id": "cannes", "timezone": "Europe/Paris", "profile": "alerting", "zones": [{"id": "fish"}], **changes}
    return convert(values, SiteSettings)


async def stored(bus, *windows):
    for one in windows:
        await bus.store(WINDOWS, one)


@pytest.fixture(name="stats")
async def _stats(bus):
    """An answerer at a moment of which the tests know what is past."""
    made = Stats(bus, lambda: NOW)
    await made.apply([site()])
    yield made
    await made.stop()


def ask(**changes):
    return StatsRequestV1(**{"site": "cannes", "since": DAY, "until": DAY + 25 * HOUR, "step": "hour", **changes})


async def test_a_day_by_hours(bus, stats):
    """The site's hours with the sums of their windows, the repeated hour twice, in one answer; other zones stay out."""
    windows = [window(DAY + n * 20 * MINUTE) for n in range(75)]
    windows[30:33] = [hidden(one.start) for one in windows[30:33]]
    await stored(bus, *windows[:60], *windows[65:], window(DAY, zone="fish"))
    reply = await stats.answer(ask())
    assert (reply.timezone, reply.error, len(reply.periods)) == ("Europe/Paris", None, 25)
    assert [p.persons for p in reply.periods] == [33] * 10 + [None] + [33] * 9 + [None, 11] + [33] * 3
    assert [p.coverage for p in reply.periods][19:22] == [1.0, 0.0, 0.333]
    assert (reply.periods[10].suppressed, reply.periods[20].windows_published) == ("small-count", 0)
    (fish,) = (await stats.answer(ask(zone="fish", step="total"))).periods
    assert (fish.persons, fish.windows_published, fish.windows_expected) == (11, 1, 75)


async def test_only_what_was_asked_for_is_read(bus, stats, monkeypatch):
    """Reading begins at the asked time less what event time may be ahead, and ends behind the last window asked for."""
    seen, read = [], bus.read

    def spied(row, *, since, **tokens):
        async def counted():
            async with contextlib.aclosing(read(row, since=since, **tokens)) as found:
                async for one in found:
                    seen.append((since, one.message.start))
                    yield one

        return counted()

    monkeypatch.setattr(bus, "read", spied)
    await stored(bus, *(window(DAY + n * 20 * MINUTE) for n in range(10)))
    (period,) = (await stats.answer(ask(since=DAY + HOUR, until=DAY + 2 * HOUR))).periods
    assert (period.persons, period.start) == (33, DAY + HOUR)
    assert {since for since, _ in seen} == {DAY + HOUR - 24 * HOUR}
    assert max(start for _, start in seen) == DAY + 2 * HOUR
    assert (await bus.streams.js.stream_info("WINDOWS")).state.consumer_count == 0


async def test_today_is_the_default(bus):
    """From midnight at the site to the next; hours to come are no periods."""
    stats = Stats(bus, lambda: DAY + 9 * HOUR + 30 * MINUTE)
    stats._sites = {"cannes": site()}
    await stored(bus, window(DAY - 20 * MINUTE), *(window(DAY + n * 20 * MINUTE) for n in range(28)))
    reply = await stats.answer(StatsRequestV1(site="cannes"))
    assert (reply.since, reply.until, reply.step) == (DAY, DAY + 25 * HOUR, "hour")
    assert [p.windows_published for p in reply.periods] == [3] * 9 + [1]
    assert {p.coverage for p in reply.periods} == {1.0}


async def test_a_zone_is_gone_though_it_was_there_until_a_moment_ago(bus, stats):
    """What is stored of it lies before what is asked for; of one that there still is, nothing is no error."""
    await stored(bus, window(NOW - 2 * HOUR, zone="old"), window(NOW - 2 * HOUR, zone="fish"))
    later = {"since": NOW - HOUR, "until": NOW + HOUR, "step": "total"}
    assert (await stats.answer(ask(zone="fish", **later))).error is None
    with pytest.raises(Refusal, match="unknown-zone"):
        await stats.answer(ask(zone="old", **later))
    assert (await stats.answer(ask(zone="old", **later | {"since": NOW - 3 * HOUR}))).error is None


@pytest.mark.parametrize(
    ("changes", "profile", "told"),
    [
        ({"zone": "fsh"}, "alerting", (404, "unknown-zone", "zone", "fsh")),
        ({"zone": "fish"}, "fr-2021-269", (403, "not-under-this-profile", "zone", "fish")),
        ({"until": DAY}, "alerting", (400, "empty-range", "until", str(DAY))),
        ({"since": 0}, "alerting", (413, "too-many-periods", "step", "hour")),
        ({"since": 10**30, "until": 10**30}, "alerting", (400, "empty-range", "until", "1" + "0" * 30)),
        ({"since": DAY - 200 * 24 * HOUR, "step": "window"}, "alerting", (413, "too-many-periods", "step", "window")),
    ],
)
async def test_what_cannot_be_answered(bus, stats, changes, profile, told):
    """A reason, the part of the question that it is about, and a code as in HTTP."""
    stats._sites = {"cannes": site(profile=profile, zones=[] if profile == "fr-2021-269" else [{"id": "fish"}])}
    with pytest.raises(Refusal) as refused:
        await stats.answer(ask(**changes))
    reply = refused.value.reply
    assert (refused.value.code, reply.error, reply.path, reply.value) == told
    assert reply.periods == []


async def test_far_away_is_no_error(bus, stats):
    """A future of which nothing can be known has no periods; nothing published has periods without figures."""
    assert (await stats.answer(ask(since=10**30, until=10**31))).periods == []
    (period,) = (await stats.answer(ask(step="total", until=10**31))).periods
    assert (period.windows_expected, period.end) == (89, DAY + 73 * HOUR)  # the end of a day, never of a second
    (period,) = (await stats.answer(ask(step="total"))).periods
    assert (period.windows_expected, period.windows_published, period.persons) == (75, 0, None)
    assert (await stats.answer(ask(zone="fish", step="total"))).periods[0].persons is None


async def test_before_the_first_window_none_is_missing(bus, stats):
    """A zone that is new, or whose older windows are not kept any more, was not out of order until then."""
    await stored(bus, window(DAY + 20 * MINUTE), window(DAY + HOUR), window(DAY + 5 * HOUR, zone="fish"))
    (period,) = (await stats.answer(ask(since=0, until=DAY + 2 * HOUR, step="total"))).periods
    assert (period.windows_published, period.windows_expected, period.coverage) == (2, 5, pytest.approx(0.4))
    (period,) = (await stats.answer(ask(zone="fish", until=DAY + 6 * HOUR))).periods
    assert (period.start, period.windows_published, period.windows_expected) == (DAY + 5 * HOUR, 1, 3)
    assert (await stats.answer(ask(zone="fish", until=DAY + 5 * HOUR))).periods == []
    (period,) = (await stats.answer(ask(since=DAY + 2 * HOUR, until=DAY + 3 * HOUR))).periods
    assert (period.windows_published, period.windows_expected) == (0, 3)


async def test_missing_windows_by_the_clock_of_the_site(bus, stats):
    """Where clocks are half an hour off, those of which none was published begin at that clock's borders."""
    await stats.apply([site(timezone="Asia/Kolkata")])
    periods = (await stats.answer(ask(until=DAY + HOUR, step="window"))).periods
    assert [(p.start - DAY) // MINUTE for p in periods] == [10, 30, 50]


async def test_a_zone_of_the_past(bus, stats):
    """What was published of a zone that the settings know no more is still told."""
    await stored(bus, window(DAY, zone="bread"))
    assert (await stats.answer(ask(zone="bread", step="total"))).periods[0].persons == 11


async def test_a_profile_without_verdicts(bus, stats):
    """Persons and rate are all that is told; nothing else becomes known by summing."""
    await stored(bus, decree(DAY, 30, 0.5), decree(DAY + 20 * MINUTE, 10, 0.9))
    (period,) = (await stats.answer(ask(step="total"))).periods
    shown = {name for name in period.__struct_fields__ if getattr(period, name) not in (None, [], False)}
    figures = shown - {"site", "zone", "profiles", "start", "end"}
    assert figures == {"persons", "rate", "windows_expected", "windows_published"} | ({"windows_suppressed"} & shown)
    assert (period.persons, period.rate) == (40, pytest.approx(0.6))


async def test_trouble_is_told(bus, stats, monkeypatch):
    """More than can be read in time, and a JetStream that does not answer, are errors and no half answers."""
    await stored(bus, window(DAY))
    monkeypatch.setattr(module, "ANSWER_S", 0)
    with pytest.raises(Refusal) as refused:
        await stats.answer(ask())
    assert (refused.value.code, refused.value.reply.error) == (413, "too-slow")
    monkeypatch.setattr(module, "ANSWER_S", 20)

    async def gone(*_args, **_tokens):
        raise Unavailable("no")
        yield

    monkeypatch.setattr(bus, "read", gone)
    with pytest.raises(Refusal) as refused:
        await stats.answer(ask())
    assert (refused.value.code, refused.value.reply.error) == (503, "unavailable")


async def test_the_limit_holds_for_sums_too(bus, stats, monkeypatch):
    """Those of thousands of periods took seconds beyond it: whoever asked had given up by then."""
    await stored(bus, window(DAY))
    summed = threading.Event()

    def sum_up(*_):
        summed.wait(patient(10))
        return []

    monkeypatch.setattr(module, "ANSWER_S", 1)
    monkeypatch.setattr(RollUp, "periods", sum_up)
    try:
        with pytest.raises(Refusal) as refused:
            await stats.answer(ask())
        assert refused.value.reply.error == "too-slow"
    finally:
        summed.set()


async def answered(asker, question):
    """The answer, as soon as somebody serves the question."""
    return await until(
        lambda: asker.request(STATS, question, timeout=5), "an answer", ignoring=(NoWorkers, TimeoutError)
    )


async def unanswered(asker, question):
    """Nobody serves the question any more; one that came before the end of the subscription did has no answer."""

    async def over() -> bool:
        with contextlib.suppress(TimeoutError):
            try:
                await asker.request(STATS, question, timeout=0.5)
            except NoWorkers:
                return True
        return False

    await until(over, "nobody answers")


async def test_the_service_answers_with_its_own_windows(scene):
    """The whole way: sightings become windows, and an asker gets them; sites come and go; the end is in order."""
    app = await scene.start()
    async with connected(scene.server.url, "subscriber") as asker:
        start = scene.border()
        await scene.window(start, "masked", "masked", "unmasked")
        await scene.until_window(lambda w: w.start >= start + 2 * SECOND, 30, zone="hall")
        question = StatsRequestV1(site="market", zone="hall", since=start, until=start + 4 * SECOND, step="window")
        reply = await asker.request(STATS, question, timeout=patient(10))
        assert [p.persons for p in reply.periods] == [3, 0]
        assert (reply.periods[0].rate, reply.periods[0].profiles) == (0.667, ["lab"])
        total = await asker.request(STATS, structs.replace(question, step="total"), timeout=patient(10))
        assert (total.periods[0].persons, total.periods[0].windows_published) == (3, 2)

        await app._apply(scene.file(scene.site(id="station", rules=[], timezone="Asia/Tokyo")))
        await unanswered(asker, question)
        reply = await answered(asker, StatsRequestV1(site="station"))
        assert reply.timezone == "Asia/Tokyo"
        assert reply.since <= time.time_ns() < reply.until
        assert await scene.stop(app) == 0
        assert await asker.ask_all(info_subject(STATS_SERVICE), wait_s=1) == []


async def test_replicas_share_the_questions(scene):
    """Two processes of one site: each question has one answer, and both can be seen."""
    apps = [await scene.start() for _ in range(2)]
    async with connected(scene.server.url, "notify") as asker:
        await answered(asker, StatsRequestV1(site="market"))
        inbox = asker.client.new_inbox()
        subscription = await asker.client.subscribe(inbox)
        for _ in range(20):
            await asker.client.publish("moretta.v1.stats.market", b'{"site":"market"}', reply=inbox)
        answers = [await subscription.next_msg(timeout=patient(10)) for _ in range(20)]
        assert len(answers) == 20
        with pytest.raises(TimeoutError):
            await subscription.next_msg(timeout=0.5)
        assert len(await asker.ask_all(info_subject(STATS_SERVICE), wait_s=1)) == len(apps)
        await scene.stop(apps[0])
        assert (await answered(asker, StatsRequestV1(site="market"))).site == "market"
