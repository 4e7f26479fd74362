"""What is counted of which day, what is stored of it, and what a restart makes of that."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proto.codec import decode, encode
from proto.drift import DriftDayV1
from proto.subjects import DRIFT
from services.aggregate.core.drift import ENOUGH, ENOUGH_PASSAGES, EVERY, Drift, Summary
from services.aggregate.core.exchange import Dropped, Passed
from services.aggregate.core.site import SiteCore

PARIS = ZoneInfo("Europe/Paris")
SECOND = 1_000_000_000
DAY = 86_400
NOON = round(datetime(2026, 6, 15, 12, tzinfo=PARIS).timestamp()) * SECOND
OTHER = "b" * 64


def drift(**options) -> Drift:
    return Drift("market", options.pop("zone", PARIS), **options)


def feed(core: Drift, messages, outputs=()) -> list[DriftDayV1]:
    """Feed all messages, and the same outputs with each; returns what was to be stored."""
    return [record for message in messages for record in core.step(message, outputs) or ()]


def flush(core: Drift, stream) -> list[DriftDayV1]:
    """Let ten minutes pass after the stream's last message; returns what was to be stored."""
    seconds = (stream.messages[-1].time - stream.start) / SECOND + 600
    return feed(core, stream.tick(seconds).messages[-1:])


