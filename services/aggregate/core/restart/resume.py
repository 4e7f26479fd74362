"""Where a site resumes after a start: what was published before it, and which window comes first (ADR 7). Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from proto.model_errors import ModelErrors
from proto.public import AlertV1, GapReason, OperationalAlertV1, OperationalKind, RuleStateV1, WindowV1
from proto.sightings import PassageV1
from proto.types import WHOLE_SITE
from services.aggregate.core.config import SECOND, ConfigSchedule, SiteConfig
from services.aggregate.core.counting.windows import Model

Message = WindowV1 | AlertV1 | RuleStateV1 | OperationalAlertV1
_DECIDED: tuple[OperationalKind, ...] = ("camera-down", "no-data")
"""The operational alerts that the core decides; the other kinds are notify's."""


@dataclass(frozen=True)
class Restored:
    """Messages published before a start: the last window of each zone, and the passages that are kept."""

    windows: dict[str, WindowV1] = field(default_factory=dict)
    passages: list[PassageV1] = field(default_factory=list)
    oldest: int | None = None
    """End of the earliest known window, ns; None if there is none."""
    done: int = 0
    """End of the last published window, ns."""
    whole: bool = True
    """Whether the stream of passages has dropped none of the open windows'."""
    errors: dict[Model, ModelErrors] = field(default_factory=dict)
    """The errors of each model as its last window has them."""

    @classmethod
    def of(cls, passages: Iterable[PassageV1], windows: Sequence[WindowV1], *, whole: bool = True) -> "Restored":
        """Return the state from the passages and windows in the streams, each in stream order."""
        # A passage is stored twice if its acknowledgement was lost for longer than the server remembers message ids.
        once = {(p.stream_created, p.stream_sequence, p.index, p.at): p for p in passages}
        ends = [w.end for w in windows]
        last = {w.zone: w for w in windows}
        errors = {
            (w.model, w.model_sha256): w.model_errors
            for w in sorted(windows, key=lambda w: w.end)
            if w.model and w.model_sha256 and w.model_errors
        }
        return cls(last, list(once.values()), min(ends, default=None), max(ends, default=0), whole, errors)

    @property
    def site_done(self) -> int:
        """End of the last completely published window, ns: the whole site's window comes after those of its zones."""
        return self.windows[WHOLE_SITE].end if WHOLE_SITE in self.windows else 0


def moment_of(message: Message) -> int:
    """Return the end of the window that a published message is about, ns."""
    return message.at if isinstance(message, OperationalAlertV1) else message.end


def is_ahead(message: Message, now: int) -> bool:
    """Return whether a published message is about time after `now` (ns): some clock was wrong then (ADR 38)."""
    return moment_of(message) > now


def last_ahead(messages: Iterable[Message], configs: Iterable[SiteConfig], now: int) -> int:
    """Return the end of the last window that is ahead of `now` (ns): published itself, or judged; 0 if none is.

    Windows of recordings may be ahead, since these are read faster than they play; so may what was decided up to the
    last of them, which names no configuration. Alerts about channels and receivers are notify's, with its own clock.
    """
    recorded = {config.sha256 for config in configs if config.close_on_end}
    found = [one for one in messages if not isinstance(one, OperationalAlertV1) or one.kind in _DECIDED]
    films = [one.end for one in found if isinstance(one, WindowV1) and one.config_sha256 in recorded]
    until = max(films, default=0)
    wrong = [
        moment_of(one)
        for one in found
        if is_ahead(one, now)
        and (one.config_sha256 not in recorded if isinstance(one, WindowV1) else moment_of(one) > until)
    ]
    return max(wrong, default=0)


SILENCE = 2 * 3_600 * SECOND
"""Unobserved windows are published for this long; a longer silence leaves a hole in the series."""


class ReplayStart:
    """Where a replay begins: it leaves out messages from before `needless`, ns; every window of theirs is published.

    A stream keeps such messages where one before them was stored ahead of time, since it drops its oldest first. They
    come first, or right after those. Later ones with an early time are needed: NATS's clock was behind.
    """

    def __init__(self, needless: int) -> None:
        self._needless = needless
        self._first: int | None = None
        self._seen_old = self._begun = False

    def skips(self, time: int) -> bool:
        """Return whether the next message, which was stored at this time (ns), is left out."""
        if self._first is None:
            self._first = time
        if self._begun or time >= self._needless:
            self._begun = self._begun or self._seen_old or time - self._first > _HEAD
            return False
        self._seen_old = True
        return True


_HEAD = 600 * SECOND
"""Messages that were stored ahead of time span no more than this, or the replay begins with them."""


class StoredConfig(NamedTuple):
    """A configuration of the stream: when it was stored, and the border from which it holds where that was said; ns."""

    config: SiteConfig
    time: int
    since: int | None


def first_config(stored: Sequence[StoredConfig], needless: int, ours: SiteConfig) -> tuple[SiteConfig, int | None]:
    """Return the configuration with which a replay begins, and the border from which it holds.

    `stored` are those of the stream, in order. A replay leaves out messages from before `needless` (ns); so it begins
    with the last configuration from before then.
    """
    start = ReplayStart(needless)
    skipped = [start.skips(one.time) for one in stored]
    left = stored[max(0, len(skipped) - 1 - skipped[::-1].index(True)) if any(skipped) else 0 :]
    first, since = _with_border(left, left[0].config if left else ours)
    for place, one in enumerate(left):
        if since is None or one.time >= since or one.config.sha256 == first.sha256:
            continue
        later, border = _with_border(left[place:], one.config)
        if border is not None and border <= since:  # it came in time to take that border, so the first never held
            first, since = later, border
    return first, since


def _with_border(stored: Sequence[StoredConfig], config: SiteConfig) -> tuple[SiteConfig, int | None]:
    """Return a configuration and the first border that the stream has of it; None if it has none."""
    borders = (one.since for one in stored if one.config.sha256 == config.sha256)
    return config, next((border for border in borders if border is not None), None)


class FirstWindow(NamedTuple):
    """Start of the first window, gap reason for time before the start, and the passages that no window counts yet."""

    start: int
    reason: GapReason
    waiting: list[PassageV1]


def first_window(restored: Restored, schedule: ConfigSchedule, now: int, created: int) -> FirstWindow:
    """Return the window of the first message, or of the earliest waiting passage; `created`: the stream's creation."""
    done = restored.site_done
    waiting = [p for p in restored.passages if p.at >= done]
    # Not the last windows: they may be of this stream. It is younger than the first window that it opened.
    before = restored.oldest is not None and restored.oldest <= created
    foreign = before or any(p.stream_created != created for p in restored.passages)
    moments = [now, *(p.at for p in waiting)]
    if done and (created <= done or now - done < SILENCE):  # time of which the stream has nothing is a gap, not a hole
        moments.append(done)
    start, _ = schedule.window_at(min(moments))
    return FirstWindow(start, "bus-restarted" if foreign and created > start else "started-late", waiting)
