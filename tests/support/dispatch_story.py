"""A language for what the dispatcher does in virtual time: `at("10:00").fires("A")`, `at(...).want("staff first +A")`.

A told line is receiver, reason and alerts: `+A` is new to the receiver, `A` is known and fires, `-A` is over. What was
withheld reads `staff withheld: silenced A -B`. Everything that happens has to be wanted.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from messages import SECOND, SITE, alert, fault

from proto.notifications import NotificationV1, SilenceV1
from services.notify.dispatch.dispatcher import Dispatcher, Input, SilenceGone
from services.notify.notification import Decision, Notice, Notification, notice_of, record_of
from services.notify.routing.plan import Route, RoutingPlan, SiteFacts

PARIS = ZoneInfo("Europe/Paris")
CAMERAS = {"hall-1": frozenset({"hall"}), "hall-2": frozenset({"hall"}), "gate-1": frozenset({"gate"})}


def plan_of_routes(*routes: Route, cap: int = 12) -> RoutingPlan:
    """Return a plan for the market in Cannes; every receiver has the same cap."""
    return RoutingPlan(routes, {SITE: SiteFacts(PARIS, CAMERAS)}, {route.receiver: cap for route in routes})


def name_of(alert: str) -> str:
    """Return the id that stands for an alert's name in a story."""
    return sha256(alert.encode()).hexdigest()[:16]


def rate_notice(name: str, at: int, *, over: bool = False, since: int | None = None, **changes: Any) -> Notice:
    """Return a rate alert as notify gets it."""
    ordinary: dict[str, Any] = {
        "zone": "hall", "rule": "low", "alert": name_of(name), "state": "resolved" if over else "firing",
        "since": at if since is None else since, "start": at, "end": at,
    }  # fmt: skip
    return notice_of(alert(**(ordinary | changes)), at)


def system_notice(
    kind: Any, name: str, at: int, *, since: int, over: bool = False, reason: Any = "camera-down"
) -> Notice:
    """Return an operational alert as notify gets it."""
    state: Any = "resolved" if over else "firing"
    why = None if over else reason
    return notice_of(fault(kind=kind, name=name, state=state, since=since, at=at, reason=why), at)


def silence(name: str, starts: int, ends: int, **match: Any) -> SilenceV1:
    """Return a silence; `match` says of what."""
    return SilenceV1(
        silence=sha256(name.encode()).hexdigest()[:8], starts=starts, ends=ends, operator="anna", why=name, **match
    )


