"""One site: what is stored in its stream goes in, passages, windows and alerts come out (ADR 7).

"Now" is the server's timestamp of the message being processed. There is no other clock, no random source, no other
input, so reading the same stream again gives the same bytes.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from proto.public import AlertV1, GapReason, OperationalAlertV1, RuleStateV1, WindowV1
from proto.sightings import CameraEventV1, PassageV1, SightingsV1, SiteConfigV1
from proto.types import WHOLE_SITE
from services.aggregate.core import policy
from services.aggregate.core.cameras import CameraRecord
from services.aggregate.core.config import SECOND, SiteConfig
from services.aggregate.core.exchange import Dropped, DropReason, Output, Reset, Stored
from services.aggregate.core.operations import Operations
from services.aggregate.core.rulebook import RuleBook
from services.aggregate.core.rules import Decision, judged_by
from services.aggregate.core.schedule import Schedule
from services.aggregate.core.tracking import PLAIN, Track
from services.aggregate.core.windows import Slot

IN_FLIGHT = 2 * SECOND
"""How long inference tries to store a sighting: so long after the last `ended` one may still come."""
AHEAD = 24 * 3_600 * SECOND
"""A recording read faster than it plays is ahead of the server's clock; more than this is a mistake."""
CLOCK_AHEAD = 3_660 * SECOND
"""A live camera's host may have its clock an hour wrong. More would count people in windows of another part of the day,
whose passages are not kept until then, and hold off a change of configuration behind these windows."""
SILENCE = 2 * 3_600 * SECOND
"""Windows that nobody observed are published for so long after a silence; a longer one leaves a hole."""


