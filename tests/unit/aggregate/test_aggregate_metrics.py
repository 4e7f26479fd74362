"""What Prometheus hears of a site: of its windows everything, of the people in front of its cameras nothing."""

import asyncio
from types import SimpleNamespace

import messages
import pytest
from fair_clock import fair_host
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from prometheus_client import REGISTRY

from proto.public import WindowV1
from proto.subjects import STREAMS, WINDOWS
from services.aggregate import stream_retention
from services.aggregate.core.config import SiteConfig
from services.aggregate.core.drift import ENOUGH
from services.aggregate.core.policy import withhold
from services.aggregate.drift_days import SiteDrift
from services.aggregate.metrics import SiteMetrics, WindowMetrics
from services.aggregate.runner import SiteRunner
from services.aggregate.settings import AggregateSettings
from services.bus.streams.reading import StreamUsage, _lacking
from services.sites.profiles import PROFILES
from services.sites.settings import CameraSettings, SiteSettings

SECOND = 1_000_000_000
MIB = 1 << 20


def exposition(*prefixes: str) -> dict[str, float]:
    """All samples but those that tell a time: what was counted, how often something was timed, and which series are."""
    return {
        f"{sample.name}{sorted(sample.labels.items())}": 0.0 if family.type == "gauge" else sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if family.name.startswith(prefixes) and not sample.name.endswith(("_sum", "_created"))
    }


class Bus:
    """Replays a list; keeps what is stored; whose streams hold so many bytes."""

    def __init__(self, messages=(), held=0):
        self.messages, self.streams, self.held, self.windows = list(messages), self, held, []

    async def created(self, _name):
        return 1, len(self.messages)

    async def kept(self, _name):
        return StreamUsage(0, 64 * MIB, 2, 5 * SECOND, 4_000 * SECOND, self.held)

    async def history(self, *_row, **_tokens):
        return []

    latest = history

    async def first(self, *_row, **_tokens):
        return None

    last = first

    async def ensure_streams(self, _names):
        pass

    async def store(self, *_message, **_how):
        return 1

    async def store_once(self, _row, message, **_how):
        if isinstance(message, WindowV1):
            self.windows.append(message)
        return True

    async def follow(self, *_stream, **_how):
        for message in self.messages:
            yield message
            await asyncio.sleep(0)


async def run(make, faces: int, profile: str) -> tuple[dict[str, float], list[WindowV1], SiteRunner]:
    """Have a site decided for two windows with so many people in each second, and return what there is to see."""
    stream = make.stream()
    for second in range(700):
        here = faces if second % 20 < 10 else 0
        crowd = [make.face(0.05 + 0.08 * n, 0.5, verdict="unmasked") for n in range(here)]
        stream.seen(second, *crowd).tick(second)
    bus = Bus(stream.messages)
    site = SiteSettings(id="market", profile=profile, cameras=[CameraSettings(id="door", url="rtsp://camera/")])
    drift = SiteDrift(bus, site)
    runner = SiteRunner(
        bus, make.config(profile=profile, window_s=300.0), AggregateSettings(), fair_host(), lambda _: None, drift
    )
    keeping_days = asyncio.create_task(drift.run())
    await drift.until_restored()
    await runner.follow()
    keeping_days.cancel()
    await asyncio.gather(keeping_days, return_exceptions=True)
    found = exposition("moretta_aggregate", "moretta_drift", "moretta_window")
    drift.close()
    return found, bus.windows, runner


@pytest.mark.parametrize("profile", ["stats-only", "alerting", "fr-2021-269"])
async def test_a_crowd_and_nobody_look_the_same(make, profile):
    """Seven hundred pictures with ten people in each, and with nobody: the same series, the same counts. When the site
    is given up nothing of it is left.
    """
    SiteMetrics("market").retire()  # whatever ran before
    crowd, many, runner = await run(make, 10, profile)
    runner.close()
    empty, none, runner = await run(make, 0, profile)
    assert len(many) == len(none) == 2
    assert profile == "fr-2021-269" or min(window.persons for window in many) > 50
    assert crowd == empty
    assert any("window_end" in name for name in empty)
    assert not [name for name in empty if name.startswith("moretta_window")], "nobody asked for it"
    runner.close()
    assert not [name for name in exposition("moretta_aggregate", "moretta_drift") if "market" in name]


