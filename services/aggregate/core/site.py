"""The core of one site: it turns the messages of its stream into passages, windows and alerts (ADR 7).

"Now" is the server's timestamp of the message being processed. There is no other clock, no random source, no other
input, so reading the same stream again gives the same bytes.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from proto.model_errors import ModelErrors
from proto.public import AlertV1, OperationalAlertV1, RuleStateV1, WindowV1
from proto.sightings import CODES, CameraEventV1, ModelV1, PassageV1, SightingsV1, SiteConfigV1
from proto.types import WHOLE_SITE
from services.aggregate.core import policy
from services.aggregate.core.config import SECOND, ConfigSchedule, SiteConfig
from services.aggregate.core.counting.cameras import CameraRecord
from services.aggregate.core.counting.tracking import PLAIN, Track
from services.aggregate.core.counting.windows import Model, OpenWindow
from services.aggregate.core.exchange import Dropped, DropReason, Output, Passed, Reset, StoredMessage
from services.aggregate.core.restart.resume import SILENCE, FirstWindow, ReplayMark, Restored, first_window
from services.aggregate.core.rules.operations import Operations
from services.aggregate.core.rules.rate_rules import Decision, judged_by
from services.aggregate.core.rules.rulebook import RuleBook

IN_FLIGHT = 2 * SECOND
"""How long inference tries to store a sighting. One may still come for this long after the last `ended`."""
AHEAD = 24 * 3_600 * SECOND
"""A recording that is read faster than it plays is ahead of the server's clock; more than this is a mistake."""
CLOCK_AHEAD = 3_660 * SECOND
"""The clock of a live camera's host may be an hour wrong. With more, people would count in windows of another part of
the day. The passages of such windows are not kept that long, and a change of configuration would wait behind these
windows."""