def crowd(stream, make, seconds, count=ENOUGH, camera="door", **face):
    """Many faces at once, 100 a picture."""
    for step in range(-(-count // 100)):
        stream.seen(seconds + step / 5, *[make.face(**face)] * min(100, count - 100 * step), camera=camera)
    return stream


def stored(records) -> dict[tuple[str, str], DriftDayV1]:
    """Return the last record of each subject, as the stream keeps them, through the codec."""
    return {(r.camera, r.day): decode(DRIFT, encode(DRIFT, r)) for r in records}


def content(records) -> dict[tuple[str, str], list]:
    """Return what the last records count, whatever the position."""
    return {key: sorted(record.models, key=lambda m: m.model_sha256) for key, record in stored(records).items()}


# --- what is counted ------------------------------------------------------------------------------------------------


def test_faces_are_counted_by_camera_day_and_model(make):
    """One record per camera and site-local day; two models' faces are kept apart; only `unknown` is a verdict."""
    stream = make.stream(start=NOON)
    stream.seen(0, make.face(verdict="unknown"), make.face(verdict="masked"))
    stream.seen(0, make.face(verdict="incorrect"), camera="gate")
    stream.seen(1, make.face(), sha=OTHER)
    stream.seen(12.5 * 3_600, make.face())
    core = drift()
    records = content([*feed(core, stream.messages), *flush(core, stream)])
    assert sorted(records) == [("door", "2026-06-15"), ("door", "2026-06-16"), ("gate", "2026-06-15")]
    found = [(m.model_sha256, sum(m.sizes), sum(m.scores), m.unknown) for m in records["door", "2026-06-15"]]
    assert found == [(make.model_sha, 2, 2, 1), (OTHER, 1, 1, 0)]


def test_what_the_windows_drop_is_not_counted(make):
    """Fenced, late and other refused pictures are no part of a day."""
    stream = crowd(make.stream(start=NOON), make, 0, 100)
    core = drift()
    assert feed(core, stream.messages, [Dropped("late")]) == flush(core, stream) == []


def test_pictures_of_nobody_change_no_day(make):
    """Days are about faces: without one there is no record."""
    stream = make.stream(start=NOON).watch(0, 10).tick(400)
    assert feed(drift(), stream.messages) == []


@pytest.mark.parametrize(
    ("noon", "days"),
    [
        (datetime(2026, 3, 29, 12, tzinfo=PARIS), ["2026-03-28"] * 2 + ["2026-03-29"] * 23 + ["2026-03-30"]),
        (datetime(2026, 10, 25, 12, tzinfo=PARIS), ["2026-10-24"] * 2 + ["2026-10-25"] * 25 + ["2026-10-26"]),
    ],
    ids=["spring", "autumn"],
)
def test_a_day_of_23_or_25_hours(make, noon, days):
    """A face an hour, from two hours before the short or the long day on: each is of the day that clocks show."""
    midnight = round(noon.replace(hour=0).timestamp()) * SECOND
    stream = make.stream(start=midnight)
    for hour in range(-2, len(days) - 2):
        stream.seen(hour * 3_600 + 1, make.face())
    core = drift()
    records = content([*feed(core, stream.messages), *flush(core, stream)])
    assert {day: sum(records["door", day][0].sizes) for day in set(days)} == {d: days.count(d) for d in set(days)}


def test_a_picture_after_midnight_of_before(make):
    """Event time decides: what came after midnight but was seen before is of yesterday, whose record is stored anew."""
    stream = make.stream(start=NOON, ordered=False)
    stream.seen(12 * 3_600 - 1, make.face()).tick(12 * 3_600 + 301).seen(12 * 3_600 - 0.5, make.face(), delay=302)
    core = drift()
    first, second = feed(core, stream.messages), flush(core, stream)
    assert [(r.day, sum(r.models[0].sizes)) for r in [*first, *second]] == [("2026-06-15", 1), ("2026-06-15", 2)]


def test_a_new_time_zone_holds_at_once(make):
    """After a change of settings the next face is counted for the day of the new zone."""
    stream = make.stream(start=NOON).seen(3_600, make.face()).seen(3_601, make.face())
    core = drift()
    records = feed(core, stream.messages[:1])
    core.move(ZoneInfo("Pacific/Kiritimati"))
    records += [*feed(core, stream.messages[1:]), *flush(core, stream)]
    assert [(r.day, sum(r.models[0].sizes)) for r in records] == [("2026-06-15", 1), ("2026-06-16", 1)]


def test_of_passages_is_counted_how_many_neither_came_nor_went(make):
    """It is told as a share in whole tenths, once fifty people have passed on that day, and not before."""
    stream = make.stream(start=NOON).ticks(0, 60).ticks(DAY, DAY + 1)
    core = drift()
    for index, message in enumerate(stream.messages[:ENOUGH_PASSAGES]):
        assert core.compare("door").stayed_today is None
        core.step(message, [Passed("door", NOON, stayed=index % 3 == 0)])
    assert core.compare("door").stayed_today == 0.3
    [record] = flush(core, stream)[-1:]
    assert (record.passages, record.stayed) == (ENOUGH_PASSAGES, 17)
    assert core.compare("door").stayed_yesterday == 0.3


@examples(10, 3)
@given(where=st.floats(0, 1))
def test_a_crash_loses_and_doubles_no_passage(make, where):
    """The passages after the last record are published, and so are none of the new core's: it tells of them anyway."""
    stream = make.stream(start=NOON, ordered=False).ticks(0, 330)
    for second in range(0, 330, 6):
        stream.passer(second)
    messages = sorted(stream.ticks(330, 700).messages, key=lambda m: m.time)
    messages = [type(m)(m.message, n, m.time, m.stream_created) for n, m in enumerate(messages, 1)]
    whole, (core, counts) = played(messages, SiteCore(make.config()), drift()), (SiteCore(make.config()), drift())
    before = played(messages[: round(where * len(messages))], core, counts)
    again, kept = SiteCore(make.config()), drift()
    make.restore(again, [o for o in before if not isinstance(o, DriftDayV1 | Passed | Dropped)], [make.config()])
    kept.restore([o for o in before if isinstance(o, DriftDayV1)][-1:])
    after = played(messages, again, kept)
    [wanted], found = ([o for o in some if isinstance(o, DriftDayV1)][-1:] for some in (whole, [*before, *after]))
    assert wanted.passages == 55
    assert (found[-1].passages, found[-1].stayed) == (wanted.passages, wanted.stayed)


def played(messages, core: SiteCore, counts: Drift) -> list:
    """Return what both make of the messages."""
    made = []
    for message in messages:
        outputs = core.step(message)
        made += [*outputs, *(counts.step(message, outputs) or ())]
    return made


# --- what is stored, and when ---------------------------------------------------------------------------------------


def test_records_are_due_every_five_minutes_of_stream_time(make):
    """The first message is a time to store, then each that begins five minutes by the server's time; no clock else."""
    stream = make.stream(start=NOON)
    for second in range(0, 1_800, 7):
        stream.tick(second)
    core = drift()
    due = [m.time for m in stream.messages if core.step(m, []) is not None]
    assert [time // EVERY for time in due] == list(range(NOON // EVERY, NOON // EVERY + 6))


@pytest.mark.parametrize("start", [0, EVERY])
def test_the_first_message_is_a_time_to_store_at_any_time(make, start: int):
    """Whatever its time is: what a new record is compared with is no time that a message can have."""
    assert drift().step(make.stream(start=start).tick(0).messages[0], []) is not None


def test_only_days_that_changed_are_stored(make):
    """A camera that sees nobody writes nothing."""
    stream = make.stream(start=NOON).seen(1, make.face()).seen(1, make.face(), camera="gate")
    stream.tick(301).seen(302, make.face()).tick(601).tick(901)
    records = feed(drift(), stream.messages)
    assert [(r.camera, sum(r.models[0].sizes)) for r in records] == [("door", 1), ("gate", 1), ("door", 2)]


def test_a_day_is_stored_when_it_ends(make):
    """The first message after the site's midnight is a time to store, whatever the zone's quarter of an hour."""
    for zone in ("Europe/Paris", "Asia/Kathmandu", "Asia/Kolkata", "Australia/Eucla"):
        noon = round(datetime(2026, 6, 15, 12, tzinfo=ZoneInfo(zone)).timestamp()) * SECOND
        stream = make.stream(start=noon).tick(12 * 3_600 - 200).seen(12 * 3_600 - 1, make.face())
        core = drift(zone=ZoneInfo(zone))
        assert feed(core, stream.messages) == []
        assert [r.day for r in feed(core, stream.tick(12 * 3_600).messages[-1:])] == ["2026-06-15"]


def test_a_record_names_the_message_up_to_which_it_counts(make):
    """Creation time and sequence of the message at hand, and the latest server's time so far."""
    stream = make.stream(start=NOON, ordered=False).tick(0).seen(1, make.face())
    stream.tick(302).seen(599, make.face()).tick(601).seen(602, make.face()).tick(598).tick(901)
    records = feed(drift(), stream.messages)
    assert {r.stream_created for r in records} == {stream.created}
    assert [r.stream_sequence for r in records] == [3, 5, 8], "a server's clock that goes back is no time to store"
    assert [r.stream_time for r in records] == [NOON + s * SECOND for s in (302, 601, 901)]


def test_days_older_than_the_baseline_are_forgotten(make):
    """Today, yesterday and the 14 days before are kept; a day more is not."""
    stream = make.stream(start=NOON)
    for day in range(20):
        stream.seen(day * DAY, make.face())
    core = drift()
    feed(core, stream.messages)
    flush(core, stream)
    assert sorted(core._cameras["door"]) == [date(2026, 6, day) for day in range(19, 31)] + [
        date(2026, 7, day) for day in range(1, 5)
    ]


def test_the_same_stream_gives_the_same_records(make):
    """No clock, no chance: two runs agree to the byte."""
    pictures, _ = make.walkers(3, 900, 0.5)
    stream = make.stream(start=NOON)
    for step, faces in pictures:
        stream.seen(step / 5, *faces)
    one, two = ([encode(DRIFT, r) for r in feed(drift(), stream.messages)] for _ in range(2))
    assert one == two
    assert len(one) >= 2


# --- restarts -------------------------------------------------------------------------------------------------------


def restart(records, messages) -> tuple[Drift, list[DriftDayV1]]:
    """Return a fresh core that was given the stored records and then the stream; and all records since."""
    core = drift()
    assert core.restore(list(stored(records).values())) == []
    return core, [*records, *feed(core, messages)]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["door", "gate"]),
        st.sampled_from([1, 40, 299, 3_600, 40_000]),
        st.sampled_from(["a" * 64, OTHER]),
        st.sampled_from([0, 0, -30]),
    ),
    min_size=1,
    max_size=40,
)


