"""Reading the stream again gives the same bytes, and nobody counts twice."""

import random
from collections import Counter
from dataclasses import replace
from itertools import dropwhile
from typing import get_args

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proto.codec import encode
from proto.public import AlertV1, OperationalAlertV1, RuleStateV1, WindowV1
from proto.sightings import CODES, CameraEventV1, PassageV1, SightingsV1, SiteConfigV1, TickV1
from proto.subjects import ALERTS, OPERATIONS, PASSAGES, RULES, WINDOWS
from proto.types import Verdict
from services.aggregate.core.config import CameraConfig, SiteConfig
from services.aggregate.core.restart.resume import StoredConfig, first_config
from services.aggregate.core.rules.rate_rules import standing
from services.aggregate.core.site import SiteCore
from services.aggregate.core.site_clock import time_by
from services.sites.settings import RuleSettings

ROWS = {PassageV1: PASSAGES, WindowV1: WINDOWS, AlertV1: ALERTS, RuleStateV1: RULES, OperationalAlertV1: OPERATIONS}
CAMERAS = [CameraConfig(id="back"), CameraConfig(id="door", zone="hall")]
RULE = RuleSettings(id="low", zone="hall", fire_below=0.95, clear_above=0.95, for_windows=1, min_persons=1)

SECOND = 1_000_000_000
TRACKS_S = 12
"""Longer than anybody is in view."""


def config_of(make, **changes):
    """Return a small site with two cameras, a zone, a rule."""
    return make.config(cameras=CAMERAS, zones=["hall"], rules=[RULE], window_s=15.0, lateness_s=1.0, **changes)


def traffic(make, seed, seconds=50):
    """Return a stream with everything that happens: walkers, lost pictures, late ones, leases, events, models."""
    rng, stream, lease = random.Random(seed), make.stream(ordered=False), {"back": 1, "door": 1}
    scenes = {name: make.walkers(seed + i, seconds, 0.7)[0] for i, name in enumerate(lease)}
    for step in range(seconds * 5):
        at = step / 5
        for name, held in lease.items():
            if rng.random() < 0.05:
                continue
            faces = [
                structs.replace(
                    f, code=CODES[rng.choice(["unmasked" if f.box[1] < 0.35 else "masked"] * 3 + ["unknown"])]
                )
                for f in scenes[name][step][1]
            ]
            delay = rng.choice([0.05, 0.05, 0.3]) if rng.random() < 0.98 else 20
            if name == "back" and 28 <= at < 36:  # a stall: what comes for the closed window is late, not fenced
                delay = 36.5 - at
            model = "masks-1" if at < 27 else "masks-2"
            stream.seen(at, *faces, camera=name, lease=held, model=model, delay=delay)
        if rng.random() < 0.01:
            name = rng.choice(list(lease))
            lease[name] += rng.choice([0, 1])
            stream.event(at, rng.choice(["stalled", "live", "backing-off"]), camera=name, lease=lease[name])
        if step % 5 == 0:
            stream.tick(at)
        if step % 15 == 0:  # as often for windows of 15 s as in earnest: several times in each
            stream.told(at, structs.replace(make.errors, overdispersion=2.0), model="masks-2")
        if step == 0:  # never again: it is lost with the stream's beginning, or with the stream
            stream.told(at)
        if step == 100:
            stream.put(config_of(make, close_on_end=True).message(), make.hour + 20 * make.second)
    ordered = sorted(stream.ticks(seconds, seconds + 5).messages, key=lambda m: m.time)
    return [type(m)(m.message, n, m.time, m.stream_created) for n, m in enumerate(ordered, 1)]


def glitched(seed, messages):
    """Return the stream with some messages in a row that were stored while the server's clock was ahead."""
    rng = random.Random(seed)
    first, by = rng.randrange(len(messages)), rng.choice([3, 20, 3_600]) * SECOND
    last = first + rng.randint(5, 60)
    return [replace(m, time=m.time + by * (first <= n < last)) for n, m in enumerate(messages)]


def run(core, messages):
    """Return all that is published, in order."""
    return [o for m in messages for o in core.step(m) if type(o) in ROWS]


