"""Operational alerts, for the operators of the system and never for field staff (docs/runbooks.md).

Closed windows alone decide them, and they are published before the windows that decided them. So the alerts of a
published window are published too. After a crash, an unpublished window is closed again from the same stream. Nothing
is lost, and alerts that were already published are recognised by their time.

`camera-down` is about a camera, `no-data` about a zone with rules. A window that was missed because of a pause, or
before the start, changes nothing and ends no row of bad windows. But bad windows more than a day apart are not a row.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from proto.public import HINTS, GapReason, OperationalAlertV1, OperationalKind, WindowV1
from proto.types import WHOLE_SITE
from services.aggregate.core.config import SECOND, SiteConfig
from services.aggregate.core.counting.windows import CAMERA_OK, OpenWindow
from services.aggregate.core.rules.rate_rules import MIN_COVERAGE, judge, trailing
from services.sites.profiles import PROFILES
from services.sites.settings import RuleSettings

EXCUSED: frozenset[GapReason] = frozenset({"paused", "started-late"})
"""Gap reasons that are no fault."""
APART = 24 * 3_600 * SECOND
"""The longest time between two bad windows of a row. A restart reads all windows of a row; because of this limit it
need not read all of a long pause."""
AlertKey = tuple[OperationalKind, str]
OURS: frozenset[OperationalKind] = frozenset({"camera-down", "no-data"})
"""The kinds that aggregate decides; notify raises and ends the others."""


@dataclass(frozen=True)
class WindowFinding:
    """The result of a window for a camera or a zone."""

    verdict: Literal["bad", "good", "between", "excused"]
    reason: GapReason | None = None
    coverage: float | None = None
    config: str | None = None
    """A row counts windows of this configuration only; None: of any."""


@dataclass(frozen=True)
class Standing:
    """The alert state of a camera or a zone."""

    firing: bool = False
    row: int = 0
    """Bad windows in a row."""
    since: int = 0
    """Start of the first of them."""
    last: int = 0
    """Start of the last of them."""
    config: str | None = None


def judge_camera(slot: OpenWindow, camera: str) -> WindowFinding:
    """Return the finding of a closed window about a camera.

    It is bad if more than half was missed for reasons not in `EXCUSED`, and good if nine tenths were observed, as for
    `cameras_ok`.
    """
    missed, half = slot.missed(camera), (slot.end - slot.start) / 2
    lost: Counter[GapReason] = Counter({why: time for why, time in missed.items() if why not in EXCUSED})
    coverage = slot.observed(camera)
    if lost.total() > half:
        reason, _ = max(lost.items(), key=lambda item: (item[1], item[0]))
        return WindowFinding("bad", reason, coverage)
    if coverage >= CAMERA_OK:
        return WindowFinding("good", None, coverage)
    return WindowFinding("excused" if missed.total() - lost.total() > half else "between", None, coverage)


def judge_zone(rules: Sequence[RuleSettings], window: WindowV1) -> WindowFinding:
    """Return the finding of a window about a zone: bad if none of its rules can judge it."""
    coverage, config = window.coverage, window.config_sha256
    if any(judge(rule, window) != "no-data" for rule in rules):
        return WindowFinding("good", None, coverage, config)
    if (coverage or 0.0) >= MIN_COVERAGE:
        return WindowFinding("bad", None, coverage, config)
    gaps = [gap for gap in window.gaps if gap not in HINTS]
    reason = next((gap for gap in gaps if gap not in EXCUSED), None)
    return WindowFinding("excused" if gaps and reason is None else "bad", reason, coverage, config)


def fold(standing: Standing, finding: WindowFinding, start: int, needed: int) -> Standing:
    """Return the standing after the window that begins at `start`.

    `needed` bad windows in a row fire the alert, a good one resolves it.
    """
    if finding.config != standing.config:
        standing = replace(standing, row=0, config=finding.config)
    if finding.verdict == "bad":
        row = standing.row + 1 if start - standing.last <= APART else 1
        since = standing.since if standing.firing or row > 1 else start
        return replace(standing, firing=standing.firing or row >= needed, row=row, since=since, last=start)
    if finding.verdict == "excused":
        return standing
    return replace(standing, row=0, firing=standing.firing and finding.verdict != "good")


class Operations:
    """The operational alerts of one site."""

    def __init__(self) -> None:
        self._standings: dict[AlertKey, Standing] = {}
        self._published: dict[str, int] = {}

    def restore(
        self, alerts: Iterable[OperationalAlertV1], windows: Sequence[WindowV1], config: SiteConfig | None
    ) -> None:
        """Rebuild the state from published alerts and windows, oldest first.

        `alerts` holds at least the last alert of each camera and zone. `config` is the one that judged the last window.
        A zone's row is rebuilt from its last windows, as many as `is_enough` needs. A camera's row is rebuilt from the
        stream, which the replay reads again.
        """
        for alert in (alert for alert in alerts if alert.kind in OURS):
            self._standings[alert.kind, alert.name] = Standing(firing=alert.state == "firing", since=alert.since)
        for window in windows:
            self._published[window.zone] = max(window.start, self._published.get(window.zone, -1))
        for zone, rules in _ruled(config).items() if config else ():
            for window in trailing(config, [w for w in windows if w.zone == zone]):
                self._fold(("no-data", zone), judge_zone(rules, window), window.start, 0)

    def take(self, slot: OpenWindow, windows: Iterable[WindowV1], coming: SiteConfig) -> Iterator[OperationalAlertV1]:
        """Process a closing window and its windows to publish; yield the alerts that they decide.

        `coming` is the newest configuration, which takes over at a border. A camera that it lacks was removed on
        purpose, and is silent from that moment on. The end of a recorded file is no fault, so with `close_on_end`
        nothing fires, and the alerts of live cameras before it end.
        """
        config = slot.config
        cameras = [c for c in config.zone_cameras.get(WHOLE_SITE, []) if c in coming.grounds]
        is_out = slot.start <= self._published.get(WHOLE_SITE, -1)
        if config.close_on_end:
            yield from () if is_out else self._part(slot, set())
            return
        for camera in cameras:
            needed = 0 if is_out else config.operations.camera_down_windows
            yield from self._decide(slot, ("camera-down", camera), judge_camera(slot, camera), needed)
        still = _ruled(coming)
        ruled = {zone: rules for zone, rules in _ruled(config).items() if zone in still}
        for window in windows:
            if window.zone in ruled and window.start > self._published.get(window.zone, -1):
                finding, needed = judge_zone(ruled[window.zone], window), config.operations.no_data_windows
                yield from self._decide(slot, ("no-data", window.zone), finding, needed)
        if not is_out:
            yield from self._part(slot, {("camera-down", c) for c in cameras} | {("no-data", z) for z in ruled})

    def _decide(
        self, slot: OpenWindow, key: AlertKey, finding: WindowFinding, needed: int
    ) -> Iterator[OperationalAlertV1]:
        before = self._standings.get(key, Standing())
        after = self._fold(key, finding, slot.start, needed)
        if after.firing != before.firing:
            yield _alert(slot, key, after, finding)

    def _fold(self, key: AlertKey, finding: WindowFinding, start: int, needed: int) -> Standing:
        """Apply a finding; with `needed` 0 it only counts for the row, since its decision is already published."""
        before = self._standings.get(key, Standing())
        after = fold(before, finding, start, needed)
        self._standings[key] = after if needed else replace(after, firing=before.firing)
        return self._standings[key]

    def _part(self, slot: OpenWindow, known: set[AlertKey]) -> Iterator[OperationalAlertV1]:
        """Resolve the alerts of cameras and zones that are no longer configured."""
        for key in sorted(self._standings.keys() - known):
            standing = self._standings.pop(key)
            if standing.firing:
                yield _alert(slot, key, replace(standing, firing=False), WindowFinding("good"))


def is_enough(windows: Sequence[WindowV1], zone: str, config: SiteConfig, alert: OperationalAlertV1 | None) -> bool:
    """Return whether these last windows of a zone, oldest first, hold all of the row that it may be in.

    `alert` is the zone's last alert.
    """
    rules, mine = _ruled(config).get(zone), trailing(config, windows)
    if not rules or config.close_on_end or (alert is not None and alert.state == "firing") or len(mine) < len(windows):
        return True
    days = config.operations.no_data_windows + 1
    is_older = bool(mine) and mine[-1].start - mine[0].start > days * APART
    return is_older or any(judge_zone(rules, window).verdict in {"good", "between"} for window in mine)


def _ruled(config: SiteConfig) -> dict[str, list[RuleSettings]]:
    """Return the rules by zone; none if the profile allows no rules."""
    found: dict[str, list[RuleSettings]] = {}
    for rule in config.rules if PROFILES[config.profile].rules else ():
        found.setdefault(rule.zone, []).append(rule)
    return found


def _alert(slot: OpenWindow, key: AlertKey, standing: Standing, finding: WindowFinding) -> OperationalAlertV1:
    kind, name = key
    return OperationalAlertV1(
        site=slot.config.site,
        kind=kind,
        name=name,
        state="firing" if standing.firing else "resolved",
        since=standing.since,
        at=slot.end,
        reason=finding.reason if standing.firing else None,
        coverage=finding.coverage if PROFILES[slot.config.profile].figures is None else None,
    )