def scene(make, steps, created=NOON - 1):
    """Return a stream: faces on two cameras, by two models, over days, some stored half a minute late."""
    stream, second = make.stream(start=NOON, created=created), 0
    for camera, pause, sha, late in steps:
        second += pause
        stream.seen(second + late, make.face(size=0.01 + second % 7 / 100), camera=camera, sha=sha, delay=-late)
    return stream


@given(steps=STEPS, data=st.data())
def test_killed_anywhere_nothing_is_counted_twice_or_lost(make, steps, data):
    """Killed at any messages, and started again with what was stored: the days are those of one whole run."""
    stream = scene(make, steps)
    core = drift()
    whole = content([*feed(core, stream.messages), *flush(core, stream)])
    records: list[DriftDayV1] = []
    for kill in sorted(data.draw(st.lists(st.integers(0, len(stream.messages)), max_size=3), "killed at")):
        _, records = restart(records, stream.messages[:kill])
    _, records = restart(records, stream.messages)
    assert content(records) == whole


@given(steps=STEPS, data=st.data(), same=st.booleans())
def test_a_lost_stream_costs_what_was_not_stored_yet(make, steps, data, same: bool):
    """NATS and we die together: the new stream, begun anew from sequence 1, is counted on top of what was stored.

    A cluster may make the new stream with the creation time of the old one; another server's clock may be behind.
    """
    stream = scene(make, steps)
    cut = data.draw(st.integers(0, len(stream.messages) - 1), "lost after")
    before = feed(drift(), stream.messages[:cut])
    new = make.stream(start=NOON, created=stream.created if same else NOON)
    new.messages = [
        type(m)(m.message, number, m.time + (1_000 if same else -60 * SECOND), new.created)
        for number, m in enumerate(stream.messages[cut:], 1)
    ]
    core, records = restart(before, new.messages)
    records += flush(core, new)
    other = drift()
    assert faces(content(records)) == faces(content(before)) + faces(
        content([*feed(other, new.messages), *flush(other, new)])
    )