def placed(core, messages):
    """Return all that is published, in order, where each message has the time that the shell gives it."""
    return [o for m in messages for o in run(core, [replace(m, time=time_by(m.message, m.time, core.now))])]


def data(outputs, *kinds):
    """Return the bytes of the outputs of these kinds."""
    return [encode(ROWS[type(o)], o) for o in outputs if not kinds or isinstance(o, kinds)]


def of(kind, outputs):
    """Return the outputs of a kind."""
    return [o for o in outputs if isinstance(o, kind)]


@examples(8)
@given(st.integers(0, 10**6))
def test_the_same_stream_gives_the_same_bytes(make, seed):
    """Two runs over one stream publish the same bytes in the same order."""
    messages = traffic(make, seed)
    assert data(run(SiteCore(config_of(make)), messages)) == data(run(SiteCore(config_of(make)), messages))


@examples(100, 10)
@given(st.integers(0, 10**6), st.floats(0, 1), st.floats(0, 1))
def test_a_crash_anywhere_changes_no_byte(make, seed, where, published):
    """Killed after any output of any message and restarted from what is stored: each window, alert and passage once,
    the same bytes as without the crash."""
    messages, config = glitched(seed, traffic(make, seed)), config_of(make)
    wanted = placed(SiteCore(config), messages)
    first = SiteCore(config)
    cut = int(where * len(messages))
    stored = placed(first, messages[:cut])
    last = placed(first, messages[cut : cut + 1])
    stored += last[: round(published * len(last))]
    again = SiteCore(config)
    stored += make.restore(again, stored, [config, _later(make)])
    stored += placed(again, messages)
    for kind in ROWS:
        assert data(stored, kind) == data(wanted, kind)


@examples(60, 8)
@given(st.integers(0, 10**6), st.floats(0.3, 1))
def test_seconds_of_sightings_and_the_passages_are_enough(make, seed, where):
    """A stream that holds no more than the open window and the tracks that reach into it: a crash changes no byte.

    It begins with a message that says when it was sent: where nothing stands before one that does not, the server's
    clock alone counts (ADR 38).
    """
    messages = glitched(seed, traffic(make, seed))
    wanted = placed(SiteCore(config_of(make)), messages)
    cut = round(where * (len(messages) - 1))
    stored = placed(SiteCore(config_of(make)), messages[:cut])
    done = max((w.end for w in of(WindowV1, stored) if w.zone == "_site"), default=make.hour)
    begins = done - TRACKS_S * make.second
    kept = [*dropwhile(lambda m: m.time < begins or not isinstance(m.message, SightingsV1 | TickV1), messages)]
    changes = any(isinstance(m.message, SiteConfigV1) for m in kept)
    again = SiteCore(config_of(make) if changes else _later(make))
    configs = [config_of(make), _later(make)]
    stored += make.restore(again, stored, configs)
    stored += placed(again, kept)
    for kind in (WindowV1, AlertV1, PassageV1):
        assert data(stored, kind) == data(wanted, kind)


@examples(60, 8)
@given(st.integers(0, 10**6))
def test_a_servers_clock_that_is_ahead_changes_no_byte(make, seed):
    """Whenever, for however long, by however much: each window and alert is that of a right clock."""
    messages = traffic(make, seed)
    right, wrong = (placed(SiteCore(config_of(make)), some) for some in (messages, glitched(seed, messages)))
    for kind in (WindowV1, AlertV1, RuleStateV1, OperationalAlertV1):
        assert data(wrong, kind) == data(right, kind)


