"""What the capacity table's rows make of a run that isn't one: bench.rows, without measuring."""

from dataclasses import replace

import pytest

from bench import parts, rows, stream_rows
from bench.clip import FULL_HD
from bench.histogram import Histogram
from bench.ratio import Yardstick
from bench.rows import QUICK, Bench, memory_row
from bench.soak import Soak
from bench.stream_rows import Stream
from bench.system import PROGRAMS, NotMeasured, Restarted, Run, require_same, require_work

QUICKLY = Histogram(((0.1, 100.0), (float("inf"), 100.0)))
GOOD = Run(due=10, seconds=10, analysed=100, lifetime=QUICKLY, lag=QUICKLY, frame_age=QUICKLY)
PIDS = {name: number for number, name in enumerate(PROGRAMS, 100)}


class Told(Bench):
    """A bench whose runs were told before: `made` says what comes of so many cameras."""

    made = None

    @property
    def asked(self):
        return self.__dict__.setdefault("told_of", [])

    async def run(self, what, form, cameras, fps=5.0, **more):
        more.pop("lanes", None)
        self.asked.append((form.name, more))
        return self.made(cameras, fps)


@pytest.fixture(name="bench")
def _bench(tmp_path):
    return Told(tmp_path, replace(QUICK, rounds=2), lambda _what, _done: None)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (PIDS | {"ingest": 7}, "ingest ended"),
        ({"ingest": 100, "inference": 101}, "aggregate and notify and nats-server ended"),
    ],
)
def test_another_process_is_another_run(now, told):
    """One that was started again, or is gone: its times would be the new one's less the old one's."""
    require_same(PIDS, PIDS)
    with pytest.raises(Restarted, match=told):
        require_same(PIDS, now)
    with pytest.raises(Restarted, match=r"inference ended"):
        require_same({name: pid for name, pid in PIDS.items() if name != "inference"}, PIDS)


async def test_cameras_under_which_a_program_ends_do_not_count(bench):
    """The search goes on below, and the note says what happened."""

    def made(cameras, _fps):
        if cameras > 3:
            raise Restarted("ingest ended")
        return replace(GOOD, due=5 * cameras, analysed=50 * cameras, faces=2.5)

    bench.made = made
    row = await stream_rows.cameras(bench, Stream(FULL_HD, target=12, start=2))
    assert (row.measured, row.verdict) == ("3", "missed")
    assert row.note.startswith("at 3: 5.00 pictures/s and camera, 2.50 faces in each, p99 ")
    assert row.note.endswith("; at 4: ingest ended")
    assert {number for number, _ in bench.searched[FULL_HD.name]} == {2, 3}


async def test_a_ratio_counts_where_the_machine_was_the_same(bench, monkeypatch):
    """Four rounds, in one of which the yardstick took half as long again; faces of both are told."""
    alone = iter([10.0, 10.5, 15.0, 9.8])

    async def yardstick(_scenario):
        return Yardstick(next(alone), 2.51)

    async def sources(_form):
        return []

    bench.plan = replace(bench.plan, rounds=4)
    bench.made = lambda _cameras, _fps: replace(GOOD, faces=2.5, cpu_ms=dict.fromkeys(PROGRAMS, 2.4))
    monkeypatch.setattr(stream_rows, "yardstick", yardstick)
    monkeypatch.setattr(bench, "sources", sources)
    row = await stream_rows.ratio(bench, Stream(FULL_HD, target=12, start=2, ratio=1.12))
    assert row.runs == pytest.approx([12 / 10, 12 / 10.5, 12 / 9.8])
    assert "in one process 10.0; 2.50 faces in each, 2.51 in one process; 1 of 4 rounds left out" in row.note
    assert bench.costs["1080p25"]["in one process"] == [10.0, 10.5, 9.8]


async def test_a_soak_in_which_a_program_ends_is_missed(bench, monkeypatch):
    """It is no flat line: its memory began anew."""

    async def soak(*_):
        raise Restarted("ingest ended")

    monkeypatch.setattr(rows, "soak", soak)
    row = await rows.memory(bench)
    assert (row.measured, row.verdict) == ("ingest ended", "missed")


@pytest.mark.parametrize(("minutes", "reconnects"), [(30, 144), (2, 9)])
def test_a_soak_needs_its_reconnects(minutes, reconnects):
    """Four in five of the connections that were cut; seven are the first ones."""
    assert memory_row(Soak(minutes, connections=7 + reconnects)).verdict == ("met" if minutes == 30 else "not measured")
    missing = rf"came back {reconnects - 1} times in {minutes} minutes and not {reconnects}"
    with pytest.raises(NotMeasured, match=missing):
        memory_row(Soak(minutes, connections=7 + reconnects - 1))


async def test_an_overload_is_twice_what_a_lane_can_do(bench):
    """8 ms a picture are 125 a second: ten cameras of 25 pictures a second ask for twice as many."""
    asked = []

    def made(cameras, fps):
        asked.append((cameras, fps))
        return replace(GOOD, service_ms=8.0) if cameras == 2 else replace(GOOD, due=cameras * fps, analysed=1000)

    bench.made = made
    assert [row.verdict for row in await rows.overload(bench)] == ["met"] * 3
    assert asked == [(2, 25.0), (10, 25.0)] * 2


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"service_ms": 0.0}, "no lane's time"),
        ({"analysed": 1600}, "64% of what was due was analysed, which is no overload"),
        ({"frame_age": Histogram()}, "no frame's age"),
        ({"lag": Histogram()}, "no frame's age or no decoding's lag"),
    ],
)
async def test_an_overload_that_was_none_is_not_measured(bench, changes, why):
    """Nothing is late, queued or behind where there was no more to do than could be done, or nothing was seen."""

    def made(cameras, fps):
        if cameras == 2:
            return replace(GOOD, service_ms=changes.get("service_ms", 8.0))
        return replace(GOOD, **{"due": cameras * fps, "analysed": 1000} | changes)

    bench.made = made
    with pytest.raises(NotMeasured, match=why):
        await rows.overload(bench)


@pytest.mark.parametrize("nothing", [{"analysed": 0}, {"lifetime": Histogram()}])
def test_a_run_without_work_is_none(nothing):
    """What nobody does is never late."""
    require_work(GOOD)
    with pytest.raises(NotMeasured, match="no picture was analysed"):
        require_work(replace(GOOD, **nothing))


async def test_decoding_and_analysing_are_told_apart(bench):
    """A camera that takes ingest 60 ms a second and 4 ms a picture more, and inference 5 ms a picture."""

    def made(cameras, fps):
        analysed = round(cameras * fps * 10)
        return replace(GOOD, analysed=analysed, cpu_ms={"ingest": 60 / fps + 4, "inference": 5.0})

    bench.made = made
    found = await parts.by_part(bench)
    assert [row.runs for row in found] == [[80.0] * 2, [25.0] * 2] * 4
    assert [row.verdict for row in found] == ["met", "met", *["missed", "met"] * 3]
    assert "60.0 ms without any analysed picture, 4.00 ms for each" in found[0].note