class SiteCore:
    """Decides everything about one site. `config` holds until the stream brings another one."""

    def __init__(self, config: SiteConfig) -> None:
        self._site = config.site
        self._schedule, self._rules, self._operations = Schedule(config), RuleBook(), Operations()
        self._cameras: dict[str, CameraRecord] = {}
        self._slots: dict[int, Slot] = {}
        self._cursor: int | None = None
        self._now = self._resumed = self._begun = 0
        self._beginning: GapReason = "started-late"
        self._ended_at: int | None = None
        self._late: Counter[str] = Counter()
        self._untold = 0
        """Event time up to which no window tells what came late for it."""
        self._published: dict[str, WindowV1] = {}
        self._oldest: int | None = None
        self._done = 0
        """End of the last window that was out before this start."""
        self._restored: list[PassageV1] = []
        self._mark = (0, 0, 0, 0)
        self._key = (0, 0, 0)

    @property
    def now(self) -> int:
        """The server's timestamp of the last message, ns."""
        return self._now

    def restore(
        self,
        passages: Iterable[PassageV1] = (),
        windows: Sequence[WindowV1] = (),
        alerts: Sequence[AlertV1] = (),
        configs: Iterable[SiteConfig] = (),
        states: Sequence[RuleStateV1] = (),
        operational: Iterable[OperationalAlertV1] = (),
    ) -> list[Output]:
        """Take in what was published before this start, each in stream order, before the first `step`.

        `windows` holds at least the first and the last one of each zone, and of those that have rules what
        `rulebook.is_enough` and `operations.is_enough` say; `alerts` and `states` the last ones of each rule,
        `operational` those of each camera and zone; `configs` those that may be needed to judge the last window.
        Returns the alerts and changes of state that a crash kept from being published.
        """
        self._published = {w.zone: w for w in windows}
        self._oldest = min((w.end for w in windows), default=None)
        self._done = max((w.end for w in windows), default=0)
        self._late.update({w.zone: w.late_total or 0 for w in self._published.values()})
        # Stored twice where an acknowledgement was lost for longer than the server remembers message ids.
        self._restored = list({(p.stream_created, p.stream_sequence, p.index, p.at): p for p in passages}.values())
        config = judged_by(windows, configs)
        self._operations.restore(operational, windows, config)
        missing = self._rules.restore(alerts, states, windows, config)
        return [policy.last_step(decision) for decision in missing]

    def step(self, stored: Stored | Reset) -> list[Output]:
        """Process the next message of the stream; returns what is to be published, in this order."""
        if isinstance(stored, Reset):
            self._reset()
            return []
        self._now = max(self._now, stored.time)
        self._key = (stored.stream_created, stored.sequence, 0)
        outputs: list[Output] = []
        if self._cursor is None:
            self._begin(stored.stream_created)
            outputs += self._part()
        if self._resumed == 0:
            self._resumed = self._now
        outputs += self._close_due()
        outputs += self._handle(stored.message)
        return [policy.last_step(output) for output in outputs]

    def _begin(self, created: int) -> None:
        """Open the first window: that of the first message, or of the earliest passage that no window counts yet."""
        # The whole site comes last: a window is done when that one is out.
        done = self._published[WHOLE_SITE].end if WHOLE_SITE in self._published else 0
        waiting = [p for p in self._restored if p.at >= done]
        # Not the last windows: they may be of this stream, which is younger than the first one that it opened.
        before = self._oldest is not None and self._oldest <= created
        foreign = before or any(p.stream_created != created for p in self._restored)
        first, _ = self._schedule.window_at(self._now)
        if waiting:
            first = min(first, self._schedule.window_at(min(p.at for p in waiting))[0])
        if done and created <= done:  # what the stream keeps no more is a gap in the series of windows, not a hole
            first = min(first, self._schedule.window_at(done)[0])
        self._beginning = "bus-restarted" if foreign and created > first else "started-late"
        self._begun, self._cursor = self._now, first
        own = [p for p in self._restored if p.stream_created == created]
        if own:
            sequence, index = max((p.stream_sequence, p.index) for p in own)
            self._mark = (created, sequence, index, max(p.at for p in own))
        self._restored = waiting

    def _reset(self) -> None:
        self._resumed = 0
        for camera in self._cameras.values():
            camera.forget_fence()
            camera.watch.excuse(self._now, "bus-restarted")

    # --- messages ---------------------------------------------------------------------------------------------------

    def _handle(self, message: object) -> Iterator[Output]:
        match message:
            case SightingsV1():
                yield from self._sightings(message)
            case CameraEventV1():
                yield from self._camera_event(message)
            case SiteConfigV1():
                yield from self._configure(message)

    def _sightings(self, message: SightingsV1) -> Iterator[Output]:
        config = self._schedule.at(message.at)
        refused = self._refuse(message, config)
        if refused is not None:
            yield Dropped(refused)
            return
        camera = self._camera(message.camera)
        if not self._slot(message.at).adopt((message.model, message.model_sha256)):
            camera.watch.excuse(message.at, "model-changed")
            self._slot(message.at).miss(message.camera, "model-changed")
            yield Dropped("other-model")
            return
        camera.picture(message)
        if self._ended_at is not None and not self._all_ended():
            self._ended_at = None
        ground = config.grounds[message.camera]
        closed = camera.tracker.step(
            message.at, message.aspect, message.faces, message.model_sha256, config.max_gap, ground
        )
        yield from self._passages(message.camera, closed)

    def _refuse(self, message: SightingsV1, config: SiteConfig) -> DropReason | None:
        if message.camera not in config.grounds:
            return "unknown-camera"
        if not self._camera(message.camera).admit(message.lease, message.sequence):
            return "fenced"
        if message.at > self._now + _most_ahead(config):
            return "ahead"
        if message.at >= self._open:
            return None
        if message.at >= self._untold:
            self._late.update(config.grounds[message.camera].late(message.faces))
        return "late"

    def _camera_event(self, message: CameraEventV1) -> Iterator[Output]:
        config = self._schedule.at(self._now)
        if message.camera not in config.grounds:
            yield Dropped("unknown-camera")
            return
        if message.at > self._now + _most_ahead(config):
            yield Dropped("ahead")
            return
        if not self._camera(message.camera).event(message):
            yield Dropped("fenced")
            return
        if message.at > self._open:  # the windows of a recording go on up to its end
            self._slot(message.at - 1)
        self._ended_at = self._now if self._all_ended() else None

    def _configure(self, message: SiteConfigV1) -> Iterator[Output]:
        try:
            config = SiteConfig.decode(message)
        except ValueError:
            yield Dropped("unreadable-config")
            return
        self._schedule.change(config, max([self._now, *self._slots]))

    # --- passages ---------------------------------------------------------------------------------------------------

    def _passages(self, name: str, closed: Iterable[Track]) -> Iterator[PassageV1]:
        for track in closed:
            config = self._schedule.at(track.last)
            ground = config.grounds.get(name, PLAIN)
            if track.hits < config.tracking.min_hits or not ground.confirms(track.largest, track.net):
                continue
            created, sequence, index = self._key
            self._key = (created, sequence, index + 1)
            passage = PassageV1(
                site=self._site,
                camera=name,
                zone=track.zone if track.zone in config.zone_cameras else ground.zone,
                verdict=track.evidence.verdict(),
                at=track.last,
                stream_created=created,
                stream_sequence=sequence,
                index=index,
            )
            if not self._is_restored(passage):
                self._slot(passage.at).count(passage)
                yield passage

    def _is_restored(self, passage: PassageV1) -> bool:
        """Whether a replay made a passage again that was stored before the crash: passages are stored in order.

        Event time tells apart a new memory stream that a cluster made with the old one's creation time.
        """
        created, sequence, index, at = self._mark
        return (
            passage.stream_created == created
            and (passage.stream_sequence, passage.index) <= (sequence, index)
            and passage.at <= at
        )

    # --- windows ----------------------------------------------------------------------------------------------------

    def _close_due(self) -> Iterator[Output]:
        """Close every window whose time has come, one after the other, so that the series has no holes."""
        lateness = self._schedule.at(self._open).lateness
        if self._ended_at is not None and self._now >= self._ended_at + min(lateness, IN_FLIGHT):
            yield from self._close_all()
        if self._ended_at is None and not self._slots and self._all_ended():
            self._cursor = max(self._open, self._schedule.window_at(self._now)[0])
            yield from self._part()
            return
        while self._reached() >= self._schedule.window_at(self._open)[1] + self._schedule.at(self._open).lateness:
            yield from self._close_or_skip()

    def _reached(self) -> int:
        """Return the moment up to which everything has come, but for what is late.

        It is the server's, so that a camera that is silent holds no window open. Recordings that are read faster than
        they play are ahead of it: as far as every one of them that has not ended was read.
        """
        config = self._schedule.at(self._open)
        if not config.close_on_end:  # every message comes here, and a site may have a hundred cameras
            return self._now
        running = [self._cameras.get(name) for name in config.grounds]
        marks = [0 if camera is None else camera.reached for camera in running if camera is None or not camera.ended]
        return max(self._now, min(marks, default=0))

    def _close_all(self) -> Iterator[Output]:
        """Every camera has ended: close what is open, and open nothing until one begins again."""
        last = max(self._slots, default=self._open)
        while self._open <= last:
            yield from self._close(self._slot(self._open))
        self._ended_at = None

    def _close_or_skip(self) -> Iterator[Output]:
        starts = (self._schedule.window_at(p.at)[0] for p in self._restored)
        known = min([*self._slots, *starts], default=self._now)
        if known <= self._open or self._now - self._open < SILENCE:
            yield from self._close(self._slot(self._open))
            return
        recent, _ = self._schedule.window_at(self._now - SILENCE)
        self._cursor = max(self._schedule.window_at(self._open)[1], min(known, recent))
        yield from self._part()

    def _close(self, slot: Slot) -> Iterator[Output]:
        for name in sorted(self._cameras):
            camera = self._cameras[name]
            yield from self._passages(name, camera.tracker.close_before(slot.end))
        for name in slot.config.grounds:
            watch = self._camera(name).watch
            for span in watch.settle(slot.end):
                slot.note(name, span)
            if slot.end > self._resumed and watch.reason in {"started-late", "bus-restarted"}:
                watch.excuse(slot.end, "camera-down")
        del self._slots[slot.start]
        self._cursor = slot.end
        self._schedule.forget(slot.end)
        windows = policy.publishable(slot.publish(self._late), slot.config.suppress_below, rest=slot.has_rest)
        yield from self._operations.take(slot, windows, self._schedule.coming)
        for window in windows:
            yield from self._publish(window, slot.config)
        if all(window.late_total is None for window in windows):  # nor may a later window under another profile
            self._late.clear()
            self._untold = slot.end
        yield from self._part()

    def _part(self) -> list[Decision]:
        """End the rules that the open window's configuration has no more, unless that was done before the start."""
        return self._rules.part(self._schedule.at(self._open)) if self._open >= self._done else []

    def _publish(self, window: WindowV1, config: SiteConfig) -> Iterator[Output]:
        """Publish a window and what it decides; one that was published before a crash is only recognised."""
        before = self._published.get(window.zone)
        if before is not None and window.start <= before.start:
            if window.start == before.start and before.late_total is not None:
                self._late[window.zone] = before.late_total
            return
        yield window
        yield from self._rules.take(config.rules, window)

    # --- what is open -----------------------------------------------------------------------------------------------

    @property
    def _open(self) -> int:
        """Start of the earliest window that is still open; all before is published and final."""
        assert self._cursor is not None, "step() begins with _begin()"
        return self._cursor

    def _slot(self, at: int) -> Slot:
        start, end = self._schedule.window_at(at)
        if start not in self._slots:
            self._slots[start] = slot = Slot(start, end, self._schedule.at(at))
            # Not before the replay gets here: an open window holds off a change of configuration (see `_configure`).
            for passage in self._restored:
                if slot.start <= passage.at < slot.end:
                    slot.count(passage)
            self._restored = [p for p in self._restored if not slot.start <= p.at < slot.end]
        return self._slots[start]

    def _camera(self, name: str) -> CameraRecord:
        if name not in self._cameras:
            fresh = self._open <= self._begun
            self._cameras[name] = CameraRecord(self._open, self._beginning if fresh else "camera-down")
        return self._cameras[name]

    def _all_ended(self) -> bool:
        config = self._schedule.at(self._now)
        names = list(config.grounds)
        return config.close_on_end and bool(names) and all(n in self._cameras and self._cameras[n].ended for n in names)


def _most_ahead(config: SiteConfig) -> int:
    return AHEAD if config.close_on_end else CLOCK_AHEAD