@examples(60, 8)
@given(st.integers(16, 170), st.integers(0, 170))
def test_a_zone_has_no_window_from_before_it_held(make, cut_s, lost_s):
    """Aggregate dies at any time, and the stream that it reads then has lost what it had in force before."""
    old = make.config(cameras=[CameraConfig(id="door")])
    new = make.config(cameras=[CameraConfig(id="door", zone="hall")], zones=["hall"], rules=[RULE])
    core, stream, border = SiteCore(old), make.stream().put(old.message(), make.hour), make.hour + 60 * SECOND
    for at in range(0, 190, 5):
        if at:
            stream.put(new.message(border if at > 5 else None), make.hour + at * SECOND)
        stream.passer(at).watch(at + 2.4, at + 5)
    cut = next(n for n, m in enumerate(stream.messages) if m.time >= make.hour + cut_s * SECOND)
    stored = run(core, stream.messages[:cut])
    kept = [m for m in stream.messages if m.time >= make.hour + min(cut_s - 6, lost_s) * SECOND]
    configs = [StoredConfig(SiteConfig.decode(m.message), m.time, m.message.since) for m in kept
               if isinstance(m.message, SiteConfigV1) and m.sequence <= cut]  # fmt: skip
    again = SiteCore(*first_config(configs, 0, new))
    stored += make.restore(again, stored, [old, new]) + run(again, kept)
    starts = {zone: [w.start - make.hour for w in of(WindowV1, stored) if w.zone == zone] for zone in ("hall", "_site")}
    assert starts["_site"] == [0, 60 * SECOND, 120 * SECOND]
    assert starts["hall"] == starts["_site"][1:]
    assert not [alert for alert in of(OperationalAlertV1, stored) if alert.name == "hall" and alert.at <= border]


@examples(4, 1)
@given(st.integers(0, 10**6))
def test_the_windows_of_these_streams_have_the_errors_of_their_model(make, seed):
    """So that the properties above are about intervals with errors, of one model and of another."""
    windows = [w for w in of(WindowV1, run(SiteCore(config_of(make)), traffic(make, seed))) if w.masked]
    errors = {w.model: w.model_errors.overdispersion for w in windows}
    assert errors == {"masks-1": 1.25, "masks-2": 2.0}


def _later(make):
    return config_of(make, close_on_end=True)


@examples(10)
@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_the_order_of_faces_within_a_message_changes_nothing(make, seed, rng):
    """Detectors list faces in any order."""
    messages = traffic(make, seed, 35)
    mixed = [
        type(m)(structs.replace(m.message, faces=rng.sample(m.message.faces, len(m.message.faces))), m.sequence, m.time,
                m.stream_created)
        if isinstance(m.message, SightingsV1) else m
        for m in messages
    ]  # fmt: skip
    assert data(run(SiteCore(config_of(make)), mixed)) == data(run(SiteCore(config_of(make)), messages))


def shifted(make, messages, after, hours):
    """Return the stream in which one camera's host has its clock put by hours at a moment, and its lease taken anew;
    time goes on until every window that this can open has closed."""
    found = []
    for m in messages:
        message = m.message
        if getattr(message, "camera", None) == "back" and m.time >= after:
            changes = {"lease": message.lease + 10, "at": message.at + hours * 3_600 * make.second}
            message = structs.replace(message, **changes)
        found.append(type(m)(message, m.sequence, m.time, m.stream_created))
    last = found[-1]
    ticks = make.stream().ticks(0, max(0, hours) * 360 + 2).messages
    later = [type(m)(m.message, last.sequence + n, last.time + n * 10 * make.second, last.stream_created)
             for n, m in enumerate(ticks, 1)]  # fmt: skip
    return found + later


@examples(60, 6)
@given(st.integers(0, 10**6), st.integers(0, 40), st.sampled_from([-1, 0, 1]))
def test_every_passage_is_in_exactly_one_window(make, seed, second, hours):
    """Window by window and verdict by verdict, whatever happens, a host's clock that jumps by an hour included: a
    window's figures are its passages', and all windows together hold them all."""
    messages = shifted(make, traffic(make, seed), make.hour + second * make.second, hours)
    out = run(SiteCore(config_of(make)), messages)
    for zone in ("hall", "_site"):
        windows = [w for w in of(WindowV1, out) if w.zone == zone]
        mine = [p for p in of(PassageV1, out) if zone in {"_site", p.zone}]
        for window in windows:
            held = Counter(p.verdict for p in mine if window.start <= p.at < window.end)
            told = {verdict: getattr(window, verdict) or 0 for verdict in get_args(Verdict)}
            assert told == {verdict: held[verdict] for verdict in told}
            assert (window.persons or 0) == held.total()
        assert sum(w.persons or 0 for w in windows) == len(mine)
        assert [a.end for a in windows[:-1]] == [b.start for b in windows[1:]]


