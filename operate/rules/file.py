"""The file of `moretta rules test`: a site's rules, windows, and the expected effects."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct, field

from operate.rules.series import entries, window
from proto.model_errors import ModelErrors
from proto.public import RuleReason, RuleStateName, WindowV1
from proto.types import WHOLE_SITE, Profile, RuleId, SiteId, ZoneId
from services.aggregate.core import policy
from services.aggregate.core.config import SiteConfig
from services.inference.errors import read_errors
from services.inference.model import MANIFEST_NAME, MODELS
from services.kernel.settings import Problem, SettingsError, convert, load, problems
from services.kernel.settings.source import read
from services.sites import problems as sites
from services.sites.profiles import ALERTING
from services.sites.settings import Name, RuleSettings, SiteSettings, ZoneSettings

_PARTS = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_YEAR = 9000
"""The last year in which a test may start. Its windows follow, and no calendar has a name for times after 9999."""
Length = Annotated[
    str,
    Meta(
        pattern=r"^(?=\d)(?:\d{1,4}h)?(?:\d{1,5}m)?(?:\d{1,6}s)?\Z",
        description="a length of time such as 20m, 1h20m or 90s",
    ),
]
Moment = Annotated[datetime, Meta(tz=True, description="a time with its zone, such as 2026-11-25T08:00:00+01:00")]


class Series(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The windows of a zone, one after the other from the start on."""

    zone: ZoneId = WHOLE_SITE
    values: Any


