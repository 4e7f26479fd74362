"""A month of a site in virtual time: is every passage in exactly one window, or does one say that it is missing?

    PYTHONPATH=.:tests/support python tests/support/virtual_month.py FIRST LAST

runs these seeds, and prints a line for each and what happened in all. The core of aggregate, and what its shell reads
at a start, are the real ones; the world around them is made up (virtual_world.py).
"""

import asyncio
import random
import sys
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from virtual_world import DAYS, SECOND, SPARSE_S, START, Message, World, Writer

from proto.public import HINTS, AlertV1, OperationalAlertV1, RuleStateV1, WindowV1
from proto.sightings import PassageV1, SightingsV1, SiteConfigV1
from proto.subjects import ALERTS, OPERATIONS, RULES, WINDOWS
from proto.types import WHOLE_SITE
from services.aggregate import published
from services.aggregate.core.config import SiteConfig
from services.aggregate.core.exchange import Dropped, Passed, Reset
from services.aggregate.core.restart.resume import SILENCE, ReplayStart, StoredConfig, first_config, last_ahead
from services.aggregate.core.rules.rate_rules import judge
from services.aggregate.core.site import SiteCore
from services.aggregate.core.site_clock import time_by
from services.aggregate.runner import is_as_late
from services.bus import Stored

KEPT_S = 4_200
"""How long SIGHTINGS keeps messages; PASSAGES 7,200 s."""
HOUR = 3_600 * SECOND
FAIR, FAR = SECOND // 2, 2 * SECOND
_Key = tuple[str, int, str]
"""Zone, start of a window, verdict."""
_ROWS = {WindowV1: WINDOWS, AlertV1: ALERTS, RuleStateV1: RULES, OperationalAlertV1: OPERATIONS}


class Shelf:
    """What was published, as `published.read` asks for it."""

    def __init__(self) -> None:
        self.rows: dict[Any, list[Stored]] = {row: [] for row in _ROWS.values()}
        self.latest_of: dict[str, Any] = {}
        self.passages: list[tuple[int, PassageV1]] = []
        self._ids: dict[tuple[int, int, int, int], int] = {}

    def store(self, output: Any, now: int) -> None:
        """Store an output as the bus would: a window once, a passage once within two minutes."""
        if isinstance(output, PassageV1):
            key = (output.stream_created, output.stream_sequence, output.index, output.at)
            if now - self._ids.get(key, -1 << 60) > 120 * SECOND:
                self._ids[key] = now
                self.passages.append((now, output))
            return
        row = _ROWS[type(output)]
        subject, rows = row.of(output), self.rows[row]
        last = self.latest_of.get(subject)
        if last is None or not is_as_late(output, last):
            self.latest_of[subject] = output
            rows.append(Stored(row, subject, output, len(rows) + 1, 0, 0))

    async def history_from(self, start: int, row: Any, **tokens: str) -> list[Stored]:
        """Return the messages of a row from a sequence on."""
        found = self.rows[row][start - 1 :]
        return [s for s in found if all(getattr(s.message, name) == value for name, value in tokens.items())]

    async def latest(self, row: Any, **_tokens: str) -> list[Stored]:
        """Return the last message of each subject."""
        return list({stored.subject: stored for stored in self.rows[row]}.values())

    async def first(self, row: Any, **tokens: str) -> Stored | None:
        """Return the first message of a subject."""
        fits = (s for s in self.rows[row] if all(getattr(s.message, k) == v for k, v in tokens.items()))
        return next(fits, None)

    async def last(self, row: Any, **tokens: str) -> Stored | None:
        """Return the last message of a subject."""
        fits = (s for s in reversed(self.rows[row]) if all(getattr(s.message, k) == v for k, v in tokens.items()))
        return next(fits, None)


