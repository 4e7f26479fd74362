"""Aggregate on a real NATS server: windows and alerts come out once, whatever dies."""

import asyncio
import sys
import time

import pytest
import yaml
from fair_clock import fair_host
from nats_cluster import NatsCluster
from patience import until
from program import Program
from prometheus_client import REGISTRY

from proto.codec import encode
from proto.public import OperationalAlertV1, RuleStateV1, WindowV1
from proto.sightings import PassageV1
from proto.subjects import (
    ALERTS,
    OPERATIONS,
    PASSAGES,
    RULES,
    SITE_CONFIG,
    WINDOWS,
)
from services.aggregate import stream_retention
from services.aggregate.core.config import SECOND, SiteConfig
from services.aggregate.runner import SiteRunner
from services.bus import Fenced
from services.kernel.app import end_tasks
from services.leases import sharing

UNMASKED = ("unmasked",) * 4


async def test_sightings_become_windows_and_an_alert(scene):
    """People seen in a window are on the bus when it closes: passages, zone and site windows, the rule's alert."""
    await scene.start()
    start = scene.border()
    await scene.window(start, *UNMASKED)
    [alert] = await scene.until(ALERTS, 1)
    assert (alert.state, alert.zone, alert.rate, alert.persons) == ("firing", "hall", 0.0, 4)
    assert (alert.start, alert.since) == (start, start)
    await _all_published(scene, start, 1)
    for zone in ("hall", "_site"):
        windows = await scene.until(WINDOWS, 1, zone=zone)
        [window] = [w for w in windows if w.start == start]
        assert (window.persons, window.unmasked, window.coverage, window.gaps) == (4, 4, 1.0, [])
    assert len(await scene.published(PASSAGES)) == 4


async def test_no_camera_address_gets_onto_the_bus(scene):
    """The configuration in the stream holds no URL and no password."""
    await scene.start()
    [message, *_] = await scene.until(SITE_CONFIG, 1)
    assert "hunter2" not in message.config
    assert "rtsp" not in message.config
    assert SiteConfig.decode(message) == scene.config()


async def test_every_window_comes_once_and_in_order(scene):
    """Windows of a zone follow each other without a hole, also where nobody was seen."""
    await scene.start()
    windows = await scene.until(WINDOWS, 3, zone="_site")
    assert [w.end for w in windows[:-1]] == [w.start for w in windows[1:]]


async def test_a_restart_in_an_open_window_changes_no_byte(scene):
    """Fresh service objects in the middle of a window publish each window once, with the bytes of one whole run."""
    app = await scene.start()
    start = scene.border()
    await scene.window(start, *UNMASKED)
    await scene.window(start + 2_000_000_000, "masked")
    await scene.until(PASSAGES, 4)
    assert await scene.stop(app) == 0
    await scene.start()
    await _all_published(scene, start, 2)


async def test_a_killed_process_changes_no_byte(scene, tmp_path):
    """SIGKILL in the middle of a window, and a new process: each window once, the bytes of one whole run."""
    path = tmp_path / "moretta.yaml"
    path.write_text(yaml.safe_dump(scene.raw()))
    program = scene.launch(path)
    await scene.until(SITE_CONFIG, 1)
    start = scene.border()
    await scene.window(start, *UNMASKED)
    await scene.window(start + 2_000_000_000, "masked")
    await scene.until(PASSAGES, 4)
    await asyncio.to_thread(program.close)
    scene.launch(path)
    await _all_published(scene, start, 2)


async def _all_published(scene, start, count):
    """Wait for so many windows from `start` on, and compare all with one undisturbed run over the stream."""
    for zone in ("hall", "_site"):
        await scene.until_window(lambda w: w.start >= start + (count - 1) * 2 * SECOND, zone=zone)
        got = [encode(WINDOWS, w) for w in await scene.published(WINDOWS, zone=zone)]
        wanted = [w for w in await scene.undisturbed(WindowV1) if f'"zone":"{zone}"'.encode() in w]
        assert got == wanted[: len(got)]
        assert len(set(got)) == len(got)
    passages = [encode(PASSAGES, p) for p in await scene.published(PASSAGES)]
    assert passages == (await scene.undisturbed(PassageV1))[: len(passages)]
    assert len(await scene.published(ALERTS)) == 1
    for row, kind in ((RULES, RuleStateV1), (OPERATIONS, OperationalAlertV1)):
        decided = [encode(row, m) for m in await scene.until(row, 1)]
        assert decided == (await scene.undisturbed(kind))[: len(decided)]