class Expectation(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The expected effect on a rule of the window that ends at this time since the start."""

    at: Length
    rule: RuleId | None = None
    state: RuleStateName | None = None
    reason: Literal[RuleReason, "no-change"] | None = None
    """Why the state changed with this window."""
    alert: Literal["firing", "resolved", "none"] | None = None
    """The published alert. An alert that no expectation names is a difference."""


class RulesTest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One test: with its own rules under a profile, or with the rules of a site in a settings file."""

    name: Name
    rules: list[RuleSettings] | None = None
    profile: Profile | None = None
    settings: str | None = None
    """A settings file, by its path relative to this file."""
    site: SiteId | None = None
    start: Moment = datetime(2026, 1, 1, tzinfo=UTC)
    step: Length | None = None
    """A window's length."""
    series: Annotated[list[Series], Meta(min_length=1)]
    expect: list[Expectation] = field(default_factory=list)


class RulesFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    tests: Annotated[list[RulesTest], Meta(min_length=1)]


class RulesSites(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The sites of a settings file; no secret is read."""

    UNREAD: ClassVar[frozenset[str]] = frozenset({"url", "password", "token"})
    sites: list[SiteSettings] = field(default_factory=list)

    def problems(self) -> list[Problem]:
        """Return the problems that no single field shows, and the settings that a site's legal profile forbids."""
        return [*sites.problems(self.sites), *policy.problems(self.sites)]


@dataclass(frozen=True)
class PlacedExpectation:
    """An expectation with its place in the file, its rule, and the end of its window, ns."""

    path: str
    rule: RuleSettings
    end: int
    what: Expectation


@dataclass(frozen=True)
class Case:
    """A test that can be run. `path` is its place in the file."""

    name: str
    path: str
    start: datetime
    rules: list[RuleSettings]
    windows: list[WindowV1]
    expect: list[PlacedExpectation]

    def at(self, end: int) -> timedelta:
        """Return the time from the start to a window's end, which is in ns."""
        return timedelta(microseconds=end // 1_000) - (self.start - _EPOCH)


def seconds(length: str) -> int:
    """Return a length of time in seconds."""
    match = _PARTS.fullmatch(length)
    assert match is not None, "the type checked it"
    hours, minutes, rest = (int(part or 0) for part in match.groups())
    return 3_600 * hours + 60 * minutes + rest


def shipped_errors() -> ModelErrors | None:
    """Return the errors of the shipped model; None if nobody estimated them."""
    return read_errors(MODELS, sha256((MODELS / MANIFEST_NAME).read_bytes()).hexdigest())


def read_cases(file: Path) -> list[Case]:
    """Return the tests of a file, with windows as the shipped model judges; SettingsError names all its problems."""
    raw = read(file)
    if "sites" in raw and "tests" not in raw:
        raise SettingsError(file, [("", "is a settings file; name a file of tests, such as docs/rules-test.yaml")])
    found = list(problems(RulesFile, raw))
    if found:
        raise SettingsError(file, found)
    tests: RulesFile = convert(raw, RulesFile)
    errors = shipped_errors()
    cases = [_case(file, f"tests[{index}]", test, errors, found) for index, test in enumerate(tests.tests)]
    if found:
        raise SettingsError(file, found)
    return [case for case in cases if case is not None]


def _case(file: Path, path: str, test: RulesTest, errors: ModelErrors | None, found: list[Problem]) -> Case | None:
    """Return the test ready to run, None if its site is invalid; problems are added to `found`."""
    site = _inline(path, test, found) if test.settings is None else _from_settings(file, path, test, found)
    if site is None:
        return None
    start = (test.start - _EPOCH) // timedelta(microseconds=1) * 1_000
    config = SiteConfig.of(site)
    if not 1970 <= test.start.year <= _LAST_YEAR:
        found.append((f"{path}.start", f"must be in the years 1970 to {_LAST_YEAR}, got {test.start.year}"))
    elif config.start_of(start) != start:
        why = f"{test.start:%H:%M:%S} is no border of windows of {site.window_s:g} s; one is at every full hour"
        found.append((f"{path}.start", why))
    found += _zone_problems(path, test.series, site.rules)
    windows: list[WindowV1] = []
    for index, series in enumerate(test.series):
        found_entries = entries(series.values, f"{path}.series[{index}].values", found)
        starts = (start + n * config.window for n in range(len(found_entries)))
        windows += [window(config, series.zone, at, one, errors) for at, one in zip(starts, found_entries, strict=True)]
    # As aggregate publishes them: one window after the other, and in each the whole site last.
    windows.sort(key=lambda w: (w.start, w.zone == WHOLE_SITE, w.zone))
    case = Case(test.name, path, test.start, site.rules, windows, [])
    for index, expectation in enumerate(test.expect):
        _expect(case, f"{path}.expect[{index}]", expectation, found)
    return case


def _inline(path: str, test: RulesTest, found: list[Problem]) -> SiteSettings | None:
    """Return a site with the test's own rules."""
    if not test.rules:
        found.append((f"{path}.rules", "is missing; give rules here, or settings and site"))
        return None
    if test.site is not None:
        found.append((f"{path}.site", "needs settings, the file that the site is in; or leave it out"))
    zones = [ZoneSettings(id=zone) for zone in sorted({rule.zone for rule in test.rules} - {WHOLE_SITE})]
    window_s = float(seconds(test.step or "20m"))
    if not window_s:
        found.append((f"{path}.step", "must be longer than 0 s"))
        return None
    site = SiteSettings(id="test", profile=test.profile or ALERTING, window_s=window_s, zones=zones, rules=test.rules)
    wrong = RulesSites(sites=[site]).problems()
    found += [(_moved(where, path), why) for where, why in wrong]
    return None if wrong else site


def _moved(where: str, path: str) -> str:
    return where.replace("sites[0]", path, 1).replace(f"{path}.window_s", f"{path}.step")


def _from_settings(file: Path, path: str, test: RulesTest, found: list[Problem]) -> SiteSettings | None:
    """Return the site of the settings file that the test names; SettingsError if that file is invalid."""
    known = {site.id: site for site in load(file.parent / str(test.settings), RulesSites, environ={}).sites}
    given = [name for name in ("rules", "profile") if getattr(test, name) is not None]
    found += [(f"{path}.{name}", "is given by the settings file; leave it out") for name in given]
    site = known.get(test.site or "")
    if site is None:
        what = "is missing" if test.site is None else f"unknown site {test.site!r}"
        found.append((f"{path}.site", f"{what}; known in {test.settings}: {', '.join(sorted(known)) or 'none'}"))
    elif test.step is not None and seconds(test.step) != site.window_s:
        found.append((f"{path}.step", f"{test.step} is not the site's window_s, {site.window_s:g} s; leave it out"))
    return site


def _zone_problems(path: str, series: list[Series], rules: list[RuleSettings]) -> Iterator[Problem]:
    known, seen = sorted({rule.zone for rule in rules}), set[str]()
    for index, one in enumerate(series):
        if one.zone not in known:
            why = f"no rule is about the zone {one.zone!r}; known here: {', '.join(known) or 'none'}"
            yield f"{path}.series[{index}].zone", why
        if one.zone in seen:
            yield f"{path}.series[{index}].zone", f"{one.zone!r} has a series already; a zone has one"
        seen.add(one.zone)


def _expect(case: Case, path: str, what: Expectation, found: list[Problem]) -> None:
    """Add an expectation to a case, or add its problem to `found`."""
    known = {rule.id: rule for rule in case.rules}
    rule = case.rules[0] if what.rule is None and len(known) == 1 else known.get(what.rule or "")
    if rule is None:
        wrong = "is missing" if what.rule is None else f"unknown rule {what.rule!r}"
        found.append((f"{path}.rule", f"{wrong}; known here: {', '.join(known) or 'none'}"))
        return
    at = timedelta(seconds=seconds(what.at))
    ends = {w.end for w in case.windows if w.zone == rule.zone and case.at(w.end) == at}
    if not ends:
        found.append((f"{path}.at", f"no window of {rule.zone} ends {what.at} after the start"))
    elif all(wanted is None for wanted in (what.state, what.reason, what.alert)):
        found.append((path, "expects nothing; give state, reason or alert"))
    else:
        case.expect.append(PlacedExpectation(path, rule, ends.pop(), what))