def test_today_is_shown_in_the_lab_alone(make):
    """What changes every five minutes is finer than a window, be it rounded; whole days are shown everywhere."""
    shown = {}
    for profile in ("lab", "stats-only"):
        site = SiteSettings(id="market", profile=profile, cameras=[CameraSettings(id="door", url="rtsp://camera/")])
        drift = SiteDrift(Bus(), site, every=1)
        drift._restored.set()
        stream = make.stream()
        for second in range(-86_400, -86_400 + 3 * ENOUGH, 3):
            stream.seen(second / 3, make.face())
        for step in range(ENOUGH + 10):
            stream.seen(step / 5, make.face())
        for message in stream.messages:
            drift.step(message, [])
        shown[profile] = {
            s.labels["day"] for f in REGISTRY.collect() if f.name == "moretta_drift_size_pixels" for s in f.samples
        }
        drift.close()
    assert "today" in shown["lab"]
    assert shown["stats-only"] == shown["lab"] - {"today"}


def test_a_window_is_told_as_it_was_published(make):
    """Its end, how late it was, and its coverage, if the profile publishes that; a zone's is only counted."""
    metrics = SiteMetrics("told")
    metrics.begin(make.config(window_s=300.0, lateness_s=5.0), 0)
    value = lambda name: REGISTRY.get_sample_value(f"moretta_aggregate_{name}", {"site": "told"})  # noqa: E731
    assert value("window_due_seconds") == 305
    assert value("window_end_timestamp_seconds") > 1.7e9
    window = WindowV1(site="told", zone="_site", profile="stats-only", start=0, end=300 * SECOND, coverage=0.5)
    metrics.window(window, is_new=True)
    metrics.window(replace_zone(window), is_new=True)
    assert (value("window_end_timestamp_seconds"), value("window_coverage_ratio")) == (300, 0.5)
    assert value("windows_published_total") == value("window_delay_seconds_count") == 2
    metrics.window(structs.replace(window, coverage=None), is_new=False)
    assert value("window_coverage_ratio") is None
    assert value("windows_published_total") == 2
    metrics.retire()
    assert value("window_end_timestamp_seconds") is None


def replace_zone(window: WindowV1) -> WindowV1:
    return structs.replace(window, zone="hall", coverage=1.0)


def shown(site: str) -> dict[tuple[str, str], float]:
    """What there is of a site's published windows, by zone and metric."""
    return {
        (s.labels["zone"], s.name.removeprefix("moretta_window_")): s.value
        for family in REGISTRY.collect()
        for s in family.samples
        if family.name.startswith("moretta_window_") and s.labels["site"] == site
    }


def told(window: WindowV1) -> dict[tuple[str, str], float]:
    """What metrics have to say of a window: what is published of it, and nothing where that is null."""
    low, high = window.interval or (None, None)
    figures = {
        "rate_ratio": window.rate, "rate_low_ratio": low, "rate_high_ratio": high, "persons": window.persons,
        "coverage_ratio": window.coverage, "end_timestamp_seconds": window.end / 1e9,
    }  # fmt: skip
    return {(window.zone, name): value for name, value in figures.items() if value is not None}


_COUNTS = st.lists(st.integers(0, 40), min_size=4, max_size=4)


@given(st.sampled_from(sorted(PROFILES)), st.lists(_COUNTS, min_size=1, max_size=3), st.data())
def test_metrics_are_the_newest_published_window_and_nothing_else(profile, crowds, data):
    """Of any profile and size, also beside the one before: what is withheld has no series, and no other figure is."""
    zone = data.draw(st.sampled_from(["_site", "hall"] if PROFILES[profile].zones else ["_site"]))
    config = SiteConfig(site="shown", profile=profile, window_s=1_200.0, lateness_s=5.0, zones=["hall"])
    windows = [
        withhold(
            messages.window(at, counts[0], tuple(counts[1:]), site="shown", zone=zone, profile=profile, coverage=0.5)
        )
        for at, counts in zip(range(0, 10_000 * SECOND, 1_200 * SECOND), crowds, strict=False)
    ]  # fmt: skip
    metrics = WindowMetrics(config, wanted=True)
    metrics.show([*windows, windows[0]])
    assert shown("shown") == told(windows[-1])
    metrics.retire()
    assert shown("shown") == {}