class Run:
    """Runs aggregate over a world."""

    def __init__(self, world: World) -> None:
        self.world, self.shelf, self.now = world, Shelf(), 0
        self._rng = random.Random(world.seed + 1)
        self._crashes, self._full = sorted(world.crashes), sorted(world.full)
        self._stored = [message.true for message in world.messages]
        self._first = 0
        """The first message that the stream still has."""
        self._replay_to, self._start = 0, ReplayStart(0)
        self._dropped = 0
        """When PASSAGES last dropped messages because it was full."""

    def run(self) -> tuple[list[WindowV1], list[AlertV1]]:
        """Return the windows and the alerts that are published in the end."""
        core, place, messages = self._started(0), 0, self.world.messages
        while place < len(messages):
            message = messages[place]
            self.now = max(self.now, message.true)
            self._fill()
            if place and message.stream_created != messages[place - 1].stream_created:
                self._first = place
                core.step(Reset())
            outputs = self._outputs(core, message, place)
            if self._crashes and self.now >= self._crashes[0][0]:
                _, back = self._crashes.pop(0)
                self._keep(outputs[: self._rng.randint(0, len(outputs))])
                self.now = max(self.now, back)
                self._fill()
                core, place = self._started(max(place, bisect_right(self._stored, self.now) - 1)), self._first
                continue
            self._keep(outputs)
            place += 1
        windows, alerts = ([stored.message for stored in self.shelf.rows[row]] for row in (WINDOWS, ALERTS))
        return windows, alerts

    def _is_needless(self, place: int, at: int) -> bool:
        """Whether the shell skips a message of this time: a replay begins later."""
        return place <= self._replay_to and self._start.skips(at)

    def _outputs(self, core: SiteCore, message: Message, place: int) -> list[Any]:
        if message.message is None:  # what the shell repeats: decided once, whoever replays it
            ours = next(c for at, c in reversed(self.world.configs) if at <= message.true)
            message.message = ours.message(core.border(ours))
        at = self._timely(core, message)
        if at is None or self._is_needless(place, at):
            return []
        stored = Message(message.message, 0, message.sequence, at, message.stream_created)
        return [output for output in core.step(stored) if not isinstance(output, Dropped | Passed)]

    def _timely(self, core: SiteCore, message: Message) -> int | None:
        """Wait as the shell does (`ClockSkewGate.placed`); return the message's time."""
        at, ours, nats = time_by(message.message, message.time, core.now), self.world.ours, self.world.nats
        while at > self.now + ours.at(self.now) + FAR:
            if abs(ours.at(self.now) - nats.at(self.now)) <= FAIR:
                return core.now or None
            self.now = min(at - FAR - ours.at(self.now), ours.next(self.now), nats.next(self.now))
        return at

    def _keep(self, outputs: Iterable[Any]) -> None:
        for output in outputs:
            self.shelf.store(output, self.now)

    def _fill(self) -> None:
        while self._full and self.now >= self._full[0][0]:
            when, stream, left = self._full.pop(0)
            if stream == "SIGHTINGS":
                self._first = max(self._first, bisect_right(self._stored, when) - left)
            else:
                self.shelf.passages = self.shelf.passages[len(self.shelf.passages) - left :] if left else []
                self._dropped = self.now

    def _expire(self, place: int) -> None:
        """Drop what the stream no longer has: it may be another one than before."""
        messages = self.world.messages
        while messages[self._first].stream_created != messages[place].stream_created:
            self._first += 1
        oldest = self.now + self.world.nats.at(self.now) - KEPT_S * SECOND
        while self._first < place and self.world.messages[self._first].time < oldest:
            self._first += 1
        self.shelf.passages = [one for one in self.shelf.passages if self.now - one[0] < 7_200 * SECOND]

    def _started(self, place: int) -> SiteCore:
        """Restore as the shell does (`SiteRunner._restore`)."""
        ours, nats = self.world.ours, self.world.nats
        while abs(ours.at(self.now) - nats.at(self.now)) > FAR:
            self.now = min(ours.next(self.now), nats.next(self.now))
        self._expire(place)
        newest = next(c for at, c in reversed(self.world.configs) if at <= max(self.now, START))
        kept = (m for m in self.world.messages[self._first : place + 1] if isinstance(m.message, SiteConfigV1))
        stored = [StoredConfig(SiteConfig.decode(m.message), m.time, m.message.since) for m in kept]
        configs = [*(one.config for one in stored), newest]
        found = asyncio.run(published.read(self.shelf, "market", configs))  # type: ignore[arg-type]
        assert not last_ahead(found.windows, configs, max(self.now, START) + FAR), "a window of the future is published"
        done = max((w.end for w in found.windows if w.zone == "_site"), default=0)
        passages = [passage for _, passage in self.shelf.passages]
        whole = self._dropped < done
        self._replay_to, self._start = place, ReplayStart(done - SILENCE)
        core = SiteCore(*first_config(stored, done - SILENCE, newest))
        self._keep(
            core.restore(passages, found.windows, found.alerts, configs, found.states, found.operational, whole=whole)
        )
        return core


