"""What happens at a site in a month of virtual time, by a seed: people, clocks, crashes, cuts, new settings.

Around faults and windows' borders each camera sends five pictures a second, else one in five minutes that stands for
them.
"""

import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from proto.model_errors import ModelErrors
from proto.sightings import CODES, ModelV1, SightingsV1, SightingV1, TickV1
from services.aggregate.core.config import CameraConfig, SiteConfig
from services.sites.settings import RuleSettings, TrackingSettings

SECOND = 1_000_000_000
START = 1_700_000_000 // 86_400 * 86_400 * SECOND
DAYS = 30
NEAR = 1_300_000_000
"""Whom a fault is as near as that, in ns, it may have cut."""
HOT_S, FPS = 14.0, 5
"""Half of the time around a fault or a border that is dense, and how dense."""
SPARSE_S = 290
CAMERAS = ("door", "hall", "yard")
ERRORS = ModelErrors(
    sensitivity=0.97, sensitivity_limits=(0.95, 0.98), specificity=0.98, specificity_limits=(0.94, 0.99),
    recall_ratio=0.98, recall_ratio_limits=(0.7, 1.4), overdispersion=1.25, sources=6,
)  # fmt: skip


@dataclass(slots=True)
class Message:
    """A stored message; `true` is when it was stored by a clock that is always right. None: to be announced then."""

    message: Any
    true: int
    sequence: int = 0
    time: int = 0
    stream_created: int = 0
    trace: str = ""


class Offset:
    """How far a clock is off, in ns, over time: right, but for the pieces that were set."""

    def __init__(self) -> None:
        self._at, self._by = [0], [0]

    def is_right(self, start: int, end: int) -> bool:
        """Whether it is right all the time from `start` to `end`."""
        place = bisect_right(self._at, start)
        return not self._by[place - 1] and (place == len(self._at) or self._at[place] > end)

    def set(self, start: int, end: int, by: int) -> None:
        """Set a piece of time in which it is right so far."""
        place = bisect_right(self._at, start)
        self._at[place:place], self._by[place:place] = [start, end], [by, 0]

    def at(self, moment: int) -> int:
        """Return the offset at a moment."""
        return self._by[bisect_right(self._at, moment) - 1]

    def next(self, moment: int) -> int:
        """Return when it changes next."""
        place = bisect_right(self._at, moment)
        return self._at[place] if place < len(self._at) else 1 << 62


@dataclass
class World:
    """What happens in one month, in the order in which NATS stores it."""

    seed: int
    messages: list[Message] = field(default_factory=list)
    people: list[tuple[int, str, str]] = field(default_factory=list)
    """Of each passage whose sightings were all sent: event time of its last one, camera, verdict."""
    unsure: list[tuple[list[int], str]] = field(default_factory=list)
    """Of each that a fault cut, or hardly missed: event times of its sightings, verdict. It may be two, or none."""
    crashes: list[tuple[int, int]] = field(default_factory=list)
    """When aggregate crashed, and when it is back."""
    resets: list[int] = field(default_factory=list)
    losses: list[tuple[int, int]] = field(default_factory=list)
    """From when to when a fault may have cost sightings, or held them up: only then may a window lack anything."""
    full: list[tuple[int, str, int]] = field(default_factory=list)
    """When a stream was full, which, and how many of its last messages it kept."""
    configs: list[tuple[int, SiteConfig]] = field(default_factory=list)
    nats: Offset = field(default_factory=Offset)
    ours: Offset = field(default_factory=Offset)
    """The clock of the host that publishes."""
    happened: Counter[str] = field(default_factory=Counter)


def config(rng: random.Random) -> SiteConfig:
    """Return one of the settings that a site may have."""
    swap = rng.random() < 0.5
    cameras = [
        CameraConfig(id="door", zone="in"),
        CameraConfig(id="hall", zone="out" if swap else "in"),
        CameraConfig(id="yard"),
    ]
    rows = rng.choice([1, 2, 2, 3])
    rule = RuleSettings(id="low", zone="in", fire_below=0.97, clear_above=0.98, for_windows=rows, min_persons=1)
    return SiteConfig(
        site="market", profile="lab", window_s=rng.choice([300.0, 1_200.0, 1_200.0, 1_800.0, 3_600.0]), cameras=cameras,
        lateness_s=rng.choice([2.0, 5.0]), phase_s=rng.choice([0.0, 0.0, 0.0, 1_800.0, 2_700.0]), zones=["in", "out"],
        tracking=TrackingSettings(max_gap_s=1.0), rules=[rule] if rng.random() < 0.8 else [],
    )  # fmt: skip