async def test_people_whose_passages_were_pushed_out_count_after_a_restart(scene):
    """Another site fills PASSAGES in mid-window, and the service starts anew: sightings tell of them again."""
    site = scene.site(window_s=15)
    app = await scene.start(site)
    start = scene.border(15)
    await scene.window(start, *UNMASKED, window_s=15)
    await scene.until(PASSAGES, 4)
    await push_out(scene.bus)

    async def gone() -> bool:
        return not await scene.published(PASSAGES)

    await until(gone, "the site's are pushed out", 90)  # 64 MiB, on a disk that others may use
    assert await scene.stop(app) == 0
    await scene.start(site)
    window = await scene.until_window(lambda w: w.start == start, 60, zone="_site")
    assert (window.persons, window.unmasked, window.coverage) == (4, 4, 1.0)


async def push_out(bus):
    """Fill PASSAGES with another site's."""
    kept = await bus.streams.kept("PASSAGES")
    client = bus.client
    for _ in range(kept.max_bytes // 60_000 + 2):
        await client.publish("moretta.v1.passages.other", bytes(60_000))
    await client.flush()


async def test_two_at_once_publish_once(scene):
    """Two that both believe they hold the site publish each window and alert once, the same bytes."""
    runners = [
        SiteRunner(scene.bus, scene.config(), scene.file().aggregate, fair_host(), lambda _: None) for _ in range(2)
    ]
    tasks = [asyncio.create_task(part) for runner in runners for part in (runner.follow(), runner.tick())]
    start = scene.border()
    await scene.window(start, *UNMASKED)
    await _all_published(scene, start, 1)
    await end_tasks(tasks)


async def test_fenced_is_no_end(scene, monkeypatch):
    """Somebody else wrote on the site: it is given up, and taken again after a pause; the process goes on."""
    real, calls = SiteRunner.follow, []

    async def follow(runner):
        calls.append(runner)
        if len(calls) == 1:
            raise Fenced("a window")
        await real(runner)

    monkeypatch.setattr(sharing, "_REST_S", 0.5)
    monkeypatch.setattr(SiteRunner, "follow", follow)
    app = await scene.start()
    await scene.until(WINDOWS, 1)
    assert len(calls) == 2
    assert await scene.stop(app) == 0


async def test_a_stream_that_keeps_too_little_is_told(scene, monkeypatch):
    """Somebody else manages the stream: readiness says what to set, and is well again as soon as it is set."""
    monkeypatch.setattr(stream_retention, "_INTERVAL_S", 1.0)
    app = await scene.start()
    await scene.until(SITE_CONFIG, 1)  # it has made its streams, and does not mend them again
    await until(app.probes.is_ready)
    js = scene.bus.streams.js
    config = (await js.stream_info("SIGHTINGS")).config
    for max_age, enough in ((300, False), (303, True)):
        config.max_age = max_age

        async def is_told(enough=enough):
            await js.update_stream(config)  # again: a service whose connection came back has mended it
            return ("streams of market" not in app.probes.reasons()) == enough

        await until(is_told, "readiness says so", every_s=0.2)
        assert enough or "max_age to 303s or more" in app.probes.reasons()["streams of market"]


async def test_what_the_stream_has_dropped_lowers_coverage(scene, capsys):
    """Bytes run out in an open window while aggregate is away: the people count, the time does not, and it is told."""
    site = scene.site(window_s=5)
    app = await scene.start(site)
    await scene.until(WINDOWS, 1, zone="_site")
    start = scene.border(5)
    await scene.window(start, *UNMASKED, window_s=5, seconds=2)
    await scene.until(PASSAGES, 4)
    await _wait_until_begun(scene, start)
    await scene.until_window(lambda w: w.end >= start, zone="_site")
    await scene.stop(app)
    await scene.bus.streams.js.purge_stream("SIGHTINGS")  # as its bytes do, by the oldest
    lost = _metric("moretta_aggregate_messages_lost_total")
    await scene.start(site)
    window = await _window(scene, start)
    assert (window.persons, window.gaps) == (4, ["started-late"])
    assert window.coverage < 0.6
    starts = [w.start for w in await scene.published(WINDOWS, zone="_site")]
    assert starts == list(range(starts[0], starts[-1] + 1, 5 * SECOND))
    assert _metric("moretta_aggregate_messages_lost_total") == lost + 1
    assert "sightings lost" in capsys.readouterr().out


def _metric(name):
    return REGISTRY.get_sample_value(name, {"site": "market"}) or 0


async def test_a_restarted_server_costs_coverage_only(scene):
    """NATS dies in an open window and comes back without the memory stream: the people count, coverage falls."""
    site = scene.site(window_s=5)
    await scene.start(site)
    start = scene.border(5)
    await scene.window(start, *UNMASKED, window_s=5, seconds=2)
    await scene.until(PASSAGES, 4)
    await _wait_until_begun(scene, start)
    _restart(scene)
    window = await _window(scene, start)
    assert (window.persons, window.unmasked) == (4, 4)
    assert "bus-restarted" in window.gaps
    assert 0 < window.coverage < 0.6


async def test_server_and_service_restarted_lose_coverage_only(scene):
    """Both die in an open window: the people come back from their passages, the observed time does not."""
    site = scene.site(window_s=5)
    app = await scene.start(site)
    start = scene.border(5)
    await scene.window(start, *UNMASKED, window_s=5, seconds=2)
    await scene.until(PASSAGES, 4)
    await _wait_until_begun(scene, start)
    await scene.stop(app)
    _restart(scene)
    await scene.start(site)
    window = await _window(scene, start)
    assert (window.persons, window.gaps, window.coverage) == (4, ["bus-restarted"], 0.0)


def _restart(scene):
    scene.server.kill()
    scene.server.start()


async def _wait_until_begun(scene, start):
    """Wait until the server's clock is in the window, by the stream's own ticks."""

    async def begun():
        return (await scene.stream())[-1].time >= start

    await until(begun, "the window has begun", every_s=0.2)


async def _window(scene, start):
    """Return the site's window of that start, once published."""
    return await scene.until_window(lambda w: w.start == start, 30, zone="_site")


async def test_new_settings_take_over_at_a_border(scene):
    """A reload puts the new configuration into the stream once; windows after the border carry its hash."""
    app = await scene.start()
    await scene.until(WINDOWS, 1, zone="_site")
    new = scene.site(zones=[{"id": "hall"}, {"id": "attic"}])
    await app._apply(scene.file(new))
    await app._apply(scene.file(new))
    wanted, old = scene.config(new).sha256, scene.config().sha256
    await scene.until_window(lambda w: w.config_sha256 == wanted, zone="_site")
    hashes = [w.config_sha256 for w in await scene.published(WINDOWS, zone="_site")]
    assert hashes == [old] * hashes.count(old) + [wanted] * hashes.count(wanted)
    assert [m.sha256 for m in await scene.published(SITE_CONFIG)].count(wanted) == 1


async def test_nobody_is_counted_in_an_ignored_area(scene):
    """Of four who walk beside one another one is on a screen: three count, also after a restart in the open window."""
    [camera] = scene.site()["cameras"]
    site = scene.site(cameras=[camera | {"ignore": [[[0, 0.1], [1, 0.1], [1, 0.3], [0, 0.3]]]}])
    app = await scene.start(site)
    start = scene.border()
    await scene.window(start, *UNMASKED)
    assert len(await scene.until(PASSAGES, 3)) == 3
    assert await scene.stop(app) == 0
    await scene.start(site)
    window = await scene.until_window(lambda w: w.start == start, zone="hall")
    assert (window.persons, window.unmasked, window.config_sha256) == (3, 3, scene.config(site).sha256)
    assert len(await scene.published(PASSAGES)) == 3


async def test_a_rule_taken_out_while_it_fires_is_resolved(scene):
    """A reload without the rule: with the border its alert is resolved and its state normal, once, whoever restarts."""
    app = await scene.start()
    await scene.window(scene.border(), *UNMASKED)
    [firing] = await scene.until(ALERTS, 1)
    left = scene.site(rules=[])
    await app._apply(scene.file(left))
    [_, resolved] = await scene.until(ALERTS, 2)
    assert (resolved.state, resolved.alert, resolved.start >= firing.start) == ("resolved", firing.alert, True)

    async def last():
        return (await scene.published(RULES, zone="hall"))[-1]

    async def normal():
        return (await last()).state == "normal"

    await until(normal, "the rule's state is normal", every_s=0.1)
    assert (await last()).reason == "new-configuration"
    await scene.stop(app)
    before, told = len(await scene.published(WINDOWS, zone="_site")), await scene.published(RULES)
    await scene.start(left)
    await scene.until(WINDOWS, before + 2, zone="_site")
    assert (await scene.published(ALERTS), await scene.published(RULES)) == ([firing, resolved], told)


async def test_sites_come_and_go(scene):
    """A reload starts new sites and ends those that are gone; the others go on."""
    app = await scene.start()
    second = scene.site(id="station", rules=[])
    await app._apply(scene.file(scene.site(), second))
    await scene.until(WINDOWS, 1, site="station")
    await app._apply(scene.file(second))
    before = len(await scene.published(WINDOWS, zone="_site"))
    station = len(await scene.published(WINDOWS, site="station"))
    await scene.until(WINDOWS, station + 3, site="station")
    assert len(await scene.published(WINDOWS, zone="_site")) <= before + 1


async def test_ready_once_the_stream_has_been_read(scene):
    """Readiness names the site until what was stored before the start has been processed."""
    await scene.window(scene.border(), "masked")
    app = await scene.start()
    assert "site market" in app.probes.reasons() or app.probes.is_ready()
    await until(app.probes.is_ready, "replayed")


async def test_an_open_server_has_no_readers(scene):
    """Their number is told all the same: an alert rests on it."""
    await scene.start()
    told = [REGISTRY.get_sample_value("moretta_readers", {"state": state}) for state in ("served", "failed")]
    assert told == [0, 0]


async def test_published_windows_are_shown_again_after_a_restart(scene):
    """As metrics: what the bus has, and none that is still open or that was decided again and otherwise."""
    said = lambda name: REGISTRY.get_sample_value(f"moretta_window_{name}", {"site": "market", "zone": "hall"})  # noqa: E731
    scene.aggregate |= {"publish_metrics": True}
    app, start = await scene.start(), scene.border(window_s=20)
    await scene.stop(app)
    assert said("end_timestamp_seconds") is None
    site = scene.site(window_s=20, lateness_s=0.5)
    first = WindowV1(
        site="market", zone="hall", profile="lab", start=start - 20 * SECOND, end=start, persons=3, rate=0.5,
        interval=(0.2, 0.8), coverage=0.75,
    )  # fmt: skip
    await asyncio.sleep(max(0.0, start / SECOND - time.time()))  # no window is published before its end
    await scene.bus.store(WINDOWS, first)
    await scene.window(start, *UNMASKED, window_s=4)
    app = await scene.start(site)
    await until(app.probes.is_ready, "replayed")
    await until(lambda: said("persons") == 3, "the last window")
    assert (said("rate_ratio"), said("rate_low_ratio"), said("rate_high_ratio")) == (0.5, 0.2, 0.8)
    assert (said("coverage_ratio"), said("end_timestamp_seconds")) == (0.75, start / 1e9)
    await scene.stop(app)
    assert said("persons") is None


async def test_metrics_tell_nothing_of_people(scene):
    """No metric of aggregate has a label or a name that carries a verdict, a zone or a count of people."""
    await scene.start()
    await scene.until(WINDOWS, 2)
    families = [f for f in REGISTRY.collect() if f.name.startswith("moretta_aggregate")]
    assert families
    for family in families:
        assert not any(word in family.name for word in ("mask", "person", "face", "passage", "rate", "sighting"))
        for sample in family.samples:
            assert set(sample.labels) <= {"site", "reason", "stream", "le"}


async def test_stopped_by_a_signal(scene, tmp_path):
    """SIGTERM ends the process with 0."""
    path = tmp_path / "moretta.yaml"
    path.write_text(yaml.safe_dump(scene.raw()))
    program = scene.launch(path)
    await scene.until(SITE_CONFIG, 1)
    assert await asyncio.to_thread(program.stop) == 0, program.last_words()


def test_a_users_mistake_is_one_line_and_exit_2(tmp_path):
    """What the profile forbids is told with file and path, without a traceback."""
    path = tmp_path / "moretta.yaml"
    site = {"id": "market", "profile": "fr-2021-269", "window_s": 600, "cameras": []}
    path.write_text(yaml.safe_dump({"sites": [site]}))
    with Program([sys.executable, "-m", "services.aggregate", "-c", path]) as program:
        assert program.ended() == 2
    assert program.words == [
        f"{path}: sites[0].window_s: 600 s is too short under the profile fr-2021-269; at least 1200 s"
    ]


async def test_a_rules_changes_are_told_with_their_reasons(scene):
    """Nobody, four without a mask, nobody: each change of the rule's state is an event, and they make a chain."""
    await scene.start()
    start = scene.border()
    await scene.window(start, *UNMASKED)

    async def later():
        changes = await scene.published(RULES, zone="hall")
        return changes if len(changes) >= 2 and changes[-1].start > start else None

    found = await until(later, "a change after that", every_s=0.1)
    [alert] = await scene.until(ALERTS, 1)
    [firing] = [c for c in found if c.state == "firing"]
    assert (firing.reason, firing.start, firing.end) == ("held-long-enough", alert.start, alert.end)
    assert [c.before for c in found] == ["normal", *(c.state for c in found[:-1])]
    assert (found[-1].state, found[-1].reason) in {("no-data", "too-few-people"), ("no-data", "not-observed")}


async def test_those_who_run_it_are_told_of_a_silent_camera(scene):
    """No picture: camera-down after a whole window, no-data after three; a window with pictures resolves the first."""
    await scene.start()
    [down] = await scene.until(OPERATIONS, 1, kind="camera-down")
    assert (down.name, down.state, down.reason, down.coverage) == ("door", "firing", "camera-down", 0.0)
    [no_data] = await scene.until(OPERATIONS, 1, kind="no-data")
    assert (no_data.name, no_data.state, no_data.at - no_data.since) == ("hall", "firing", 3 * 2 * 10**9)
    start = scene.border(ahead=2)
    await scene.window(start, *UNMASKED)
    for kind in ("camera-down", "no-data"):
        resolved = (await scene.until(OPERATIONS, 2, kind=kind))[1]
        assert (resolved.state, resolved.at, resolved.reason) == ("resolved", start + 2 * 10**9, None)


@pytest.mark.first
async def test_all_nodes_lost(tmp_path, make_scene):
    """Three of three die in an open window: what was published stays, the window loses coverage, the next is whole."""
    cluster = NatsCluster(tmp_path).start()
    try:
        async with make_scene(cluster, replicas=3) as scene:
            site = scene.site(window_s=5)
            await scene.start(site)
            before = await scene.until(WINDOWS, 2)
            start = scene.border(5)
            await scene.window(start, *UNMASKED, window_s=5, seconds=2)
            await scene.until(PASSAGES, 4)
            await _wait_until_begun(scene, start)
            cluster.kill()
            cluster.start()
            window = await _window(scene, start)
            assert (window.persons, "bus-restarted" in window.gaps) == (4, True)
            assert 0 < window.coverage < 0.9
            whole = scene.border(5)
            await scene.window(whole, *UNMASKED, window_s=5)
            after = await _window(scene, whole)
            assert (after.persons, after.coverage, after.gaps) == (4, 1.0, [])
            found = await scene.published(WINDOWS)
            assert found[:2] == before[:2]
            assert len({(w.zone, w.start) for w in found}) == len(found)
    finally:
        cluster.stop()