def misfired(world: World, windows: list[WindowV1], alerts: list[AlertV1]) -> Iterator[str]:
    """Yield the alerts that do not rest on enough breaching windows in a row, all neighbours, of one configuration.

    Neighbours have at most an hour between them without a judgement (ADR 7).
    """
    rules = {config.sha256: {rule.id: rule for rule in config.rules} for _, config in world.configs}
    for alert in (one for one in alerts if one.state == "firing"):
        before = sorted((w for w in windows if w.zone == alert.zone and w.end <= alert.end), key=lambda w: w.start)
        rule = rules[before[-1].config_sha256 or ""][alert.rule]
        row = [w for w in before if judge(rule, w) != "no-data"][-rule.for_windows :]
        is_row = len(row) == rule.for_windows and all(judge(rule, w) == "breach" for w in row)
        is_one = len({w.config_sha256 for w in row}) == 1
        if not (is_row and is_one) or any(after.start - one.end > HOUR for one, after in pairwise(row)):
            yield f"an alert without its windows at {_when(alert.end)}"


def violations(world: World, windows: list[WindowV1], alerts: list[AlertV1]) -> list[str]:
    """Return what contradicts: every passage is in exactly one window, or a window says that something is missing.

    Of the whole site, and of each zone: by a window's configuration a camera counts into one of them or into none. And
    each alert has its windows.
    """
    site = [w for w in windows if w.zone == WHOLE_SITE]
    wrong = [
        f"{'overlap' if after.start < before.end else 'hole'} at {_when(before.end)}"
        for before, after in pairwise(site)
        if before.end != after.start
    ]
    starts, truth = [w.start for w in site], Counter[_Key]()
    zones = {config.sha256: {camera.id: camera.zone for camera in config.cameras} for _, config in world.configs}
    for at, camera, verdict in world.people:
        place = bisect_right(starts, at) - 1
        if place < 0 or at >= site[place].end:
            wrong.append(f"no window for a passage at {_when(at)}")
            continue
        for zone in {WHOLE_SITE, zones[site[place].config_sha256 or ""][camera] or WHOLE_SITE}:
            truth[zone, starts[place], verdict] += 1
    more = _unsure(world, starts)
    there = {(w.zone, w.start) for w in windows}
    had = _had(world, site)
    wrong += [
        f"no window of a zone for passages at {_when(at)}"
        for zone, at, _ in truth
        if (zone, at) not in there and zone in had[at]
    ]
    wrong += [
        f"a window of a zone before it held at {_when(w.start)}" for w in windows if w.zone not in had.get(w.start, ())
    ]
    wrong += [
        f"something is missing without a fault at {_when(w.start)}: {w.gaps}, late {before.late_total} {w.late_total}"
        for before, w in pairwise(site)
        if (set(w.gaps) - HINTS or w.late_total != before.late_total) and _is_kept(world, w)
    ]
    wrong += misfired(world, windows, alerts)
    wrong += [f"no errors of the model at {_when(w.start)}" for w in windows if w.model and not w.model_errors]
    moved = {
        w.start for before, w in pairwise(site) if zones[before.config_sha256 or ""] != zones[w.config_sha256 or ""]
    }
    for zone in (WHOLE_SITE, "in", "out"):
        wrong += _miscounted(
            [w for w in windows if w.zone == zone], truth, more, set() if zone == WHOLE_SITE else moved
        )
    return wrong


def _is_kept(world: World, window: WindowV1) -> bool:
    """Return whether no fault cost any of a window's sightings; the stream keeps an hour; the first is a part."""
    is_whole = window.start > START + 3_600 * SECOND and window.end - window.start <= 3_600 * SECOND
    lost = [*world.losses, *_crashed_in_long_windows(world)]
    is_lost = any(start < window.end and window.start < end for start, end in lost)
    return is_whole and not is_lost and not _has_lost_its_first_picture(world, window)


def _has_lost_its_first_picture(world: World, window: WindowV1) -> bool:
    """Return whether a start read a window again whose first minutes only a picture from before the stream vouched for.

    A picture stands for those of five minutes, of which a real stream still had the later ones. It costs no more.
    """
    least = 1 - SPARSE_S * SECOND / (window.end - window.start)
    return (window.coverage or 0) > least and any(
        0 <= window.start - (back - KEPT_S * SECOND) < SPARSE_S * SECOND and crash <= window.end + 60 * SECOND
        for crash, back in world.crashes
    )


def _crashed_in_long_windows(world: World) -> Iterator[tuple[int, int]]:
    """Yield the spans in which a window of more than an hour, between two clocks' borders (`window_at`), met a crash.

    The stream has neither its first sightings then nor its configuration, and shorter windows stand in its place.
    """
    for (_, old), (at, new) in pairwise(world.configs):
        end = at + old.window + 2 * new.window
        if old.phase != new.phase and 2 * new.window > 3_600 * SECOND:
            yield from ((at, end) for crash, _ in world.crashes if at + 3_600 * SECOND < crash < end)