async def test_what_somebody_else_published_is_shown_and_not_what_we_decided(make, monkeypatch):
    """A window that is on the bus already, decided otherwise by the replica before."""
    stream = make.stream()
    for second in range(700):
        stream.seen(second).tick(second)
    bus, decided = Bus(stream.messages), []

    async def last(row, **tokens):
        seen = decided and row is WINDOWS and tokens == {"site": "market", "zone": "_site"}
        return SimpleNamespace(message=structs.replace(decided[-1], persons=77, coverage=0.25)) if seen else None

    async def store_once(_row, message, **_how):
        decided.extend([message] if isinstance(message, WindowV1) else [])
        return False

    monkeypatch.setattr(bus, "last", last)
    monkeypatch.setattr(bus, "store_once", store_once)
    settings = AggregateSettings(publish_metrics=True)
    runner = SiteRunner(bus, make.config(profile="lab", window_s=300.0), settings, fair_host(), lambda _: None)
    await runner.follow()
    assert (shown("market")["_site", "persons"], shown("market")["_site", "coverage_ratio"]) == (77, 0.25)
    assert decided[-1].persons == 0
    runner.close()
    assert shown("market") == {}


def test_what_the_settings_have_no_more_is_not_shown():
    """Not a zone that went, not what another profile published, and nothing at all unless it is asked for."""
    config = SiteConfig(site="shown", profile="lab", window_s=300.0, lateness_s=5.0, zones=["hall", "quay"])
    of = lambda zone, end, profile="lab": WindowV1(  # noqa: E731
        site="shown", zone=zone, profile=profile, start=0, end=end * SECOND, persons=7
    )
    metrics = WindowMetrics(config, wanted=True)
    metrics.show([of("hall", 300), of("quay", 300), of("_site", 300), of("gone", 300)])
    assert {zone for zone, _ in shown("shown")} == {"hall", "quay", "_site"}
    metrics.configure(structs.replace(config, zones=["quay"]))
    metrics.show([of("hall", 600)])
    assert {zone for zone, _ in shown("shown")} == {"quay", "_site"}
    metrics.configure(structs.replace(config, zones=[], profile="fr-2021-269"))
    metrics.show([of("_site", 600)])
    assert shown("shown") == {}
    metrics.show([of("_site", 900, "fr-2021-269")])
    assert shown("shown")["_site", "persons"] == 7
    metrics.retire()
    WindowMetrics(config, wanted=False).show([of("_site", 300)])
    assert shown("shown") == {}


@given(st.sampled_from(sorted(stream_retention.COARSE)), st.integers(0, 64 * MIB), st.integers(0, 2_000))
def test_what_streams_of_people_hold_is_told_when_they_are_nearly_full_alone(stream, held, more):
    """Below nine tenths of the limit nothing, from there on the limit: what the alert needs, and no step between."""
    limit = 64 * MIB
    assert stream_retention.shown(stream, held, limit) == (limit if held > 0.9 * limit else 0)
    assert stream_retention.shown(stream, held, 0) == stream_retention.shown(stream, held, -1) == 0, (
        "without a limit nothing is full"
    )
    assert stream_retention.shown("WINDOWS", held + more, limit) == held + more


async def test_streams_are_told_against_their_limits():
    """All of them; copies that are offline or behind are lacking; PASSAGES' reach is the age of a passer-by."""
    for stream in STREAMS:
        await stream_retention._ask(Bus(held=1_000), stream.name)
    value = lambda name, stream: REGISTRY.get_sample_value(f"moretta_stream_{name}", {"stream": stream})  # noqa: E731
    assert value("bytes", "WINDOWS") == 1_000
    assert value("bytes", "PASSAGES") == 0
    assert {value("limit_bytes", stream.name) for stream in STREAMS} == {64 * MIB}
    copies = [{"current": True}, {"current": True, "offline": True}]
    three = {"config": {"num_replicas": 3}, "cluster": {"replicas": copies}}
    assert (_lacking(three), _lacking({"config": {"num_replicas": 1}})) == (1, 0)
    reach = next(f for f in REGISTRY.collect() if f.name == "moretta_aggregate_stream_reach_seconds")
    assert [(s.labels["stream"], s.value) for s in reach.samples] == [("SIGHTINGS", 3_960.0)]
