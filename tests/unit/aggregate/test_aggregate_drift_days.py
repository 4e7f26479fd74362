"""Drift beside the windows: it holds nothing up, changes no byte, and shows its metrics and no others."""

import asyncio
import contextlib
import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from fair_clock import fair_host
from msgspec import structs
from patience import patient, until
from prometheus_client import REGISTRY

from proto.codec import encode
from proto.drift import DriftDayV1
from proto.subjects import TABLE
from services.aggregate import drift_days as keeping
from services.aggregate.core.drift import ENOUGH, ENOUGH_PASSAGES, EVERY, Drift
from services.aggregate.drift_days import SiteDrift
from services.aggregate.runner import SiteRunner
from services.aggregate.settings import AggregateSettings
from services.bus import Fenced, StreamReset
from services.sites.settings import CameraSettings, SiteSettings

ROOT = Path(__file__).parents[3]
SITE = "drifting"
ROWS = {row.message: row for row in TABLE}


def settings(*cameras: str, timezone="Europe/Paris", long_side=640) -> SiteSettings:
    """Return a site's settings with these cameras."""
    found = [CameraSettings(id=name, url="rtsp://camera/", long_side=long_side) for name in cameras or ("door",)]
    return SiteSettings(id=SITE, profile="lab", timezone=timezone, cameras=found)


class FakeBus:
    """A bus that replays a list, and whose store of days can be out of order.

    A mock, since no real server can be made to lose one stream and keep the others at a wanted moment.
    """

    def __init__(self, messages=()):
        self.messages, self.streams = list(messages), self
        self.trouble: list[BaseException | str] = []
        self.days: dict[tuple[str, str], DriftDayV1] = {}
        self.published: list[bytes] = []
        self.idle = asyncio.Event()

    async def _be_in_order(self):
        if self.trouble:
            trouble = self.trouble.pop(0)
            if trouble == "hang":
                await asyncio.Event().wait()
            raise trouble

    async def ensure_streams(self, names):
        assert list(names) == ["DRIFT"]
        await self._be_in_order()

    async def created(self, _name):
        return 1, len(self.messages)

    async def latest(self, _row, **_tokens):
        return []

    async def history(self, row, **_tokens):
        return [Day(record) for record in self.days.values()] if row.message is DriftDayV1 else []

    async def first(self, _row, **_tokens):
        return None

    async def last(self, _row, **_tokens):
        return None

    async def store(self, row, message, *, message_id=None, held=None):
        self.published.append(encode(row, message))

    async def store_once(self, row, message, *, is_done, held=None):
        if not isinstance(message, DriftDayV1):
            self.published.append(encode(row, message))
            return True
        await self._be_in_order()
        key = (message.camera, message.day)
        if key in self.days and is_done(self.days[key]):
            return False
        self.days[key] = message
        return True

    async def follow(self, _stream, _filters, *, start=1):
        for message in self.messages:
            yield message
            await asyncio.sleep(0)  # as a real stream, which lets the other tasks run
        self.idle.set()
        await asyncio.Event().wait()


class Day:
    """A stored record."""

    def __init__(self, message):
        self.message = message


@contextlib.asynccontextmanager
async def running(bus, make, drift):
    """Run a site with its drift until the stream is at its end, and on while the caller looks."""
    runner = SiteRunner(bus, make.config(), AggregateSettings(), fair_host(), lambda _: None, drift)
    tasks = [asyncio.create_task(runner.follow())]
    if drift is not None:
        tasks.append(asyncio.create_task(drift.run()))
    try:
        await asyncio.wait_for(bus.idle.wait(), patient())
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if drift is not None:
            drift.close()


def metrics() -> dict[tuple, float]:
    """Return this site's drift metrics by name and labels, the site left out."""
    samples = [s for family in REGISTRY.collect() if family.name.startswith("moretta_drift") for s in family.samples]
    return {
        (s.name.removeprefix("moretta_drift_"), *(v for k, v in s.labels.items() if k != "site")): s.value
        for s in samples
        if s.labels["site"] == SITE and not s.name.endswith(("_total", "_created"))
    }