def _had(world: World, site: list[WindowV1]) -> dict[int, set[str]]:
    """Return by start of a window the zones that it may have.

    Those of the configuration that judged it, and then: settings take over within two hours, at a border.
    """
    configs = {config.sha256: set(config.zone_cameras) for _, config in world.configs}
    times, found = [at for at, _ in world.configs], dict[int, set[str]]()
    for window in site:
        moment = max(window.start, START)
        first = max(0, bisect_right(times, moment - SILENCE) - 1)
        held = [config.zone_cameras for _, config in world.configs[first : bisect_right(times, moment + FAR)]]
        found[window.start] = {zone for zone in configs[window.config_sha256 or ""] if any(zone in one for one in held)}
    return found


def _miscounted(
    windows: list[WindowV1], truth: Counter[_Key], more: Counter[tuple[int, str]], moved: set[int]
) -> Iterator[str]:
    """Yield what is wrong with the numbers of a zone's windows, but those at whose start a camera `moved`.

    A camera that comes into another zone may count the people before it in either.
    """
    for place, window in enumerate(windows):
        if window.start in moved:
            continue
        true = [truth[window.zone, window.start, verdict] for verdict in ("masked", "unmasked")]
        told = [window.masked or 0, window.unmasked or 0]
        late = [w.late_total or 0 for w in windows[max(0, place - 1) : place + 4]]
        says = window.gaps or late[0] < max(late)
        most = [n + more[window.start, verdict] for n, verdict in zip(true, ("masked", "unmasked"), strict=True)]
        short = any(t < n for t, n in zip(told, true, strict=True)) and not says
        over = any(t > n for t, n in zip(told, most, strict=True)) or (window.persons or 0) != sum(told)
        if short or over:
            how = " and ".join(word for word, holds in (("too few", short), ("too many", over)) if holds)
            passed = f"{true} to {most} passed, gaps {window.gaps}"
            yield f"window {_when(window.start)}, {window.zone}: {how}: {told} counted, {passed}"


def _unsure(world: World, starts: list[int]) -> Counter[tuple[int, str]]:
    """Return by window and verdict how many more may be counted: whom a fault cut is at most two."""
    found = Counter[tuple[int, str]]()
    for events, verdict in world.unsure:
        for start in {starts[max(0, bisect_right(starts, event) - 1)] for event in events} if starts else ():
            found[start, verdict] += 2
    return found


def _when(moment: int) -> str:
    return time.strftime("%d %H:%M:%S", time.gmtime(moment / 1e9))


def month(seed: int, days: int = DAYS) -> tuple[World, list[WindowV1], list[AlertV1], list[str]]:
    """Return the world of a seed, what was published, and what is wrong with it."""
    world = Writer(seed, days).make()
    windows, alerts = Run(world).run()
    return world, windows, alerts, violations(world, windows, alerts)


def history(seed: int) -> list[str]:
    """Return what is wrong with half a day in which settings change and aggregate crashes."""
    rng = random.Random(seed)
    world = Writer(seed, 1).make_quiet(rng.choice([1, 2, 3]), rng.choice([1, 1, 2, 3]))
    return violations(world, *Run(world).run())


def main(first: int, last: int) -> int:
    """Run the seeds from first to before last; return how many have violations."""
    total, bad, exact = Counter[str](), 0, Counter[bool]()
    for seed in range(first, last):
        began = time.monotonic()
        world, windows, alerts, wrong = month(seed)
        bad += bool(wrong)
        here = Counter({name: count for name, count in world.happened.items() if name})
        here["sightings"] = sum(isinstance(m.message, SightingsV1) for m in world.messages)
        here["passages"], here["windows"] = len(world.people), len(windows)
        here["alerts"] = sum(alert.state == "firing" for alert in alerts)
        total += here
        exact.update(not w.gaps for w in windows if w.zone == "_site")
        told = f"seed {seed}: {here['sightings']} sightings, {here['passages']} passages, {here['windows']} windows"
        print(f"{told}, {time.monotonic() - began:.0f} s, {len(wrong)} violations", *wrong[:5], sep="\n  ", flush=True)
    print(
        f"{last - first} seeds, {bad} with violations; site's windows without a gap: {exact[True]} of {exact.total()}"
    )
    print(", ".join(f"{name}: {count}" for name, count in sorted(total.items())))
    return bad


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]), int(sys.argv[2]))))