class SiteCore:
    """Decides everything about one site. `config` is in force until the stream brings another one.

    `since` is the border (ns) from which `config` holds, where the stream says it (`SiteConfigV1.since`).
    """

    def __init__(self, config: SiteConfig, since: int | None = None) -> None:
        self._site = config.site
        self._schedule, self._rules, self._operations = ConfigSchedule(config, since), RuleBook(), Operations()
        self._since = since
        """From when `config` holds, ns; where nothing says it and windows are published from its next announcement."""
        self._ends: dict[str, int] = {}
        """End of each zone's last published window, ns."""
        self._cameras: dict[str, CameraRecord] = {}
        self._slots: dict[int, OpenWindow] = {}
        self._cursor: int | None = None
        self._now = self._resumed = self._begun = 0
        self._ended_at: int | None = None
        self._errors: dict[Model, ModelErrors] = {}
        """Those last heard of each model; a new stream has them only when inference announces them again."""
        self._late: Counter[str] = Counter()
        self._late_since = 0
        """Sightings that come late for event time before this moment are in no window's late total."""
        self._restored, self._first = Restored(), FirstWindow(0, "started-late", [])
        self._mark = ReplayMark()
        self._waiting: list[PassageV1] = []
        """Restored passages of windows that are not open yet."""
        self._place = (0, 0, 0)
        """The id of the next passage: the stream's creation time, the message's sequence, and an index within that
        message."""

    @property
    def now(self) -> int:
        """The server's timestamp of the last message, ns."""
        return self._now

    def border(self, config: SiteConfig) -> int | None:
        """Return the border (ns) from which the newest configuration holds; None if this is not the newest."""
        return self._schedule.border(config)

    def restore(
        self,
        passages: Iterable[PassageV1] = (),
        windows: Sequence[WindowV1] = (),
        alerts: Sequence[AlertV1] = (),
        configs: Iterable[SiteConfig] = (),
        states: Sequence[RuleStateV1] = (),
        operational: Iterable[OperationalAlertV1] = (),
        *,
        whole: bool = True,
    ) -> list[Output]:
        """Restore from the messages published before this start, each in stream order; call it before the first `step`.

        `windows` holds at least the first and the last window of each zone; for zones with rules, as many as
        `rulebook.is_enough` and `operations.is_enough` say. `alerts` and `states` hold the last ones of each rule,
        `operational` the last ones of each camera and zone. `configs` holds those that may be needed to judge the last
        window. `whole` says that the stream of passages has dropped none of the open windows'. Return the alerts and
        changes of state that a crash kept from being published.
        """
        self._restored = Restored.of(passages, windows, whole=whole)
        self._ends = {zone: window.end for zone, window in self._restored.windows.items()}
        self._errors.update(self._restored.errors)  # the stream that announced them may be lost
        self._late.update({w.zone: w.late_total or 0 for w in self._restored.windows.values()})
        config = judged_by(windows, configs)
        self._operations.restore(operational, windows, config)
        missing = self._rules.restore(alerts, states, windows, config)
        return [policy.last_step(decision) for decision in missing]

    def step(self, stored: StoredMessage | Reset) -> list[Output]:
        """Process the next message of the stream; return the outputs to publish, in this order."""
        if isinstance(stored, Reset):
            self._reset()
            return []
        self._now = max(self._now, stored.time)
        self._place = (stored.stream_created, stored.sequence, 0)
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
        """Open the first window."""
        if self._restored.site_done:
            self._schedule.go_on_from(self._restored.site_done)
        self._first = first_window(self._restored, self._schedule, self._now, created)
        self._begun = self._now
        if not self._restored.site_done:
            self._since = self._since or 0
        self._cursor = self._first.start
        self._mark = ReplayMark.of(self._restored, created)
        self._waiting = self._first.waiting
        # The time at which a person passed is kept no longer than it takes to count them.
        self._restored, self._first = replace(self._restored, passages=[]), self._first._replace(waiting=[])

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
            case ModelV1():
                self._errors[message.model, message.model_sha256] = message.errors

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
        faces = ground.counted(message.faces)
        closed = camera.tracker.step(message.at, message.aspect, faces, message.model_sha256, config.max_gap, ground)
        yield from self._passages(message.camera, closed)

    def _refuse(self, message: SightingsV1, config: SiteConfig) -> DropReason | None:
        if message.camera not in config.grounds:
            return "unknown-camera"
        if message.at > self._now + _most_ahead(config):  # asked first: a wrong clock must not raise the fence
            return "ahead"
        if not self._camera(message.camera).admit(message, self._now):
            return "fenced"
        if message.at >= self._open:
            return None
        if message.at >= self._late_since:
            self._late.update(config.grounds[message.camera].late(message.faces))
        return "late"

    def _camera_event(self, message: CameraEventV1) -> Iterator[Output]:
        config = self._schedule.at(self._now)
        if message.camera not in config.grounds:
            yield Dropped("unknown-camera")
            return
        if message.reason == "wrong-clock":  # so neither its time nor its lease's number means anything
            self._camera(message.camera).watch.turn(self._now, "wrong-clock")
            return
        if message.at > self._now + _most_ahead(config):
            yield Dropped("ahead")
            return
        if not self._camera(message.camera).event(message, self._now):
            yield Dropped("fenced")
            return
        if message.at > self._open:  # a recording's windows go on up to its end
            self._slot(message.at - 1)
        self._ended_at = self._now if self._all_ended() else None

    def _configure(self, message: SiteConfigV1) -> Iterator[Output]:
        try:
            config = SiteConfig.decode(message)
        except ValueError:
            yield Dropped("unreadable-config")
            return
        if self._since is None:
            self._since = self._now
        self._schedule.change(config, max([self._now, *self._slots]), message.since)

    # --- passages ---------------------------------------------------------------------------------------------------

    def _passages(self, name: str, closed: Iterable[Track]) -> Iterator[Output]:
        for track in closed:
            config = self._schedule.at(track.last)
            ground = config.grounds.get(name, PLAIN)
            person = track.collect()
            if person.hits < config.tracking.min_hits or not ground.confirms(person.largest, track.net):
                continue
            created, sequence, index = self._place
            self._place = (created, sequence, index + 1)
            passage = PassageV1(
                site=self._site,
                camera=name,
                zone=person.zone if person.zone in config.zone_cameras else ground.zone,
                code=CODES[person.evidence.verdict()],
                at=track.last,
                stream_created=created,
                stream_sequence=sequence,
                index=index,
            )
            yield Passed(name, passage.at, track.stayed)
            if not self._mark.covers(passage):
                self._slot(passage.at).count(passage)
                yield passage

    # --- windows ----------------------------------------------------------------------------------------------------

    def _close_due(self) -> Iterator[Output]:
        """Close every window that is due, one after the other, so that the series has no holes."""
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
        """Return the watermark: the moment up to which all messages have come, except late ones.

        It is the server's time, so that a silent camera holds no window open. Recordings that are read faster than they
        play are ahead of it. For them it is the moment up to which all recordings that have not ended were read.
        """
        config = self._schedule.at(self._open)
        if not config.close_on_end:  # called for every message, and a site may have a hundred cameras
            return self._now
        running = [self._cameras.get(name) for name in config.grounds]
        marks = [0 if camera is None else camera.reached for camera in running if camera is None or not camera.ended]
        return max(self._now, min(marks, default=0))

    def _close_all(self) -> Iterator[Output]:
        """Close all open windows, since every camera has ended; open none until a camera begins again."""
        last = max(self._slots, default=self._open)
        while self._open <= last:
            yield from self._close(self._slot(self._open))
        for camera in self._cameras.values():
            camera.tracker.close_before(None)  # portraits, which are nobody
        self._ended_at = None

    def _close_or_skip(self) -> Iterator[Output]:
        starts = (self._schedule.window_at(p.at)[0] for p in self._waiting)
        known = min([*self._slots, *starts], default=self._now)
        if known <= self._open or self._now - self._open < SILENCE:
            yield from self._close(self._slot(self._open))
            return
        recent, _ = self._schedule.window_at(self._now - SILENCE)
        self._cursor = max(self._schedule.window_at(self._open)[1], min(known, recent))
        yield from self._part()

    def _close(self, slot: OpenWindow) -> Iterator[Output]:
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
        zones = slot.publish(self._late, self._errors)
        known = [window for window in zones if self._is_known(window)]
        rest = slot.has_rest or len(known) < len(zones)
        windows = policy.publishable(known, slot.config.suppress_below, rest=rest)
        yield from self._operations.take(slot, windows, self._schedule.coming)
        for window in windows:
            yield from self._publish(window, slot.config)
        if all(window.late_total is None for window in windows):  # nor may later ones, under another profile
            self._late.clear()
            self._late_since = slot.end
        yield from self._part()

    def _part(self) -> list[Decision]:
        """End the rules that the open window's configuration no longer has, unless that was done before the start."""
        return self._rules.part(self._schedule.at(self._open)) if self._open >= self._restored.done else []

    def _publish(self, window: WindowV1, config: SiteConfig) -> Iterator[Output]:
        """Yield a window and its decisions; a window that was published before a crash is not published again."""
        before = self._restored.windows.get(window.zone)
        if before is not None and window.start < before.end:
            if window.start == before.start and before.late_total is not None:
                self._late[window.zone] = before.late_total
            return
        self._ends[window.zone] = window.end
        yield window
        yield from self._rules.take(config.rules, window)

    def _is_known(self, window: WindowV1) -> bool:
        """Return whether the window's zone is known to have held then.

        The first configuration stands for those before it, too, which the stream may no longer have. They had the zones
        of the last published window, in which the whole site comes last.
        """
        end, done = self._ends.get(window.zone, -1), self._ends.get(WHOLE_SITE, 0)
        if window.zone == WHOLE_SITE or end >= min(done, window.end):
            return True
        return self._since is not None and window.start >= max(self._since, done)

    # --- what is open -----------------------------------------------------------------------------------------------

    @property
    def _open(self) -> int:
        """Start of the earliest window that is still open; all windows before it are published and final."""
        assert self._cursor is not None, "step() begins with _begin()"
        return self._cursor

    def _slot(self, at: int) -> OpenWindow:
        start, end = self._schedule.window_at(at)
        if start not in self._slots:
            self._slots[start] = slot = OpenWindow(start, end, self._schedule.at(at))
            # Not before the replay gets here: an open window delays a change of configuration (see `_configure`).
            for passage in self._waiting:
                if slot.start <= passage.at < slot.end:
                    slot.count(passage)
            self._waiting = [p for p in self._waiting if not slot.start <= p.at < slot.end]
        return self._slots[start]

    def _camera(self, name: str) -> CameraRecord:
        if name not in self._cameras:
            fresh = self._open <= self._begun
            self._cameras[name] = CameraRecord(self._open, self._first.reason if fresh else "camera-down")
        return self._cameras[name]

    def _all_ended(self) -> bool:
        config = self._schedule.at(self._now)
        names = list(config.grounds)
        return config.close_on_end and bool(names) and all(n in self._cameras and self._cameras[n].ended for n in names)


def _most_ahead(config: SiteConfig) -> int:
    return AHEAD if config.close_on_end else CLOCK_AHEAD