def faces(found) -> int:
    return sum(sum(model.sizes) for models in found.values() for model in models)


def test_a_stream_lost_under_a_running_service_costs_nothing(make):
    """NATS alone dies: what was counted stays in memory, and the new stream's sequences are not taken for old ones."""
    stream = make.stream(start=NOON).seen(1, make.face()).tick(301)
    core = drift()
    records = feed(core, stream.messages)
    core = drift()
    core.restore(records)
    new = make.stream(start=NOON + 400 * SECOND, created=NOON + 390 * SECOND).seen(0, make.face()).seen(1, make.face())
    assert faces(content([*feed(core, new.messages), *flush(core, new)])) == 3


@pytest.mark.parametrize(("other_creation", "behind_s"), [(True, -60), (True, 60), (False, -60)])
def test_a_new_stream_is_told_from_the_old_one(make, other_creation: bool, behind_s: int):
    """By its creation time though its server's clock is behind, by that clock though the creation time is the same."""
    stream = make.stream(start=NOON).tick(0).seen(1, make.face()).tick(301)
    [record] = feed(drift(), stream.messages)
    created = NOON + 302 * SECOND if other_creation else stream.created
    new = make.stream(start=NOON + (302 - behind_s) * SECOND, created=created).seen(0, make.face())
    assert new.messages[0].sequence <= record.stream_sequence
    core = drift()
    core.restore([record])
    assert faces(content([*feed(core, new.messages), *flush(core, new)])) == 2


def test_records_with_other_bins_are_left_alone(make):
    """What another version counted in other bins is returned as refused, and not compared."""
    stream = make.stream(start=NOON).seen(1, make.face()).tick(301)
    [record] = feed(drift(), stream.messages)
    other = structs.replace(record, models=[structs.replace(record.models[0], sizes=[1, 2])])
    core = drift()
    assert core.restore([other, record]) == [other]
    assert faces(content([*feed(core, stream.messages), *flush(core, stream)])) == 0, "the record holds all of them"


# --- what is shown --------------------------------------------------------------------------------------------------


def days_of(make, *sizes, count=ENOUGH, **face):
    """Return a core that saw a crowd of one face size a day (None: nobody), the last one today."""
    stream, core = make.stream(start=NOON), drift()
    for day, size in enumerate(sizes):
        if size:
            crowd(stream, make, day * DAY, count, size=size, **face)
    stream.tick((len(sizes) - 1) * DAY + 3_000)
    feed(core, stream.messages)
    return core


def test_today_and_yesterday_are_compared_with_the_days_before(make):
    """The baseline ends the day before yesterday: yesterday, the last whole day, is compared with it itself."""
    core = days_of(make, *[0.05] * 5, 0.1, 0.05)
    found = core.compare("door")
    assert found.baseline_days == 5
    assert found.baseline.sizes[1] == pytest.approx(0.05, rel=0.09)
    assert found.yesterday.sizes[1] == pytest.approx(0.1, rel=0.09)
    assert (found.yesterday.size_index > 1, found.today.size_index) == (True, 0.0)
    assert found.today.score_index == found.yesterday.score_index == 0.0
    assert found.baseline.size_index is None