class Writer:
    """Makes a world from a seed."""

    def __init__(self, seed: int, days: int = DAYS) -> None:
        self.rng, self.world, self.end = random.Random(seed), World(seed), START + days * 86_400 * SECOND
        self.lease = dict.fromkeys(CAMERAS, 1)
        self.number = dict.fromkeys(CAMERAS, 0)
        self._out: list[tuple[int, int, Any]] = []
        self.cut: list[tuple[int, int, int]] = []
        """From, to, and when what was seen meanwhile is stored; 0: never."""
        self.shift: list[tuple[int, int]] = []
        """From when on the clock of the host that reads the cameras is off by how much."""
        self.far: list[int] = []
        """When that clock is a day ahead for two seconds."""

    def make(self) -> World:
        """Return the world."""
        hot = sorted(self._moments())
        self._sparse(hot)
        for moment in hot:
            self._faults(moment)
        for moment in hot:
            self._dense(moment)
        self.world.configs.sort(key=lambda one: one[0])
        self._store()
        return self.world

    def make_quiet(self, crashes: int, reloads: int) -> World:
        """Return a world in which nobody comes: settings change, and aggregate crashes, at any time."""
        self._sparse([])
        for fault in [self._crash] * crashes + [self._reload] * reloads:
            fault(START + round(self.rng.uniform(0, (self.end - START) / SECOND) * SECOND))
        for at, _ in self.world.configs[1:]:  # when the stream has just lost what was in force before
            self._crash(at + round(self.rng.uniform(4_200, 8_000) * SECOND), 0)
        self.world.configs.sort(key=lambda one: one[0])
        self._store()
        return self.world

    def _moments(self) -> Iterator[int]:
        at = START + 3_600 * SECOND
        while (at := at + round(self.rng.uniform(2_000, 42_000) * SECOND)) < self.end - 7_200 * SECOND:
            near = at - at % (300 * SECOND) + round(self.rng.uniform(-8, 8) * SECOND)
            yield near if self.rng.random() < 0.6 else at

    def _put(self, true: int, message: Any) -> None:
        self._out.append((true, len(self._out), message))

    def _sparse(self, hot: list[int]) -> None:
        first = config(self.rng)
        self.world.configs.append((START, first))
        self._put(START, first.message())
        for at in range(START, self.end + 3 * 3_600 * SECOND, 60 * SECOND):
            self._put(at, TickV1(site="market"))
            self._put(at + 7 * SECOND, ModelV1(site="market", model="m", model_sha256="0" * 64, errors=ERRORS))
            if at % (300 * SECOND) == 0:
                self._put(at + SECOND, None)
        spans = [(m - round(HOT_S * SECOND), m + round(HOT_S * SECOND)) for m in hot]
        for camera in CAMERAS:
            at = START + round(self.rng.uniform(0, 60) * SECOND)
            while (at := at + SPARSE_S * SECOND) < self.end + 3 * 3_600 * SECOND:
                if not any(a <= at <= b for a, b in spans[max(0, bisect_right(spans, (at, at)) - 2) :][:4]):
                    self._out.append((at, len(self._out), (camera, at, 100 * SECOND, [])))

    # --- what goes wrong

    def _faults(self, moment: int) -> None:
        faults: list[Callable[[int], str]] = [
            self._crash, self._crash, self._reload, self._restart_nats, self._takeover, self._cut, self._passages_full,
            self._sightings_full, self._nats_ahead, self._nats_behind, self._ours_off, self._host_step, self._far_ahead,
            self._ahead_while_down, self._ahead_while_down, self._ahead_before_a_crash,
        ]  # fmt: skip
        harmless = (self._crash, self._reload, self._nats_ahead, self._nats_behind, self._ahead_while_down)
        for fault in self.rng.sample(faults, self.rng.choice([0, 1, 1, 2, 3])):
            at = moment + round(self.rng.uniform(-HOT_S, HOT_S) * SECOND)
            name = fault(at)
            if fault not in (*harmless, self._ahead_before_a_crash):
                self.world.losses.append((at - 600 * SECOND, at + 600 * SECOND))
            self.world.happened[name] += bool(name)

    def _crash(self, at: int, down_s: float | None = None) -> str:
        down = self.rng.choice([0, 0, 0, 30, 400, 5_000]) if down_s is None else down_s
        self.world.crashes.append((at, at + round(down * SECOND)))
        if down > 1_000:  # the stream holds 70 minutes
            self.world.losses.append((at - 7_200 * SECOND, at + round(down * SECOND)))
        return "long crashes" if down else "crashes"

    def _ahead_while_down(self, at: int) -> str:
        """Aggregate is back when the time has come that NATS's clock showed meanwhile."""
        length, by = self._span()
        if by > 3_600 * SECOND or not self._set(self.world.nats, at, 1, (length, by)):
            return ""
        return (
            self._crash(at - round(self.rng.uniform(0, 3) * SECOND), (length + by) / SECOND + 10) and "ahead while down"
        )

    def _ahead_before_a_crash(self, at: int) -> str:
        """Aggregate crashes when the time has come that NATS's clock showed."""
        length, by = self._span()
        if by > 3_600 * SECOND or not self._set(self.world.nats, at, 1, (length, by)):
            return ""
        return self._crash(at + by + round(self.rng.uniform(-3, 20) * SECOND), 0) and "ahead before a crash"

    def _reload(self, at: int) -> str:
        new = config(self.rng)
        self.world.configs.append((at, new))
        self._put(at, new.message())
        return "reloads"

    def _restart_nats(self, at: int) -> str:
        self.world.resets.append(at)
        self._put(at + 1, None)  # the shell announces the settings into the new stream
        self.cut.append((at, at + 2 * SECOND, at + 2 * SECOND))
        self.shift.append((at, self._shift(at)))
        return "NATS restarts"

    def _takeover(self, at: int) -> str:
        self.shift.append((at, self._shift(at)))
        return "takeovers"

    def _cut(self, at: int) -> str:
        length = round(self.rng.choice([0.5, 2.0, 6.0, 11.0]) * SECOND)
        self.cut.append((at, at + length, at + length if self.rng.random() < 0.6 else 0))
        return "cuts"

    def _passages_full(self, at: int) -> str:
        self.world.full.append((at, "PASSAGES", self.rng.choice([0, 1, 3, 10])))
        return "PASSAGES full"

    def _sightings_full(self, at: int) -> str:
        self.world.full.append((at, "SIGHTINGS", self.rng.choice([20, 100, 500])))
        return "SIGHTINGS full"

    def _span(self) -> tuple[int, int]:
        """Return for how long a clock is wrong, and by how much, ns."""
        length = round(self.rng.choice([1.0, 3.0, 8.0, 40.0]) * SECOND)
        return length, round(self.rng.choice([1, 5, 61, 3_600, 86_400]) * SECOND)

    def _nats_ahead(self, at: int) -> str:
        return "clock steps of NATS" if self._set(self.world.nats, at, 1) else ""

    def _nats_behind(self, at: int) -> str:
        return "clock steps of NATS" if self._set(self.world.nats, at, -1) else ""

    def _ours_off(self, at: int) -> str:
        return "clock steps of aggregate's host" if self._set(self.world.ours, at, self.rng.choice([-1, 1])) else ""

    def _set(self, clock: Offset, at: int, way: int, span: tuple[int, int] | None = None) -> bool:
        """Set a clock for a while, unless one is wrong then: that two are wrong in the same way nobody can notice."""
        length, by = span or self._span()
        is_alone = not any(at - 2 * SECOND < far < at + length for far in self.far)
        if not is_alone or not all(one.is_right(at, at + length) for one in (self.world.nats, self.world.ours)):
            return False
        clock.set(at, at + length, way * by)
        return True

    def _shift(self, at: int) -> int:
        return max([(when, by) for when, by in self.shift if when <= at], default=(0, 0))[1]

    def _host_step(self, at: int) -> str:
        self.shift.append((at, round(self.rng.uniform(-0.5, 0.5) * SECOND)))
        return "clock steps of ingest's host"

    def _far_ahead(self, at: int) -> str:
        """Pictures by a clock that is a day ahead, under a number that such a clock would give; NATS's is right."""
        if not self.world.nats.is_right(at, at + 2 * SECOND):
            return ""
        self.far.append(at)
        for step in range(10):
            true, when = at + step * SECOND // 5, at + 86_400 * SECOND + step * SECOND // 5
            face = [SightingV1(box=(0.3, 0.3, 0.4, 0.5), code="m", score=0.9, confidence=0.95)]
            self._put(true, SightingsV1(
                site="market", camera="door", lease=when, sequence=step, at=when, period=SECOND // 5, aspect=1.7,
                model="m", model_sha256="0" * 64, faces=face,
            ))  # fmt: skip
        return "pictures a day ahead"

    # --- what is seen

    def _dense(self, moment: int) -> None:
        first, last = moment - round(HOT_S * SECOND), moment + round(HOT_S * SECOND)
        for second in range(round(2 * HOT_S)):
            self._put(first + second * SECOND, TickV1(site="market"))
        for camera in CAMERAS:
            visits = list(self._visits(first, last))
            for step in range(round(2 * HOT_S * FPS)):
                at = first + step * SECOND // FPS
                faces = [self._face(at, a, verdict) for a, b, verdict in visits if a <= at <= b]
                self._out.append((at, len(self._out), (camera, at, SECOND // FPS, faces)))
            self._out.append((last, len(self._out), (camera, last, 100 * SECOND, [])))

    def _visits(self, first: int, last: int) -> Iterator[tuple[int, int, str]]:
        verdicts = self.rng.choice([["masked"], ["masked", "unmasked"], ["unmasked"]])  # an alert begins and ends
        at = first + round(self.rng.uniform(0, 2) * SECOND)
        while at < last - 3 * SECOND:
            steps = self.rng.randint(3, 6)
            at = first + (at - first) * FPS // SECOND * SECOND // FPS
            until = at + steps * SECOND // FPS
            yield at, until, self.rng.choice(verdicts)
            at = until + round(self.rng.uniform(1.8, 4) * SECOND)

    def _face(self, at: int, since: int, verdict: Any) -> SightingV1:
        x = 0.2 + (at - since) / SECOND * 0.4  # who stands may be away for longer than the gap, and is still the same
        return SightingV1(box=(x, 0.3, x + 0.1, 0.5), code=CODES[verdict], score=0.9, confidence=0.95)

    # --- what NATS stores

    def _store(self) -> None:
        self.shift.sort()
        self.cut.sort()
        times, leases = [when for when, _ in self.shift], dict.fromkeys(CAMERAS, 1)
        out: list[tuple[int, int, int, Any]] = []
        seen: dict[str, list[_Seen]] = {name: [] for name in CAMERAS}
        for true, order, message in sorted(self._out, key=lambda one: one[:2]):
            if not isinstance(message, tuple):
                out += self._of_site(true, order, message)
                continue
            camera, at, period, faces = message
            place = bisect_right(times, true)
            leases[camera] = 1 + place
            stored, event = self._stored(true), at + (self.shift[place - 1][1] if place else 0)
            if faces:
                seen[camera].append(_Seen(true, event, bool(stored), faces[0].verdict))
            self.number[camera] += 1
            if stored:
                out.append((stored, true, order, SightingsV1(
                    site="market", camera=camera, lease=leases[camera], sequence=self.number[camera], at=event,
                    period=period, aspect=1.7, model="m", model_sha256="0" * 64, faces=faces,
                )))  # fmt: skip
        edges = sorted([e for a, b, _ in self.cut for e in (a, b)] + times + self.world.resets)
        for camera, sightings in seen.items():
            for group in _groups(sightings):
                near = bisect_right(edges, group[0].true - NEAR)
                if near < len(edges) and edges[near] < group[-1].true + NEAR:
                    self.world.unsure.append(([one.event for one in group], group[0].verdict))
                elif all(one.is_stored for one in group):
                    self.world.people.append((group[-1].event, camera, group[0].verdict))
        self._number(sorted(out, key=lambda one: one[:3]))

    def _of_site(self, true: int, order: int, message: Any) -> Iterator[tuple[int, int, int, Any]]:
        """Yield a message of the site's when it is stored: no tick while aggregate is down, settings when it is up."""
        back = max((end for start, end in self.world.crashes if start < true <= end), default=0)
        if isinstance(message, TickV1):
            message = TickV1(site="market", sent=true + self.world.ours.at(true))
        if not back or isinstance(message, SightingsV1 | ModelV1):
            yield true, true, order, message
        elif not isinstance(message, TickV1):
            yield back + 1, back + 1, order, message

    def _stored(self, true: int) -> int:
        """Return when a picture's sightings are stored; 0: never."""
        for start, end, until in self.cut:
            if start <= true < end:
                return until and until + SECOND // 20
        return true + SECOND // 20

    def _number(self, out: list[tuple[int, int, int, Any]]) -> None:
        resets, created, sequence = sorted(self.world.resets), START - 100 * SECOND, 0
        for true, _, _, message in out:
            while resets and true >= resets[0]:
                at = resets.pop(0)
                created, sequence = at + self.world.nats.at(at), 0
            sequence += 1
            self.world.messages.append(Message(message, true, sequence, true + self.world.nats.at(true), created))


class _Seen(NamedTuple):
    true: int
    event: int
    is_stored: bool
    verdict: str


def _groups(sightings: list[_Seen]) -> Iterator[list[_Seen]]:
    """Yield the sightings of one person after the other."""
    group: list[_Seen] = []
    for one in sightings:
        if group and one.true - group[-1].true > SECOND:
            yield group
            group = []
        group.append(one)
    if group:
        yield group
