"""The core of one site: it turns the messages of its stream into passages, windows and alerts (ADR 7).

"Now" is the server's timestamp of the message being processed. There is no other clock, no random source, no other
input, so reading the same stream again gives the same bytes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from proto.model_errors import ModelErrors
from proto.public import AlertV1, GapReason, OperationalAlertV1, RuleStateV1, WindowV1
from proto.sightings import CameraEventV1, ModelV1, PassageV1, SightingsV1, SiteConfigV1
from services.aggregate.core import policy
from services.aggregate.core.config import SECOND, ConfigSchedule, SiteConfig
from services.aggregate.core.counting.cameras import CameraRecord
from services.aggregate.core.counting.passages import PassageWriter
from services.aggregate.core.counting.series import WindowSeries
from services.aggregate.core.counting.track import Track
from services.aggregate.core.counting.windows import LateTotals, Model, OpenWindow
from services.aggregate.core.exchange import Dropped, DropReason, Output, Passed, Reset, StoredMessage
from services.aggregate.core.restart.published_windows import PublishedWindows
from services.aggregate.core.restart.resume import SILENCE, Restored, first_window
from services.aggregate.core.rules.operations import Operations
from services.aggregate.core.rules.rate_rules import Decision, judged_by
from services.aggregate.core.rules.rulebook import RuleBook
from services.aggregate.core.site_clock import SiteClock

IN_FLIGHT = 2 * SECOND
"""How long inference tries to store a sighting. One may still come for this long after the last `ended`."""


class SiteCore:
    """Decides everything about one site. `config` is in force until the stream brings another one.

    `since` is the border (ns) from which `config` holds, where the stream says it (`SiteConfigV1.since`).
    """

    def __init__(self, config: SiteConfig, since: int | None = None) -> None:
        self._clock = SiteClock()
        self._series = WindowSeries(ConfigSchedule(config, since))
        self._passages = PassageWriter(config.site)
        self._rules, self._operations = RuleBook(), Operations()
        self._late = LateTotals()
        self._errors: dict[Model, ModelErrors] = {}
        """Those last heard of each model; a new stream has them only when inference announces them again."""
        self._published = PublishedWindows(since)
        self._restored = Restored()
        self._cameras: dict[str, CameraRecord] = {}
        self._begins_late: GapReason = "started-late"
        """Why cameras are not observed from the first window's start on."""
        self._ended_at: int | None = None
        """When the last of all cameras ended, ns; None while one goes on."""

    @property
    def now(self) -> int:
        """The server's timestamp of the last message, ns."""
        return self._clock.now

    def border(self, config: SiteConfig) -> int | None:
        """Return the border (ns) from which the newest configuration holds; None if this is not the newest."""
        return self._series.schedule.border(config)

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
        self._published.restore(self._restored.windows)
        self._errors.update(self._restored.errors)  # the stream that announced them may be lost
        self._late.restore(self._restored.windows.values())
        config = judged_by(windows, configs)
        self._operations.restore(operational, windows, config)
        missing = self._rules.restore(alerts, states, windows, config)
        return [policy.last_step(decision) for decision in missing]

    def step(self, stored: StoredMessage | Reset) -> list[Output]:
        """Process the next message of the stream; return the outputs to publish, in this order."""
        if isinstance(stored, Reset):
            self._reset()
            return []
        self._clock.advance(stored.time)
        self._passages.turn_to(stored)
        outputs: list[Output] = []
        if not self._series.has_begun:
            self._begin(stored.stream_created)
            outputs += self._end_removed_rules()
        outputs += self._close_due()
        outputs += self._take(stored.message)
        return [policy.last_step(output) for output in outputs]

    def _begin(self, created: int) -> None:
        """Open the first window; `created` is the stream's creation time."""
        self._published.begin(self._series.schedule)
        first = first_window(self._restored, self._series.schedule, self._clock.now, created)
        self._series.begin(first.start, first.waiting)
        self._passages.begin(self._restored.passages, created, whole=self._restored.whole)
        self._begins_late = first.reason
        # The time at which a person passed is kept no longer than it takes to count them.
        self._restored = replace(self._restored, passages=[])

    def _reset(self) -> None:
        self._clock.resumed = 0
        for camera in self._cameras.values():
            camera.forget_fence()
            camera.watch.excuse(self._clock.now, "bus-restarted")

    # --- messages ---------------------------------------------------------------------------------------------------

    def _take(self, message: object) -> Iterator[Output]:
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
        config = self._series.schedule.at(message.at)
        refused = self._refusal(message, config)
        if refused is not None:
            yield Dropped(refused)
            return
        camera, window = self._camera(message.camera), self._series.window(message.at)
        if not window.adopt((message.model, message.model_sha256)):
            camera.watch.excuse(message.at, "model-changed")
            window.miss(message.camera, "model-changed")
            yield Dropped("other-model")
            return
        camera.picture(message)
        if self._ended_at is not None and not self._all_ended():
            self._ended_at = None
        ground = config.grounds[message.camera]
        faces = ground.counted(message.faces)
        ended = camera.tracker.step(message.at, message.aspect, faces, message.model_sha256, config.max_gap, ground)
        yield from self._count(message.camera, ended)

    def _refusal(self, message: SightingsV1, config: SiteConfig) -> DropReason | None:
        if message.camera not in config.grounds:
            return "unknown-camera"
        if message.at > self.now + config.most_ahead:  # asked first: a wrong clock must not raise the fence
            return "ahead"
        if not self._camera(message.camera).admit(message, self.now):
            return "fenced"
        if message.at >= self._series.start:
            return None
        self._late.add(message.at, config.grounds[message.camera].late(message.faces))
        return "late"

    def _camera_event(self, message: CameraEventV1) -> Iterator[Output]:
        config = self._series.schedule.at(self.now)
        if message.camera not in config.grounds:
            yield Dropped("unknown-camera")
        elif message.reason == "wrong-clock":  # so neither its time nor its lease's number means anything
            self._camera(message.camera).watch.turn(self.now, "wrong-clock")
        elif message.at > self.now + config.most_ahead:
            yield Dropped("ahead")
        elif not self._camera(message.camera).event(message, self.now):
            yield Dropped("fenced")
        else:
            if message.at > self._series.start:  # a recording's windows go on up to its end
                self._series.window(message.at - 1)
            self._ended_at = self.now if self._all_ended() else None

    def _configure(self, message: SiteConfigV1) -> Iterator[Output]:
        try:
            config = SiteConfig.decode(message)
        except ValueError:
            yield Dropped("unreadable-config")
            return
        self._published.configured(self.now)
        self._series.change(config, self.now, message.since)

    def _count(self, camera: str, ended: Iterable[Track]) -> Iterator[Output]:
        """Count the passages of tracks that have ended."""
        for track in ended:
            passage = self._passages.passage(camera, track, self._series.schedule.at(track.last))
            if passage is None:
                continue
            yield Passed(camera, passage.at, track.stayed)
            if not self._passages.is_stored(passage):
                self._series.window(passage.at).count(passage)
                yield passage

    # --- windows ----------------------------------------------------------------------------------------------------

    def _close_due(self) -> Iterator[Output]:
        """Close every window that is due, one after the other, so that the series has no holes."""
        series = self._series
        if self._ended_at is not None and self.now >= self._ended_at + min(series.config.lateness, IN_FLIGHT):
            yield from self._close_all()
        if self._ended_at is None and series.is_empty and self._all_ended():
            series.skip(max(series.start, series.schedule.window_at(self.now)[0]))
            yield from self._end_removed_rules()
            return
        while self._watermark() >= series.end + series.config.open_for:
            yield from self._close_or_skip()

    def _watermark(self) -> int:
        """Return the moment up to which all messages have come, except late ones.

        It is the server's time, so that a silent camera holds no window open. Recordings that are read faster than they
        play are ahead of it. For them it is the moment up to which all recordings that have not ended were read.
        """
        config = self._series.config
        if not config.close_on_end:  # called for every message, and a site may have a hundred cameras
            return self.now
        running = [self._cameras.get(name) for name in config.grounds]
        marks = [0 if camera is None else camera.reached for camera in running if camera is None or not camera.ended]
        return max(self.now, min(marks, default=0))

    def _close_all(self) -> Iterator[Output]:
        """Close all open windows, since every camera has ended; open none until a camera begins again."""
        last = self._series.last
        while self._series.start <= last:
            yield from self._close(self._series.window(self._series.start))
        for camera in self._cameras.values():
            camera.tracker.close_before(None)  # portraits, which are nobody
        self._ended_at = None

    def _close_or_skip(self) -> Iterator[Output]:
        """Close the earliest window, or skip those of a long silence."""
        series, known = self._series, self._series.earliest(self.now)
        if known <= series.start or self.now - series.start < SILENCE:
            yield from self._close(series.window(series.start))
            return
        recent, _ = series.schedule.window_at(self.now - SILENCE)
        series.skip(max(series.end, min(known, recent)))
        yield from self._end_removed_rules()

    def _close(self, window: OpenWindow) -> Iterator[Output]:
        for name in sorted(self._cameras):
            yield from self._count(name, self._cameras[name].tracker.close_before(window.end))
        self._settle(window)
        self._series.close(window)
        zones = window.publish(self._late.totals, self._errors)
        known = [zone for zone in zones if self._published.is_known(zone)]
        rest = window.has_rest or len(known) < len(zones)
        messages = policy.publishable(known, window.config.suppress_below, rest=rest)
        yield from self._operations.take(window, messages, self._series.schedule.coming)
        for message in messages:
            yield from self._publish(message, window.config)
        if all(message.late_total is None for message in messages):  # nor may later ones, under another profile
            self._late.clear(window.end)
        yield from self._end_removed_rules()

    def _settle(self, window: OpenWindow) -> None:
        """Give each camera's observed and missed time to a window that closes."""
        for name in window.config.grounds:
            watch = self._camera(name).watch
            for span in watch.settle(window.end):
                window.note(name, span)
            if window.end > self._clock.resumed and watch.reason in {"started-late", "bus-restarted"}:
                watch.excuse(window.end, "camera-down")

    def _publish(self, window: WindowV1, config: SiteConfig) -> Iterator[Output]:
        """Yield a window and its decisions; a window that was published before a crash is not published again."""
        before = self._published.add(window)
        if before is None:
            yield window
            yield from self._rules.take(config.rules, window)
        elif before.start == window.start:
            self._late.correct(before)

    def _end_removed_rules(self) -> list[Decision]:
        """End the rules that the open window's configuration no longer has, unless that was done before the start."""
        if self._series.start < self._restored.done:
            return []
        return self._rules.part(self._series.config)

    # --- cameras ----------------------------------------------------------------------------------------------------

    def _camera(self, name: str) -> CameraRecord:
        if name not in self._cameras:
            start = self._series.start
            reason = self._begins_late if start <= self._clock.begun else "camera-down"
            self._cameras[name] = CameraRecord(start, reason)
        return self._cameras[name]

    def _all_ended(self) -> bool:
        config = self._series.schedule.at(self.now)
        names = list(config.grounds)
        return config.close_on_end and bool(names) and all(n in self._cameras and self._cameras[n].ended for n in names)