def test_the_baseline_is_14_days_long(make):
    """Days 2 to 15 before today, and none before."""
    assert days_of(make, *[0.05] * 20).compare("door").baseline_days == 14


@pytest.mark.parametrize(("count", "shown"), [(ENOUGH - 1, False), (ENOUGH, True)])
def test_days_of_few_faces_are_not_shown(make, count: int, shown: bool):
    """Below 2,000 faces a day is neither shown nor part of the baseline."""
    found = days_of(make, 0.05, 0.05, 0.05, count=count).compare("door")
    assert [day is not None for day in (found.today, found.yesterday, found.baseline)] == [shown] * 3
    assert found.baseline_days == int(shown)


def test_a_camera_without_a_day(make):
    """Of a camera that saw nobody yet there is nothing, and no error."""
    found = days_of(make, 0.05).compare("gate")
    assert (found.today, found.yesterday, found.baseline, found.baseline_days) == (None, None, None, 0)


def test_without_a_baseline_there_is_no_index(make):
    """The first two days are shown, and compared with nothing."""
    found = days_of(make, 0.05, 0.05).compare("door")
    assert found.baseline is None
    assert [day.size_index for day in (found.today, found.yesterday)] == [None, None]
    assert [day.score_index for day in (found.today, found.yesterday)] == [None, None]


def test_days_are_compared_within_one_model(make):
    """A new model begins a new baseline: another detector's scores are no drift of the camera."""
    stream, core = make.stream(start=NOON), drift()
    for day in range(4):
        crowd(stream, make, day * DAY)
    crowd(stream, make, 4 * DAY - 3_600, 100)
    for step in range(ENOUGH // 100 + 5):
        stream.seen(4 * DAY + step / 5, *[make.face(score=0.6)] * 100, sha=OTHER)
    feed(core, stream.messages)
    found = core.compare("door")
    assert found.today.scores == (0.6, 0.61)
    assert (found.yesterday, found.baseline, found.baseline_days) == (None, None, 0)


def test_a_quiet_morning_shows_the_baseline_of_the_day_before(make):
    """Before today's first face the model is that of the newest day with any."""
    found = days_of(make, 0.05, 0.05, 0.05, None).compare("door")
    assert found.today is None
    assert (found.yesterday is not None, found.baseline_days) == (True, 2)


def test_the_unknown_share(make):
    """The unknown among all faces, in whole percents."""
    stream, core = make.stream(start=NOON), drift()
    for step in range(30):
        stream.seen(step / 5, *[make.face(verdict="unknown")] * 17, *[make.face()] * 83)
    feed(core, stream.messages)
    assert core.compare("door").today.unknown == 0.17


@given(unknown=st.integers(0, 400), more=st.integers(0, 400))
def test_a_share_tells_no_count(make, unknown: int, more: int):
    """Shares and scores have two decimals, sizes four: many different counts show the same numbers (ADR 9)."""
    stream, core = make.stream(start=NOON), drift()
    stream.seen(0, *[make.face(verdict="unknown", size=0.031)] * unknown, *[make.face()] * (ENOUGH + more - unknown))
    feed(core, stream.messages)
    today = core.compare("door").today
    shown = [today.unknown, *today.scores]
    assert shown == [round(value, 2) for value in shown]
    assert list(today.sizes) == [round(value, 4) for value in today.sizes]
    shares = {round(round(today.unknown * faces) / faces, 2) for faces in range(ENOUGH, 2 * ENOUGH)}
    assert shares == {today.unknown}, "each number of faces has a number of unknown ones that shows this share"


def test_what_is_shown_holds_no_count(make):
    """A summary's fields are the shares, quantiles and indices, and nothing that grows with the people."""
    assert set(Summary.__dataclass_fields__) == {"unknown", "sizes", "scores", "size_index", "score_index"}
    few, many = (days_of(make, *[0.05] * 4, count=count).compare("door") for count in (ENOUGH, 3 * ENOUGH))
    assert few.today.sizes == pytest.approx(many.today.sizes, abs=1e-3)
    assert (few.today.unknown, few.today.scores) == (many.today.unknown, many.today.scores)