@examples(12)
@given(st.integers(0, 10**6))
def test_coverage_is_a_share_and_lacks_only_with_a_reason(make, seed):
    """Coverage stays within 0..1, and where it is less than 1 there is a reason."""
    for window in of(WindowV1, run(SiteCore(config_of(make)), traffic(make, seed))):
        assert 0 <= window.coverage <= 1
        assert make.lacking(window) or window.coverage == 1


@examples(10)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_doubled_or_delayed_message_is_fenced(make, seed, extra):
    """Storing messages twice, at once or much later, changes no passage."""
    messages, rng = traffic(make, seed, 35), random.Random(extra)
    doubled = []
    for message in messages:
        doubled.append(message)
        if rng.random() < 0.3:
            old = rng.choice(doubled[-40:])
            if isinstance(old.message, SightingsV1):
                doubled.append(type(old)(old.message, message.sequence, message.time, message.stream_created))
    plain, twice = (of(PassageV1, run(SiteCore(config_of(make)), m)) for m in (messages, doubled))
    assert [(p.camera, p.at, p.verdict) for p in twice] == [(p.camera, p.at, p.verdict) for p in plain]


def test_a_lost_stream_keeps_what_was_counted(make):
    """A new process on a new, empty stream: passages of the open window count, its lost time is `bus-restarted`."""
    config = make.config()
    before = run(SiteCore(config), make.stream().passer(5).passer(10).watch(12.4, 20).messages)
    core = SiteCore(config)
    core.restore(of(PassageV1, before))
    new = make.stream(created=make.hour + 30 * make.second).watch(30, 40).passer(40).watch(42.4, 63)
    [window] = of(WindowV1, run(core, new.messages))
    assert (window.persons, make.lacking(window), window.coverage) == (3, ["bus-restarted"], pytest.approx(0.5))


def test_a_lost_streams_window_is_published_although_it_is_over(make):
    """Back only after the open window's end: it is published from its passages, with no time observed but known."""
    config = make.config()
    before = run(SiteCore(config), make.stream().passer(5).watch(7.4, 20).messages)
    core = SiteCore(config)
    core.restore(of(PassageV1, before))
    found = of(WindowV1, run(core, make.stream(created=make.hour + 130 * make.second).watch(130, 183).messages))
    assert [(w.persons, w.coverage, w.suppressed) for w in found] == [
        (1, 0.0, None), (None, 0.0, "nothing-observed"), (0, 0.833, None)]  # fmt: skip
    assert {reason for w in found for reason in make.lacking(w)} == {"bus-restarted"}


def test_a_young_stream_is_not_taken_for_another_one(make):
    """A camera begins after a first window is out, which is older than the stream: a restart gives the same reason."""
    config = make.config()
    messages = make.stream(created=make.hour + 30 * make.second).ticks(31, 60).watch(60.2, 123).messages
    wanted = of(WindowV1, run(SiteCore(config), messages))
    core = SiteCore(config)
    core.restore(windows=wanted[:1])
    assert data(run(core, messages), WindowV1) == data(wanted[1:])
    assert make.lacking(wanted[1]) == ["started-late"]


def test_why_a_camera_is_silent_outlives_the_stream(make):
    """The order to pause is older than what the stream holds; ingest repeats the state, with the old time."""
    paused = CameraEventV1(site="market", camera="door", lease=1, state="paused", at=make.hour - 3_600 * make.second)
    stream = make.stream(created=make.hour - 9_000 * make.second).tick(1).put(paused, make.hour + 10 * make.second)
    [window] = of(WindowV1, run(SiteCore(make.config()), stream.ticks(11, 63).messages))
    assert (make.lacking(window), window.coverage) == (["paused"], 0.0)