def crowds(make, days=1, size=0.05, per_day=ENOUGH):
    """Return a stream with a crowd a day, and 6 minutes after the last one."""
    stream = make.stream()
    for day in range(days):
        for step in range(per_day // 100):
            stream.seen(day * 86_400 + step / 5, *[make.face(0.1 + n / 125, size=size) for n in range(100)])
    return stream.tick((days - 1) * 86_400 + 360)


async def test_windows_are_the_same_with_and_without_drift(make):
    """Not a byte of what is published changes, nor the order, whether drift looks on, fails, or is not there."""
    published = []
    for trouble, watched in (([], False), ([], True), ([OSError("full")] * 99, True)):
        stream = make.stream().passer(5).watch(7.4, 59).passer(59, "unmasked").ticks(62, 400)
        bus = FakeBus([*stream.messages[:100], StreamReset(9), *stream.messages[100:]])
        bus.trouble = trouble
        async with running(bus, make, SiteDrift(bus, settings(), every=10**9) if watched else None):
            published.append(bus.published)
    assert published[0] == published[1] == published[2]
    assert len(published[0]) > 5


async def test_days_are_stored_beside_the_windows(make):
    """What the stream showed is stored after five minutes of its time, once."""
    bus = FakeBus(crowds(make).messages)
    async with running(bus, make, SiteDrift(bus, settings())):
        await until(lambda: bus.days)
    [record] = bus.days.values()
    assert (record.site, record.camera, record.stream_sequence) == (SITE, "door", len(bus.messages))
    assert sum(record.models[0].sizes) == ENOUGH


async def test_pictures_that_the_windows_drop_are_in_no_day(make):
    """Of a picture stored twice and of a camera that is not configured nothing is counted."""
    stream = make.stream()
    stream.seen(0.2, make.face()).seen(0.2, make.face(), sequence=1).seen(0.4, make.face(), camera="elsewhere")
    bus = FakeBus(stream.seen(0.6, make.face()).tick(360).messages)
    async with running(bus, make, SiteDrift(bus, settings())):
        await until(lambda: bus.days)
    assert [(r.camera, sum(r.models[0].sizes)) for r in bus.days.values()] == [("door", 2)]


@pytest.mark.parametrize("trouble", [OSError("disk full"), Fenced("moretta"), "hang"], ids=["error", "fenced", "hang"])
async def test_what_could_not_be_stored_is_stored_at_the_next_time(make, monkeypatch, trouble):
    """A store that fails or hangs keeps nothing up; five minutes later the day is stored, with all that it held."""
    monkeypatch.setattr(keeping, "TIMEOUT_S", 0.05)
    bus, late = FakeBus(crowds(make).messages), make.stream()
    drift = SiteDrift(bus, settings())
    failures = keeping.FAILURES.labels(SITE)._value.get
    async with running(bus, make, drift):
        await until(lambda: bus.days)
        bus.days.clear()
        bus.trouble, before = [trouble], failures()
        drift.step(late.seen(400, make.face()).messages[0], [])
        drift.step(late.tick(700).messages[1], [])
        await until(lambda: failures() == before + 1)
        assert not bus.days
        drift.step(late.tick(1_000).messages[2], [])
        await until(lambda: bus.days)
    assert [sum(r.models[0].sizes) for r in bus.days.values()] == [ENOUGH + 1]


async def test_without_its_store_the_site_goes_on(make, monkeypatch):
    """While the stored days cannot be read nothing is counted, or a day would lose what it held; windows come out."""
    monkeypatch.setattr(keeping, "WAIT_S", 0.05)
    monkeypatch.setattr(keeping, "TIMEOUT_S", 0.02)
    monkeypatch.setattr(keeping, "_RETRY_S", 0.01)
    bus = FakeBus(make.stream().passer(5).ticks(8, 400).messages)
    bus.trouble = ["hang", OSError("no stream")] * 500
    drift = SiteDrift(bus, settings())
    async with running(bus, make, drift):
        assert len(bus.published) > 1
        assert (bus.days, metrics()) == ({}, {})
        bus.trouble = []
        await until(drift._restored.is_set)
        late = make.stream().seen(500, make.face()).tick(900)
        for message in late.messages:
            drift.step(message, [])
        await until(lambda: bus.days)
    assert [sum(r.models[0].sizes) for r in bus.days.values()] == [1]


async def test_a_fault_of_drift_ends_no_window(make, monkeypatch):
    """When drift itself fails on a message it is counted and logged, and the windows come out all the same."""
    published = []
    for broken in (False, True):
        stream = make.stream().passer(5).ticks(62, 200)
        bus = FakeBus(stream.messages)
        drift = SiteDrift(bus, settings())
        if broken:
            monkeypatch.setattr(drift._core, "step", lambda *_args, **_more: 1 / 0)
        async with running(bus, make, drift):
            published.append(bus.published)
            assert (keeping.FAILURES.labels(SITE)._value.get() > 0) is broken
    assert published[0] == published[1] != []


async def test_the_decree_s_profile_keeps_no_days(make):
    """Where nothing finer than the whole site is allowed, no camera's day is stored or shown."""
    stored = []
    for profile in ("lab", "fr-2021-269"):
        bus = FakeBus(crowds(make).messages)
        drift = SiteDrift(bus, structs.replace(settings(), profile=profile))
        async with running(bus, make, drift):
            if profile == "lab":
                await until(lambda bus=bus: bus.days)
                assert metrics()
                drift.configure(structs.replace(settings(), profile="fr-2021-269"))
            assert metrics() == {}
            stored.append(len(bus.days))
    assert stored == [1, 0]


def test_a_record_that_contradicts_itself_is_not_compared(make):
    """Histograms that do not hold the same faces would break every comparison: the day is told and left alone."""
    core = Drift(SITE, ZoneInfo("Europe/Paris"), EVERY)
    for message in crowds(make).messages:
        due = core.step(message, [])
    [whole] = due
    counts = whole.models[0]
    empty = structs.replace(whole, models=[structs.replace(counts, sizes=[0] * len(counts.sizes))])
    many = structs.replace(whole, models=[structs.replace(counts, unknown=sum(counts.sizes) + 1)])
    assert Drift(SITE, ZoneInfo("Europe/Paris"), EVERY).restore([empty, many, whole]) == [empty, many]


async def test_a_start_goes_on_where_the_record_ends(make):
    """A second run over the same stream stores the same day, not twice as much."""
    messages = crowds(make).messages
    bus = FakeBus(messages)
    async with running(bus, make, SiteDrift(bus, settings())):
        await until(lambda: bus.days)
    again = FakeBus(crowds(make).seen(370, make.face()).tick(700).messages)
    again.days = dict(bus.days)
    async with running(again, make, SiteDrift(again, settings())):
        await until(lambda: again.days != bus.days)
    assert [sum(r.models[0].sizes) for r in again.days.values()] == [ENOUGH + 1]


async def test_an_older_record_never_replaces_a_newer_one(make):
    """A process that was frozen for hours stores its day: the one that went on has counted further, and stays."""
    bus = FakeBus(crowds(make).messages)
    other, late = Drift(SITE, ZoneInfo("Europe/Paris")), make.stream().seen(3_000, make.face()).tick(3_600).messages
    [*_, newer] = [record for m in [*bus.messages, *late] for record in other.step(m, []) or ()]
    drift = SiteDrift(bus, settings())
    async with running(bus, make, drift):
        await until(lambda: bus.days)
        bus.days = {("door", newer.day): newer}
        for message in make.stream().seen(400, make.face()).tick(700).messages:
            drift.step(message, [])
        await until(lambda: not drift._waiting)
    assert list(bus.days.values()) == [newer]


async def test_records_of_another_version_are_told(make, capsys):
    """Days in other bins are a line in the log, and no error."""
    bus = FakeBus(crowds(make).messages)
    async with running(bus, make, SiteDrift(bus, settings())):
        await until(lambda: bus.days)
    [(key, record)] = bus.days.items()
    bus.days[key] = structs.replace(record, models=[structs.replace(record.models[0], sizes=[1])])
    again = FakeBus()
    again.days = bus.days
    async with running(again, make, drift := SiteDrift(again, settings())):
        await until(drift._restored.is_set)
    assert "drift days not comparable" in capsys.readouterr().out


# --- metrics --------------------------------------------------------------------------------------------------------


async def test_the_metrics_of_a_camera(make):
    """Today, yesterday and the baseline: shares, quantiles in pixels of the analysed picture, indices."""
    stream = crowds(make, days=5, size=0.05)
    for step in range(20):
        faces = [make.face(0.1 + n / 125, size=0.1, score=0.5, verdict="unknown") for n in range(100)]
        stream.seen(5 * 86_400 + step / 5, *faces)
    bus = FakeBus(stream.tick(5 * 86_400 + 700).messages)
    async with running(bus, make, SiteDrift(bus, settings(timezone="UTC"))):
        found = metrics()
    assert {k[2]: v for k, v in found.items() if k[0] == "unknown_share"} == {
        "baseline": 0.0,
        "today": 1.0,
        "yesterday": 0.0,
    }
    sizes = {k[2:]: v for k, v in found.items() if k[0] == "size_pixels"}
    assert sizes["baseline", "0.5"] == sizes["yesterday", "0.5"] == pytest.approx(32, rel=0.09)
    assert sizes["today", "0.1"] < sizes["today", "0.5"] < sizes["today", "0.9"]
    assert sizes["today", "0.5"] == pytest.approx(64, rel=0.09)
    assert {q for _, q in sizes} == {"0.1", "0.5", "0.9"}
    scores = {k[2:]: v for k, v in found.items() if k[0] == "score"}
    assert scores["yesterday", "0.5"] == pytest.approx(0.9, abs=0.02)
    assert scores["today", "0.5"] == pytest.approx(0.5, abs=0.02)
    assert {q for _, q in scores} == {"0.1", "0.5"}
    for name in ("size_psi", "score_psi"):
        assert found[name, "door", "today"] > 0.25
        assert found[name, "door", "yesterday"] == 0
        assert (name, "door", "baseline") not in found
    assert found["baseline_days", "door"] == 4
    assert metrics() == {}, "a site that has ended has no metrics"


async def test_pixels_are_those_of_the_analysed_picture(make):
    """The same faces in a picture of twice the size are twice as large."""
    medians = []
    for long_side in (640, 1280):
        bus = FakeBus(crowds(make).messages)
        async with running(bus, make, SiteDrift(bus, settings(long_side=long_side))):
            medians.append(metrics()["size_pixels", "door", "today", "0.5"])
    assert medians[1] == pytest.approx(2 * medians[0], abs=0.1)


async def test_a_quiet_camera_has_no_numbers(make):
    """Below 2,000 faces a day there is nothing but the number of baseline days, and below fifty passages either."""
    for faces, more in ((ENOUGH - 100, {("stayed_share", "door", "today"): 1.0}), (ENOUGH_PASSAGES - 1, {})):
        bus = FakeBus(crowds(make, per_day=faces).messages)
        async with running(bus, make, SiteDrift(bus, settings())):
            assert metrics() == {("baseline_days", "door"): 0} | more


async def test_todays_numbers_end_with_the_day(make):
    """After midnight today has none yet, and what was today is yesterday, though no camera sends anything."""
    bus = FakeBus(crowds(make).tick(86_400).messages)
    async with running(bus, make, SiteDrift(bus, settings(timezone="UTC"))):
        assert {k[2] for k in metrics() if len(k) > 2} == {"yesterday"}


async def test_a_removed_camera_s_metrics_go_with_it(make):
    """After a reload without the camera nothing is shown of it, nor at the next five minutes; the others stay."""
    stream = crowds(make)
    bus = FakeBus(stream.messages)
    drift = SiteDrift(bus, settings("door", "gate"))
    async with running(bus, make, drift):
        assert {k[1] for k in metrics()} == {"door", "gate"}
        drift.configure(settings("gate", timezone="UTC"))
        assert {k[1] for k in metrics()} == {"gate"}
        drift.step(stream.tick(1_000).messages[-1], [])
        assert {k[1] for k in metrics()} == {"gate"}


async def test_a_reload_takes_the_new_time_zone_into_force(make):
    """The next face is of the day that the clocks of the new zone show."""
    bus = FakeBus()
    drift, stream = SiteDrift(bus, settings(timezone="UTC")), make.stream().seen(1, make.face()).seen(2, make.face())
    async with running(bus, make, drift):
        await until(drift._restored.is_set)
        drift.step(stream.messages[0], [])
        drift.configure(settings(timezone="Pacific/Kiritimati"))
        drift.step(stream.messages[1], [])
        drift.step(stream.tick(700).messages[-1], [])
        await until(lambda: len(bus.days) == 2)
    assert [day for _, day in bus.days] == ["2023-11-14", "2023-11-15"]


async def test_metrics_carry_no_count_and_no_verdict(make):
    """Ten times the people show the same numbers; labels are site, camera, day and quantile (ADR 9)."""
    shown = []
    for times in (1, 10):
        stream = make.stream()
        for step in range(20 * times):
            at = 60 * (step // 20) + step % 20 / 5
            stream.seen(at, *[make.face(0.1 + n / 125, size=0.0421, score=0.871) for n in range(100)])
        bus = FakeBus(stream.tick(EVERY / 10**9 + 960).messages)
        async with running(bus, make, SiteDrift(bus, settings())):
            shown.append(metrics())
            families = [f for f in REGISTRY.collect() if f.name.startswith("moretta_drift")]
            labels = {label for family in families for sample in family.samples for label in sample.labels}
    assert shown[0] == pytest.approx(shown[1], rel=0.005)
    assert shown[0]["stayed_share", "door", "today"] == 1.0
    assert labels == {"site", "camera", "day", "quantile"}
    assert not [f for f in families if any(w in f.name for w in ("mask", "person", "face", "passage", "rate", "count"))]


def test_the_documents_name_the_metrics():
    """docs/operations.md explains every metric of drift, and none that is not there."""
    said = set(re.findall(r"moretta_drift_\w+", (ROOT / "docs/operations.md").read_text(encoding="utf-8")))
    found = {family.name for family in REGISTRY.collect() if family.name.startswith("moretta_drift")}
    assert {name.removesuffix("_total") for name in said} == found