@dataclass
class World:
    """A dispatcher with the stores that it is rebuilt from; `dies` says after which steps it dies, in mid-storing."""

    plan: RoutingPlan
    dies: Callable[[], bool] = lambda: False
    notices: list[Notice] = field(default_factory=list)
    records: list[NotificationV1] = field(default_factory=list)
    silences: dict[str, SilenceV1] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dispatcher = Dispatcher(self.plan)

    def step(self, now: int, *inputs: Input) -> list[Decision]:
        """Take a step and store what came of it."""
        self.store(*inputs)
        outputs = self.dispatcher.step(now, *inputs)
        if self.dies():
            stored = outputs[: len(outputs) // 2]
            self.records += [record_of(output) for output in stored]
            self.restart(now)
            outputs = [*stored, *(rest := self.dispatcher.step(now))]
            self.records += [record_of(output) for output in rest]
            return outputs
        self.records += [record_of(output) for output in outputs]
        return outputs

    def store(self, *inputs: Input) -> None:
        """Let something happen that the dispatcher doesn't see, unless it is restarted."""
        for one in inputs:
            match one:
                case Notice():
                    self.notices.append(one)
                case SilenceV1():
                    self.silences[one.silence] = one
                case SilenceGone():
                    self.silences.pop(one.silence, None)
                case RoutingPlan():
                    self.plan = one

    def restart(self, now: int) -> None:
        """Start anew from what is stored."""
        self.dispatcher = Dispatcher(self.plan)
        self.dispatcher.restore(self.notices, self.records, self.silences.values(), now)

    def run(self, until: int) -> list[Decision]:
        """Let time pass, stopping wherever the dispatcher asks for it."""
        outputs: list[Decision] = []
        for _ in range(100_000):
            at = self.dispatcher.next_deadline()
            if at is None or at > until:
                return outputs
            outputs += self.step(at)
        raise AssertionError("the dispatcher asks for the same time again and again")


class Story:
    """What happens at a market in Cannes and what is told of it."""

    def __init__(self, *routes: Route, cap: int = 12, crashing: bool = False) -> None:
        self._cap = cap
        self.world = World(plan_of_routes(*routes, cap=cap), lambda: crashing)
        self._day = datetime(2026, 11, 24, tzinfo=UTC).date()
        self._since: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._unwanted: list[tuple[int, str]] = []
        self.told: list[Notification] = []

    def on(self, day: str) -> "Story":
        """Say of which day the times are from here on."""
        self._day = datetime.fromisoformat(day).date()
        return self

    def at(self, shown: str, *, again: bool = False) -> "Moment":
        """Return the moment at which clocks in Cannes show this; `again`: the second time, when they were put back."""
        wall = datetime.combine(self._day, time.fromisoformat(shown), tzinfo=PARIS).replace(fold=int(again))
        return Moment(self, round((wall - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * SECOND))

    def between(self, begin: str, end: str) -> "Period":
        """Return the time from one moment (inside) to another (outside)."""
        return Period(self, self.at(begin).instant, self.at(end).instant)

    def end(self) -> None:
        """Nothing may be left that nobody wanted."""
        assert not self._unwanted, self._shown()

    def do(self, at: int, *inputs: Input) -> None:
        """Let time pass up to a moment, and something happen then."""
        self._note(self.world.run(at))
        self._note(self.world.step(at, *inputs))

    def name(self, name: str, kept: str | None = None) -> str:
        """Remember how an alert's id is called here."""
        self._names[kept or name_of(name)] = name
        return name

    def since(self, name: str, at: int) -> int:
        """Return when an alert began, which is now if it is new."""
        return self._since.setdefault(name, at)

    def expect(self, begin: int, end: int, wanted: Iterable[str]) -> None:
        """Hold what was told in a time against what was wanted, and nothing before it."""
        self._note(self.world.run(end - 1))
        early = [line for at, line in self._unwanted if at < begin]
        assert not early, f"nobody wanted:\n{self._shown()}"
        found = [line for at, line in self._unwanted if at < end]
        assert found == list(wanted), f"wanted {list(wanted)}; there was\n{self._shown()}"
        self._unwanted = [(at, line) for at, line in self._unwanted if at >= end]

    def _note(self, outputs: list[Decision]) -> None:
        self.told += [output for output in outputs if isinstance(output, Notification)]
        self._unwanted += [(output.at, self._line(output)) for output in outputs]

    def _line(self, output: Decision) -> str:
        names = lambda notices: sorted(self._names.get(n.alert, n.alert) for n in notices)  # noqa: E731
        over = [f"-{name}" for name in names(output.resolved)]
        if not isinstance(output, Notification):
            return " ".join([output.group.receiver, "withheld:", output.reason, *names(output.firing), *over])
        new = [f"+{name}" for name in names(n for n in output.firing if n.alert in output.new)]
        known = names(n for n in output.firing if n.alert not in output.new)
        return " ".join([output.group.receiver, output.reason, *known, *new, *over])

    def _shown(self) -> str:
        when = [datetime.fromtimestamp(at / SECOND, PARIS).isoformat(" ") for at, _ in self._unwanted]
        return "\n".join(f"{at}  {line}" for at, (_, line) in zip(when, self._unwanted, strict=True))


@dataclass
class Period:
    """A time of a story."""

    story: Story
    begin: int
    end: int

    def want(self, *lines: str) -> None:
        """Exactly this is told in it, in this order."""
        self.story.expect(self.begin, self.end, lines)


@dataclass
class Moment:
    """A moment of a story, at which things happen or are wanted."""

    story: Story
    instant: int

    def fires(self, *names: str, **changes: Any) -> "Moment":
        """These rate alerts begin."""
        return self._rates(names, over=False, **changes)

    def resolves(self, *names: str, **changes: Any) -> "Moment":
        """These rate alerts are over."""
        return self._rates(names, over=True, **changes)

    def _rates(self, names: tuple[str, ...], **changes: Any) -> "Moment":
        since = [self.story.since(self.story.name(name), self.instant) for name in names]
        notices = [rate_notice(n, self.instant, since=s, **changes) for n, s in zip(names, since, strict=True)]
        self.story.do(self.instant, *notices)
        return self

    def no_data(self, zone: str, *, reason: Any = "camera-down") -> "Moment":
        """Nothing is known of a zone any more."""
        return self._system("no-data", zone, over=False, reason=reason)

    def data_again(self, zone: str) -> "Moment":
        """A zone has numbers again."""
        return self._system("no-data", zone, over=True)

    def down(self, *cameras: str) -> "Moment":
        """These cameras give no pictures any more."""
        for camera in cameras:
            self._system("camera-down", camera, over=False)
        return self

    def up(self, camera: str) -> "Moment":
        """A camera gives pictures again."""
        return self._system("camera-down", camera, over=True)

    def _system(self, kind: str, name: str, **changes: Any) -> "Moment":
        notice = system_notice(
            kind, name, self.instant, since=self.story.since(f"{kind}/{name}", self.instant), **changes
        )
        if not notice.firing:
            self.story._since.pop(f"{kind}/{name}")
        self.story.name(f"{kind}:{name}", notice.alert)
        self.story.do(self.instant, notice)
        return self

    def silences(self, name: str, *, until: "Moment", since: "Moment | None" = None, **match: Any) -> "Moment":
        """An operator sets a silence, or changes it."""
        self.story.do(self.instant, silence(name, (since or self).instant, until.instant, **match))
        return self

    def unsilences(self, name: str) -> "Moment":
        """An operator takes a silence back."""
        self.story.do(self.instant, SilenceGone(silence(name, 0, 0).silence))
        return self

    def reconfigures(self, *routes: Route, cap: int | None = None) -> "Moment":
        """The settings change."""
        self.story.do(self.instant, plan_of_routes(*routes, cap=cap or self.story._cap))
        return self

    def want(self, *lines: str) -> None:
        """Exactly this is told at this moment, in this order, and nothing that wasn't wanted before it."""
        self.story.expect(self.instant, self.instant + 1, lines)