def test_what_the_stream_has_forgotten_is_a_gap_and_no_hole(make):
    """Aggregate was away for longer than the stream keeps: the windows that nobody can count any more are published."""
    config = make.config()
    [known] = of(WindowV1, run(SiteCore(config), make.stream().watch(0, 63).messages))
    core = SiteCore(config)
    core.restore(windows=[known])
    found = of(WindowV1, run(core, make.stream().watch(195, 243).messages))
    starts = [(w.start - make.hour) // make.second for w in found]
    assert (starts, [w.coverage for w in found]) == ([60, 120, 180], [0.0, 0.0, pytest.approx(0.75)])
    assert {reason for w in found for reason in make.lacking(w)} == {"started-late"}


def test_a_stream_made_anew_with_the_old_creation_time_hides_nobody(make):
    """A cluster may make the memory stream again under its old creation time: new passages are not taken for old."""
    config = make.config()
    before = run(SiteCore(config), make.stream().passer(5).passer(10).messages)
    core = SiteCore(config)
    core.restore(of(PassageV1, before))
    [window] = of(WindowV1, run(core, make.stream().passer(30).watch(32.4, 63).messages))
    assert window.persons == 3


def test_published_windows_are_recognised(make):
    """Windows that are out already are not published again, and late sightings go on counting from where they were."""
    config, stream = make.config(), make.stream().watch(0, 63)
    for step in range(3):
        stream.seen(40 + step / 5, make.face(), delay=24)
    messages = stream.watch(64.2, 123).messages
    wanted = of(WindowV1, run(SiteCore(config), messages))
    assert [w.late_total for w in wanted] == [0, 3]
    core = SiteCore(config)
    core.restore(windows=[structs.replace(wanted[0], late_total=5)])
    assert [(w.start, w.late_total) for w in of(WindowV1, run(core, messages))] == [(wanted[1].start, 8)]


def test_late_sightings_go_on_counting_after_the_stream_forgot_the_border(make):
    """Restarted when the stream no longer holds the last window's closing, `late_total` still goes on from it."""
    config = make.config()
    [window] = of(WindowV1, run(SiteCore(config), make.stream().watch(0, 63).messages))
    stream = make.stream().seen(40, make.face(), delay=24).watch(64.2, 123)
    core = SiteCore(config)
    core.restore(windows=[structs.replace(window, late_total=5)])
    assert [w.late_total for w in of(WindowV1, run(core, stream.messages))] == [6]


def hidden_late(make, hiding, faces):
    """Return a lab's configuration, one that hides what is late, and a stream in which both take turns: lab, hiding,
    lab; within each some faces of the hall come too late for the window before."""
    lab = structs.replace(config_of(make), window_s=1_200.0)
    hides = structs.replace(lab, profile=hiding, rules=[], zones=[] if hiding == "fr-2021-269" else ["hall"])
    stream = make.stream(ordered=False)
    for at, config in ((600, hides), (1_800, lab)):
        stream.put(config.message(), make.hour + at * make.second)
    for at, count in ((1_100, 3), (2_300, faces), (3_500, 2)):
        stream.seen(at, *[make.face(0.1 + n / 20) for n in range(count)], delay=150)
    for second in range(0, 4_811, 10):
        stream.tick(second)
    ordered = sorted(stream.messages, key=lambda m: m.time)
    return lab, hides, [type(m)(m.message, n, m.time, m.stream_created) for n, m in enumerate(ordered, 1)]


@pytest.mark.parametrize("hiding", ["stats-only", "fr-2021-269"])
def test_no_later_window_tells_what_came_late_under_a_profile_that_hides_it(make, hiding):
    """Before, between and after: the lab's running total leaves out what came while it was hidden, whatever it was."""
    told = []
    for faces in (0, 7):
        lab, _, messages = hidden_late(make, hiding, faces)
        told.append(data(run(SiteCore(lab), messages), WindowV1))
    assert told[0] == told[1]
    found = of(WindowV1, run(SiteCore(lab), messages))
    assert [(w.profile, w.late_total) for w in found if w.zone == "_site"] == [
        ("lab", 0), (hiding, None), ("lab", 0), ("lab", 2)]  # fmt: skip


@examples(40, 8)
@given(st.sampled_from(["stats-only", "fr-2021-269"]), st.floats(0, 1))
def test_a_crash_around_hidden_late_sightings_changes_no_byte(make, hiding, where):
    """What came late is not published under every profile: a restart knows no more of it than an undisturbed run."""
    lab, hides, messages = hidden_late(make, hiding, 7)
    wanted = run(SiteCore(lab), messages)
    first, cut = SiteCore(lab), round(where * len(messages))
    stored = run(first, messages[:cut])
    again = SiteCore(lab)
    got = stored + make.restore(again, stored, [lab, hides]) + run(again, messages)
    assert data(got, WindowV1) == data(wanted, WindowV1)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_crash_before_any_window_or_alert_changes_no_byte(make, seed):
    """Between zones of one window, between a window and its alert: the restart publishes exactly what is missing."""
    messages, config = traffic(make, seed), config_of(make)
    wanted = run(SiteCore(config), messages)
    assert of(AlertV1, wanted)
    for place in [n for n, output in enumerate(wanted) if not isinstance(output, PassageV1)]:
        stored = wanted[:place]
        core = SiteCore(config)
        stored = stored + make.restore(core, stored, [config, _later(make)]) + run(core, messages)
        for kind in ROWS:
            assert data(stored, kind) == data(wanted, kind)


def comes_and_goes(make, seed):
    """Return the configurations of a site whose rules come and go, and its stream: what a zone's rule is about, the
    zone, its camera, the profile; each for one window at least, or replaced before it takes over."""
    rng, first = random.Random(seed), config_of(make)
    row = structs.replace(RULE, for_windows=2)
    choices = [
        first,
        structs.replace(first, rules=[]),
        structs.replace(first, rules=[row, structs.replace(RULE, id="site", zone="_site")]),
        structs.replace(first, zones=[], rules=[], cameras=[CameraConfig(id="back"), CameraConfig(id="door")]),
        structs.replace(first, cameras=CAMERAS[:1]),
        structs.replace(first, profile="stats-only", rules=[]),
    ]
    found = traffic(make, seed, 100)
    for second in rng.sample(range(100), 5):
        message = rng.choice(choices).message()
        found.append(type(found[0])(message, 0, make.hour + second * make.second, found[0].stream_created))
    ordered = sorted((m for m in found if not getattr(m.message, "config", "").count('"close_on_end":true')),
                     key=lambda m: m.time)  # fmt: skip
    return choices, [type(m)(m.message, n, m.time, m.stream_created) for n, m in enumerate(ordered, 1)]


@examples(60, 6)
@given(st.integers(0, 10**6), st.data())
def test_a_rule_that_goes_while_it_fires_is_resolved_whatever_dies(make, seed, data_):
    """Rules come and go: each alert that fired is resolved once, each change begins where the last one ended, none
    stands open that nothing judges; and killed anywhere, the same bytes in the same order."""
    choices, messages = comes_and_goes(make, seed)
    wanted = run(SiteCore(choices[0]), messages)
    newest = of(WindowV1, wanted)[-1].config_sha256
    last = next((c for c in choices if c.sha256 == newest), choices[-1])  # in such short windows it shows nothing
    judged = {(rule.zone, rule.id) for rule in standing(last)}
    for key in {(d.zone, d.rule) for d in of(RuleStateV1, wanted)}:
        alerts, changes = ([d for d in of(kind, wanted) if (d.zone, d.rule) == key] for kind in (AlertV1, RuleStateV1))
        assert [a.state for a in alerts] == (["firing", "resolved"] * len(alerts))[: len(alerts)]
        assert [a.alert for a in alerts[1::2]] == [a.alert for a in alerts[::2]][: len(alerts) // 2]
        assert [c.before for c in changes] == ["normal", *(c.state for c in changes)][:-1]
        assert key in judged or ([a.state for a in alerts[-1:]] != ["firing"] and changes[-1].state == "normal")
    cut = data_.draw(st.integers(0, len(wanted)))
    core = SiteCore(choices[0])
    got = wanted[:cut] + make.restore(core, wanted[:cut], choices) + run(core, messages)
    for kind in ROWS:
        assert data(got, kind) == data(wanted, kind)
