"""Drift of a site's cameras: a day's face sizes, detection scores and unknown share against the days before (ADR 9).

Pure, like all of the core: the stream alone decides what is counted and when a record is due.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo

from proto.drift import DriftCounts, DriftDayV1
from proto.sightings import SightingsV1, SightingV1
from services.aggregate.core.config import SECOND
from services.aggregate.core.exchange import Dropped, Output, Passed, StoredMessage
from services.aggregate.core.histograms import SCORE_BINS, SIZE_BINS, quantile, size_at, size_bin, stability_index

EVERY = 300 * SECOND
"""Interval at which changed days are stored, in stream time, ns."""
BASELINE = range(2, 16)
"""Ages in days. Yesterday is not in the baseline: it is the last whole day, and is itself compared with the
baseline."""
ENOUGH = 2_000
"""A day with fewer faces is not compared. One passer-by gives some 15 faces, so these are about 130 people."""
SIZE_TENTHS, SCORE_TENTHS = (1, 5, 9), (1, 5)
"""The quantiles that are shown, in tenths."""
ENOUGH_PASSAGES = 50
"""Of a day with fewer passages nothing is said about those who stayed."""
_DAY = timedelta(days=1)


@dataclass(slots=True)
class DriftTally:
    """Faces that one model found on one camera."""

    unknown: int = 0
    sizes: list[int] = field(default_factory=lambda: [0] * SIZE_BINS)
    scores: list[int] = field(default_factory=lambda: [0] * SCORE_BINS)

    @property
    def faces(self) -> int:
        """How many there were."""
        return sum(self.scores)

    def add(self, faces: Iterable[SightingV1], aspect: float) -> None:
        """Count the faces of a picture of this aspect (width / height)."""
        sizes, scores, narrow = self.sizes, self.scores, min(aspect, 1 / aspect)
        for face in faces:
            x1, y1, x2, y2 = face.box
            sizes[size_bin((x2 - x1) * (y2 - y1) * narrow)] += 1
            scores[min(int(face.score * SCORE_BINS), SCORE_BINS - 1)] += 1
            if face.verdict == "unknown":
                self.unknown += 1


class Calendar:
    """Days as the site's clocks show them: a day ends when the next one begins.

    A day begins when the clocks first show its midnight.
    """

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._day, self._start, self._end = date.min, 0, 0

    def day(self, at: int) -> date:
        """Return the day of a moment in ns; for the same day as last time this costs one comparison."""
        if not self._start <= at < self._end:
            self._turn(at)
        return self._day

    def midnight(self, day: date) -> int:
        """Return when a day begins, in ns; where clocks skip its midnight, the moment at which they do."""
        return int(datetime.combine(day, time(), self._zone).timestamp()) * SECOND

    def _turn(self, at: int) -> None:
        day = datetime.fromtimestamp(at // SECOND, self._zone).date()
        while at >= self.midnight(day + _DAY):  # clocks that were put back over midnight show the day before again
            day += _DAY
        self._day, self._start, self._end = day, self.midnight(day), self.midnight(day + _DAY)


@dataclass(slots=True)
class _Day:
    """One camera's day. `until` is the record that it was restored from, which counts all messages up to its mark."""

    models: dict[str, DriftTally] = field(default_factory=dict)
    until: DriftDayV1 | None = None
    passages: int = 0
    stayed: int = 0
    """Those of the passages that neither came nor went."""
    changed: bool = False

    @property
    def stayed_share(self) -> float | None:
        """The share of them in whole tenths, so that no count can be worked out; None if there were few passages."""
        return 10 * self.stayed // self.passages / 10 if self.passages >= ENOUGH_PASSAGES else None

    def holds(self, stored: StoredMessage) -> bool:
        """Return whether a message is counted already.

        A cluster may make a new memory stream with the old one's creation time; the message's time tells them apart.
        """
        until = self.until
        return (
            until is not None
            and stored.stream_created == until.stream_created
            and stored.sequence <= until.stream_sequence
            and stored.time <= until.stream_time
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of one day or of the baseline, rounded so that no count can be worked out from a share.

    Sizes are shares of the picture's longer side. The indices are None without a baseline.
    """

    unknown: float
    sizes: tuple[float, ...]
    scores: tuple[float, ...]
    size_index: float | None = None
    score_index: float | None = None


@dataclass(frozen=True, slots=True)
class DriftComparison:
    """One camera's today, yesterday and the days before; None where there were not enough faces."""

    today: Summary | None
    yesterday: Summary | None
    baseline: Summary | None
    baseline_days: int
    stayed_today: float | None = None
    stayed_yesterday: float | None = None
    """Shares of the passages that neither came nor went; None where there were not enough passages."""


def _is_whole(counts: DriftCounts) -> bool:
    """Whether each face is in one bin of each of our histograms."""
    bins = (len(counts.sizes), len(counts.scores)) == (SIZE_BINS, SCORE_BINS)
    return bins and sum(counts.sizes) == sum(counts.scores) >= counts.unknown


class Drift:
    """Counts what the windows count, by camera, day and model."""

    def __init__(self, site: str, zone: tzinfo, every: int = EVERY) -> None:
        self._site, self._every = site, every
        self._calendar = Calendar(zone)
        self._cameras: dict[str, dict[date, _Day]] = {}
        self._position = (0, 0)
        self._now, self._last = 0, -1

    def move(self, zone: tzinfo) -> None:
        """Apply another time zone."""
        self._calendar = Calendar(zone)

    def restore(self, records: Iterable[DriftDayV1]) -> list[DriftDayV1]:
        """Restore from stored records; return those that cannot be compared.

        Their bins differ from ours, or their histograms do not hold the same faces.
        """
        refused = []
        for record in records:
            if not all(_is_whole(counts) for counts in record.models):
                refused.append(record)
                continue
            models = {m.model_sha256: DriftTally(m.unknown, [*m.sizes], [*m.scores]) for m in record.models}
            day = _Day(models, record, record.passages, record.stayed)
            self._cameras.setdefault(record.camera, {})[date.fromisoformat(record.day)] = day
        return refused

    def step(self, stored: StoredMessage, outputs: Iterable[Output]) -> list[DriftDayV1] | None:
        """Process the next message of the stream, and what the site's core made of it.

        Its faces are counted unless the windows dropped them. Every five minutes of stream time, return the days that
        changed since the last time; else None.
        """
        self._now = max(self._now, stored.time)
        self._position = (stored.stream_created, stored.sequence)
        message, dropped = stored.message, False
        for output in outputs:
            dropped |= isinstance(output, Dropped)
            if isinstance(output, Passed):
                self._pass(stored, output)
        if not dropped and isinstance(message, SightingsV1) and message.faces:
            self._count(stored, message)
        if self._now // self._every == self._last:
            return None
        self._last = self._now // self._every
        return list(self._due())

    def _day(self, camera: str, moment: int) -> _Day:
        days, at = self._cameras.setdefault(camera, {}), self._calendar.day(moment)
        if (day := days.get(at)) is None:
            day = days[at] = _Day()
        return day

    def _pass(self, stored: StoredMessage, passed: Passed) -> None:
        day = self._day(passed.camera, passed.at)
        if not day.holds(stored):
            day.passages, day.stayed, day.changed = day.passages + 1, day.stayed + passed.stayed, True

    def _count(self, stored: StoredMessage, message: SightingsV1) -> None:
        day = self._day(message.camera, message.at)
        if day.holds(stored):
            return
        if (tally := day.models.get(message.model_sha256)) is None:
            tally = day.models[message.model_sha256] = DriftTally()
        tally.add(message.faces, message.aspect)
        day.changed = True

    def _due(self) -> Iterator[DriftDayV1]:
        oldest = self._calendar.day(self._now) - BASELINE[-1] * _DAY
        for name, days in self._cameras.items():
            for at in [at for at in days if at < oldest]:
                del days[at]
            for at, day in days.items():
                if day.changed:
                    day.changed = False
                    yield self._record(name, at, day)

    def _record(self, camera: str, at: date, day: _Day) -> DriftDayV1:
        created, sequence = self._position
        return DriftDayV1(
            site=self._site,
            camera=camera,
            day=at.isoformat(),
            stream_created=created,
            stream_sequence=sequence,
            stream_time=self._now,
            models=[
                DriftCounts(model_sha256=model, unknown=t.unknown, sizes=[*t.sizes], scores=[*t.scores])
                for model, t in day.models.items()
            ],
            passages=day.passages,
            stayed=day.stayed,
        )

    def compare(self, camera: str) -> DriftComparison:
        """Return a camera's drift as of the last message; only days that the same model judged are compared."""
        today = self._calendar.day(self._now)
        days = {(today - at).days: day for at, day in self._cameras.get(camera, {}).items()}
        by_age = {age: day.models for age, day in days.items()}
        model = _newest_model(by_age)
        tallies = {age: models[model] for age, models in by_age.items() if model in models}
        enough = {age: tally for age, tally in tallies.items() if tally.faces >= ENOUGH}
        before = [enough[age] for age in BASELINE if age in enough]
        baseline = _sum(before) if before else None
        today_, yesterday = (_summary(enough[age], baseline) if age in enough else None for age in (0, 1))
        stayed = (days[age].stayed_share if age in days else None for age in (0, 1))
        return DriftComparison(today_, yesterday, _summary(baseline) if baseline else None, len(before), *stayed)


def _newest_model(by_age: dict[int, dict[str, DriftTally]]) -> str:
    """Return the model that judged most faces of the newest day."""
    ages = [age for age, models in by_age.items() if models and 0 <= age <= BASELINE[-1]]
    models = by_age[min(ages)] if ages else {}
    return max(models, key=lambda name: (models[name].faces, name), default="")


def _sum(tallies: Sequence[DriftTally]) -> DriftTally:
    return DriftTally(
        sum(t.unknown for t in tallies),
        [sum(bins) for bins in zip(*(t.sizes for t in tallies), strict=True)],
        [sum(bins) for bins in zip(*(t.scores for t in tallies), strict=True)],
    )


def _summary(tally: DriftTally, baseline: DriftTally | None = None) -> Summary:
    return Summary(
        unknown=round(tally.unknown / tally.faces, 2),
        sizes=tuple(round(size_at(quantile(tally.sizes, q)), 4) for q in SIZE_TENTHS),
        scores=tuple(round(quantile(tally.scores, q) / SCORE_BINS, 2) for q in SCORE_TENTHS),
        size_index=round(stability_index(baseline.sizes, tally.sizes), 2) if baseline else None,
        score_index=round(stability_index(baseline.scores, tally.scores), 2) if baseline else None,
    )
